/**
 * The path attributes: code, category, and what an error in each leads to. Decoder, encoder and printer read this table.
 * Implements: RFC 7606 §7 (column `onError`), RFC 4271 §5, RFC 4760, RFC 4456, RFC 1997, RFC 4360, RFC 6793, RFC 8092,
 *   RFC 9234 §5 (OTC).
 * Leaves out: attributes of other families' features (PMSI tunnel, AIGP, …): unknown ones are passed on or dropped by their flags.
 */

import type { Family } from '../../ip.ts';
import { readU32 } from '../byte-reader.ts';
import { asPathProblem } from './as-path.ts';

export const AttributeCode = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  multiExitDisc: 4,
  localPref: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  mpUnreach: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  largeCommunities: 32,
  onlyToCustomer: 35,
} as const;

type AttributeCode = (typeof AttributeCode)[keyof typeof AttributeCode];

export const AttributeFlag = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const;

/** What the checks of an attribute depend on. */
export interface SessionClass {
  /** The peer is in another AS. */
  readonly external: boolean;
  /** RFC 6793: AS numbers have four octets on this session. */
  readonly fourOctetAs: boolean;
  /** RFC 8950: IPv4 prefixes may have an IPv6 next hop. */
  readonly extendedNextHop: boolean;
  /** RFC 7911: families in whose prefixes the peer writes path identifiers. */
  readonly pathIds: Readonly<Record<Family, boolean>>;
}

export interface AttributeEntry {
  readonly name: string;
  /** Optional and transitive bits. */
  readonly flags: number;
  /** RFC 7606 §2. MP_REACH_NLRI and MP_UNREACH_NLRI: without their prefixes nothing can be withdrawn. */
  readonly onError: 'treatAsWithdraw' | 'discard' | 'sessionReset';
  /** Where the attribute has no place and is dropped unread. */
  readonly ignoredWhen?: (session: SessionClass) => boolean;
  /** @returns what is wrong with the value, or undefined. */
  readonly problem: (bytes: Uint8Array, start: number, end: number, session: SessionClass) => string | undefined;
}

const { optional, transitive } = AttributeFlag;
const wellKnown = transitive;
const optionalTransitive = optional | transitive;
const optionalNonTransitive = optional;

const external = (session: SessionClass) => session.external;
const fourOctet = (session: SessionClass) => session.fourOctetAs;

