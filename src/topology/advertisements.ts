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

export function toAdvertisements(inventory: Inventory): Advertisements {
  const { self } = inventory;
  const originated: OriginatedRoute[] = [];
  const conditions: Condition[] = [];
  const nextHopSelf: Partial<Record<Family, string>> = { ...self.addresses };
  for (const range of self.podPrefixes) {
    const { family } = range.prefix;
    const problem = whyNot(range, inventory);
    if (problem !== undefined) {
      conditions.push(refused('Node', self.name, 'NotAdvertised', `pod range ${range.text}: ${problem}`));
      continue;
    }
    // RFC 4291 §2.5.5.2: an IPv6 next hop out of the IPv4 address; whoever hears it needs the VXLAN tunnel to follow it.
    if (family === 'ipv6') nextHopSelf.ipv6 ??= ipv4Mapped(self.addresses.ipv4!);
    originated.push({ prefix: range.text, source: 'node-pods' });
  }
  return { originated, nextHopSelf, conditions };
}

function whyNot({ prefix }: PodPrefix, { self, poolOf }: Inventory): string | undefined {
  const pool = poolOf(prefix);
  if (pool !== undefined && !pool.selects(self.labels)) return `pool ${pool.name} does not select this node`;
  if (self.addresses[prefix.family] !== undefined) return undefined;
  if (prefix.family === 'ipv4') return 'the node has no IPv4 address to be its next hop';
  const carried = pool?.tunnel?.kind === 'vxlan' && pool.tunnel.mode === 'Always' && self.addresses.ipv4 !== undefined;
  return carried
    ? undefined
    : 'the node has no IPv6 address to be its next hop, and no pool with vxlanMode Always holds it';
}
