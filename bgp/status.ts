/** What a speaker tells: its peers, its routes, its changes. Values only; addresses and prefixes are canonical text. */

import type { Family } from './ip.ts';

export type SessionState = 'idle' | 'connect' | 'active' | 'openSent' | 'openConfirm' | 'established';

export interface PeerStatus {
  readonly name: string;
  readonly description?: string;
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly peerType: 'iBGP' | 'eBGP';
  /** 0: any but ours may come, and none has. */
  readonly remoteAs: number;
  readonly localAs: number;
  /** The range's own name where the peer came by a range. */
  readonly range?: string;
  readonly passive: boolean;
  /** Stopped by a person. */
  readonly disabled?: boolean;
  readonly reflectorClient: boolean;
  /** RFC 8326: what it is told is marked: the session, or the speaker, is about to stop. */
  readonly gracefulShutdown: boolean;
  readonly state: SessionState;
  /** Milliseconds since the epoch: when the state was entered (established or not). */
  readonly since: number;
  /** Why the session is down, in words: `OPEN error: bad peer AS (2/2), sent`. */
  readonly lastError?: string;
  /** The last NOTIFICATION, ours or the peer's, since the session was up; `lastError` may be a connection that failed after it. */
  readonly lastNotification?: string;
  /** RFC 7606: why routes of an UPDATE were last treated as withdrawn. */
  readonly lastTreatedAsWithdrawn?: string;
  readonly remoteRouterId?: string;
  readonly holdTimeSeconds?: number;
  /** What we propose; the session has the lesser of both sides'. */
  readonly offeredHoldTimeSeconds?: number;
  readonly keepaliveTimeSeconds?: number;
  readonly localCapabilities: readonly string[];
  readonly remoteCapabilities: readonly string[];
  /** Established, or waiting for a restarting peer. */
  /** peerLongGone: its restart time is over, its routes are a last resort (RFC 9494). */
  readonly gracefulRestart: 'none' | 'ready' | 'peerRestarting' | 'peerLongGone' | 'weRestart';
  readonly families: readonly FamilyStatus[];
  readonly policyText: string;
  readonly counters: PeerCounters;
  /** Where the settings want BFD with the peer, and it is not disabled. */
  readonly bfd?: BfdStatus;
}

/** RFC 5880 §4.1. */
export type BfdState = 'adminDown' | 'down' | 'init' | 'up';

export interface BfdStatus {
  readonly state: BfdState;
  /** Milliseconds since the epoch: when the state was entered. */
  readonly since: number;
  readonly multihop: boolean;
  readonly localDiscriminator: number;
  /** 0: not known. */
  readonly remoteDiscriminator: number;
  /** Why our state changed last, in words. */
  readonly diagnostic: string;
  /** Why the neighbour's did. */
  readonly remoteDiagnostic: string;
  /** As negotiated, before jitter; undefined: the neighbour wants no periodic packets. */
  readonly transmitIntervalMilliseconds?: number;
  /** Silence for so long is a failure; 0 before the neighbour's first packet. */
  readonly detectionTimeMilliseconds: number;
  /** What the neighbour said last, once it has. */
  readonly remoteMinimumTransmitMilliseconds?: number;
  readonly remoteMinimumReceiveMilliseconds?: number;
  readonly remoteDetectMultiplier?: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  /** Why a packet could not be sent, the last time that one could not. */
  readonly lastError?: string;
}

/** A limit on the routes of a peer; see PrefixLimit. */
export interface LimitStatus {
  readonly kind: 'receive' | 'import';
  readonly family: Family;
  readonly maximum: number;
  readonly warningPercent: number;
  readonly action: 'restart' | 'discard' | 'warn';
  /** What counts against it. */
  readonly count: number;
  /** Routes that take no part because of it. */
  readonly discarded: number;
  readonly state: 'below' | 'warning' | 'exceeded';
}

export interface FamilyStatus {
  readonly family: Family;
  readonly negotiated: boolean;
  readonly imported: number;
  readonly filtered: number;
  readonly exported: number;
  readonly stale: number;
  readonly limits: readonly LimitStatus[];
  readonly endOfRibReceived: boolean;
  readonly endOfRibSent: boolean;
  /** RFC 7313: the peer tells its table again; what it has not come to yet is stale. */
  readonly refreshing: boolean;
}

export interface PeerCounters {
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly updatesReceived: number;
  readonly updatesSent: number;
  /** RFC 7606: UPDATEs whose routes were treated as withdrawn. */
  readonly treatedAsWithdrawn: number;
  /** How often the session left established. */
  readonly flaps: number;
}

/** One path in the RIB. */
export interface RouteStatus {
  readonly family: Family;
  readonly prefix: string;
  /** Peer name, or the source of an originated route. */
  readonly peerName: string;
  readonly peerType: 'iBGP' | 'eBGP' | 'local';
  readonly peerAddress: string;
  readonly peerRouterId: string;
  /** RFC 7911: the path identifier as received, or as told to the peer asked for; undefined: it has none. */
  readonly pathId?: number;
  /** The global one where there are two. */
  readonly nextHop: string;
  /** RFC 2545 §3: beside the global one or alone, with its interface: `fe80::1%eth0`. */
  readonly linkLocalNextHop?: string;
  readonly origin: 'IGP' | 'EGP' | 'incomplete';
  /** `65001 65000 {64512 64513}` */
  readonly asPath: string;
  readonly localPref: number | undefined;
  readonly med: number | undefined;
  readonly communities: readonly string[];
  readonly largeCommunities: readonly string[];
  /** `rt:aa:nn`, `ro:aa:nn`, `generic:0x…:0x…`; with `!` in front where it is not transitive. */
  readonly extendedCommunities: readonly string[];
  /** RFC 9234: the AS after which the route goes to customers alone. */
  readonly onlyToCustomer: number | undefined;
  readonly originatorId: string | undefined;
  readonly clusterList: readonly string[];
  /** The best path, or one that shares the kernel route with it. */
  readonly selected: 'best' | 'multipath' | 'no';
  /** Why not: the rung of the decision where it lost ('shorterAsPath'…), 'filtered', 'nextHopOffLink'…. */
  readonly lostAt?: string;
  /** The rule of the filter that decided, where one did. */
  readonly rule?: string;
  /** What that rule made the metric of the route in the forwarding table, where it did. */
  readonly fibMetric?: number;
  readonly stale: boolean;
}

/** A prefix whose best paths changed: what the kernel's programmer reads. No paths: the prefix is gone. */
export interface BestPathChange {
  readonly family: Family;
  readonly prefix: string;
  readonly paths: readonly BestPath[];
}

export interface BestPath {
  /** A link-local one has its interface: `fe80::1%eth0`. */
  readonly nextHop: string;
  readonly peerName: string;
  /** 'local': originated by this speaker. */
  readonly peerType: 'iBGP' | 'eBGP' | 'local';
  readonly originatorId: string | undefined;
  readonly asPath: readonly number[];
  /** Kept through a graceful restart of its peer. */
  readonly stale: boolean;
  /** draft-ietf-idr-link-bandwidth, in bytes a second; where the path shares a prefix with others, and says it. */
  readonly linkBandwidth?: number;
  /** What an import filter made the metric of the route in the forwarding table, where one did. The best path's counts. */
  readonly fibMetric?: number;
}
