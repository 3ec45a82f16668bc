/**
 * kube-router's annotations and flags, and ours. The one place that says what becomes of them; docs/migrate.md prints it.
 */

import type { FieldTable } from './field-rule.ts';

const changed = (to: string, how: string) => ({ kind: 'changed', to, how }) as const;
const none = (instead: string) => ({ kind: 'none', instead }) as const;
const harmless = (instead: string) => ({ kind: 'none', instead, harmless: () => true }) as const;

const peer = changed('BGPPeer', 'one for each address, for all nodes that say the same of it');
const service = none('service addresses are not advertised: kube-proxy keeps the services');

const password = none(
  'no password is printed: put it into a Secret and name that in the BGPPeer (`password`); without it the session stays down',
);

/** Of Nodes, below `kube-router.io/`. */
const nodeAnnotations = {
  'node.asn': changed('annotation `godwit.dev/as-number`', 'the same number'),
  peers: peer,
  'peer.ips': peer,
  'peer.asns': changed('BGPPeer `asNumber`', 'in the order of `peer.ips`'),
  'peer.ports': changed('BGPPeer `peerIP`', '`IP:PORT` where it is not 179'),
  'peer.passwords': password,
  'peer.localips': none("the node's own address is the source of its sessions"),
  'rr.server': changed(
    'annotation `godwit.dev/route-reflector-cluster-id`',
    'a number in its IPv4 form; a BGPPeer `route-reflectors` leads every node to the reflectors, and the mesh is off',
  ),
  'rr.client': changed('BGPPeer `route-reflectors`', "every node that is no reflector is the reflectors' client"),
  'node.bgp.communities': none(
    'not converted: a BGPFilter whose exportV4 and exportV6 rules have the operation addCommunity does it',
  ),
  'node.bgp.customimportreject': changed('BGPFilter `import-reject-…`', 'named by the BGPPeers of the node'),
  'path-prepend.as': changed('BGPFilter `prepend-…`', 'named by the BGPPeers of the node'),
  'path-prepend.repeat-n': changed('BGPFilter `prepend-…`', 'so often; at most 10 times'),
  'bgp-local-addresses': none('the agent listens on every address of the host, and answers only configured peers'),
  'pod-cidr': none('spec.podCIDRs of the Node is used; this annotation has another range, which is not routed'),
  'pod-cidrs': none('spec.podCIDRs of the Node is used; this annotation has another range, which is not routed'),
} as const satisfies FieldTable;

const serviceAnnotations = {
  'service.advertise.clusterip': service,
  'service.advertise.externalip': service,
  'service.advertise.loadbalancerip': service,
  'service.local': service,
  'service.hairpin': service,
  'service.hairpin.externalips': service,
  'service.dsr': none('there is no direct server return: kube-proxy keeps the services'),
  'service.scheduler': none('there is no IPVS scheduler: kube-proxy has its own'),
  'service.schedflags': none('there is no IPVS scheduler: kube-proxy has its own'),
  'service.skiplbips': service,
} as const satisfies FieldTable;

/** Of the DaemonSet's container. */
const flags = {
  'cluster-asn': changed('BGPConfiguration `asNumber`', 'the same number'),
  'nodes-full-mesh': changed(
    'BGPConfiguration `nodeToNodeMeshEnabled`',
    'the same; with `false`, nodes of one AS do not peer with each other either: BGPPeers must carry their routes',
  ),
  'bgp-port': changed('BGPConfiguration `listenPort`', 'the same'),
  'bgp-holdtime': changed('BGPConfiguration `holdTime`', 'in whole seconds'),
  'bgp-graceful-restart': harmless('always on'),
  'bgp-graceful-restart-time': changed('BGPConfiguration `nodeMeshMaxRestartTime`', 'in whole seconds'),
  'bgp-graceful-restart-deferral-time': harmless('not needed: the first start waits for nobody'),
  'peer-router-ips': changed('BGPPeer', 'one for each address, for every node'),
  'peer-router-asns': changed('BGPPeer `asNumber`', 'in the order of `peer-router-ips`'),
  'peer-router-ports': changed('BGPPeer `peerIP`', '`IP:PORT` where it is not 179'),
  'peer-router-passwords': password,
  'peer-router-passwords-file': password,
  'peer-router-multihop-ttl': changed('BGPPeer `ebgpMultihop`', 'the same; 0 and 1 are left out'),
  'enable-ibgp': changed('BGPConfiguration `nodeToNodeMeshEnabled`', '`false` becomes `false`'),
  'enable-pod-egress': none(
    'write an IPPool with the pod range and `natOutgoing: true`: without one packets leave the cluster with the address of the pod',
  ),
  'enable-overlay': none(
    'write an IPPool with the pod range and ipipMode or vxlanMode: without one nothing is tunnelled',
  ),
  'overlay-type': none(
    'write an IPPool with the pod range: `subnet` is CrossSubnet, `full` is Always, of ipipMode or vxlanMode',
  ),
  'overlay-encap': none('`ipip` is ipipMode of an IPPool; there is no FoU: use vxlanMode, which is UDP too'),
  'override-nexthop': none('nextHopMode: Self of a BGPPeer does the same'),
  'advertise-cluster-ip': service,
  'advertise-external-ip': service,
  'advertise-loadbalancer-ip': service,
  'advertise-pod-cidr': harmless('always'),
  'run-router': harmless('role `routes` and `bgp`'),
  'run-firewall': harmless('role `policy`'),
  'run-service-proxy': none('kube-proxy keeps the services: it must run before kube-router goes'),
} as const satisfies FieldTable;

export const kubeRouterTables = {
  'Node: annotations kube-router.io/…': nodeAnnotations,
  'Service: annotations kube-router.io/…': serviceAnnotations,
  'DaemonSet: flags of the container': flags,
} as const satisfies Readonly<Record<string, FieldTable>>;
