/**
 * Calico's fields and ours: projectcalico.org/v3 (crd.projectcalico.org/v1 has the same specs), read 2026-08.
 * The one place that says what becomes of a field; docs/migrate.md prints it.
 */

import { wholeSeconds, type FieldTable } from './field-rule.ts';

const same = { kind: 'same' } as const;

const secret = (name: string) =>
  ({
    kind: 'changed',
    to: name,
    how: "the same; copy the Secret into the agent's namespace",
    convert: (value: unknown) => ({ [name]: value }),
  }) as const;
const duration = (name: string) =>
  ({
    kind: 'changed',
    to: name,
    how: 'in whole seconds, rounded up',
    convert: (value: unknown) => ({ [name]: wholeSeconds(value) }),
  }) as const;

const services = {
  kind: 'none',
  instead: 'service addresses are not advertised: kube-proxy keeps the services',
} as const;
const isDefault = (wanted: unknown) => (value: unknown) => value === wanted;
const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0;

const bgpPeerFields = {
  node: same,
  nodeSelector: same,
  peerIP: same,
  asNumber: same,
  localASNumber: same,
  peerSelector: same,
  keepOriginalNextHop: {
    kind: 'changed',
    to: 'nextHopMode',
    how: '`true` becomes `Keep`',
    convert: (value) => (value === true ? { nextHopMode: 'Keep' } : {}),
  },
  nextHopMode: same,
  password: secret('password'),
  sourceAddress: same,
  maxRestartTime: duration('maxRestartTime'),
  keepaliveTime: duration('keepaliveTime'),
  numAllowedLocalASNumbers: same,
  ttlSecurity: {
    kind: 'changed',
    to: 'ttlSecurity',
    how: 'the same number of hops; 0 is off and left out',
    convert: (value) => (value === 0 ? {} : { ttlSecurity: value }),
  },
  reachableBy: {
    kind: 'none',
    instead: "no static route is made: add one to the peer via this gateway to the host's network configuration",
  },
  filters: same,
  localWorkloadSelector: {
    kind: 'none',
    essential: true,
    instead: 'not converted: there is no peering with workloads',
  },
  reversePeering: same,
} as const satisfies FieldTable;

const normalPriority = {
  kind: 'none',
  instead:
    'our routes have the metric 1670; a BGPFilter whose import rules have the operation setPriority gives another',
  harmless: isDefault(1024),
} as const;

const bgpConfigurationFields = {
  logSeverityScreen: {
    kind: 'none',
    instead: 'the agent has the flag --log-level',
    harmless: isDefault('Info'),
  },
  nodeToNodeMeshEnabled: same,
  asNumber: same,
  serviceLoadBalancerIPs: { ...services, harmless: isEmpty },
  serviceExternalIPs: { ...services, harmless: isEmpty },
  serviceClusterIPs: { ...services, harmless: isEmpty },
  serviceLoadBalancerAggregation: { ...services, harmless: isDefault('Enabled') },
  communities: { kind: 'changed', to: 'BGPFilter', how: 'written where `prefixAdvertisements` name them' },
  prefixAdvertisements: {
    kind: 'changed',
    to: 'BGPFilter',
    how: 'a BGPFilter `prefix-advertisements` that every BGPPeer asks last; on eBGP sessions only',
  },
  listenPort: same,
  nodeMeshPassword: secret('nodeMeshPassword'),
  nodeMeshMaxRestartTime: duration('nodeMeshMaxRestartTime'),
  bindMode: {
    kind: 'none',
    instead: 'the agent listens on every address of the host, and answers only configured peers',
    harmless: isDefault('None'),
  },
  ignoredInterfaces: {
    kind: 'none',
    instead: 'nothing to ignore: a node originates its pod ranges, never its interfaces',
    harmless: isEmpty,
  },
  localWorkloadPeeringIPV4: { kind: 'none', instead: 'there is no peering with workloads' },
  localWorkloadPeeringIPV6: { kind: 'none', instead: 'there is no peering with workloads' },
  programClusterRoutes: {
    kind: 'none',
    instead: 'the agent programs the routes of the pods unless its --roles leave `routes` out',
    harmless: (value) => value !== 'Disabled',
  },
  ipv4NormalRoutePriority: normalPriority,
  ipv6NormalRoutePriority: normalPriority,
} as const satisfies FieldTable;

