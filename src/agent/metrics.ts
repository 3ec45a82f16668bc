/**
 * What the agent tells Prometheus: one table, from which come the answer of /metrics and docs/metrics.md.
 * Leaves out: HTTP (http.ts), the process's own metrics (prom-client's defaults), the exposition format (metrics-registry.ts).
 * Holds: one snapshot a scrape, so that the numbers of one answer fit together; no secret is a label or a value.
 */

import type { PeerStatus, RibTotals, SessionState, SignatureDrops } from '../../bgp/index.ts';
import { families, type Family } from '../../bgp/ip.ts';
import type { PolicyStatus, TunnelState } from '../control/model.ts';
import type { RangeUsage } from '../ipam/address-allocator.ts';
import type { RunningAgent } from './control-model.ts';

/** The agent at one moment; parts that a role leaves out are undefined. */
export interface Snapshot {
  readonly nodeName: string;
  readonly version: string;
  readonly peers: readonly PeerStatus[];
  readonly rib: Readonly<Record<Family, RibTotals>>;
  readonly kernel: KernelNumbers | undefined;
  readonly policy: PolicyStatus | undefined;
  readonly counts: { readonly policies: number; readonly pods: number };
  readonly source: { readonly synced: boolean; readonly problems: number };
  /** Objects of which something is refused on this node. */
  readonly conditions: number;
  readonly restartInProgress: boolean;
  readonly addresses: ReturnType<RunningAgent['addresses']>;
  readonly signatureDrops: SignatureDrops;
  /** By reason. */
  readonly bfdDiscards: Readonly<Record<string, number>>;
}

export interface KernelNumbers {
  readonly routes: number;
  readonly pending: number;
  readonly failed: number;
  readonly unroutable: number;
  readonly adopted: number;
  readonly tunnels: readonly TunnelState[];
}

export function takeSnapshot(agent: RunningAgent): Snapshot {
  const counts = agent.policyCounts();
  const { synced, problems } = agent.sourceStatus();
  const conditions = [...agent.config().conditions, ...(agent.routes?.conditions() ?? [])];
  return {
    nodeName: agent.nodeName,
    version: agent.version,
    peers: agent.speaker.peers(),
    rib: agent.speaker.totals(),
    kernel: agent.routes?.numbers(),
    policy: agent.policy?.status(counts),
    counts,
    source: { synced, problems: problems.length },
    conditions: agent.ownConditions().length + conditions.filter(({ status }) => !status).length,
    restartInProgress: agent.restartInProgress(),
    addresses: agent.addresses(),
    signatureDrops: agent.speaker.signatureDrops(),
    bfdDiscards: agent.speaker.bfdDiscards(),
  };
}

export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** A number that is read when it is asked for. */
export interface CollectedMetric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  collect(snapshot: Snapshot): Iterable<Sample>;
}

/** Times that are noted when they happen. */
export interface HistogramMetric {
  readonly name: string;
  readonly help: string;
  /** Upper bounds, in the metric's unit. */
  readonly buckets: readonly number[];
}

const states = [
  'idle',
  'connect',
  'active',
  'openSent',
  'openConfirm',
  'established',
] as const satisfies SessionState[];

