/**
 * The cluster as routing sees it: nodes with addresses and pod ranges, pools with their tunnel mode, and who owns a prefix.
 * Leaves out: peerings (peering.ts) and every decision that needs the kernel (src/routing).
 * Holds: a prefix has at most one owner: the node with the most specific range; of two with the same one the first by name.
 * Ranges are the Node's spec.podCIDRs and the blocks that it claimed, whichever the agents of the nodes give addresses of:
 * while a cluster passes from the one to the other, pods of both have their routes.
 */

import { families, formatAddress, parsePrefix, type Family, type Prefix } from '../../bgp/ip.ts';
import { bgpConfigurationOf } from '../resources/bgp-configuration.ts';
import type { ClusterState } from '../resources/cluster-state.ts';
import type { IpPool } from '../resources/ip-pool.ts';
import { blocksInForce, byAge, isSingleAddress, type IpamBlock } from '../resources/ipam-block.ts';
import {
  annotatedAsNumber,
  internalIp,
  isShuttingDown,
  routeReflectorClusterId,
  type Node,
} from '../resources/node.ts';
import { parseSelector, type LabelPredicate } from '../resources/selector.ts';
import { refused, type Condition } from './condition.ts';
import { nonZeroHash32 } from './hash.ts';
import { PrefixMap } from './prefix-map.ts';

/** What the agent was started as. */
export interface Self {
  readonly nodeName: string;
  /** From the command line; wins over the Node's addresses. */
  readonly nodeIps: Partial<Readonly<Record<Family, string>>>;
  readonly roles: readonly string[];
  /** Interface → link-local address of the router at the other end of its link, where one was found; undefined: nobody looks. */
  readonly linkRouters?: ReadonlyMap<string, string>;
}

export interface ClusterNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Canonical text. */
  readonly addresses: Partial<Readonly<Record<Family, string>>>;
  /** Those of the Node object first, then blocks, the oldest first. */
  readonly podPrefixes: readonly PodPrefix[];
  readonly asNumber: number;
  readonly routerId: string;
  /** IPv4 form; set: the node is a route reflector. */
  readonly clusterId: string | undefined;
  readonly listenPort: number;
  /** RFC 8326: about to be taken out of service. */
  readonly shuttingDown: boolean;
}

export interface PodPrefix {
  /** Canonical text. */
  readonly text: string;
  readonly prefix: Prefix;
  /** Where it is written: the Node's spec.podCIDRs, or an IPAMBlock that the node claimed. */
  readonly from: 'node' | 'block';
}

export type TunnelKind = 'ipip' | 'vxlan';

export interface Pool {
  readonly name: string;
  readonly prefix: Prefix;
  /** undefined: the pool's routes are never tunnelled (so it is with a disabled pool). */
  readonly tunnel: { readonly kind: TunnelKind; readonly mode: 'Always' | 'CrossSubnet' } | undefined;
  /** Whether eBGP peers outside the cluster are told its ranges. */
  readonly exported: boolean;
  /** The nodes that tunnel and advertise its ranges. */
  readonly selects: LabelPredicate;
}

export interface Inventory {
  readonly self: ClusterNode;
  /** In order of name, self among them. */
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  /** In order of name. */
  readonly pools: readonly Pool[];
  /** @param address canonical text; an IPv4-mapped IPv6 address finds the IPv4 node. */
  nodeByAddress(address: string): ClusterNode | undefined;
  /** The node whose pod range covers the prefix whole. */
  ownerOf(prefix: Prefix): ClusterNode | undefined;
  /** The most specific pool that covers the prefix whole. */
  poolOf(prefix: Prefix): Pool | undefined;
  /** Whether the prefix lies in a pool or in a node's pod range. */
  isClusterPrefix(prefix: Prefix): boolean;
  readonly conditions: readonly Condition[];
}

/**
 * @returns an inventory that always has `self`: where its Node object is missing, one of the command line's values alone,
 * with a condition that says so.
 */