const bgpFilterRuleFields = {
  cidr: same,
  prefixLength: same,
  matchOperator: same,
  source: same,
  interface: {
    kind: 'none',
    essential: true,
    instead:
      "not converted: `interface` is here the link of the peer that told the route, not the route's outgoing interface, and without it the rule would match others too",
  },
  peerType: same,
  communities: same,
  asPathPrefix: same,
  priority: {
    kind: 'changed',
    to: 'priority',
    how: 'the same: what the peer says by LOCAL_PREF; nodes of Calico do, those of Godwit only where a filter has them',
    convert: (value) => ({ priority: value }),
  },
  action: same,
  operations: { kind: 'changed', to: 'operations', how: 'each as the next tables say' },
} as const satisfies FieldTable;

/** Beside bgpFilterRuleFields. */
const bgpFilterExportRuleFields = {
  priority: {
    kind: 'none',
    essential: true,
    instead: "not converted: here a node's own routes have no priority, and without it the rule would match others too",
  },
} as const satisfies FieldTable;

const bgpFilterOperationFields = {
  addCommunity: same,
  prependASPath: same,
  setPriority: {
    kind: 'changed',
    to: 'setPriority',
    how: "the metric of the kernel's route; LOCAL_PREF stays as it is: add `setLocalPreference` where the value shall decide between paths",
    lost: 'only the metric in the kernel, no longer LOCAL_PREF 2147483647 less the value: where that shall decide between paths, add setLocalPreference',
    convert: (value) => ({ setPriority: value }),
  },
} as const satisfies FieldTable;

/** Beside bgpFilterOperationFields. */
const bgpFilterExportOperationFields = { setPriority: same } as const satisfies FieldTable;

const ipPoolFields = {
  cidr: same,
  vxlanMode: same,
  ipipMode: same,
  natOutgoing: same,
  disabled: same,
  disableBGPExport: same,
  blockSize: {
    kind: 'changed',
    to: 'blockSize',
    how: 'the same, at most 30 of IPv4 and 126 of IPv6; it counts with `--ipam pools`',
    convert: (value) => ({ blockSize: Number(value) > 126 ? 126 : [31, 32].includes(Number(value)) ? 30 : value }),
  },
  nodeSelector: same,
  namespaceSelector: {
    kind: 'changed',
    to: 'namespaceSelector',
    how: 'the same; it counts with `--ipam pools`',
    convert: (value) => (value === '' ? {} : { namespaceSelector: value }),
  },
  allowedUses: {
    kind: 'none',
    instead: 'a pool is for pods and tunnels',
    harmless: (value) => Array.isArray(value) && value.includes('Workload'),
  },
  assignmentMode: {
    kind: 'none',
    instead: 'a pool serves every pod that it selects; the annotation godwit.dev/ip-pools names others',
    harmless: isDefault('Automatic'),
  },
} as const satisfies FieldTable;

