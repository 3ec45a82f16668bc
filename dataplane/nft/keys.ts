/**
 * Set elements' keys, text to bytes and back.
 * Implements: nf_tables' keys: the fields in network order, in a concatenation each filled up to 4 bytes; an interval is two
 * elements, its first key and the first key after it.
 * Leaves out: intervals in concatenations (another kind of set).
 */

import { addressPlus, formatAddress, parseAddress, parsePrefix } from '../../bgp/ip.ts';
import type { KeyType } from './ruleset.ts';

interface KeyShape {
  /** nft's number of the type. */
  readonly number: number;
  readonly length: number;
  parse(text: string): Uint8Array | undefined;
  format(bytes: Uint8Array): string;
}

const shapes = {
  ipv4_addr: { number: 7, length: 4, parse: parseAddress, format: formatAddress },
  ipv6_addr: { number: 8, length: 16, parse: parseAddress, format: formatAddress },
  inet_service: {
    number: 13,
    length: 2,
    parse(text) {
      const number = /^\d{1,5}$/.test(text) ? Number(text) : 0x10000;
      return number > 0xffff ? undefined : Uint8Array.of(number >> 8, number & 0xff);
    },
    format: (bytes) => String((bytes[0] << 8) | bytes[1]),
  },
} as const satisfies Record<KeyType, KeyShape>;

/** Bits of a type's number in a concatenation's. */
const typeBits = 6;

/** nft's number of the key's type. */
export function keyTypeNumber(types: readonly KeyType[]): number {
  return types.reduce((number, type) => (number << typeBits) | shapes[type].number, 0);
}

/** @returns undefined where it is none of ours. */
export function keyTypesOf(number: number): readonly KeyType[] | undefined {
  const types: KeyType[] = [];
  for (let rest = number; rest !== 0; rest >>>= typeBits) {
    const found = Object.entries(shapes).find(([, shape]) => shape.number === (rest & ((1 << typeBits) - 1)));
    if (found === undefined) return undefined;
    types.unshift(found[0] as KeyType);
  }
  return types;
}

/** Bytes of a key. */
export function keyLength(types: readonly KeyType[]): number {
  return types.length === 1 ? shapes[types[0]].length : types.reduce((sum, type) => sum + filledLength(type), 0);
}

/** @throws Error where the text is no such key: the caller's fault */
export function keyBytes(types: readonly KeyType[], text: string): Uint8Array {
  const parts = text.split(' . ');
  const bytes = new Uint8Array(keyLength(types));
  let at = 0;
  for (const [i, type] of types.entries()) {
    const value = shapes[type].parse(parts[i] ?? '');
    if (value?.length !== shapes[type].length || parts.length !== types.length) throw notAKey(types, text);
    bytes.set(value, at);
    at += filledLength(type);
  }
  return bytes;
}

/** @param bytes as the kernel has them; others than a key of these types come out as digits, none as nft's `*` (all the rest) */
export function formatKey(types: readonly KeyType[], bytes: Uint8Array): string {
  if (bytes.length === 0) return '*';
  if (bytes.length !== keyLength(types)) return `0x${Buffer.from(bytes).toString('hex')}`;
  let at = 0;
  return types
    .map((type) => {
      const { length, format } = shapes[type];
      const part = format(bytes.subarray(at, at + length));
      at += filledLength(type);
      return part;
    })
    .join(' . ');
}

/**
 * A prefix, a range or a single key as the two keys that say it.
 * @returns `end`: the first key after it; undefined where it reaches up to the largest one
 * @throws Error where the text is none
 */
export function intervalBytes(type: KeyType, text: string): { start: Uint8Array; end: Uint8Array | undefined } {
  const prefix = parsePrefix(text);
  let last: Uint8Array;
  let start: Uint8Array;
  if (prefix !== undefined) {
    if (prefix.bytes.length !== shapes[type].length) throw notAKey([type], text);
    start = prefix.bytes;
    last = prefix.bytes.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, prefix.length - i * 8))));
  } else {
    const [from, to = from] = text.split('-');
    start = keyBytes([type], from);
    last = keyBytes([type], to);
  }
  return { start, end: last.every((byte) => byte === 0xff) ? undefined : addressPlus(last, 1) };
}

function filledLength(type: KeyType): number {
  return (shapes[type].length + 3) & ~3;
}

function notAKey(types: readonly KeyType[], text: string): Error {
  return new Error(`not a key of a set of ${types.join(' . ')}: ${JSON.stringify(text)}`);
}
