/**
 * What both control sockets may ask of a running agent: the agent implements `ControlModel`, the servers only read it.
 * Every value is plain JSON (no Map, no bigint, no class), so that the framed-JSON server sends it as it is.
 * Times are milliseconds since the epoch; addresses and prefixes are canonical text.
 */

import type { PeerStatus, RouteStatus } from '../../bgp/index.ts';
import type { Family } from '../../bgp/ip.ts';

/** An answer may come from another thread. */
export type Answer<T> = T | Promise<T>;

export type RouteStream = Iterable<RouteDetail | undefined> | AsyncIterable<RouteDetail | undefined>;

export interface ControlModel {
  status(): Answer<AgentStatus>;
  /** In the order in which `show protocols` prints them. */
  protocols(): Answer<readonly ProtocolStatus[]>;
  /**
   * All paths of a prefix stand together, the best one first, and all prefixes of a family. Read lazily: the server stops
   * between two values for as long as its client is slow, and calls `return()` when the client has gone.
   * `undefined` among the values means: searched for a while without a hit, do something else meanwhile.
   */
  routes(query: RouteQuery): RouteStream;
  /** @param pod `NAMESPACE/NAME`. @returns undefined: no such pod. */
  policy(pod: string): Answer<PolicyReport | undefined>;
  /** Why traffic to the prefix (or address) goes where it goes. Always an answer: an unknown prefix has a reason too. */
  why(target: string): Answer<RouteReport>;
  memory(): Answer<readonly MemoryLine[]>;
  interfaces(): Answer<readonly InterfaceStatus[]>;
  /** Of each peer, by its name: the prefixes whose best path it told. Takes a look at every path. */
  bestPathCounts(): Answer<Readonly<Record<string, Readonly<Record<Family, number>>>>>;
  /**
   * Does something to BGP sessions, by the names of their peers; other names are none of its business.
   * @param text for the peers' operators, where it ends a session (RFC 9003).
   */
  changePeers(change: PeerChange, names: readonly string[], text: string): Answer<readonly PeerChangeOutcome[]>;
  /** Reads the manifests now. @returns what is wrong with them; all that is not is in force. */
  rereadSource(): Answer<readonly SourceProblemStatus[]>;
}

export type PeerChange = 'enable' | 'disable' | 'restart' | 'reload' | 'reloadIn' | 'reloadOut';

export interface PeerChangeOutcome {
  readonly name: string;
  /** unchanged: it was so already, or (restart, reload) it is disabled; failed: it cannot be done now, for the reason. */
  readonly outcome: 'done' | 'unchanged' | 'failed';
  readonly reason?: string;
}

/** A network interface of the node. */
export interface InterfaceStatus {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** CIDRs. */
  readonly addresses: readonly string[];
}

export interface AgentStatus {
  readonly nodeName: string;
  readonly version: string;
  /** Undefined while no configuration for this node is in force: the speaker is not running. */
  readonly routerId: string | undefined;
  readonly asNumber: number | undefined;
  readonly clusterId?: string;
  /** TCP port on which the speaker accepts connections. */
  readonly listenPort?: number;
  readonly startedAt: number;
  readonly configuredAt?: number;
  readonly roles: readonly string[];
  readonly source: SourceStatus;
  /** RFC 4724: routes of the run before are kept until the peers have told everything. */
  readonly restart: { readonly inProgress: boolean };
  readonly kernel?: KernelStatus;
  readonly policy?: PolicyStatus;
  readonly conditions: readonly StatusCondition[];
}

export interface SourceStatus {
  /** `dir:/etc/godwit` */
  readonly text: string;
  readonly synced: boolean;
  readonly problems: readonly SourceProblemStatus[];
}

export interface SourceProblemStatus {
  /** Absent where the source is an API server. */
  readonly file?: string;
  /** Which document of the file, from 1. */
  readonly document?: number;
  /** The object's kind and name, as far as they are known. */
  readonly kind?: string;
  readonly name?: string;
  /** Path of the field: `spec.asNumber`. */
  readonly field?: string;
  readonly reason: string;
  readonly since?: number;
}

export interface KernelStatus {
  /** Routes of ours that the kernel holds. */
  readonly routes: number;
  /** Routes wanted but not programmed yet. */
  readonly pending?: number;
  readonly failures: readonly { readonly prefix: string; readonly message: string; readonly since: number }[];
  /** Best paths that cannot become a kernel route. */
  readonly unroutable: readonly { readonly prefix: string; readonly reason: string }[];
  readonly tunnels: readonly TunnelState[];
}

