/**
 * A best path reader that outlives a RIB: when the speaker's identity changes there is a new RIB, and the reader is told of
 * every prefix that the old one had and the new one does not have.
 */

import { familyOfText } from './ip.ts';
import type { Rib } from './rib/rib.ts';
import type { BestPathReader } from './rib/rib-types.ts';
import type { BestPathChange } from './status.ts';

export class BestPathFeed implements BestPathReader {
  readonly onReadable: () => void;
  private readonly onClose: () => void;
  private reader: BestPathReader;
  /** Prefixes of an old RIB that are yet to be reported as gone. */
  private gone: string[] = [];

  constructor(rib: Rib, onReadable: () => void, onClose: () => void) {
    this.onReadable = onReadable;
    this.onClose = onClose;
    this.reader = rib.bestPathReader();
  }

  read(max: number): BestPathChange[] {
    if (this.gone.length > 0) return this.gone.splice(-max).map(withoutPaths);
    return this.reader.read(max);
  }

  close(): void {
    this.reader.close();
    this.onClose();
  }

  /** The old RIB still holds what it held. A prefix may be reported as gone that the reader has never heard of. */
  moveTo(rib: Rib, old: Rib): void {
    this.reader.close();
    this.reader = rib.bestPathReader();
    const prefixes = new Set(this.gone);
    for (const { prefix } of old.routes({})) prefixes.add(prefix);
    this.gone = [...prefixes];
  }
}

function withoutPaths(prefix: string): BestPathChange {
  return { family: familyOfText(prefix), prefix, paths: [] };
}
