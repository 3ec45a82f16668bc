/**
 * A set of path attributes as the RIB keeps it: canonical bytes, so that equal sets are equal byte strings.
 *
 *     next hop length (0: ourselves, 4, 16, 32) | next hop | attributes in ascending order of their codes
 *
 * Each attribute has its flags (as the table says, plus the partial bit), code, length (extended only where it must be) and
 * value. Left out: NEXT_HOP, MP_REACH_NLRI, MP_UNREACH_NLRI, AS4_PATH, AS4_AGGREGATOR. AS numbers have four octets.
 * Implements: RFC 4271 §4.3 (attribute header), §5 (order).
 */

import { addressLength, formatAddress, isLinkLocal } from '../../ip.ts';
import type { RouteChanges } from '../../filter/filter.ts';
import { ByteWriter } from '../byte-writer.ts';
import { readU16, readU32 } from '../byte-reader.ts';
import { AttributeCode, AttributeFlag, attributeTable } from './table.ts';
import { asNumbers, formatAsPath, writePrepended } from './as-path.ts';
import { changedCommunities, formatCommunities } from './communities.ts';
import type { CommunityKind } from './communities.ts';

/** Communities with a meaning of their own: RFC 1997 (the last three), RFC 8326, RFC 9494 §3.2 and §3.3 (LLGR_STALE, NO_LLGR). */
export const WellKnownCommunity = {
  gracefulShutdown: 0xffff0000,
  longLivedStale: 0xffff0006,
  noLongLived: 0xffff0007,
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
} as const;

const communityCodes = {
  standard: AttributeCode.communities,
  extended: AttributeCode.extendedCommunities,
  large: AttributeCode.largeCommunities,
} as const satisfies Record<CommunityKind, number>;

const communityKinds = Object.keys(communityCodes) as CommunityKind[];

/** Walks the attributes of a canonical set. Reused: no object an attribute. */
export class AttributeCursor {
  bytes: Uint8Array = new Uint8Array(0);
  flags = 0;
  code = 0;
  valueStart = 0;
  valueEnd = 0;
  #next = 0;
  #end = 0;

  start(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.#next = start + 1 + bytes[start];
    this.#end = end;
  }

  /** @returns whether there was one more */
  next(): boolean {
    const at = this.#next;
    if (at >= this.#end) return false;
    const { bytes } = this;
    this.flags = bytes[at];
    this.code = bytes[at + 1];
    const extended = (this.flags & AttributeFlag.extendedLength) !== 0;
    this.valueStart = extended ? at + 4 : at + 3;
    this.valueEnd = this.valueStart + (extended ? readU16(bytes, at + 2) : bytes[at + 2]);
    this.#next = this.valueEnd;
    return true;
  }
}

/** Writes flags, code and length of an attribute. */
export function writeAttributeHeader(writer: ByteWriter, flags: number, code: number, length: number): void {
  if (length > 255) {
    writer.u8(flags | AttributeFlag.extendedLength);
    writer.u8(code);
    writer.u16(length);
  } else {
    writer.u8(flags & ~AttributeFlag.extendedLength);
    writer.u8(code);
    writer.u8(length);
  }
}

/** What a canonical set holds, as text and numbers: for filters and for people, never for the decision. */
export class AttributeView {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** 4 or 16 bytes, the global address where there are two; empty: ourselves. */
  get nextHopBytes(): Uint8Array {
    return this.bytes.subarray(1, 1 + Math.min(this.bytes[0], addressLength.ipv6));
  }

  /** RFC 2545 §3: the link-local next hop, beside a global one or alone. */
  get linkLocalNextHop(): string | undefined {
    const bytes = this.bytes[0] === 32 ? this.bytes.subarray(17, 33) : this.nextHopBytes;
    return isLinkLocal(bytes) ? formatAddress(bytes) : undefined;
  }

  get nextHop(): string {
    const bytes = this.nextHopBytes;
    return bytes.length === 0 ? '' : formatAddress(bytes);
  }

  get origin(): 'IGP' | 'EGP' | 'incomplete' {
    return (['IGP', 'EGP', 'incomplete'] as const)[this.value(AttributeCode.origin)?.[0] ?? 2];
  }

  get asPath(): number[] {
    return asNumbers(this.value(AttributeCode.asPath) ?? new Uint8Array(0));
  }

  get asPathText(): string {
    return formatAsPath(this.value(AttributeCode.asPath) ?? new Uint8Array(0));
  }

  get med(): number | undefined {
    return this.#number(AttributeCode.multiExitDisc);
  }

  get localPref(): number | undefined {
    return this.#number(AttributeCode.localPref);
  }

  get originatorId(): string | undefined {
    const value = this.value(AttributeCode.originatorId);
    return value && formatAddress(value);
  }

