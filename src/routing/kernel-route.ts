/**
 * From BGP next hops to what the kernel is told: gateway, interface, tunnel, preferred source; or why it cannot be.
 * Implements: RFC 4271 §5.1.3 and §9.1.2.1 (recursive lookup), through the kernel's connected and static routes alone; RFC 8950 §3 (IPv4
 *   routes with an IPv6 next hop); RFC 2545 §3 (link-local ones lie on their interface).
 * Leaves out: which paths are best (bgp/rib), and when to tell the kernel (route-programmer.ts).
 * Holds: the answer depends on family, pool and next hops, not on the prefix: 200,000 routes share a few answers.
 */

import { familyOfText, splitScope, type Family } from '../../bgp/ip.ts';
import type { KernelNextHop } from '../../dataplane/index.ts';
import { isIpv4Mapped, tunnelAddressOf, type ClusterNode, type Inventory, type Pool } from '../topology/inventory.ts';
import { unreachable } from '../unreachable.ts';
import {
  encapsulationOf,
  tunnelNames,
  vtepFamily,
  vxlanGateway,
  type TunnelSupports,
  type Underlay,
} from './encapsulation.ts';

export interface ForwardingContext {
  readonly inventory: Inventory;
  readonly underlay: Underlay;
  readonly tunnelSupport: TunnelSupports;
}

/** How the packets to one next hop leave, or the problem that keeps them. */
export interface HopDecision {
  readonly nextHop: string;
  /** Name of the cluster node that is the next hop. */
  readonly node: string | undefined;
  readonly encapsulation: 'direct' | 'ipip' | 'vxlan';
  readonly because: string;
  readonly hop: KernelNextHop | { readonly problem: string };
}

/** The kernel has eight bits for it. */
const mostWeight = 256;

export interface Forwarding {
  /** Two forwardings with equal keys tell the kernel the same. */
  readonly key: string;
  /** Empty: unroutable, for the reasons in `decisions`. */
  readonly nextHops: readonly KernelNextHop[];
  readonly preferredSource: string | undefined;
  readonly decisions: readonly HopDecision[];
}

/**
 * @param nextHops canonical text, the best path's first; equal ones count once
 * @param weights 1..256, of each next hop in its place; undefined: they share alike
 * @returns next hops in order of their text, so that the order of paths changes nothing; those with a problem are left out
 */
export function toForwarding(
  family: Family,
  pool: Pool | undefined,
  nextHops: readonly string[],
  context: ForwardingContext,
  weights?: readonly number[],
): Forwarding {
  const decisions = [...new Set(nextHops)].map((nextHop) => decideHop(family, pool, nextHop, context));
  const hops = new Map<string, KernelNextHop>();
  const parts = new Map<string, number>();
  let tunnelled = false;
  for (const { nextHop, hop, encapsulation } of decisions) {
    if ('problem' in hop) continue;
    const key = `${hop.gateway} ${hop.interfaceName}`;
    hops.set(key, hop);
    if (weights !== undefined) parts.set(key, (parts.get(key) ?? 0) + weights[nextHops.indexOf(nextHop)]);
    tunnelled ||= encapsulation !== 'direct';
  }
  const keys = [...hops.keys()].sort();
  const forwarded = keys.map((key): KernelNextHop => {
    const hop = hops.get(key)!;
    // The kernel has no weight where there is one next hop.
    return weights === undefined || keys.length === 1 ? hop : { ...hop, weight: Math.min(mostWeight, parts.get(key)!) };
  });
  // A host's own packets must carry an address whose replies come back through the tunnel.
  const preferredSource = tunnelled ? tunnelAddressOf(context.inventory.self, family) : undefined;
  return {
    key: `${keys.map((key, i) => [key, forwarded[i].weight].join(' ')).join(', ')} from ${preferredSource}`,
    nextHops: forwarded,
    preferredSource,
    decisions,
  };
}