/** Groups stand in the order in which a person looks at them. */
export const collectedMetrics: readonly CollectedMetric[] = [
  {
    name: 'godwit_build_info',
    type: 'gauge',
    help: 'Always 1; which agent this is.',
    labels: ['version', 'node'],
    collect: ({ version, nodeName }) => [{ value: 1, labels: { version, node: nodeName } }],
  },
  single(
    'godwit_restart_in_progress',
    '1 while routes of the run before are kept until the peers have told everything.',
    (s) => Number(s.restartInProgress),
  ),
  single(
    'godwit_source_synced',
    '1 when the cluster is read from its source; 0 while the last known state is in force.',
    (s) => Number(s.source.synced),
  ),
  single('godwit_source_problems', 'Objects and files that are refused or cannot be read.', (s) => s.source.problems),
  single(
    'godwit_conditions',
    'What a person should look at on this node: see `godwit show status`.',
    (s) => s.conditions,
  ),

  {
    name: 'godwit_bgp_peers',
    type: 'gauge',
    help: 'Neighbours by the state of their session.',
    labels: ['state'],
    collect: ({ peers }) =>
      states.map((state) => ({ value: peers.filter((peer) => peer.state === state).length, labels: { state } })),
  },
  {
    name: 'godwit_bgp_peer_info',
    type: 'gauge',
    help: 'Always 1; who the neighbour is.',
    labels: ['peer', 'address', 'remote_as', 'type'],
    *collect({ peers }) {
      for (const { name, address, remoteAs, peerType } of peers) {
        yield { value: 1, labels: { peer: name, address, remote_as: String(remoteAs), type: peerType } };
      }
    },
  },
  perPeer('godwit_bgp_session_up', 'gauge', '1 when the session is established.', (peer) =>
    Number(peer.state === 'established'),
  ),
  perPeer(
    'godwit_bgp_session_since_seconds',
    'gauge',
    'When the session came into its present state: seconds since the epoch.',
    (peer) => peer.since / 1000,
  ),
  perPeer(
    'godwit_bgp_session_flaps_total',
    'counter',
    'How often the session left the state established.',
    (peer) => peer.counters.flaps,
  ),
  perPeer(
    'godwit_bgp_messages_received_total',
    'counter',
    'BGP messages of every type from the peer.',
    (peer) => peer.counters.messagesReceived,
  ),
  perPeer(
    'godwit_bgp_messages_sent_total',
    'counter',
    'BGP messages of every type to the peer.',
    (peer) => peer.counters.messagesSent,
  ),
  perPeer(
    'godwit_bgp_updates_received_total',
    'counter',
    'UPDATE messages from the peer.',
    (peer) => peer.counters.updatesReceived,
  ),
  perPeer(
    'godwit_bgp_updates_sent_total',
    'counter',
    'UPDATE messages to the peer.',
    (peer) => peer.counters.updatesSent,
  ),
  perPeer(
    'godwit_bgp_updates_treated_as_withdrawn_total',
    'counter',
    'UPDATE messages with an error, whose routes were treated as withdrawn (RFC 7606).',
    (peer) => peer.counters.treatedAsWithdrawn,
  ),
  perFamily('godwit_bgp_prefixes_imported', 'Prefixes of the peer that the import policy let in.', 'imported'),
  perFamily('godwit_bgp_prefixes_filtered', 'Prefixes of the peer that the import policy refused.', 'filtered'),
  perFamily('godwit_bgp_prefixes_exported', 'Prefixes told to the peer.', 'exported'),
  perFamily(
    'godwit_bgp_prefixes_stale',
    'Prefixes kept through a graceful restart of the peer, not told again yet (RFC 4724).',
    'stale',
  ),
  perLimit('godwit_bgp_prefix_limit', 'The most routes that the peer may tell, by kind of limit.', 'maximum'),
  perLimit('godwit_bgp_prefix_limit_routes', 'Routes of the peer that count against a limit.', 'count'),
  perLimit(
    'godwit_bgp_prefix_limit_discarded',
    'Routes of the peer that take no part because they are beyond a limit.',
    'discarded',
  ),

  {
    name: 'godwit_ipam_addresses',
    type: 'gauge',
    help: "Addresses of the node's pod ranges (spec.podCIDRs, or blocks of IPPools) by what became of them; free ones are not counted: size less the others.",
    labels: ['family', 'state'],
    *collect({ addresses }) {
      for (const family of addresses === undefined ? [] : families) {
        const ranges = addresses!.usage.filter((range) => range.family === family);
        const sum = (read: (range: RangeUsage) => bigint | number) =>
          ranges.reduce((total, range) => total + Number(read(range)), 0);
        yield { value: sum(({ size }) => size), labels: { family, state: 'size' } };
        yield { value: sum(({ held }) => held), labels: { family, state: 'held' } };
        yield { value: sum(({ reserved }) => reserved), labels: { family, state: 'reserved' } };
        yield { value: sum(({ coolingDown }) => coolingDown), labels: { family, state: 'cooling_down' } };
      }
    },
  },
  {
    name: 'godwit_ipam_ranges',
    type: 'gauge',
    help: 'Ranges that the node has for pods: those of its spec.podCIDRs, or blocks that it claimed.',
    labels: ['family'],
    collect: ({ addresses }) =>
      addresses === undefined
        ? []
        : families.map((family) => ({
            value: addresses.usage.filter((range) => range.family === family).length,
            labels: { family },
          })),
  },
  {
    name: 'godwit_ipam_exhausted_total',
    type: 'counter',
    help: 'Pods that were refused because no address was left; each attempt of the kubelet counts.',
    labels: [],
    collect: ({ addresses }) => (addresses === undefined ? [] : [{ value: addresses.refusals, labels: noLabels }]),
  },

  {
    name: 'godwit_tcp_md5_dropped_segments_total',
    type: 'counter',
    help: 'Segments that the kernel dropped on this node because of their TCP MD5 signature (RFC 2385), of any connection: without one, with another key, or signed where no key is set.',
    labels: ['reason'],
    *collect({ signatureDrops }) {
      for (const [reason, value] of Object.entries(signatureDrops)) yield { value, labels: { reason } };
    },
  },

  {
    name: 'godwit_bfd_session_up',
    type: 'gauge',
    help: '1 when BFD sees the path to the peer; only of peers that have BFD.',
    labels: ['peer'],
    *collect({ peers }) {
      for (const { name, bfd } of peers) {
        if (bfd !== undefined) yield { value: Number(bfd.state === 'up'), labels: { peer: name } };
      }
    },
  },
  {
    name: 'godwit_bfd_packets_discarded_total',
    type: 'counter',
    help: 'BFD packets that were none, or belong to no session (RFC 5880 §6.8.6).',
    labels: ['reason'],
    *collect({ bfdDiscards }) {
      for (const [reason, value] of Object.entries(bfdDiscards)) yield { value, labels: { reason } };
    },
  },

  perRib('godwit_rib_prefixes', 'Prefixes that have at least one path.', 'prefixes'),
  perRib('godwit_rib_paths', 'Paths of all peers.', 'paths'),

  ofKernel('godwit_routes_installed', 'Routes of ours that the kernel holds.', (kernel) => kernel.routes),
  ofKernel('godwit_routes_pending', 'Routes decided and not yet given to the kernel.', (kernel) => kernel.pending),
  ofKernel('godwit_routes_failed', 'Routes that the kernel refuses.', (kernel) => kernel.failed),
  ofKernel(
    'godwit_routes_unroutable',
    'Best paths that cannot become a kernel route: no way to the next hop.',
    (kernel) => kernel.unroutable,
  ),
  ofKernel(
    'godwit_routes_adopted',
    'Routes of the run before that no peer has told again yet.',
    (kernel) => kernel.adopted,
  ),
  {
    name: 'godwit_tunnels',
    type: 'gauge',
    help: 'Tunnel devices that the pools ask for, by kind and state.',
    labels: ['kind', 'state'],
    *collect({ kernel }) {
      if (kernel === undefined) return;
      for (const kind of new Set(kernel.tunnels.map((tunnel) => tunnel.kind))) {
        for (const state of ['up', 'failed']) {
          const value = kernel.tunnels.filter((tunnel) => tunnel.kind === kind && tunnel.state === state).length;
          yield { value, labels: { kind, state } };
        }
      }
    },
  },

  ofPolicy(
    'godwit_policy_in_force',
    '1 when the kernel holds the present policies; 0: it holds earlier ones.',
    (policy) => Number(policy.state === 'inForce'),
  ),
  ofPolicy(
    'godwit_policy_last_applied_seconds',
    'When the policy table was last put in force or verified: seconds since the epoch; 0: never.',
    (policy) => (policy.appliedAt ?? 0) / 1000,
  ),
  single('godwit_network_policies', 'NetworkPolicies of the cluster.', ({ counts }) => counts.policies),
  single('godwit_pods', 'Pods of the cluster that the agent knows.', ({ counts }) => counts.pods),
];