  get clusterList(): string[] {
    const value = this.value(AttributeCode.clusterList) ?? new Uint8Array(0);
    return Array.from({ length: value.length / 4 }, (_, i) => formatAddress(value.subarray(i * 4, i * 4 + 4)));
  }

  /** RFC 9234: the AS after which the route goes to customers alone. */
  get onlyToCustomer(): number | undefined {
    return this.#number(AttributeCode.onlyToCustomer);
  }

  /** `aa:nn` */
  get communities(): string[] {
    return this.#communities('standard');
  }

  /** `rt:aa:nn` and the like: see communities.ts. */
  get extendedCommunities(): string[] {
    return this.#communities('extended');
  }

  /** The first of its communities that says a link bandwidth, in bytes a second. */
  get linkBandwidth(): number | undefined {
    const text = this.extendedCommunities.find((community) => /^!?lb:/.test(community));
    return text === undefined ? undefined : Number(text.slice(text.lastIndexOf(':') + 1));
  }

  /** `aa:nn:mm` */
  get largeCommunities(): string[] {
    return this.#communities('large');
  }

  /** The value of an attribute, or undefined where the set has none. */
  value(code: number): Uint8Array | undefined {
    const cursor = new AttributeCursor();
    cursor.start(this.bytes, 0, this.bytes.length);
    while (cursor.next()) if (cursor.code === code) return this.bytes.subarray(cursor.valueStart, cursor.valueEnd);
    return undefined;
  }

  #number(code: number): number | undefined {
    const value = this.value(code);
    return value && readU32(value, 0);
  }

  #communities(kind: CommunityKind): string[] {
    const value = this.value(communityCodes[kind]);
    return value === undefined ? [] : formatCommunities(kind, value);
  }
}

/** The set of a route that this speaker originates: ORIGIN IGP, an empty AS_PATH, itself as next hop. */
export function originatedAttributes(communities: readonly string[]): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(0);
  writeAttributeHeader(writer, attributeTable[AttributeCode.origin].flags, AttributeCode.origin, 1);
  writer.u8(0);
  writeAttributeHeader(writer, attributeTable[AttributeCode.asPath].flags, AttributeCode.asPath, 0);
  return applyRouteChanges(writer.copy(), { addCommunities: communities });
}

/** What a speaker does to a set by itself, beside what filters may do. */
export interface AttributeChanges extends RouteChanges {
  readonly onlyToCustomer?: number;
  /** Takes the place of AS_PATH's value. */
  readonly asPathValue?: Uint8Array;
}

/**
 * The set that changes make of another. A change that would make an attribute longer than its length can say is
 * left out.
 * @throws RangeError where a community to add is none.
 */
export function applyRouteChanges(set: Uint8Array, changes: AttributeChanges): Uint8Array {
  const values = new Map<number, { flags: number; value: Uint8Array }>();
  const cursor = new AttributeCursor();
  cursor.start(set, 0, set.length);
  while (cursor.next()) {
    values.set(cursor.code, { flags: cursor.flags, value: set.subarray(cursor.valueStart, cursor.valueEnd) });
  }
  const put = (code: keyof typeof attributeTable, write: (writer: ByteWriter) => void) => {
    const writer = new ByteWriter(16);
    write(writer);
    if (writer.length > 0xffff) return;
    values.set(code, { flags: values.get(code)?.flags ?? attributeTable[code].flags, value: writer.copy() });
  };
  const { prependAsPath = [], localPref, med, onlyToCustomer, asPathValue } = changes;
  if (asPathValue !== undefined) put(AttributeCode.asPath, (writer) => writer.bytes(asPathValue));
  if (onlyToCustomer !== undefined) put(AttributeCode.onlyToCustomer, (writer) => writer.u32(onlyToCustomer));
  if (prependAsPath.length > 0) {
    const path = values.get(AttributeCode.asPath)?.value ?? new Uint8Array(0);
    put(AttributeCode.asPath, (writer) => writePrepended(writer, prependAsPath, path, 0, path.length));
  }
  if (med !== undefined) put(AttributeCode.multiExitDisc, (writer) => writer.u32(med));
  if (localPref !== undefined) put(AttributeCode.localPref, (writer) => writer.u32(localPref));
  for (const kind of communityKinds) {
    const code = communityCodes[kind];
    const value = changedCommunities(kind, values.get(code)?.value ?? new Uint8Array(0), changes);
    // RFC 7606 §7.8: an attribute without any would be malformed.
    if (value?.length === 0) values.delete(code);
    else if (value !== undefined) put(code, (writer) => writer.bytes(value));
  }
  const writer = new ByteWriter(set.length + 32);
  writer.bytes(set, 0, 1 + set[0]);
  for (const [code, { flags, value }] of [...values].sort((a, b) => a[0] - b[0])) {
    writeAttributeHeader(writer, flags, code, value.length);
    writer.bytes(value);
  }
  return writer.copy();
}