export interface TunnelState {
  readonly name: string;
  readonly kind: string;
  readonly local?: string;
  readonly state: 'up' | 'failed';
  readonly reason?: string;
}

export interface PolicyStatus {
  readonly state: 'inForce' | 'pending' | 'failed';
  readonly policies?: number;
  readonly pods?: number;
  readonly lastError?: string;
  readonly appliedAt?: number;
}

/** Something the user should know: two peers that disagree, a pool that this kernel cannot carry. */
export interface StatusCondition {
  readonly type: string;
  /** The object it is about: `BGPPeer/tor`. */
  readonly object?: string;
  readonly message: string;
  readonly since?: number;
}

/** Why there is a session with a peer. */
export interface PeerOrigin {
  /** node: a BGPPeer that selects this node, or one that another node is told to peer with it by; global: a BGPPeer for all nodes. */
  readonly kind: 'mesh' | 'node' | 'global';
  /** Of the node at the other end, where that is one of this cluster. */
  readonly addresses?: Readonly<Partial<Record<Family, string>>>;
}

/** One line of `show protocols`. */
export type ProtocolStatus =
  | {
      readonly kind: 'bgp';
      readonly peer: PeerStatus;
      /** Absent: the session is in no configuration any more, and ends. */
      readonly origin?: PeerOrigin;
    }
  | {
      readonly kind: 'other';
      readonly name: string;
      /** BIRD's word in the column `Proto`: Kernel, Device, Static, Direct. */
      readonly protocol: string;
      /** Absent: `---`. */
      readonly table?: string;
      /** Absent: both. */
      readonly families?: readonly Family[];
      readonly state: 'up' | 'start' | 'down';
      readonly since: number;
      readonly info?: string;
      /** For `show protocols all`: one line each, without indentation. */
      readonly details?: readonly string[];
    };

export interface RouteQuery {
  readonly family?: Family;
  /** This very prefix. */
  readonly prefix?: string;
  /** Longest match for the address, or for every address of the prefix. */
  readonly for?: string;
  /** Only paths from this protocol (peer name, or source of originated routes). */
  readonly protocol?: string;
  /** Only the best path of each prefix. */
  readonly primary?: boolean;
  /** Only paths that an import filter refused; otherwise only paths that it did not refuse. */
  readonly filtered?: boolean;
  /** Only what this peer was told, as it was told. */
  readonly exportedTo?: string;
  /** Only best paths that this peer, which has the family, was not told. */
  readonly notExportedTo?: string;
  /** With `protocol`: what the peer told, whether it was refused or not (its Adj-RIB-In). */
  readonly refusedToo?: boolean;
}

/** A path of the RIB with what the node adds to it. */
export interface RouteDetail extends RouteStatus {
  /** The interface of the next hop, where the kernel resolves it. */
  readonly interfaceName?: string;
  /** The gateway that the kernel uses, where it is not the BGP next hop. */
  readonly gateway?: string;
  /** When the path came in, where that is known. */
  readonly since?: number;
}

/** The word of a NetworkPolicy explanation for one direction. */
export interface PolicyDirection {
  /** Whether any policy selects the pod for this direction: if not, everything may pass. */
  readonly isolated: boolean;
  /** `NAMESPACE/NAME` of the policies that do. */
  readonly policies: readonly string[];
  /** What they allow, in words: `TCP 80 from pods app=web`. */
  readonly allows: readonly string[];
}

export interface PolicyReport {
  /** `NAMESPACE/NAME` */
  readonly pod: string;
  readonly nodeName?: string;
  readonly addresses: readonly string[];
  /** Whether this node enforces it: it runs here. */
  readonly local: boolean;
  readonly interfaceName?: string;
  readonly ingress: PolicyDirection;
  readonly egress: PolicyDirection;
  /** Anything else worth a line. */
  readonly notes: readonly string[];
}

export interface RouteReport {
  /** The prefix or address asked for. */
  readonly target: string;
  /** The prefix that the report is about: the longest match. */
  readonly prefix: string | undefined;
  /** In the order of the way: received, refused or chosen, resolved, tunnelled, programmed. */
  readonly steps: readonly RouteReportStep[];
  readonly paths: readonly RouteDetail[];
}

export interface RouteReportStep {
  /** `best path`, `origin`, `next hop`, `tunnel`, `kernel`: the place that decided. */
  readonly subject: string;
  readonly outcome: 'ok' | 'problem' | 'note';
  readonly text: string;
}

/** A line of `show memory`; bytes. */
export interface MemoryLine {
  readonly name: string;
  readonly bytes: number;
}