export const attributeTable = {
  [AttributeCode.origin]: {
    // RFC 7606 §7.1
    name: 'ORIGIN',
    flags: wellKnown,
    onError: 'treatAsWithdraw',
    problem: (bytes, start, end) =>
      end - start !== 1 ? lengthIs(start, end) : bytes[start] > 2 ? `undefined value ${bytes[start]}` : undefined,
  },
  [AttributeCode.asPath]: {
    // RFC 7606 §7.2
    name: 'AS_PATH',
    flags: wellKnown,
    onError: 'treatAsWithdraw',
    problem: (bytes, start, end, session) =>
      asPathProblem(bytes, start, end, session.fourOctetAs ? 4 : 2, session.external),
  },
  [AttributeCode.nextHop]: {
    // RFC 7606 §7.3; RFC 4271 §6.3: the value must be a host's address.
    name: 'NEXT_HOP',
    flags: wellKnown,
    onError: 'treatAsWithdraw',
    problem: (bytes, start, end) => (end - start !== 4 ? lengthIs(start, end) : ipv4NextHopProblem(bytes, start)),
  },
  [AttributeCode.multiExitDisc]: {
    // RFC 7606 §7.4
    name: 'MULTI_EXIT_DISC',
    flags: optionalNonTransitive,
    onError: 'treatAsWithdraw',
    problem: exactly(4),
  },
  [AttributeCode.localPref]: {
    // RFC 7606 §7.5
    name: 'LOCAL_PREF',
    flags: wellKnown,
    onError: 'treatAsWithdraw',
    ignoredWhen: external,
    problem: exactly(4),
  },
  [AttributeCode.atomicAggregate]: {
    // RFC 7606 §7.6
    name: 'ATOMIC_AGGREGATE',
    flags: wellKnown,
    onError: 'discard',
    problem: exactly(0),
  },
  [AttributeCode.aggregator]: {
    // RFC 7606 §7.7; RFC 7607 §2: AS 0 is malformed.
    name: 'AGGREGATOR',
    flags: optionalTransitive,
    onError: 'discard',
    problem: (bytes, start, end, session) =>
      end - start !== (session.fourOctetAs ? 8 : 6)
        ? lengthIs(start, end)
        : (session.fourOctetAs ? readU32(bytes, start) : (bytes[start] << 8) | bytes[start + 1]) === 0
          ? 'AS number 0'
          : undefined,
  },
  [AttributeCode.communities]: {
    // RFC 7606 §7.8
    name: 'COMMUNITIES',
    flags: optionalTransitive,
    onError: 'treatAsWithdraw',
    problem: manyOf(4),
  },
  [AttributeCode.originatorId]: {
    // RFC 7606 §7.9
    name: 'ORIGINATOR_ID',
    flags: optionalNonTransitive,
    onError: 'treatAsWithdraw',
    ignoredWhen: external,
    problem: exactly(4),
  },
  [AttributeCode.clusterList]: {
    // RFC 7606 §7.10
    name: 'CLUSTER_LIST',
    flags: optionalNonTransitive,
    onError: 'treatAsWithdraw',
    ignoredWhen: external,
    problem: manyOf(4),
  },
  [AttributeCode.mpReach]: {
    // RFC 7606 §7.11; what is inside is judged by mp-reach.ts.
    name: 'MP_REACH_NLRI',
    flags: optionalNonTransitive,
    onError: 'sessionReset',
    problem: (_bytes, start, end) => (end - start < 5 ? lengthIs(start, end) : undefined),
  },
  [AttributeCode.mpUnreach]: {
    // RFC 7606 §7.12
    name: 'MP_UNREACH_NLRI',
    flags: optionalNonTransitive,
    onError: 'sessionReset',
    problem: (_bytes, start, end) => (end - start < 3 ? lengthIs(start, end) : undefined),
  },
  [AttributeCode.extendedCommunities]: {
    // RFC 7606 §7.14
    name: 'EXTENDED_COMMUNITIES',
    flags: optionalTransitive,
    onError: 'treatAsWithdraw',
    problem: manyOf(8),
  },
  [AttributeCode.as4Path]: {
    // RFC 6793 §6: malformed: dropped. §4.1: a peer with 4-octet numbers must not send it.
    name: 'AS4_PATH',
    flags: optionalTransitive,
    onError: 'discard',
    ignoredWhen: fourOctet,
    problem: (bytes, start, end, session) => asPathProblem(bytes, start, end, 4, session.external),
  },
  [AttributeCode.as4Aggregator]: {
    // RFC 6793 §6
    name: 'AS4_AGGREGATOR',
    flags: optionalTransitive,
    onError: 'discard',
    ignoredWhen: fourOctet,
    problem: exactly(8),
  },
  [AttributeCode.largeCommunities]: {
    // RFC 8092 §6
    name: 'LARGE_COMMUNITY',
    flags: optionalTransitive,
    onError: 'treatAsWithdraw',
    problem: manyOf(12),
  },
  [AttributeCode.onlyToCustomer]: {
    // RFC 9234 §5
    name: 'ONLY_TO_CUSTOMER',
    flags: optionalTransitive,
    onError: 'treatAsWithdraw',
    problem: exactly(4),
  },
} as const satisfies Record<AttributeCode, AttributeEntry>;

/** The table by code, holes undefined: one array read for each attribute of each UPDATE. */
export const attributeEntries: readonly (AttributeEntry | undefined)[] = Array.from(
  { length: 256 },
  (_, code) => (attributeTable as Partial<Record<number, AttributeEntry>>)[code],
);

/** RFC 4271 §6.3: not this network, not loopback of the whole, not multicast or reserved. */
export function ipv4NextHopProblem(bytes: Uint8Array, at: number): string | undefined {
  return bytes[at] === 0 || bytes[at] >= 224 ? 'not the address of a host' : undefined;
}

function exactly(length: number) {
  return (_bytes: Uint8Array, start: number, end: number) =>
    end - start === length ? undefined : lengthIs(start, end);
}

function manyOf(size: number) {
  return (_bytes: Uint8Array, start: number, end: number) =>
    end > start && (end - start) % size === 0 ? undefined : lengthIs(start, end);
}

function lengthIs(start: number, end: number): string {
  return `length ${end - start}`;
}
