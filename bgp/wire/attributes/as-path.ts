/**
 * AS_PATH: check, 2- and 4-octet forms, merging, prepending, text.
 * Implements: RFC 4271 §4.3, §5.1.2; RFC 6793 §4.2 (merging AS4_PATH, AS_TRANS); RFC 5065 (confederation segments are
 *   read and not counted); RFC 7606 §7.2; RFC 7607 (AS 0).
 * Leaves out: the check that an eBGP path starts with the peer's AS (RFC 4271 §6.3 leaves it open; route servers break it).
 * Holds: inside the speaker every AS number has 4 octets.
 */

import { asTrans } from '../../registry.ts';
import { readU16, readU32 } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';

const SegmentType = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;

/** @returns what is wrong with the segments, or undefined. */
export function asPathProblem(
  bytes: Uint8Array,
  start: number,
  end: number,
  asSize: number,
  external: boolean,
): string | undefined {
  let at = start;
  while (at < end) {
    if (at + 2 > end) return 'segment header cut off';
    const type = bytes[at];
    const count = bytes[at + 1];
    if (type < SegmentType.set || type > SegmentType.confedSet) return `unknown segment type ${type}`;
    // RFC 5065 §5: confederation segments do not cross the confederation's border.
    if (type >= SegmentType.confedSequence && external) return 'confederation segment from an external peer';
    if (count === 0) return 'empty segment';
    at += 2;
    if (at + count * asSize > end) return 'segment runs past the attribute';
    for (let i = 0; i < count; i++, at += asSize) {
      if ((asSize === 4 ? readU32(bytes, at) : readU16(bytes, at)) === 0) return 'AS number 0';
    }
  }
  return undefined;
}

/** RFC 4271 §9.1.2.2 a: a set counts as one; RFC 5065 §5.3: confederation segments count nothing. */
export function asPathLength(bytes: Uint8Array, start: number, end: number, asSize: number): number {
  let length = 0;
  for (let at = start; at < end; at += 2 + bytes[at + 1] * asSize) {
    if (bytes[at] === SegmentType.sequence) length += bytes[at + 1];
    else if (bytes[at] === SegmentType.set) length += 1;
  }
  return length;
}

/** The AS of the neighbour that told the path to our AS; 0: the path begins in our own AS or with a set. */
export function neighborAs(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at += 2 + bytes[at + 1] * 4) {
    if (bytes[at] === SegmentType.sequence) return readU32(bytes, at + 2);
    if (bytes[at] === SegmentType.set) return 0;
  }
  return 0;
}

/** How often the AS stands in the path, confederation segments included. */
export function asOccurrences(bytes: Uint8Array, start: number, end: number, asNumber: number): number {
  let found = 0;
  for (let at = start; at < end;) {
    const stop = at + 2 + bytes[at + 1] * 4;
    for (let i = at + 2; i < stop; i += 4) if (readU32(bytes, i) === asNumber) found++;
    at = stop;
  }
  return found;
}

/** A path of 2-octet numbers as one of 4-octet numbers. */
export function widenAsPath(writer: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end;) {
    const count = bytes[at + 1];
    writer.u8(bytes[at]);
    writer.u8(count);
    at += 2;
    for (let i = 0; i < count; i++, at += 2) writer.u32(readU16(bytes, at));
  }
}

/**
 * RFC 6793 §4.2.3: the leading part of AS_PATH that AS4_PATH lacks, then AS4_PATH.
 * Where AS4_PATH counts more than AS_PATH it is ignored.
 */
export function mergeAs4Path(
  writer: ByteWriter,
  bytes: Uint8Array,
  pathStart: number,
  pathEnd: number,
  as4Start: number,
  as4End: number,
): void {
  let lead = asPathLength(bytes, pathStart, pathEnd, 2) - asPathLength(bytes, as4Start, as4End, 4);
  if (lead < 0) {
    widenAsPath(writer, bytes, pathStart, pathEnd);
    return;
  }
  let at = pathStart;
  while (at < pathEnd) {
    const type = bytes[at];
    const count = bytes[at + 1];
    const counted = type === SegmentType.sequence ? count : type === SegmentType.set ? 1 : 0;
    if (lead === 0 && counted > 0) break;
    const take = type === SegmentType.sequence ? Math.min(count, lead) : count;
    writer.u8(type);
    writer.u8(take);
    for (let i = 0; i < take; i++) writer.u32(readU16(bytes, at + 2 + i * 2));
    lead -= type === SegmentType.sequence ? take : counted;
    if (take < count) break;
    at += 2 + count * 2;
  }
  // RFC 6793 §3: confederation segments do not belong in AS4_PATH.
  for (at = as4Start; at < as4End; at += 2 + bytes[at + 1] * 4) {
    if (bytes[at] <= SegmentType.sequence) writer.bytes(bytes, at, at + 2 + bytes[at + 1] * 4);
  }
}

/** RFC 4271 §5.1.2 b: our numbers in front, in the first sequence while it has room. */
export function writePrepended(
  writer: ByteWriter,
  prepend: readonly number[],
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (prepend.length === 0) {
    writer.bytes(bytes, start, end);
    return;
  }
  let rest = start;
  let joined = 0;
  if (start < end && bytes[start] === SegmentType.sequence && bytes[start + 1] + prepend.length <= 255) {
    joined = bytes[start + 1];
    rest = start + 2;
  }
  writer.u8(SegmentType.sequence);
  writer.u8(prepend.length + joined);
  for (const as of prepend) writer.u32(as);
  writer.bytes(bytes, rest, end);
}

/** The path for a peer of 2-octet numbers. @returns whether AS_TRANS had to stand in, so that AS4_PATH is needed */
export function writeNarrowed(writer: ByteWriter, bytes: Uint8Array, start: number, end: number): boolean {
  let wide = false;
  for (let at = start; at < end;) {
    const count = bytes[at + 1];
    writer.u8(bytes[at]);
    writer.u8(count);
    at += 2;
    for (let i = 0; i < count; i++, at += 4) {
      const as = readU32(bytes, at);
      if (as > 0xffff) wide = true;
      writer.u16(as > 0xffff ? asTrans : as);
    }
  }
  return wide;
}

/** AS numbers left to right, sets flattened. */
export function asNumbers(path: Uint8Array): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < path.length;) {
    const stop = at + 2 + path[at + 1] * 4;
    for (let i = at + 2; i < stop; i += 4) numbers.push(readU32(path, i));
    at = stop;
  }
  return numbers;
}

const brackets = {
  [SegmentType.set]: ['{', '}'],
  [SegmentType.sequence]: ['', ''],
  [SegmentType.confedSequence]: ['(', ')'],
  [SegmentType.confedSet]: ['[', ']'],
} as const satisfies Record<number, readonly [string, string]>;

/** `65001 65000 {64512 64513}` */
export function formatAsPath(path: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < path.length;) {
    const stop = at + 2 + path[at + 1] * 4;
    const [open, close] = brackets[path[at] as keyof typeof brackets];
    parts.push(open + asNumbers(path.subarray(at, stop)).join(' ') + close);
    at = stop;
  }
  return parts.join(' ');
}
