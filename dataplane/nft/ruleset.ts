/**
 * One nftables table as a value: its sets, verdict maps and chains by name. What the kernel shall hold.
 * Implements: the part of nftables' language that Godwit uses; transaction.ts writes it, print.ts says it in nft's words, diff.ts compares it.
 * Leaves out: everything else of nftables (other NAT than masquerading, stateful objects, time-outs, sets without a name).
 * Holds: values are never changed in place; an object that did not change is the same object, so a comparison may stop at `===`.
 */

export interface Ruleset {
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly chains: ReadonlyMap<string, NftChain>;
}

export type KeyType = 'ipv4_addr' | 'ipv6_addr' | 'inet_service';

/** A set, or a verdict map where `verdicts` is true. */
export interface NftSet {
  /** More than one: a concatenation, written `a . b` in the element's key. */
  readonly keyTypes: readonly KeyType[];
  /** Elements are prefixes and ranges (`10.0.0.0/8`, `80-90`) that must not overlap. */
  readonly interval?: boolean;
  /** Every element counts the packets that were looked up and found in it. */
  readonly counter?: boolean;
  /** A verdict map: every element has a verdict. */
  readonly verdicts?: boolean;
  readonly comment?: string;
  /** By key, in canonical text. */
  readonly elements: ReadonlyMap<string, NftElement>;
}

export interface NftElement {
  readonly verdict?: NftVerdict;
  readonly comment?: string;
}

/** The element of a plain set: the key says all. */
export const plainElement: NftElement = {};

/** What a base chain at the hook is for. A chain of type nat sees the first packet of a connection; the rest follow it. */
export const hookTypes = { prerouting: 'filter', forward: 'filter', postrouting: 'nat' } as const;

export type NftHook = keyof typeof hookTypes;

/** nft's `raw`: before connection tracking. */
export const rawPriority = -300;

/** nft's `srcnat`. */
export const sourceNatPriority = 100;

export interface NftChain {
  /** Present: a base chain. Its policy is accept: what no rule judges is not ours to stop. */
  readonly hook?: { readonly name: NftHook; readonly priority: number };
  readonly rules: readonly NftRule[];
}

export interface NftRule {
  /** All must hold. */
  readonly matches: readonly NftMatch[];
  /** Writes a line to the kernel log, at most so often. */
  readonly log?: { readonly prefix: string; readonly perSecond: number };
  readonly counter?: boolean;
  /** Absent: the packet goes on to the next rule. */
  readonly verdict?:
    | NftVerdict
    | { readonly kind: 'verdictMap'; readonly field: NftField; readonly map: string }
    /** Only in a chain at postrouting: the packet leaves with the address of its outgoing interface. */
    | { readonly kind: 'masquerade' };
  readonly comment?: string;
}

export type NftVerdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string };

export type NftMatch =
  | { readonly kind: 'inSet' | 'notInSet'; readonly fields: readonly NftField[]; readonly set: string }
  | { readonly kind: 'equals'; readonly field: Exclude<NftField, 'connectionState'>; readonly value: string }
  | { readonly kind: 'inPrefix'; readonly field: 'source6'; readonly prefix: string }
  /** The connection is in one of these states. */
  | { readonly kind: 'hasState'; readonly states: readonly NftConnectionState[] };

export type NftConnectionState = 'invalid' | 'related' | 'untracked';

/**
 * What a packet is asked for, in nft's words.
 *
 * Initiator and responder are those of the connection, as seen after destination NAT and before source NAT, whichever way the
 * packet goes: the initiator is the source of the original direction, the responder the source of the reply direction.
 */
export const nftFields = {
  initiator4: 'ct original ip saddr',
  initiator6: 'ct original ip6 saddr',
  responder4: 'ct reply ip saddr',
  responder6: 'ct reply ip6 saddr',
  /** nft knows its type only after a match on `protocol` in the same rule. */
  responderPort: 'ct reply proto-src',
  connectionState: 'ct state',
  protocol: 'meta l4proto',
  source4: 'ip saddr',
  source6: 'ip6 saddr',
  destination4: 'ip daddr',
  destination6: 'ip6 daddr',
  /** Of the interface that the packet came in by. */
  interfaceGroup: 'iifgroup',
  /** The interface by which a packet to this one's source would leave, if it is the one it came in by; 0: it is not. */
  reversePath: 'fib saddr . iif oif',
} as const;

export type NftField = keyof typeof nftFields;

/** Objects' names may have so many bytes. */
const longestName = 255;

/** nft refuses longer comments. */
const longestComment = 127;

/**
 * Any text as a comment that nft takes and gives back unchanged. nft knows no escapes in strings, so a quote, a backslash or a
 * control character becomes a question mark; other characters than ASCII too, since a cut in the middle of one would not be text.
 */
export function nftComment(text: string): string {
  const safe = text.replaceAll(/[^ !#-[\]-~]/g, '?');
  return safe.length <= longestComment ? safe : `${safe.slice(0, longestComment - 3)}...`;
}

/** @throws Error where it is no comment that nft gives back unchanged: nftComment makes one */
export function checkComment(comment: string): string {
  if (comment !== nftComment(comment)) throw new Error(`not a comment for nftables: ${JSON.stringify(comment)}`);
  return comment;
}

/** @throws Error where it is no name that nft can say */
export function checkName(name: string): string {
  if (!/^[A-Za-z][A-Za-z0-9/._-]*$/.test(name) || name.length > longestName) {
    throw new Error(`not a name for an nftables object: ${JSON.stringify(name)}`);
  }
  return name;
}

export const emptyRuleset: Ruleset = { sets: new Map(), chains: new Map() };
