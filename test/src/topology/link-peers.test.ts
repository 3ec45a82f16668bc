import { describe, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/index.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

const a = node('a', '10.0.0.1 fd00::1', { pods: ['10.244.1.0/24'] });
const noMesh = ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }');

function configOf(spec: string, routers?: Record<string, string>) {
  const self = { ...selfOf('a'), ...(routers && { linkRouters: new Map(Object.entries(routers)) }) };
  return toSpeakerSettings(clusterOf(a, noMesh, ours('BGPPeer', 'tor', spec)), self);
}

function neighborOf(spec: string, routers?: Record<string, string>): NeighborSettings {
  const [neighbor] = configOf(spec, routers).settings.neighbors;
  return neighbor;
}

describe('a peer by its link-local address', () => {
  test("has its interface; the source address is the kernel's choice, BFD is that of the link", () => {
    const neighbor = neighborOf('{ peerIP: fe80::1%eth0, asNumber: 65001, bfd: {} }');
    expect(neighbor).toMatchObject({
      remote: { kind: 'address', address: 'fe80::1%eth0', port: 179 },
      nextHopSelf: { ipv4: '10.0.0.1', ipv6: 'fd00::1' },
      bfd: { multihop: false },
    });
    expect(neighbor.localAddress).toBeUndefined();
    expect(neighborOf('{ peerIP: fe80::1%eth0, asNumber: 64512, bfd: {} }').bfd).toMatchObject({ multihop: false });
  });

  test('a range may be that of one interface', () => {
    expect(neighborOf('{ peerRange: fe80::/10, interface: eth1, asNumber: 65001 }')).toMatchObject({
      remote: { kind: 'range', prefix: 'fe80::/10', interfaceName: 'eth1' },
      passive: true,
    });
  });
});

describe('a peer by its interface', () => {
  const spec = '{ interface: eth1, dynamicASN: external }';

  test('is the router that was found there', () => {
    const { settings, linkInterfaces, conditions } = configOf(spec, { eth1: 'fe80::9', eth2: 'fe80::8' });
    expect(settings.neighbors).toMatchObject([
      { name: 'peer_tor', remote: { kind: 'address', address: 'fe80::9%eth1', port: 179 }, remoteAs: 'external' },
    ]);
    expect(settings.neighbors[0].heldDown).toBeUndefined();
    expect(linkInterfaces).toEqual(['eth1']);
    expect(conditions).toMatchObject([{ object: { name: 'tor' }, status: true }]);
  });

  test.each([
    [{}, 'no router on eth1 has sent a router advertisement yet'],
    [undefined, 'nobody looks for the router on eth1: that needs the role routes'],
  ])('is held down until there is one: found %j', (routers, heldDown) => {
    expect(neighborOf(spec, routers)).toMatchObject({ remote: { address: 'fe80::%eth1' }, heldDown });
  });

  test('two BGPPeers for one interface: the older wins, found or not', () => {
    const second = ours('BGPPeer', 'zweite', '{ interface: eth1, asNumber: 65002 }');
    const state = clusterOf(a, noMesh, ours('BGPPeer', 'tor', spec), second);
    for (const routers of [new Map<string, string>(), new Map([['eth1', 'fe80::9']])]) {
      const { conditions, settings } = toSpeakerSettings(state, { ...selfOf('a'), linkRouters: routers });
      expect(settings.neighbors.map(({ name }) => name)).toEqual(['peer_tor']);
      expect(conditions.find(({ object }) => object.name === 'zweite')).toMatchObject({ reason: 'Conflict' });
    }
  });
});

test.each([
  ['asNumber: 65001', 65001],
  ['dynamicASN: external', 'external'],
  ['dynamicASN: internal', 64512],
  ['dynamicASN: internal, localASNumber: 65009', 65009],
])('the AS number: %s', (fields, remoteAs) => {
  expect(neighborOf(`{ peerIP: 10.0.0.9, ${fields} }`).remoteAs).toBe(remoteAs);
});

test.each([
  ['', undefined],
  [', extendedNextHop: Auto', undefined],
  [', extendedNextHop: Always', 'always'],
  [', extendedNextHop: Never', 'never'],
])('extendedNextHop%s', (field, expected) => {
  expect(neighborOf(`{ peerIP: fd00::9, asNumber: 65001${field} }`).extendedNextHop).toBe(expected);
});
