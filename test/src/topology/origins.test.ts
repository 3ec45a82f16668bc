/** Why there is a session: the mesh, a BGPPeer for this node, or one for all nodes. */

import { expect, test } from 'vitest';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

test.each<[fields: string, ofA: string, ofReflector: string]>([
  ['peerIP: 10.0.1.1, asNumber: 65001', 'global', 'global'],
  ['peerIP: 10.0.1.1, asNumber: 65001, node: a', 'node', '-'],
  ['peerIP: 10.0.1.1, asNumber: 65001, nodeSelector: has(role)', '-', 'node'],
  ['peerRange: 10.0.2.0/24, asNumber: 65001', 'global', 'global'],
  ['peerSelector: has(role)', 'global', 'node'],
  ["peerSelector: has(role), nodeSelector: '!has(role)'", 'node', 'node'],
  ['peerSelector: all()', 'global', 'global'],
])('%s', (fields, ofA, ofReflector) => {
  const state = clusterOf(
    ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }'),
    node('a', '10.0.0.1'),
    node('r', '10.0.0.9', { labels: { role: 'reflector' } }),
    ours('BGPPeer', 'p', `{ ${fields} }`),
  );
  const kindOf = (name: string) =>
    [...toSpeakerSettings(state, selfOf(name)).origins.values()].map(({ kind }) => kind).join(' ') || '-';
  expect([kindOf('a'), kindOf('r')]).toEqual([ofA, ofReflector]);
});

test('a session with a node tells its addresses; the mesh is one kind', () => {
  const peer = ours('BGPPeer', 'tor', '{ peerIP: 10.0.1.1, asNumber: 65001 }');
  const state = clusterOf(node('a', '10.0.0.1'), node('b', '10.0.0.2'), peer);
  expect(toSpeakerSettings(state, selfOf('a')).origins).toEqual(
    new Map([
      ['peer_tor', { kind: 'global' }],
      ['mesh_b', { kind: 'mesh', addresses: { ipv4: '10.0.0.2' } }],
    ]),
  );
});