/** From a millisecond to a minute. */
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const histogramMetrics = {
  routeProgramming: {
    name: 'godwit_route_programming_seconds',
    help: 'From the first change of a best path until the kernel holds it and all that changed meanwhile.',
    buckets: latencyBuckets,
  },
  policyProgramming: {
    name: 'godwit_policy_programming_seconds',
    help: 'From the first change of a policy, pod or namespace until the nftables transaction that carries it is done.',
    buckets: latencyBuckets,
  },
} as const satisfies Record<string, HistogramMetric>;

export type HistogramKey = keyof typeof histogramMetrics;

const noLabels = {};

function single(name: string, help: string, read: (snapshot: Snapshot) => number): CollectedMetric {
  return {
    name,
    type: 'gauge',
    help,
    labels: [],
    collect: (snapshot) => [{ value: read(snapshot), labels: noLabels }],
  };
}

function perPeer(
  name: string,
  type: CollectedMetric['type'],
  help: string,
  read: (peer: PeerStatus) => number,
): CollectedMetric {
  return {
    name,
    type,
    help,
    labels: ['peer'],
    *collect({ peers }) {
      for (const peer of peers) yield { value: read(peer), labels: { peer: peer.name } };
    },
  };
}

/** Families that the session carries, or of which routes are kept. */
function perFamily(name: string, help: string, field: 'imported' | 'filtered' | 'exported' | 'stale'): CollectedMetric {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['peer', 'family'],
    *collect({ peers }) {
      for (const peer of peers) {
        for (const status of peer.families) {
          if (!status.negotiated && status.stale === 0) continue;
          yield { value: status[field], labels: { peer: peer.name, family: status.family } };
        }
      }
    },
  };
}

function perLimit(name: string, help: string, field: 'maximum' | 'count' | 'discarded'): CollectedMetric {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['peer', 'family', 'kind'],
    *collect({ peers }) {
      for (const peer of peers) {
        for (const limit of peer.families.flatMap(({ limits }) => limits)) {
          yield { value: limit[field], labels: { peer: peer.name, family: limit.family, kind: limit.kind } };
        }
      }
    },
  };
}

function perRib(name: string, help: string, field: 'prefixes' | 'paths'): CollectedMetric {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['family'],
    collect: ({ rib }) => families.map((family) => ({ value: rib[family][field], labels: { family } })),
  };
}

/** Absent without the role routes. */
function ofKernel(name: string, help: string, read: (kernel: KernelNumbers) => number): CollectedMetric {
  const collect = ({ kernel }: Snapshot) => (kernel === undefined ? [] : [{ value: read(kernel), labels: noLabels }]);
  return { name, type: 'gauge', help, labels: [], collect };
}

/** Absent without the role policy. */
function ofPolicy(name: string, help: string, read: (policy: PolicyStatus) => number): CollectedMetric {
  const collect = ({ policy }: Snapshot) => (policy === undefined ? [] : [{ value: read(policy), labels: noLabels }]);
  return { name, type: 'gauge', help, labels: [], collect };
}