export function toInventory(state: ClusterState, self: Self): Inventory {
  const conditions: Condition[] = [];
  const nodes = new Map<string, ClusterNode>();
  const byAddress = new Map<string, ClusterNode>();
  const owners = new PrefixMap<ClusterNode>();
  const blocks = Map.groupBy(blocksInForce([...state.ipamBlocks.values()]).sort(byAge), ({ spec }) => spec.node);
  const names = new Set([...state.nodes.keys(), self.nodeName]);
  for (const name of [...names].sort()) {
    const object = state.nodes.get(name);
    const overrides = name === self.nodeName ? self.nodeIps : {};
    const node = toClusterNode(name, { object, blocks: blocks.get(name) ?? [] }, overrides, state, owners, conditions);
    nodes.set(name, node);
    for (const address of Object.values(node.addresses)) {
      const other = byAddress.get(address);
      if (other === undefined) byAddress.set(address, node);
      else conditions.push(refused('Node', name, 'AddressConflict', `address ${address} is ${other.name}'s already`));
    }
    for (const range of node.podPrefixes) owners.set(range.prefix, node);
  }
  const own = nodes.get(self.nodeName)!;
  if (!state.nodes.has(self.nodeName)) {
    conditions.push(
      refused(
        'Node',
        self.nodeName,
        'NodeMissing',
        'no Node object of this name: no pod ranges, labels or annotations',
      ),
    );
  }
  const pools = [...state.ipPools.values()].map(toPool).sort((a, b) => (a.name < b.name ? -1 : 1));
  const poolMap = new PrefixMap<Pool>();
  for (const pool of pools) poolMap.set(pool.prefix, pool);
  const ownerOf = (prefix: Prefix) => owners.covering(prefix.bytes, prefix.length);
  const poolOf = (prefix: Prefix) => poolMap.covering(prefix.bytes, prefix.length);
  return {
    self: own,
    nodes,
    pools,
    nodeByAddress: (address) => byAddress.get(unmapped(address)),
    ownerOf,
    poolOf,
    isClusterPrefix: (prefix) => poolOf(prefix) !== undefined || ownerOf(prefix) !== undefined,
    conditions,
  };
}

/** The node's tunnel address: the first address of its first pod range of the family, in canonical text; what it borrowed is a pod's. */
export function tunnelAddressOf(node: ClusterNode, family: Family): string | undefined {
  const range = node.podPrefixes.find(({ prefix, text }) => prefix.family === family && !isSingleAddress(text));
  return range && formatAddress(range.prefix.bytes);
}

/** The IPv6 form of an IPv4 address (RFC 4291 §2.5.5.2): the next hop of IPv6 routes of a node that has IPv4 alone. */
export function ipv4Mapped(address: string): string {
  return `::ffff:${address}`;
}

export function isIpv4Mapped(address: string): boolean {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/.test(address);
}

function unmapped(address: string): string {
  return isIpv4Mapped(address) ? address.slice('::ffff:'.length) : address;
}

function toClusterNode(
  name: string,
  { object, blocks }: { readonly object: Node | undefined; readonly blocks: readonly IpamBlock[] },
  overrides: Self['nodeIps'],
  state: ClusterState,
  owners: PrefixMap<ClusterNode>,
  conditions: Condition[],
): ClusterNode {
  const addresses: Partial<Record<Family, string>> = {};
  for (const family of families) {
    const address = overrides[family] ?? (object && internalIp(object, family));
    if (address !== undefined) addresses[family] = address;
  }
  const podPrefixes: PodPrefix[] = [];
  const fromNode = new Set(object?.spec.podCIDRs);
  for (const text of new Set([...fromNode, ...blocks.map(({ spec }) => spec.cidr)])) {
    const prefix = parsePrefix(text)!;
    const other = owners.get(prefix);
    if (other === undefined) podPrefixes.push({ text, prefix, from: fromNode.has(text) ? 'node' : 'block' });
    else {
      const where = fromNode.has(text) ? 'spec.podCIDRs' : 'IPAMBlock';
      const message = `${where}: ${text} is the pod range of node ${other.name} already`;
      conditions.push(refused('Node', name, 'PodCIDRConflict', message));
    }
  }
  const configuration = bgpConfigurationOf(state.bgpConfigurations, name);
  return {
    name,
    labels: object?.metadata.labels ?? {},
    addresses,
    podPrefixes,
    asNumber: (object && annotatedAsNumber(object)) ?? configuration.asNumber,
    routerId: addresses.ipv4 ?? routerIdFromName(name),
    clusterId: object && routeReflectorClusterId(object),
    listenPort: configuration.listenPort,
    shuttingDown: object !== undefined && isShuttingDown(object),
  };
}

/** RFC 6286: any non-zero number, unique in the AS. */
function routerIdFromName(name: string): string {
  const hash = nonZeroHash32(name);
  return formatAddress(Uint8Array.of(hash >>> 24, hash >>> 16, hash >>> 8, hash));
}

function toPool({ metadata, spec }: IpPool): Pool {
  return {
    name: metadata.name,
    prefix: parsePrefix(spec.cidr)!,
    tunnel: spec.disabled ? undefined : poolTunnel(spec),
    exported: !spec.disableBGPExport,
    selects: parseSelector(spec.nodeSelector),
  };
}

function poolTunnel({ ipipMode, vxlanMode }: IpPool['spec']): Pool['tunnel'] {
  if (ipipMode !== 'Never') return { kind: 'ipip', mode: ipipMode };
  return vxlanMode === 'Never' ? undefined : { kind: 'vxlan', mode: vxlanMode };
}
