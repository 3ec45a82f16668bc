/**
 * Communities of three kinds as text, and the changes that filters make of them.
 * Implements: RFC 1997 (`aa:nn`), RFC 8092 (`aa:nn:mm`), RFC 4360 and RFC 5668 (extended communities of an AS or an IPv4 address),
 *   draft-ietf-idr-link-bandwidth (`lb:aa:` and bytes a second).
 * Leaves out: extended communities of other types: eight bytes as `generic:0xHHHHHHHH:0xHHHHHHHH`.
 * Holds: what is formatted is parsed to the same bytes.
 */

import { formatAddress, parseAddress } from '../../ip.ts';
import { readU16, readU32 } from '../byte-reader.ts';
import { writeU32 } from '../byte-writer.ts';

export type CommunityKind = 'standard' | 'extended' | 'large';

/** Bytes of one. */
export const communitySize = { standard: 4, extended: 8, large: 12 } as const satisfies Record<CommunityKind, number>;

/** RFC 4360 §3, RFC 5668 §2: the type's low bits; bit 0x40: not transitive. */
const ExtendedType = { twoOctetAs: 0x00, ipv4Address: 0x01, fourOctetAs: 0x02 } as const;
const nonTransitive = 0x40;

/** RFC 4360 §4, §5, and the link bandwidth: subtypes with a name of their own. */
const subtypeNames: Readonly<Record<number, string>> = { 2: 'rt', 3: 'ro', 4: 'lb' };
const linkBandwidth = 4;

export interface Community {
  readonly kind: CommunityKind;
  readonly bytes: Uint8Array;
}

/** Each community of an attribute's value, as text. */
export function formatCommunities(kind: CommunityKind, value: Uint8Array): string[] {
  const size = communitySize[kind];
  return Array.from({ length: value.length / size }, (_, i) => formatOne[kind](value, i * size));
}

const formatOne = {
  standard: (value, at) => `${readU16(value, at)}:${readU16(value, at + 2)}`,
  extended: formatExtended,
  large: (value, at) => `${readU32(value, at)}:${readU32(value, at + 4)}:${readU32(value, at + 8)}`,
} as const satisfies Record<CommunityKind, (value: Uint8Array, at: number) => string>;

/** `rt:65001:100`, `ro:10.0.0.1:7`, `0x04:65001:100`; with `!` in front where it is not transitive. */
function formatExtended(value: Uint8Array, at: number): string {
  const type = value[at] & ~nonTransitive;
  const name = subtypeNames[value[at + 1]] ?? `0x${value[at + 1].toString(16).padStart(2, '0')}`;
  const kind = (value[at] & nonTransitive) === 0 ? name : `!${name}`;
  switch (type) {
    case ExtendedType.twoOctetAs:
      if (value[at + 1] === linkBandwidth) {
        const bandwidth = readFloat(value, at + 4);
        // Others would not be read back from plain digits.
        if (!(bandwidth >= 1e-6 && bandwidth < 1e21)) break;
        return `${kind}:${readU16(value, at + 2)}:${bandwidth}`;
      }
      return `${kind}:${readU16(value, at + 2)}:${readU32(value, at + 4)}`;
    case ExtendedType.ipv4Address:
      return `${kind}:${formatAddress(value.subarray(at + 2, at + 6))}:${readU16(value, at + 6)}`;
    // A small number in the long form would read as the short one.
    case ExtendedType.fourOctetAs:
      if (readU32(value, at + 2) > 0xffff) return `${kind}:${readU32(value, at + 2)}:${readU16(value, at + 6)}`;
      break;
    default:
  }
  const hex = (from: number) => `0x${readU32(value, from).toString(16).padStart(8, '0')}`;
  return `generic:${hex(at)}:${hex(at + 4)}`;
}

/** What was parsed, by its text: filters say the same few again and again. */
const known = new Map<string, Community>();
const mostKnown = 4096;

/** @throws RangeError where the text is no community. */
export function parseCommunity(text: string): Community {
  const before = known.get(text);
  if (before !== undefined) return before;
  const parsed = /^[!a-z]|^0x/.test(text) ? parseExtended(text) : parseNumbers(text);
  if (parsed === undefined) {
    throw new RangeError(`community '${text}' is none of aa:nn, aa:nn:mm, rt:aa:nn, ro:aa:nn, generic:0x…:0x…`);
  }
  if (known.size === mostKnown) known.clear();
  known.set(text, parsed);
  return parsed;
}

