/**
 * What a speaker is told: itself, its neighbours, the routes it originates. Values only.
 * A change of settings never resets a session unless an RFC needs it (AS number, router id, families, address…).
 */

import type { Family } from './ip.ts';
import type { RoutePolicy } from './filter/filter.ts';
import type { Role } from './role.ts';

export interface SpeakerSettings {
  readonly asNumber: number;
  /** IPv4 form, RFC 6286: any non-zero 32-bit number. */
  readonly routerId: string;
  /** IPv4 form. Set on a route reflector (RFC 4456 §7). */
  readonly clusterId?: string;
  /** TCP port to listen on; undefined: accepts no connection. */
  readonly listenPort?: number;
  /** RFC 4724. Restart time in seconds, offered to every peer; 0 turns graceful restart off. */
  readonly gracefulRestartSeconds: number;
  /** RFC 8326: this speaker is about to stop: what every peer is told is marked, as with `gracefulShutdown` of a neighbour. */
  readonly gracefulShutdown?: boolean;
  /** RFC 4456 §10: clients peer among themselves, so that what one tells is not reflected to the others. */
  readonly clientsMesh?: boolean;
  /**
   * RFC 9494: for so many seconds after the restart time, peers may keep our routes as a last resort, and we theirs. Offered to
   * every peer; 0 or undefined: it is off.
   */
  readonly longLivedStaleSeconds?: number;
  /** Equal paths that are told to the kernel (ECMP); 1 turns multipath off. */
  readonly maximumPaths: number;
  readonly neighbors: readonly NeighborSettings[];
  readonly originated: readonly OriginatedRoute[];
}

export interface NeighborSettings {
  /** Unique; what `show protocols` prints. Members of a range are named `NAME_ADDRESS`. */
  readonly name: string;
  /** Either one address (canonical text, a link-local one with its interface: `fe80::1%eth0`) or a range whose members are accepted (then passive). */
  readonly remote:
    | { readonly kind: 'address'; readonly address: string; readonly port: number }
    | {
        readonly kind: 'range';
        readonly prefix: string;
        /** Of link-local addresses: the one interface that members come by. */
        readonly interfaceName?: string;
      };
  /** AS number the peer must have; external: any but ours. */
  readonly remoteAs: number | 'external';
  /** Our AS number towards this peer, where not the speaker's. */
  readonly localAs?: number;
  /** Source address of our connections and the session's own next hop; undefined: the kernel's choice. */
  readonly localAddress?: string;
  /** Next hop of each family that we give where we give ourselves; else the session's local address of that family. */
  readonly nextHopSelf?: Partial<Record<Family, string>>;
  /** Never connects, only accepts. */
  readonly passive: boolean;
  /** RFC 4456: the peer is our client. */
  readonly reflectorClient: boolean;
  readonly families: readonly Family[];
  /**
   * RFC 8950, IPv4 routes with an IPv6 next hop. Undefined: offered on sessions over IPv6, and used where we have no IPv4 address to give or
   * the session runs between link-local addresses. always: offered and used; never: not offered.
   */
  readonly extendedNextHop?: 'always' | 'never';
  /** Seconds, 0 or at least 3 (RFC 4271 §4.2). */
  readonly holdTimeSeconds: number;
  /** Seconds; undefined: a third of the negotiated hold time. */
  readonly keepaliveTimeSeconds?: number;
  readonly connectRetrySeconds: number;
  /** RFC 4724: the restart time offered to this peer, where not the speaker's; 0 turns graceful restart off. */
  readonly gracefulRestartSeconds?: number;
  /** RFC 9494: towards this peer, where not the speaker's; 0 turns it off. */
  readonly longLivedStaleSeconds?: number;
  /** IP TTL of eBGP packets; undefined: 1 for eBGP, the system's for iBGP. */
  readonly ttl?: number;
  /** GTSM (RFC 5082): hops allowed to the peer, 1..254. */
  readonly ttlSecurityHops?: number;
  /** TCP MD5 (RFC 2385): the key, 1 to 80 bytes of UTF-8. Never printed; a change needs no new session where both sides make it. */
  readonly password?: string;
  /** Set: no session is made or accepted, for this reason in words (the key is not known). */
  readonly heldDown?: string;
  /** RFC 5880: a BFD session with the peer's address, whose failure ends the BGP session. */
  readonly bfd?: BfdSettings;
  /** RFC 7911: several paths of one prefix; undefined: neither offered nor used. */
  readonly addPaths?: AddPathSettings;
  /** auto: RFC 4271 §5.1.3 (eBGP: self; iBGP: unchanged). */
  readonly nextHopMode: 'auto' | 'self' | 'keep';
  /** RFC 9234: what we are to an eBGP peer. */
  readonly role?: Role;
  /** RFC 9234 §4.2: no session with a peer that tells no role. */
  readonly roleStrict?: boolean;
  /**
   * With a localAs of its own, towards an eBGP peer. replace (unless told): the peer sees localAs alone. noPrepend: localAs, then
   * the speaker's. prepend: the same, and localAs is put before what the peer tells.
   */
  readonly localAsMode?: 'replace' | 'noPrepend' | 'prepend';
  /** Private AS numbers in what an eBGP peer is told; `ifAll`, `replaceIfAll`: only where there are no others. Undefined: they stay. */
  readonly removePrivateAs?: 'ifAll' | 'all' | 'replaceIfAll' | 'replaceAll';
  /** An eBGP peer's own number in what it is told becomes ours, so that it does not take the route for a loop. */
  readonly asOverride?: boolean;
  /** How often our own AS may stand in a received AS_PATH. */
  readonly allowedOwnAs: number;
  /**
   * RFC 8326: the session is about to end. What the peer is told is marked: GRACEFUL_SHUTDOWN (eBGP), LOCAL_PREF 0 (iBGP); what it
   * tells has LOCAL_PREF 0 here.
   */
  readonly gracefulShutdown?: boolean;
  /** RFC 8326: whether a route with GRACEFUL_SHUTDOWN from the peer has LOCAL_PREF 0; undefined: from an eBGP peer. */
  readonly obeysGracefulShutdown?: boolean;
  /** Undefined: everything from an iBGP peer, nothing from an eBGP peer (RFC 8212). */
  readonly importFilter?: RoutePolicy;
  /** One at most of each kind and family. */
  readonly limits?: readonly PrefixLimit[];
  /** The same for what the peer is told. */
  readonly exportFilter?: RoutePolicy;
  /** One line on the policy in force, for `show protocols all`. */
  readonly policyText: string;
  readonly description?: string;
}