/** @returns the reasons why nothing can be forwarded, in one line. */
export function unroutableReason(forwarding: Forwarding): string {
  return forwarding.decisions.flatMap(({ hop }) => ('problem' in hop ? hop.problem : [])).join('; ');
}

function decideHop(family: Family, pool: Pool | undefined, nextHop: string, context: ForwardingContext): HopDecision {
  const { inventory, underlay } = context;
  const node = inventory.nodeByAddress(nextHop);
  const way = isIpv4Mapped(nextHop) ? undefined : underlay.resolve(nextHop);
  const { kind, because } = encapsulationOf(pool, inventory.self, node, way?.connected ?? false);
  const decision = { nextHop, node: node?.name, encapsulation: kind, because };
  if (node === inventory.self) return { ...decision, hop: { problem: `next hop ${nextHop} is this node itself` } };
  switch (kind) {
    case 'direct':
      return { ...decision, hop: directHop(family, nextHop, way) };
    case 'ipip':
      return { ...decision, hop: ipipHop(node!, context) };
    case 'vxlan':
      return { ...decision, hop: vxlanHop(family, node!, context) };
    default:
      return unreachable(kind);
  }
}

function directHop(family: Family, nextHop: string, way: ReturnType<Underlay['resolve']>): HopDecision['hop'] {
  if (isIpv4Mapped(nextHop)) {
    return { problem: `next hop ${nextHop} has no IPv6 address: its IPv6 routes need a pool with vxlanMode Always` };
  }
  // RFC 8950 gives IPv4 routes IPv6 next hops; the kernel knows no other mixture.
  if (family === 'ipv6' && familyOfText(nextHop) === 'ipv4') {
    return { problem: `next hop ${nextHop} is an IPv4 address: no IPv6 route can lead there` };
  }
  const { address, scope } = splitScope(nextHop);
  if (way === undefined) {
    const why = scope === undefined ? 'no static route leads to it' : `there is no interface ${scope}, or it is down`;
    return { problem: `next hop ${nextHop} is on no connected subnet, and ${why}` };
  }
  return { gateway: way.gateway ?? address, interfaceName: way.interfaceName };
}

function ipipHop(node: ClusterNode, { inventory, tunnelSupport }: ForwardingContext): HopDecision['hop'] {
  const { supported, reason } = tunnelSupport.ipip;
  if (!supported) return { problem: unsupported('IP-in-IP', reason) };
  if (inventory.self.addresses.ipv4 === undefined)
    return { problem: 'this node has no IPv4 address for an IP-in-IP tunnel' };
  const gateway = node.addresses.ipv4;
  if (gateway === undefined) return { problem: `node ${node.name} has no IPv4 address for an IP-in-IP tunnel` };
  return { gateway, interfaceName: tunnelNames.ipip, onLink: true };
}

function vxlanHop(
  family: Family,
  node: ClusterNode,
  { inventory, tunnelSupport }: ForwardingContext,
): HopDecision['hop'] {
  const { supported, reason } = tunnelSupport.vxlan;
  if (!supported) return { problem: unsupported('VXLAN', reason) };
  const outer = vtepFamily(inventory.self);
  if (outer === undefined) return { problem: 'this node has no address for a VXLAN tunnel' };
  const remote = node.addresses[outer];
  if (remote === undefined) {
    return { problem: `node ${node.name} has no ${familyNames[outer]} address for a VXLAN tunnel` };
  }
  const gateway = vxlanGateway(node, family, remote);
  if (gateway === undefined) {
    return { problem: `node ${node.name} has no ${familyNames[family]} pod range, so no tunnel address` };
  }
  return { gateway, interfaceName: tunnelNames.vxlan, onLink: true };
}

const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const satisfies Record<Family, string>;

function unsupported(what: string, reason: string | undefined): string {
  return `this kernel makes no ${what} tunnel${reason === undefined ? '' : `: ${reason}`}`;
}
