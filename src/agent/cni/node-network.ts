/** What of the node's own objects and links the pods' network depends on. */

import type { LinkMonitor } from '../../../dataplane/index.ts';
import { parseReservedList, reservedAddressesAnnotation } from '../../ipam/annotations.ts';
import type { ClusterState } from '../../resources/cluster-state.ts';
import { podMtu } from '../../routing/encapsulation.ts';
import type { Inventory } from '../../topology/inventory.ts';
import type { NodeNetwork } from './attacher.ts';

export function toNodeNetwork(state: ClusterState, inventory: Inventory, links: LinkMonitor): NodeNetwork {
  const { name, podPrefixes } = inventory.self;
  const text = state.nodes.get(name)?.metadata.annotations[reservedAddressesAnnotation];
  const reserved = text === undefined ? { addresses: [] } : parseReservedList(text);
  const network = {
    podRanges: podPrefixes.filter(({ from }) => from === 'node').map(({ text }) => text),
    mtu: podMtu(inventory, links),
  };
  if ('addresses' in reserved) {
    const everywhere = [...state.ipReservations.values()].flatMap(({ spec }) => spec.reservedCIDRs);
    return { ...network, reserved: [...reserved.addresses, ...everywhere], problem: undefined };
  }
  const problem = `node ${name}: the annotation ${reservedAddressesAnnotation} is invalid: ${reserved.reason}`;
  return { ...network, reserved: [], problem };
}
