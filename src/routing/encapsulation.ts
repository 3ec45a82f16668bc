/**
 * Direct or through a tunnel: the rule, and the tunnel devices it needs.
 * Implements: RFC 2003 (IP in IP) and RFC 7348 (VXLAN) as devices of fixed names; static VTEPs, so neither floods nor learns.
 * Leaves out: making the devices (dataplane/tunnels.ts) and the routes through them (kernel-route.ts).
 * Holds: a route is tunnelled only where its prefix lies in a pool that says so and its next hop is a cluster node.
 */

import { families, familyOf, formatAddress, parseAddress, type Family } from '../../bgp/ip.ts';
import type { LinkStatus, ResolvedNextHop, Tunnel, TunnelSupport, VxlanPeer } from '../../dataplane/index.ts';
import { fingerprint } from '../topology/hash.ts';
import {
  tunnelAddressOf,
  type ClusterNode,
  type Inventory,
  type Pool,
  type TunnelKind,
} from '../topology/inventory.ts';

/** What the kernel knows of the network below the pods; dataplane's LinkMonitor is one. */
export interface Underlay {
  links(): readonly LinkStatus[];
  /** By connected and static routes alone. @returns undefined: no way. */
  resolve(address: string): ResolvedNextHop | undefined;
}

export type TunnelSupports = Readonly<Record<TunnelKind, TunnelSupport>>;

export const tunnelNames = { ipip: 'godwit-ipip', vxlan: 'godwit-vxlan' } as const satisfies Record<TunnelKind, string>;

/** Of our own, so that another CNI's device on the same port does not clash. All nodes must agree. */
const vxlanNetworkIdentifier = 26487;
/** RFC 7348 §8. */
const vxlanPort = 4789;

/** Bytes that a tunnel puts before the inner packet: outer IP, and for VXLAN also UDP (8), VXLAN (8) and Ethernet (14). */
const overhead = {
  ipip: { ipv4: 20, ipv6: 40 },
  vxlan: { ipv4: 50, ipv6: 70 },
} as const satisfies Record<TunnelKind, Record<Family, number>>;

const usualMtu = 1500;

export interface Encapsulation {
  readonly kind: 'direct' | TunnelKind;
  /** The rule that decided, in words. */
  readonly because: string;
}

/**
 * @param node the cluster node that is the next hop, where it is one
 * @param connected whether the next hop lies on a connected subnet
 */
export function encapsulationOf(
  pool: Pool | undefined,
  self: ClusterNode,
  node: ClusterNode | undefined,
  connected: boolean,
): Encapsulation {
  if (pool === undefined) return { kind: 'direct', because: 'the prefix lies in no pool' };
  if (pool.tunnel === undefined) return { kind: 'direct', because: `pool ${pool.name} never tunnels` };
  if (node === undefined) return { kind: 'direct', because: 'the next hop is no node of the cluster' };
  for (const end of [self, node]) {
    if (!pool.selects(end.labels))
      return { kind: 'direct', because: `pool ${pool.name} does not select node ${end.name}` };
  }
  const { kind, mode } = pool.tunnel;
  const rule = `pool ${pool.name} has ${kind}Mode ${mode}`;
  if (mode === 'Always') return { kind, because: rule };
  return connected
    ? { kind: 'direct', because: `${rule} and node ${node.name} is on a connected subnet` }
    : { kind, because: `${rule} and node ${node.name} is on no connected subnet` };
}

/** The family of the outer packets of this node's VXLAN device: IPv4 where the node has it. */
export function vtepFamily(self: ClusterNode): Family | undefined {
  if (self.addresses.ipv4 !== undefined) return 'ipv4';
  return self.addresses.ipv6 === undefined ? undefined : 'ipv6';
}

/**
 * The MAC of a node's VTEP, the same wherever it is computed: locally administered, unicast.
 * @param address the node's address of the outer family, canonical text
 */
export function vtepMac(address: string): string {
  return [...vtepMacBytes(address)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/**
 * The gateway of VXLAN routes of the family to the node. IPv4: its tunnel address. IPv6: the link-local address of its VTEP
 * (RFC 4291 appendix A), because Linux refuses a global on-link gateway for which any other route leads elsewhere, and
 * the pod range's own route does so as long as it is direct.
 * @param remote the node's address of the outer family
 * @returns undefined: the node has no pod range of the family.
 */
export function vxlanGateway(node: ClusterNode, family: Family, remote: string): string | undefined {
  const tunnelAddress = tunnelAddressOf(node, family);
  if (family === 'ipv4' || tunnelAddress === undefined) return tunnelAddress;
  const mac = vtepMacBytes(remote);
  const interfaceId = [mac[0] ^ 0x02, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]];
  return formatAddress(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...interfaceId));
}

