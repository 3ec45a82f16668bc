/** How the IPPools say that a flow is carried. */

import { BlockList, isIPv6 } from 'node:net';
import type { EncapsulationMode, IpPool } from '../../resources/ip-pool.ts';
import type { Flow } from '../endpoints.ts';
import type { Carriage } from '../wire.ts';

/** @returns undefined where the flow crosses no rack's wire: on one node, or between two outside hosts. */
export function expectedCarriage({ from, to, family }: Flow, pools: readonly IpPool[]): Carriage | undefined {
  if (from.node !== undefined && from.node === to.node) return undefined;
  if (from.node === undefined && to.node === undefined) return undefined;
  // Outside hosts know no tunnels; pods reach them, and are reached, through the switches.
  if (from.node === undefined || to.node === undefined) return 'plain';
  const pool = pools.find(({ spec }) => !spec.disabled && contains(spec.cidr, to[family]));
  const applies = (mode: EncapsulationMode | undefined): boolean =>
    mode === 'Always' || (mode === 'CrossSubnet' && from.segment !== to.segment);
  if (applies(pool?.spec.vxlanMode)) return 'vxlan';
  return applies(pool?.spec.ipipMode) ? 'ipip' : 'plain';
}

function contains(cidr: string, address: string): boolean {
  const [network, length] = cidr.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(length), isIPv6(network) ? 'ipv6' : 'ipv4');
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
