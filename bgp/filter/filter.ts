/**
 * What a route filter is to the RIB: a function from a route to a verdict, with a name for those who ask why.
 * Implements: RFC 8212 §2 (an eBGP peer without a policy tells and is told nothing).
 * The RIB keeps routes that are rejected; a filter whose `key` is unchanged is not run again.
 */

import type { Family } from '../ip.ts';

export interface RouteFilter {
  readonly name: string;
  /** Two filters with equal keys decide alike; a changed key re-runs the filter over what the peer sent. */
  readonly key: string;
  evaluate(route: FilteredRoute): FilterVerdict;
}

/** A route as a filter sees it. Getters are lazy: what a filter does not read is not decoded. */
export interface FilteredRoute {
  readonly family: Family;
  /** Canonical text. */
  readonly prefix: string;
  readonly prefixBytes: Uint8Array;
  readonly prefixLength: number;
  /** Canonical text. */
  readonly nextHop: string;
  /** AS numbers left to right, sets flattened. */
  readonly asPath: readonly number[];
  /** `aa:nn` */
  readonly communities: readonly string[];
  /** `aa:nn:mm` */
  readonly largeCommunities: readonly string[];
  /** `rt:aa:nn`, `ro:aa:nn`, `generic:0x…:0x…`; with `!` in front where it stays in the AS. */
  readonly extendedCommunities: readonly string[];
  /** IPv4 form, RFC 4456. */
  readonly originatorId: string | undefined;
  readonly localPref: number | undefined;
  readonly med: number | undefined;
  /** export: what an import filter gave the route (RouteChanges). */
  readonly fibMetric: number | undefined;
  /** import: the peer that sent it; export: the peer it came from ('' where we originate it). */
  readonly peerName: string;
  readonly peerAddress: string;
  readonly peerType: 'iBGP' | 'eBGP' | 'local';
  /** The peer's BGP identifier, IPv4 form. */
  readonly peerRouterId: string;
  /** The interface that the peer is connected to, where it is on a link of ours. */
  readonly peerInterface: string | undefined;
}

export type FilterVerdict =
  | { readonly kind: 'accept'; readonly rule: string; readonly changes?: RouteChanges }
  | { readonly kind: 'reject'; readonly rule: string };

export interface RouteChanges {
  /** Kinds of which no community stays; before anything is removed or added. */
  readonly clearCommunities?: readonly ('standard' | 'extended' | 'large')[];
  /** Of any kind, in the forms of FilteredRoute. */
  readonly removesCommunity?: (community: string) => boolean;
  /** Of any kind, in the forms of FilteredRoute. */
  readonly addCommunities?: readonly string[];
  readonly prependAsPath?: readonly number[];
  readonly localPref?: number;
  readonly med?: number;
  /**
   * import: the metric, 1 or more, in the system's forwarding table, of what is made of the route. No attribute: it is told to nobody,
   * and nothing is decided by it here.
   */
  readonly fibMetric?: number;
}

/** A policy that is said. `acceptAll`: every route, unchanged; no function is called. */
export type RoutePolicy = RouteFilter | 'acceptAll';

const noPolicy = {
  import: rejectAll('no import policy (RFC 8212)'),
  export: rejectAll('no export policy (RFC 8212)'),
} as const;

function rejectAll(rule: string): RouteFilter {
  return { name: rule, key: rule, evaluate: () => ({ kind: 'reject', rule }) };
}

/** What the settings of a session come to; undefined: every route is accepted, and no function is called. */
export function policyInForce(
  direction: 'import' | 'export',
  peerType: 'iBGP' | 'eBGP',
  policy: RoutePolicy | undefined,
): RouteFilter | undefined {
  if (policy === 'acceptAll') return undefined;
  return policy ?? (peerType === 'eBGP' ? noPolicy[direction] : undefined);
}
