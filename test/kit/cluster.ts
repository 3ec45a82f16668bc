/** A cluster for tests: manifests through the real validator, short forms of nodes and peers, routes as a filter sees them. */

import { parse, parseAllDocuments } from 'yaml';
import type { FilteredRoute } from '../../bgp/index.ts';
import { parsePrefix } from '../../bgp/ip.ts';
import { applyChange, emptyClusterState, type ClusterState } from '../../src/resources/cluster-state.ts';
import { validateManifest } from '../../src/resources/resource.ts';
import type { Self } from '../../src/topology/inventory.ts';

/** @param manifests YAML documents or objects. @throws where one is invalid. */
export function clusterOf(...manifests: readonly (string | object)[]): ClusterState {
  const state = emptyClusterState();
  for (const manifest of manifests.flatMap(toObjects)) {
    const validation = validateManifest(manifest);
    if (validation.kind !== 'valid') throw new Error(JSON.stringify(validation));
    applyChange(state, { kind: 'upsert', object: validation.resource });
  }
  return state;
}

interface NodeForm {
  readonly pods?: readonly string[];
  readonly labels?: Record<string, string>;
  readonly clusterId?: string;
  readonly asNumber?: number;
  readonly shuttingDown?: boolean;
}

/** @param addresses InternalIPs, separated by spaces */
export function node(name: string, addresses: string, form: NodeForm = {}): object {
  const annotations = {
    ...(form.clusterId && { 'godwit.dev/route-reflector-cluster-id': form.clusterId }),
    ...(form.shuttingDown && { 'godwit.dev/graceful-shutdown': 'true' }),
    ...(form.asNumber && { 'godwit.dev/as-number': String(form.asNumber) }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: form.labels ?? {}, annotations },
    spec: { podCIDRs: form.pods ?? [] },
    status: { addresses: addresses.split(' ').map((address) => ({ type: 'InternalIP', address })) },
  };
}

type OurKind = 'BGPPeer' | 'BGPFilter' | 'BGPConfiguration' | 'IPPool' | 'IPReservation' | 'IPAMBlock';

/** @param spec in YAML's flow form: `{ peerIP: 10.0.0.1, asNumber: 65001 }` */
export function ours(kind: OurKind, name: string, spec: string, creationTimestamp?: string): object {
  return { apiVersion: 'godwit.dev/v1', kind, metadata: { name, creationTimestamp }, spec: parse(spec) as unknown };
}

export function selfOf(nodeName: string, roles: readonly string[] = ['bgp', 'routes']): Self {
  return { nodeName, nodeIps: {}, roles };
}

export function routeOf(prefix: string, fields: Partial<FilteredRoute> = {}): FilteredRoute {
  const { family, bytes, length } = parsePrefix(prefix)!;
  return {
    family,
    prefix,
    prefixBytes: bytes,
    prefixLength: length,
    nextHop: '192.0.2.1',
    asPath: [],
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    peerInterface: undefined,
    originatorId: undefined,
    localPref: undefined,
    med: undefined,
    fibMetric: undefined,
    peerName: 'peer',
    peerAddress: '192.0.2.1',
    peerType: 'iBGP',
    peerRouterId: '192.0.2.1',
    ...fields,
  };
}

function toObjects(manifest: string | object): readonly unknown[] {
  if (typeof manifest !== 'string') return [manifest];
  return parseAllDocuments(manifest).map((document) => document.toJS() as unknown);
}