/** How many routes of a family a peer may tell. */
export interface PrefixLimit {
  /** receive: all that it tells; import: those that take part, after filters. */
  readonly kind: 'receive' | 'import';
  readonly family: Family;
  readonly maximum: number;
  /** 1..100: from this part of the maximum on, it is told that the limit is near. */
  readonly warningPercent: number;
  /** restart: the session ends (RFC 4486, Cease 6/1); discard: what comes after takes no part; warn: it is told, no more. */
  readonly action: 'restart' | 'discard' | 'warn';
  /** After a restart: how long no session is made or accepted. */
  readonly restartSeconds: number;
}

export interface BfdSettings {
  /** How often we would like to send (DesiredMinTxInterval). */
  readonly minimumTransmitMilliseconds: number;
  /** How often we are able to receive (RequiredMinRxInterval); at least 1. */
  readonly minimumReceiveMilliseconds: number;
  /** 1..255: packets in a row that may be lost before the neighbour takes us for dead. */
  readonly detectMultiplier: number;
  /** RFC 5883 (UDP port 4784, any TTL) instead of RFC 5881 (3784, only from the link). Both sides must agree. */
  readonly multihop: boolean;
}

export interface AddPathSettings {
  /** The peer may send us several. */
  readonly receive: boolean;
  /** How many it is sent at most, the best ones; Infinity: all; 0: none but the best, the old way. */
  readonly sendMaximum: number;
}

export interface OriginatedRoute {
  /** Canonical text. */
  readonly prefix: string;
  /** Where this name is 'node-pods', 'service', …: what `show route` prints as the source. */
  readonly source: string;
  /** `aa:nn` */
  readonly communities?: readonly string[];
}