function vtepMacBytes(address: string): Uint8Array {
  const bytes = parseAddress(address)!;
  if (familyOf(bytes) === 'ipv4') return Uint8Array.of(0x02, 0x67, ...bytes);
  const digits = fingerprint(address);
  return Uint8Array.of(0x02, ...[0, 2, 4, 6, 8].map((at) => Number.parseInt(digits.slice(at, at + 2), 16)));
}

/** The devices that the pools ask for and this kernel can make, in order of name. */
export function toTunnels(inventory: Inventory, underlay: Underlay, supports: TunnelSupports): readonly Tunnel[] {
  const kinds = new Set(inventory.pools.flatMap((pool) => pool.tunnel?.kind ?? []));
  const wanted = (kind: TunnelKind) => kinds.has(kind) && supports[kind].supported;
  return [
    ...(wanted('ipip') ? ipipTunnel(inventory, underlay) : []),
    ...(wanted('vxlan') ? vxlanTunnel(inventory, underlay) : []),
  ];
}

function ipipTunnel(inventory: Inventory, underlay: Underlay): readonly Tunnel[] {
  const { self } = inventory;
  const local = self.addresses.ipv4;
  if (local === undefined) return [];
  return [
    {
      kind: 'ipip',
      name: tunnelNames.ipip,
      local,
      mtu: tunnelMtu('ipip', local, inventory, underlay),
      addresses: tunnelAddresses(self, ['ipv4']),
    },
  ];
}

function vxlanTunnel(inventory: Inventory, underlay: Underlay): readonly Tunnel[] {
  const { self } = inventory;
  const outer = vtepFamily(self);
  const local = outer && self.addresses[outer];
  if (outer === undefined || local === undefined) return [];
  return [
    {
      kind: 'vxlan',
      name: tunnelNames.vxlan,
      local,
      vni: vxlanNetworkIdentifier,
      port: vxlanPort,
      mtu: tunnelMtu('vxlan', local, inventory, underlay),
      mac: vtepMac(local),
      addresses: tunnelAddresses(self, ['ipv4', 'ipv6']),
      peers: [...inventory.nodes.values()].flatMap((node) => (node === self ? [] : vxlanPeer(node, outer))),
    },
  ];
}

function vxlanPeer(node: ClusterNode, outer: Family): readonly VxlanPeer[] {
  const remote = node.addresses[outer];
  if (remote === undefined) return [];
  const gateways = families.flatMap((family) => vxlanGateway(node, family, remote) ?? []);
  return gateways.length === 0 ? [] : [{ remote, mac: vtepMac(remote), gateways }];
}

function tunnelAddresses(self: ClusterNode, inside: readonly Family[]): readonly string[] {
  return inside.flatMap((family) => {
    const address = tunnelAddressOf(self, family);
    return address === undefined ? [] : [`${address}/${family === 'ipv4' ? 32 : 128}`];
  });
}

/**
 * The MTU of pods' links on this node: a full packet reaches any other node, through the tunnel of the ranges' pools where
 * they have one, also one that is used to some nodes only.
 */
export function podMtu(inventory: Inventory, underlay: Underlay): number {
  const { self, poolOf } = inventory;
  const direct = Object.values(self.addresses).map((local) => underlayMtu(local, inventory, underlay));
  const tunnelled = self.podPrefixes.flatMap(({ prefix }) => {
    const pool = poolOf(prefix);
    if (pool?.tunnel === undefined || !pool.selects(self.labels)) return [];
    const { kind } = pool.tunnel;
    const outer = kind === 'ipip' ? 'ipv4' : vtepFamily(self);
    const local = outer && self.addresses[outer];
    return local === undefined ? [] : [tunnelMtu(kind, local, inventory, underlay)];
  });
  return Math.min(...(direct.length > 0 ? direct : [usualMtu]), ...tunnelled);
}

function tunnelMtu(kind: TunnelKind, local: string, inventory: Inventory, underlay: Underlay): number {
  const family = local.includes(':') ? 'ipv6' : 'ipv4';
  return underlayMtu(local, inventory, underlay) - overhead[kind][family];
}

/** The MTU of the link with the node's address; where that is no link out (a loopback address), the least of the links to other nodes. */
function underlayMtu(local: string, inventory: Inventory, underlay: Underlay): number {
  const links = underlay.links();
  const holder = links.find((link) => link.addresses.some((cidr) => cidr.slice(0, cidr.indexOf('/')) === local));
  if (holder !== undefined && holder.name !== 'lo') return holder.mtu;
  const waysOut = new Set<string>();
  for (const node of inventory.nodes.values()) {
    for (const address of node === inventory.self ? [] : Object.values(node.addresses)) {
      const way = underlay.resolve(address);
      if (way !== undefined) waysOut.add(way.interfaceName);
    }
  }
  const mtus = links.filter((link) => waysOut.has(link.name)).map((link) => link.mtu);
  return mtus.length > 0 ? Math.min(...mtus) : usualMtu;
}
