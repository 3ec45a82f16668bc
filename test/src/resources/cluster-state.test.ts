/** The state of the cluster: one map a kind. */

import { expect, test } from 'vitest';
import { applyChange, emptyClusterState, type ClusterState } from '../../../src/resources/cluster-state.ts';
import { validateManifest, type Resource } from '../../../src/resources/resource.ts';

const manifests: readonly [keyof ClusterState, string, object][] = [
  ['nodes', 'a', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } }],
  ['pods', 'shop/web', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' } }],
  ['namespaces', 'shop', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }],
  [
    'networkPolicies',
    'default/p',
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p' }, spec: { podSelector: {} } },
  ],
  ['secrets', 'default/s', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: 'YQ==' } }],
  ['bgpConfigurations', 'default', ours('BGPConfiguration', 'default', {})],
  ['bgpPeers', 'tor', ours('BGPPeer', 'tor', { peerIP: '10.0.0.1', asNumber: 65001 })],
  ['bgpFilters', 'f', ours('BGPFilter', 'f', {})],
  ['ipPools', 'pods', ours('IPPool', 'pods', { cidr: '10.244.0.0/16' })],
  ['ipReservations', 'r', ours('IPReservation', 'r', { reservedCIDRs: ['10.244.0.0/28'] })],
  ['ipamBlocks', '10-244-0-0-26', ours('IPAMBlock', '10-244-0-0-26', { cidr: '10.244.0.0/26', node: 'a', pool: 'p' })],
];

test.each(manifests)('%s holds %s until it is deleted; applying twice is applying once', (map, name, manifest) => {
  const object = valid(manifest);
  const state = emptyClusterState();
  for (let i = 0; i < 2; i++) applyChange(state, { kind: 'upsert', object });
  expect([...state[map]]).toEqual([[name, object]]);
  const others = Object.values(state).filter((other) => other !== state[map]);
  expect(others.map(({ size }) => size)).toEqual(Array.from({ length: 10 }, () => 0));
  for (let i = 0; i < 2; i++) applyChange(state, { kind: 'delete', object });
  expect(state).toEqual(emptyClusterState());
});

function ours(kind: string, name: string, spec: object) {
  return { apiVersion: 'godwit.dev/v1', kind, metadata: { name }, spec };
}

function valid(manifest: unknown): Resource {
  const validation = validateManifest(manifest);
  if (validation.kind !== 'valid') throw new Error(`not valid: ${JSON.stringify(validation)}`);
  return validation.resource;
}