function parseNumbers(text: string): Community | undefined {
  const parts = text.split(':');
  if (!parts.every((part) => /^\d{1,10}$/.test(part))) return undefined;
  const numbers = parts.map(Number);
  if (numbers.length === 2 && numbers.every((number) => number <= 0xffff)) {
    return { kind: 'standard', bytes: words([numbers[0] * 0x10000 + numbers[1]]) };
  }
  if (numbers.length === 3 && numbers.every((number) => number <= 0xffffffff)) {
    return { kind: 'large', bytes: words(numbers) };
  }
  return undefined;
}

const extendedPattern =
  /^(?:generic:0x([0-9a-f]{1,8}):0x([0-9a-f]{1,8})|(!?)(rt|ro|lb|0x[0-9a-f]{2}):(\d{1,10}|[\d.]+):(\d{1,21}(?:\.\d+)?))$/;

function parseExtended(text: string): Community | undefined {
  const match = extendedPattern.exec(text);
  if (match === null) return undefined;
  const [, high, low, not, name, administrator, assigned] = match;
  if (high !== undefined)
    return { kind: 'extended', bytes: words([Number.parseInt(high, 16), Number.parseInt(low, 16)]) };
  const subtype =
    Object.keys(subtypeNames)
      .map(Number)
      .find((code) => subtypeNames[code] === name) ?? Number(name);
  const bits = not === '' ? 0 : nonTransitive;
  const number = Number(assigned);
  const address = administrator.includes('.') ? parseAddress(administrator) : undefined;
  const asNumber = Number(administrator);
  const bytes = new Uint8Array(8);
  bytes[1] = subtype;
  if (subtype !== linkBandwidth && assigned.includes('.')) return undefined;
  if (address !== undefined || asNumber > 0xffff) {
    if (number > 0xffff || (address === undefined && !(asNumber <= 0xffffffff))) return undefined;
    bytes[0] = bits | (address === undefined ? ExtendedType.fourOctetAs : ExtendedType.ipv4Address);
    if (address === undefined) writeU32(bytes, 2, asNumber);
    else bytes.set(address, 2);
    bytes[6] = number >>> 8;
    bytes[7] = number;
  } else {
    const isBandwidth = subtype === linkBandwidth;
    if ((!isBandwidth && number > 0xffffffff) || !(asNumber <= 0xffff)) return undefined;
    bytes[0] = bits | ExtendedType.twoOctetAs;
    bytes[2] = asNumber >>> 8;
    bytes[3] = asNumber;
    if (isBandwidth) writeFloat(bytes, 4, number);
    else writeU32(bytes, 4, number);
  }
  return { kind: 'extended', bytes };
}

/** IEEE 754, 32 bits. */
function readFloat(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(at);
}

function writeFloat(bytes: Uint8Array, at: number, number: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setFloat32(at, number);
}

function words(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  for (const [i, number] of numbers.entries()) writeU32(bytes, i * 4, number);
  return bytes;
}

export interface CommunityChanges {
  /** Kinds of which none stays. */
  readonly clearCommunities?: readonly CommunityKind[];
  readonly removesCommunity?: (text: string) => boolean;
  readonly addCommunities?: readonly string[];
}

/**
 * The communities of one kind after the changes: what is cleared and removed goes, then what is added comes, each once.
 * @returns undefined: nothing of this kind changes
 * @throws RangeError where a community to add is none
 */
export function changedCommunities(
  kind: CommunityKind,
  present: Uint8Array,
  { clearCommunities = [], removesCommunity, addCommunities = [] }: CommunityChanges,
): Uint8Array | undefined {
  const added = addCommunities.map(parseCommunity).filter((community) => community.kind === kind);
  const clears = clearCommunities.includes(kind);
  if (added.length === 0 && !clears && removesCommunity === undefined) return undefined;
  const size = communitySize[kind];
  const kept = new Map<string, Uint8Array>();
  const isRemoved = (text: string) => clears || removesCommunity?.(text) === true;
  for (const [i, text] of formatCommunities(kind, present).entries()) {
    if (!isRemoved(text)) kept.set(text, present.subarray(i * size, (i + 1) * size));
  }
  for (const { bytes } of added) kept.set(formatOne[kind](bytes, 0), bytes);
  const value = new Uint8Array(kept.size * size);
  let at = 0;
  for (const bytes of kept.values()) {
    value.set(bytes, at);
    at += size;
  }
  return value;
}
