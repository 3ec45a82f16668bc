/** From `addPaths` of a BGPPeer to what each end offers. */

import { describe, expect, test } from 'vitest';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

const all = Infinity;
const noMesh = ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }');

test.each<[string, object | undefined]>([
  ['', undefined],
  ['addPaths: {}', { receive: false, sendMaximum: 0 }],
  ['addPaths: { receive: true }', { receive: true, sendMaximum: 0 }],
  ['addPaths: { send: All }', { receive: false, sendMaximum: all }],
  ['addPaths: { receive: true, send: Best, sendMaximum: 4 }', { receive: true, sendMaximum: 4 }],
])('a peer by address: %s', (field, expected) => {
  const peer = ours('BGPPeer', 'tor', `{ peerIP: 10.0.1.1, asNumber: 65001, ${field} }`);
  const { settings } = toSpeakerSettings(clusterOf(node('a', '10.0.0.1'), peer), selfOf('a'));
  expect(settings.neighbors.map(({ addPaths }) => addPaths)).toEqual([expected]);
});

describe('peerSelector: what the nodes say of themselves, and what the selected node does for it', () => {
  test.each<[string, object, object]>([
    ['{ receive: true }', { receive: true, sendMaximum: 0 }, { receive: false, sendMaximum: all }],
    ['{ send: All }', { receive: false, sendMaximum: all }, { receive: true, sendMaximum: 0 }],
    ['{ send: Best, sendMaximum: 3 }', { receive: false, sendMaximum: 3 }, { receive: true, sendMaximum: 0 }],
    [
      '{ receive: true, send: Best, sendMaximum: 3 }',
      { receive: true, sendMaximum: 3 },
      { receive: true, sendMaximum: 3 },
    ],
  ])('%s', (field, ofNode, ofReflector) => {
    const peer = ours(
      'BGPPeer',
      'reflectors',
      `{ nodeSelector: '!has(role)', peerSelector: has(role), addPaths: ${field} }`,
    );
    const state = clusterOf(
      noMesh,
      node('a', '10.0.0.1'),
      node('r', '10.0.0.9', { labels: { role: 'reflector' }, clusterId: '1.0.0.1' }),
      peer,
    );
    const addPathsOf = (name: string) =>
      toSpeakerSettings(state, selfOf(name)).settings.neighbors.map(({ addPaths }) => addPaths);
    expect([addPathsOf('a'), addPathsOf('r')]).toEqual([[ofNode], [ofReflector]]);
  });

  test.each<[string, object]>([
    ['Auto', { receive: true, sendMaximum: all }],
    ['Manual', { receive: true, sendMaximum: 0 }],
  ])('nodes that select each other, reversePeering: %s', (reversePeering, expected) => {
    const peer = ours(
      'BGPPeer',
      'all',
      `{ peerSelector: all(), reversePeering: ${reversePeering}, addPaths: { receive: true } }`,
    );
    const state = clusterOf(noMesh, node('a', '10.0.0.1'), node('b', '10.0.0.2'), peer);
    const { settings } = toSpeakerSettings(state, selfOf('a'));
    expect(settings.neighbors.map(({ addPaths }) => addPaths)).toEqual([expected]);
  });
});

test('two BGPPeers for one address that differ in it are a conflict', () => {
  const peer = (name: string, field: string) => ours('BGPPeer', name, `{ peerIP: 10.0.1.1, asNumber: 65001${field} }`);
  const state = clusterOf(node('a', '10.0.0.1'), peer('a', ''), peer('b', ', addPaths: { receive: true }'));
  const { conditions } = toSpeakerSettings(state, selfOf('a'));
  expect(conditions.find(({ object }) => object.name === 'b')).toMatchObject({
    reason: 'Conflict',
    message: '10.0.1.1: BGPPeer a is older and has another addPaths',
  });
});
