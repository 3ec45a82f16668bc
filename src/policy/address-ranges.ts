/**
 * Unions and differences of CIDRs, as the fewest prefixes and ranges that nftables' interval sets take.
 * Implements: ipBlock with except (networking.k8s.io/v1).
 * Holds: the result is canonical: equal sets of addresses give equal texts, in rising order, without overlaps.
 */

import { addressLength, formatAddress, parseAddress, parsePrefix, type Family } from '../../bgp/ip.ts';

/** Both ends belong to it. */
interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export interface CidrBlock {
  readonly cidr: string;
  readonly except: readonly string[];
}

/** @returns by family, what lies in one of the blocks and not in that block's exceptions */
export function blocksToRanges(blocks: readonly CidrBlock[]): Readonly<Record<Family, readonly string[]>> {
  const ranges: Record<Family, Range[]> = { ipv4: [], ipv6: [] };
  for (const { cidr, except } of blocks) {
    const { family, range } = toRange(cidr);
    let parts = [range];
    // An exception of the other family excludes nothing.
    for (const hole of except.map(toRange)) {
      if (hole.family === family) parts = parts.flatMap((part) => subtract(part, hole.range));
    }
    ranges[family].push(...parts);
  }
  return {
    ipv4: merge(ranges.ipv4).map((range) => formatRange('ipv4', range)),
    ipv6: merge(ranges.ipv6).map((range) => formatRange('ipv6', range)),
  };
}

/** @param ranges as blocksToRanges() gives them */
export function rangesContain(ranges: readonly string[], address: Uint8Array): boolean {
  const number = toNumber(address);
  return ranges.some((text) => {
    if (text.includes('/')) {
      const { range } = toRange(text);
      return range.first <= number && number <= range.last;
    }
    const [first, last = first] = text.split('-').map((end) => toNumber(parseAddress(end)!));
    return first <= number && number <= last;
  });
}

/** Numbers from 0 to 65535 as `80` and `8000-8100`: sorted, merged. */
export function portsToRanges(ports: readonly { readonly first: number; readonly last: number }[]): string[] {
  const ranges = ports.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) }));
  return merge(ranges).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
}

/** @param ranges as portsToRanges() gives them */
export function portsContain(ranges: readonly string[], port: number): boolean {
  return ranges.some((text) => {
    const [first, last = first] = text.split('-').map(Number);
    return first <= port && port <= last;
  });
}

function toRange(cidr: string): { family: Family; range: Range } {
  const prefix = parsePrefix(cidr);
  if (prefix === undefined) throw new Error(`not a CIDR: ${cidr}`);
  const first = toNumber(prefix.bytes);
  const size = 1n << BigInt(prefix.bytes.length * 8 - prefix.length);
  return { family: prefix.family, range: { first, last: first + size - 1n } };
}

function subtract(range: Range, hole: Range): Range[] {
  if (hole.last < range.first || hole.first > range.last) return [range];
  const parts: Range[] = [];
  if (hole.first > range.first) parts.push({ first: range.first, last: hole.first - 1n });
  if (hole.last < range.last) parts.push({ first: hole.last + 1n, last: range.last });
  return parts;
}

/** Sorted; what overlaps or touches becomes one. */
function merge(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Range[] = [];
  for (const range of sorted) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1n) merged.push(range);
    else if (range.last > before.last) merged[merged.length - 1] = { first: before.first, last: range.last };
  }
  return merged;
}

/** As nft lists it: one address, a prefix where the range is one, or `FIRST-LAST`. */
function formatRange(family: Family, { first, last }: Range): string {
  const size = last - first + 1n;
  if (size === 1n) return formatNumber(family, first);
  const isPrefix = (size & (size - 1n)) === 0n && (first & (size - 1n)) === 0n;
  if (!isPrefix) return `${formatNumber(family, first)}-${formatNumber(family, last)}`;
  const hostBits = size.toString(2).length - 1;
  return `${formatNumber(family, first)}/${addressLength[family] * 8 - hostBits}`;
}

function toNumber(bytes: Uint8Array): bigint {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function formatNumber(family: Family, number: bigint): string {
  const bytes = new Uint8Array(addressLength[family]);
  let rest = number;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return formatAddress(bytes);
}
