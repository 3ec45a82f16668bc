/**
 * The cluster as its objects tell it: one map a kind, by name (`NAMESPACE/NAME` where the kind has a namespace).
 * Holds: applying a change twice is applying it once.
 */

import type { BgpConfiguration } from './bgp-configuration.ts';
import type { BgpFilter } from './bgp-filter.ts';
import type { BgpPeer } from './bgp-peer.ts';
import type { IpPool } from './ip-pool.ts';
import type { IpReservation } from './ip-reservation.ts';
import type { IpamBlock } from './ipam-block.ts';
import type { Namespace } from './namespace.ts';
import type { NetworkPolicy } from './network-policy.ts';
import type { Node } from './node.ts';
import type { Pod } from './pod.ts';
import type { Secret } from './secret.ts';
import { objectName, type Resource, type ResourceChange, type ResourceKind } from './resource.ts';

export interface ClusterState {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly networkPolicies: ReadonlyMap<string, NetworkPolicy>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly bgpConfigurations: ReadonlyMap<string, BgpConfiguration>;
  readonly bgpPeers: ReadonlyMap<string, BgpPeer>;
  readonly bgpFilters: ReadonlyMap<string, BgpFilter>;
  readonly ipPools: ReadonlyMap<string, IpPool>;
  readonly ipReservations: ReadonlyMap<string, IpReservation>;
  readonly ipamBlocks: ReadonlyMap<string, IpamBlock>;
}

export function emptyClusterState(): ClusterState {
  return {
    nodes: new Map(),
    pods: new Map(),
    namespaces: new Map(),
    networkPolicies: new Map(),
    secrets: new Map(),
    bgpConfigurations: new Map(),
    bgpPeers: new Map(),
    bgpFilters: new Map(),
    ipPools: new Map(),
    ipReservations: new Map(),
    ipamBlocks: new Map(),
  };
}

/** Changes the state in place. Only its owner calls this; everyone else reads. */
export function applyChange(state: ClusterState, { kind, object }: ResourceChange): void {
  const map = state[mapNames[object.kind]] as Map<string, Resource>;
  if (kind === 'upsert') map.set(objectName(object), object);
  else map.delete(objectName(object));
}

const mapNames = {
  Node: 'nodes',
  Pod: 'pods',
  Namespace: 'namespaces',
  NetworkPolicy: 'networkPolicies',
  Secret: 'secrets',
  BGPConfiguration: 'bgpConfigurations',
  BGPPeer: 'bgpPeers',
  BGPFilter: 'bgpFilters',
  IPPool: 'ipPools',
  IPReservation: 'ipReservations',
  IPAMBlock: 'ipamBlocks',
} as const satisfies Record<ResourceKind, keyof ClusterState>;
