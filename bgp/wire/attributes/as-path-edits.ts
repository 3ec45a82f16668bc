/**
 * AS_PATH as some neighbours want it told: private numbers taken out or replaced, their own number replaced.
 * Implements: RFC 6996 §5 (private numbers do not leave for the Internet).
 * Holds: the neighbour's own number is never taken out as a private one: by it the neighbour finds loops.
 */

import { readU32 } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';

export interface AsPathEdits {
  /** `ifAll`, `replaceIfAll`: only where the path has no other numbers. */
  readonly removePrivateAs: 'ifAll' | 'all' | 'replaceIfAll' | 'replaceAll' | undefined;
  /** The neighbour's number is replaced by ours. */
  readonly override: boolean;
  readonly localAs: number;
  readonly remoteAs: number;
}

/** RFC 6996 §5; both ranges. */
export function isPrivateAs(asNumber: number): boolean {
  return (asNumber >= 64512 && asNumber <= 65534) || (asNumber >= 4_200_000_000 && asNumber <= 4_294_967_294);
}

/** Writes the segments of the path as edited; one that is left without a number is left out. */
export function writeEditedAsPath(
  writer: ByteWriter,
  path: Uint8Array,
  { removePrivateAs, override, localAs, remoteAs }: AsPathEdits,
): void {
  const isOther = (asNumber: number) => !isPrivateAs(asNumber);
  const onlyIfAll = removePrivateAs === 'ifAll' || removePrivateAs === 'replaceIfAll';
  const removal = onlyIfAll && hasNumber(path, isOther) ? undefined : removePrivateAs;
  const replaces = removal === 'replaceAll' || removal === 'replaceIfAll';
  for (let at = 0; at < path.length;) {
    const stop = at + 2 + path[at + 1] * 4;
    const start = writer.length;
    let kept = 0;
    writer.u8(path[at]);
    writer.u8(0);
    for (let i = at + 2; i < stop; i += 4) {
      const asNumber = readU32(path, i);
      const isTheirs = asNumber === remoteAs;
      const isRemoved = removal !== undefined && !isTheirs && isPrivateAs(asNumber);
      if (isRemoved && !replaces) continue;
      writer.u32(isRemoved || (override && isTheirs) ? localAs : asNumber);
      kept++;
    }
    if (kept === 0) writer.reset(start);
    else writer.patchU8(start + 1, kept);
    at = stop;
  }
}

function hasNumber(path: Uint8Array, matches: (asNumber: number) => boolean): boolean {
  for (let at = 0; at < path.length;) {
    const stop = at + 2 + path[at + 1] * 4;
    for (let i = at + 2; i < stop; i += 4) if (matches(readU32(path, i))) return true;
    at = stop;
  }
  return false;
}
