/**
 * What this node originates: its pod ranges, each block that it claimed among them.
 * Leaves out: service addresses.
 * Holds: a range that no packet could follow back is not told: it gets a condition instead.
 */

import type { OriginatedRoute } from '../../bgp/index.ts';
import type { Family } from '../../bgp/ip.ts';
import { refused, type Condition } from './condition.ts';
import { ipv4Mapped, type Inventory, type PodPrefix } from './inventory.ts';

export interface Advertisements {
  readonly originated: readonly OriginatedRoute[];
  /** The next hop that this node gives of itself. */
  readonly nextHopSelf: Partial<Readonly<Record<Family, string>>>;
  readonly conditions: readonly Condition[];
}

/** @param hasLinkLocalPeers whether some peer is on a link of its own, where the link's address is next hop enough */
export function toAdvertisements(inventory: Inventory, hasLinkLocalPeers = false): Advertisements {
  const { self } = inventory;
  const originated: OriginatedRoute[] = [];
  const conditions: Condition[] = [];
  const nextHopSelf: Partial<Record<Family, string>> = { ...self.addresses };
  for (const range of self.podPrefixes) {
    const { family } = range.prefix;
    const problem = whyNot(range, inventory, hasLinkLocalPeers);
    if (problem !== undefined) {
      conditions.push(refused('Node', self.name, 'NotAdvertised', `pod range ${range.text}: ${problem}`));
      continue;
    }
    // RFC 4291 §2.5.5.2: an IPv6 next hop out of the IPv4 address; whoever hears it needs the VXLAN tunnel to follow it.
    if (family === 'ipv6' && isAlwaysInVxlan(range, inventory)) nextHopSelf.ipv6 ??= ipv4Mapped(self.addresses.ipv4!);
    originated.push({ prefix: range.text, source: 'node-pods' });
  }
  return { originated, nextHopSelf, conditions };
}

function whyNot(range: PodPrefix, inventory: Inventory, hasLinkLocalPeers: boolean): string | undefined {
  const { prefix } = range;
  const { self, poolOf } = inventory;
  const pool = poolOf(prefix);
  if (pool !== undefined && !pool.selects(self.labels)) return `pool ${pool.name} does not select this node`;
  if (self.addresses[prefix.family] !== undefined || hasLinkLocalPeers) return undefined;
  // RFC 8950: who understands it is told the IPv6 address, and nobody else is told anything.
  if (prefix.family === 'ipv4') {
    return self.addresses.ipv6 === undefined ? 'the node has no address to be its next hop' : undefined;
  }
  return isAlwaysInVxlan(range, inventory)
    ? undefined
    : 'the node has no IPv6 address to be its next hop, and no pool with vxlanMode Always holds it';
}

/** Over IPv4, so that an IPv6 range needs no IPv6 address of the node. */
function isAlwaysInVxlan({ prefix }: PodPrefix, { self, poolOf }: Inventory): boolean {
  const tunnel = poolOf(prefix)?.tunnel;
  return tunnel?.kind === 'vxlan' && tunnel.mode === 'Always' && self.addresses.ipv4 !== undefined;
}
