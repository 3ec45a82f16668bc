/**
 * Sets with the AS_PATH that some peers are told instead of the one that is there, before the export filter sees it.
 * Leaves out: our own number in front, which every eBGP peer is told (wire/attributes/outgoing.ts).
 * Holds: numbers that a filter puts in front are not edited; an edit is made once for all prefixes of a set.
 */

import { applyRouteChanges } from '../wire/attributes/attribute-set.ts';
import { writeEditedAsPath } from '../wire/attributes/as-path-edits.ts';
import type { AsPathEdits } from '../wire/attributes/as-path-edits.ts';
import { AttributeCode } from '../wire/attributes/table.ts';
import { ByteWriter } from '../wire/byte-writer.ts';
import type { AttributePool } from './attribute-pool.ts';
import type { RibPeer } from './rib-types.ts';

/** @returns undefined: the peer is told every path as it is. */
export function pathEditsOf(peer: RibPeer): AsPathEdits | undefined {
  const { peerType, removePrivateAs, asOverride: override = false, localAs, remoteAs } = peer;
  if (peerType === 'iBGP' || (removePrivateAs === undefined && !override)) return undefined;
  return { removePrivateAs, override, localAs, remoteAs };
}

export class EditedPaths {
  #pool: AttributePool;
  #edits: AsPathEdits;
  /** Set → the set made of it, with a reference. */
  #made = new Map<number, number>();

  constructor(pool: AttributePool, edits: AsPathEdits) {
    this.#pool = pool;
    this.#edits = edits;
  }

  /** Valid until releaseMade. */
  of(attributes: number): number {
    const known = this.#made.get(attributes);
    if (known !== undefined) return known;
    const view = this.#pool.view(attributes);
    const writer = new ByteWriter(64);
    writeEditedAsPath(writer, view.value(AttributeCode.asPath) ?? new Uint8Array(0), this.#edits);
    const bytes = applyRouteChanges(view.bytes, { asPathValue: writer.copy() });
    const made = this.#pool.intern(bytes, 0, bytes.length);
    this.#made.set(attributes, made);
    return made;
  }

  releaseMade(): void {
    for (const made of this.#made.values()) this.#pool.release(made);
    this.#made.clear();
  }
}