/** `projectcalico.org/…` annotations of Nodes, and `spec.bgp` of Calico's own Node. */
const nodeAnnotations = {
  'projectcalico.org/ASNumber': { kind: 'changed', to: 'annotation `godwit.dev/as-number`', how: 'the same value' },
  'projectcalico.org/RouteReflectorClusterID': {
    kind: 'changed',
    to: 'annotation `godwit.dev/route-reflector-cluster-id`',
    how: 'the same value',
  },
  'projectcalico.org/IPv4Address': {
    kind: 'none',
    instead: "the node's first InternalIP is used; another one is told to the agent with --node-ip",
  },
  'projectcalico.org/IPv6Address': {
    kind: 'none',
    instead: "the node's first InternalIP is used; another one is told to the agent with --node-ip",
  },
  'projectcalico.org/IPv4IPIPTunnelAddr': { kind: 'none', instead: 'computed', harmless: () => true },
  'projectcalico.org/IPv4VXLANTunnelAddr': { kind: 'none', instead: 'computed', harmless: () => true },
  'projectcalico.org/VXLANTunnelMACAddr': { kind: 'none', instead: 'computed', harmless: () => true },
  'projectcalico.org/IPv6VXLANTunnelAddr': { kind: 'none', instead: 'computed', harmless: () => true },
  'projectcalico.org/VXLANTunnelMACAddrV6': { kind: 'none', instead: 'computed', harmless: () => true },
  'projectcalico.org/WireguardPublicKey': { kind: 'none', instead: 'there is no encryption between nodes' },
  'projectcalico.org/IPv4WireguardInterfaceAddr': { kind: 'none', instead: 'there is no encryption between nodes' },
} as const satisfies FieldTable;

/** Titles as docs/migrate.md prints them. */
export const calicoTables = {
  BGPPeer: bgpPeerFields,
  BGPConfiguration: bgpConfigurationFields,
  'BGPFilter: a rule': bgpFilterRuleFields,
  'BGPFilter: an export rule, where it differs': bgpFilterExportRuleFields,
  'BGPFilter: an operation': bgpFilterOperationFields,
  'BGPFilter: an operation of an export rule, where it differs': bgpFilterExportOperationFields,
  IPPool: ipPoolFields,
  'Node: annotations': nodeAnnotations,
} as const satisfies Readonly<Record<string, FieldTable>>;

export interface KindWithout {
  /** lost: what it did, nobody does now. note: nothing is to be done. */
  readonly level: 'lost' | 'note';
  readonly instead: string;
}

const state: KindWithout = { level: 'note', instead: "state of Calico's own: nothing to convert" };
const policy: KindWithout = {
  level: 'lost',
  instead: 'NOT ENFORCED: write it as a NetworkPolicy of Kubernetes before Calico goes',
};
const staged: KindWithout = { level: 'note', instead: 'enforces nothing: nothing to convert' };

/** Kinds of Calico without a counterpart. */
export const calicoKindsWithout: Readonly<Record<string, KindWithout>> = {
  NetworkPolicy: policy,
  GlobalNetworkPolicy: policy,
  AdminNetworkPolicy: policy,
  BaselineAdminNetworkPolicy: policy,
  NetworkSet: { level: 'lost', instead: 'an ipBlock in a NetworkPolicy of Kubernetes does the same' },
  GlobalNetworkSet: { level: 'lost', instead: 'an ipBlock in a NetworkPolicy of Kubernetes does the same' },
  Tier: { level: 'lost', instead: 'policies of Kubernetes have no order' },
  StagedNetworkPolicy: staged,
  StagedGlobalNetworkPolicy: staged,
  StagedKubernetesNetworkPolicy: staged,
  HostEndpoint: { level: 'lost', instead: "NOT ENFORCED: hosts are not protected; use the host's own firewall" },
  FelixConfiguration: {
    level: 'lost',
    instead: "nothing of it is read; MTUs of tunnels are computed from the underlay's",
  },
  KubeControllersConfiguration: { level: 'note', instead: 'there is no such controller' },
  IPAMConfig: {
    level: 'note',
    instead:
      'a node has the ranges of its spec.podCIDRs, or with --ipam pools blocks, as many as it needs; strictAffinity is a field of the IPPool',
  },
  IPAMConfiguration: {
    level: 'note',
    instead:
      'a node has the ranges of its spec.podCIDRs, or with --ipam pools blocks, as many as it needs; strictAffinity is a field of the IPPool',
  },
  IPReservation: { level: 'lost', instead: 'write an IPReservation of godwit.dev/v1 with the same spec' },
  ClusterInformation: state,
  CalicoNodeStatus: state,
  IPAMBlock: state,
  IPAMHandle: state,
  BlockAffinity: state,
  WorkloadEndpoint: state,
  Profile: state,
};
