/** From a BGPPeer's words on routes to the speaker's settings. */

import { describe, expect, test } from 'vitest';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

const a = node('a', '10.0.0.1');
const b = node('b', '10.0.0.2');

function settingsOf(...manifests: readonly object[]) {
  return toSpeakerSettings(clusterOf(...manifests), selfOf('a')).settings;
}

function neighborOf(spec: string) {
  return settingsOf(a, ours('BGPPeer', 'tor', `{ peerIP: 10.0.1.1, asNumber: 65001, ${spec} }`)).neighbors[0];
}

test('a BGPPeer that says nothing of it leaves everything to the speaker', () => {
  const fields = [
    'role',
    'roleStrict',
    'localAsMode',
    'removePrivateAs',
    'asOverride',
    'gracefulShutdown',
    'obeysGracefulShutdown',
    'limits',
  ];
  for (const field of fields) expect(neighborOf('')).not.toHaveProperty(field);
});

test.each([
  ['role: Customer, roleStrict: true', { role: 'customer', roleStrict: true }],
  ['role: RouteServerClient', { role: 'routeServerClient' }],
  ['localASNumber: 65100, localASMode: NoPrepend', { localAs: 65100, localAsMode: 'noPrepend' }],
  ['removePrivateAS: ReplaceIfAll', { removePrivateAs: 'replaceIfAll' }],
  ['asOverride: true', { asOverride: true }],
  ['gracefulShutdown: true', { gracefulShutdown: true }],
  ['obeyGracefulShutdown: false', { obeysGracefulShutdown: false }],
  ['numAllowedLocalASNumbers: 2', { allowedOwnAs: 2 }],
  [
    'importLimit: { ipv4: 100, ipv6: 50, action: Discard, warningThreshold: 80 }, receiveLimit: { ipv6: 70, restartTime: 5m }',
    {
      limits: [
        { kind: 'receive', family: 'ipv6', maximum: 70, warningPercent: 75, action: 'restart', restartSeconds: 300 },
        { kind: 'import', family: 'ipv4', maximum: 100, warningPercent: 80, action: 'discard', restartSeconds: 60 },
        { kind: 'import', family: 'ipv6', maximum: 50, warningPercent: 80, action: 'discard', restartSeconds: 60 },
      ],
    },
  ],
])('%s', (spec, expected) => expect(neighborOf(spec)).toMatchObject(expected));

describe('the node itself', () => {
  test('the annotation of its own Node marks everything that it tells; another node is not concerned', () => {
    expect(settingsOf(node('a', '10.0.0.1', { shuttingDown: true }), b)).toMatchObject({ gracefulShutdown: true });
    expect(settingsOf(a, node('b', '10.0.0.2', { shuttingDown: true }))).not.toHaveProperty('gracefulShutdown');
  });

  test('a reflector whose clients mesh is told so; a node that reflects nothing is not', () => {
    const mesh = ours('BGPConfiguration', 'default', '{ clientToClientReflection: false }');
    const reflector = node('a', '10.0.0.1', { clusterId: '1.1.1.1' });
    expect(settingsOf(reflector, b, mesh)).toMatchObject({ clusterId: '1.1.1.1', clientsMesh: true });
    expect(settingsOf(reflector, b)).not.toHaveProperty('clientsMesh');
    expect(settingsOf(a, b, mesh)).not.toHaveProperty('clientsMesh');
  });
});
