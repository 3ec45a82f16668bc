/** What the RIB is told and what it answers: values only. Addresses and identifiers are canonical text. */

import type { SharedLink } from '../driver.ts';
import type { Family } from '../ip.ts';
import type { BestPathChange, LimitStatus } from '../status.ts';
import type { RouteFilter } from '../filter/filter.ts';
import type { Role } from '../role.ts';
import type { NeighborSettings, PrefixLimit } from '../settings.ts';

/** The speaker itself. */
export interface RibLocal {
  readonly asNumber: number;
  /** IPv4 form. */
  readonly routerId: string;
  /** IPv4 form; undefined: the router id serves (RFC 4456 §7). */
  readonly clusterId?: string;
  /** RFC 4456 §10: what one client tells is not reflected to the others. */
  readonly clientsMesh?: boolean;
  /** Equal paths that count as selected besides the best; 1 turns multipath off. */
  readonly maximumPaths: number;
}

/** What is asked of a neighbour's routes; may change while the session goes on. */
export interface RibPolicy {
  /** How often our own AS may stand in a received AS_PATH; undefined: never. */
  readonly allowedOwnAs: number | undefined;
  readonly importFilter: RouteFilter | undefined;
  readonly exportFilter: RouteFilter | undefined;
  /** See NeighborSettings. */
  readonly localAsMode: NeighborSettings['localAsMode'];
  readonly removePrivateAs: NeighborSettings['removePrivateAs'];
  readonly asOverride: boolean | undefined;
  /** RFC 8326: what the peer is told is marked as about to go. */
  readonly marksGracefulShutdown: boolean | undefined;
  /** RFC 8326: which routes of the peer have LOCAL_PREF 0. */
  readonly lowers: 'marked' | 'all' | undefined;
  readonly limits: readonly PrefixLimit[] | undefined;
}

/** A neighbour with an established session, as negotiated. */
export interface RibPeer extends Partial<RibPolicy> {
  /** Unique; a peer that returns under its name takes over what was kept of it. */
  readonly name: string;
  readonly address: string;
  /** Our end of the session; link-local addresses, both ends', have their interface: `fe80::1%eth0`. */
  readonly localAddress: string;
  readonly remoteAs: number;
  readonly localAs: number;
  readonly peerType: 'iBGP' | 'eBGP';
  /** The BGP identifier of its OPEN, IPv4 form. */
  readonly remoteRouterId: string;
  /** RFC 4456: the peer is our client. */
  readonly reflectorClient: boolean;
  /** Negotiated by both (RFC 4760). */
  readonly families: readonly Family[];
  /** Both support RFC 6793. */
  readonly fourOctetAs: boolean;
  /** Both support RFC 8950: IPv4 routes may have an IPv6 next hop. */
  readonly extendedNextHop: boolean;
  /** Where we give ourselves as next hop of IPv4 routes, it is our IPv6 address, if `extendedNextHop` allows it. */
  readonly ipv6NextHopForIpv4: boolean;
  /** The link that both ends are on, where that is known. */
  readonly link?: SharedLink;
  /** Longest message in bytes that we may send: 4096, or 65535 with RFC 8654. */
  readonly maximumMessageSize: number;
  /** RFC 7313: what it is told again stands between two markers. */
  readonly enhancedRouteRefresh?: boolean;
  /** RFC 9494: the peer said that it knows what LLGR_STALE means. */
  readonly longLivedStale?: boolean;
  /** RFC 7911, as negotiated; undefined: one path a prefix, in both directions. */
  readonly addPath?: RibAddPath;
  /** RFC 9234, ours; undefined: none. */
  readonly role?: Role;
  readonly nextHopMode: 'auto' | 'self' | 'keep';
  /** Next hop where we give ourselves; where missing, `localAddress` if it is of that family. */
  readonly nextHopSelf?: Partial<Record<Family, string>>;
}

export interface RibAddPath {
  /** Families in which the peer sends several paths of a prefix, with path identifiers. */
  readonly receive: readonly Family[];
  /** Families in which it is sent several. */
  readonly send: readonly Family[];
  /** How many of a prefix at most; Infinity: all. */
  readonly sendMaximum: number;
}

export interface UpdateResult {
  /** The UPDATE was an End-of-RIB marker (RFC 4724 §2); the caller decides what follows: see Rib.endOfRib. */
  readonly endOfRib?: Family;
  /** RFC 7606 §2: why the routes of this UPDATE were treated as withdrawn. */
  readonly treatedAsWithdraw?: string;
  /** RFC 7606 §2: which attributes were dropped, and why. */
  readonly discarded?: string;
  /** Limits of the peer whose state this UPDATE changed. */
  readonly limits?: readonly LimitStatus[];
}

/** Conditions are joined by "and". */
export interface RouteQuery {
  readonly family?: Family;
  /** Exactly this prefix, canonical text. */
  readonly prefix?: string;
  /** The longest prefix with a path that holds this address. */
  readonly for?: string;
  /** Only paths of this peer (its name). */
  readonly peer?: string;
  /** What the peer of this name was told, as it was told. */
  readonly exportedTo?: string;
  /** Only paths that the import filter rejected. Otherwise these are left out. */
  readonly filtered?: boolean;
}

export interface RibFamilyCounters {
  /** Paths from the peer that may be used. */
  readonly imported: number;
  /** Paths from the peer that take no part: its import filter rejected them, or a rule of the protocol. */
  readonly filtered: number;
  /** Paths that the peer was told and that were not withdrawn; one a prefix, unless it hears several. */
  readonly exported: number;
  /** Paths kept from an earlier session. */
  readonly stale: number;
  readonly limits: readonly LimitStatus[];
  readonly endOfRibSent: boolean;
}

export interface RibTotals {
  readonly prefixes: number;
  readonly paths: number;
  /** Attribute sets in the pool; the pool is common to both families. */
  readonly attributes: number;
  /** Prefixes held, with those that are gone and of which somebody has still to be told. */
  readonly rows: number;
}

export interface BestPathReader {
  /** The next changes, at most `max`; starts with everything there is. Empty: nothing new. Each prefix stands once, in its present state. */
  read(max: number): BestPathChange[];
  close(): void;
}
