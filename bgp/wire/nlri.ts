/**
 * Prefixes on the wire: a length in bits and as many bytes as it needs.
 * Implements: RFC 4271 §4.3 (withdrawn routes, NLRI), RFC 4760 §5, RFC 7606 §5.3 (syntax), RFC 7911 §3 (path identifiers).
 * Holds: bits after the length are cleared; a prefix is the same whatever the sender left in them.
 */

import { addressLength } from '../ip.ts';
import type { Family } from '../ip.ts';

/** A prefix as numbers: one 32-bit word (IPv4) or four (IPv6), and the length in bits. Reused, to make no object per route. */
export interface PrefixKey {
  readonly words: Uint32Array;
  length: number;
}

export function newPrefixKey(): PrefixKey {
  return { words: new Uint32Array(4), length: 0 };
}

/** RFC 7911 §3: bytes of the path identifier that stands before each prefix, where that was negotiated. */
export const pathIdSize = 4;

/**
 * @param withPathIds a path identifier stands before each prefix
 * @returns why the bytes are not a list of prefixes, or undefined where they are.
 */
export function nlriProblem(
  bytes: Uint8Array,
  start: number,
  end: number,
  family: Family,
  withPathIds: boolean,
): string | undefined {
  const longest = addressLength[family] * 8;
  const before = withPathIds ? pathIdSize : 0;
  let at = start;
  while (at < end) {
    at += before;
    if (at >= end) return 'the last path identifier has no prefix';
    const length = bytes[at];
    if (length > longest) return `prefix length ${length} is more than ${longest}`;
    at += 1 + ((length + 7) >> 3);
  }
  return at === end ? undefined : 'the last prefix is cut off';
}

/** Reads the prefix at `at` of a list that nlriProblem found good. @returns where the next one starts */
export function readPrefix(bytes: Uint8Array, at: number, family: Family, into: PrefixKey): number {
  const length = bytes[at];
  const words = into.words;
  into.length = length;
  const count = (length + 7) >> 3;
  const end = at + 1 + count;
  if (family === 'ipv4') {
    let word = 0;
    if (count > 0) word = bytes[at + 1] << 24;
    if (count > 1) word |= bytes[at + 2] << 16;
    if (count > 2) word |= bytes[at + 3] << 8;
    if (count > 3) word |= bytes[at + 4];
    words[0] = length === 0 ? 0 : word & (-1 << (32 - length));
    return end;
  }
  for (let i = 0, from = at + 1; i < 4; i++, from += 4) {
    let word = 0;
    if (from < end) word = bytes[from] << 24;
    if (from + 1 < end) word |= bytes[from + 1] << 16;
    if (from + 2 < end) word |= bytes[from + 2] << 8;
    if (from + 3 < end) word |= bytes[from + 3];
    const bits = length - i * 32;
    words[i] = bits >= 32 ? word : bits <= 0 ? 0 : word & (-1 << (32 - bits));
  }
  return end;
}

/** Bytes that a prefix of this length takes on the wire. */
export function wirePrefixSize(length: number): number {
  return 1 + ((length + 7) >> 3);
}

/** Writes a prefix; `words[at]` is its first word. @returns the next free place in `bytes` */
export function writePrefix(bytes: Uint8Array, to: number, words: Uint32Array, at: number, length: number): number {
  bytes[to] = length;
  const count = (length + 7) >> 3;
  for (let i = 0; i < count; i++) bytes[to + 1 + i] = words[at + (i >> 2)] >>> (24 - (i & 3) * 8);
  return to + 1 + count;
}

/** 4 or 16 address bytes from the words of a key. */
export function addressOfWords(words: Uint32Array, at: number, family: Family): Uint8Array {
  const bytes = new Uint8Array(addressLength[family]);
  for (let i = 0; i < bytes.length; i++) bytes[i] = words[at + (i >> 2)] >>> (24 - (i & 3) * 8);
  return bytes;
}

export function setPrefixKey(into: PrefixKey, address: Uint8Array, length: number): void {
  into.words.fill(0);
  for (let i = 0; i < address.length; i++) into.words[i >> 2] |= address[i] << (24 - (i & 3) * 8);
  into.length = length;
}
