/**
 * A range of pod addresses as numbers, and which of its addresses no pod may have.
 * Holds: the first address is the node's own (tunnels; in IPv6 it is the subnet-router anycast address besides, RFC 4291
 * §2.6.1); the last of an IPv4 range is its broadcast address (RFC 919), but for a /31 (RFC 3021).
 */

import {
  addressLength,
  families,
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  type Family,
} from '../../bgp/ip.ts';

/** Both ends belong to it. */
export interface NumberRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

export interface PodRange extends NumberRange {
  /** The CIDR, canonical; first and last are those for pods. */
  readonly text: string;
}

/** @param cidr known to be valid. @returns first > last where it has no address for pods. */
export function toPodRange(cidr: string): PodRange {
  const { family, first, last } = toNumberRange(cidr)!;
  const prefix = parsePrefix(cidr)!;
  const hasBroadcast = family === 'ipv4' && prefix.length < 31;
  return { family, text: formatPrefix(prefix), first: first + 1n, last: hasBroadcast ? last - 1n : last };
}

/** @param text an address or a CIDR. @returns undefined: it is neither. */
export function toNumberRange(text: string): NumberRange | undefined {
  const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
  if (prefix === undefined) return undefined;
  const first = toNumber(prefix.bytes);
  const size = 1n << BigInt(addressLength[prefix.family] * 8 - prefix.length);
  return { family: prefix.family, first, last: first + size - 1n };
}

export function rangeSize({ first, last }: NumberRange): bigint {
  return last < first ? 0n : last - first + 1n;
}

export function inRange(range: NumberRange, family: Family, number: bigint): boolean {
  return range.family === family && range.first <= number && number <= range.last;
}

/** @param address canonical text */
export function addressToNumber(address: string): bigint {
  return toNumber(parseAddress(address)!);
}

export function numberToAddress(family: Family, number: bigint): string {
  const bytes = new Uint8Array(addressLength[family]);
  let left = number;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(left & 0xffn);
    left >>= 8n;
  }
  return formatAddress(bytes);
}

/** In order, without overlaps: the addresses can be counted, and a place is found by halving. */
export function mergeRanges(ranges: readonly NumberRange[]): NumberRange[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: NumberRange[] = [];
  for (const family of families) {
    for (const range of sorted.filter((candidate) => candidate.family === family)) {
      const before = merged.at(-1);
      if (before?.family === family && range.first <= before.last + 1n) {
        merged[merged.length - 1] = { ...before, last: range.last > before.last ? range.last : before.last };
      } else merged.push(range);
    }
  }
  return merged;
}

function toNumber(bytes: Uint8Array): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}
