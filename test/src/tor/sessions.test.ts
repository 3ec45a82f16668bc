/** What tor-config writes for BIRD and FRR brings up sessions with a real speaker, and lets through what it should. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import { printSwitchSide } from '../../../src/tor/dialects.ts';
import { toSwitchSide } from '../../../src/tor/switch-side.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { Bird, Frr } from '../../bgp/kit/daemons.ts';
import { enterNamespace } from '../../bgp/kit/enter-namespace.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

/** The node's link has both switches on it; node-2 is configured and not there. */
const nodeNamespace = new TestNamespace();
const switches = { bird: new TestNamespace(), frr: new TestNamespace() } as const;
const addresses = { bird: '10.97.0.1', frr: '10.97.0.2' } as const;
const bird = new Bird();
const frr = new Frr(switches.frr.name);
let speaker: Speaker | undefined;
let leave: (() => void) | undefined;

const peer = (name: keyof typeof addresses, asNumber: number, more: string) =>
  ours(
    'BGPPeer',
    name,
    `{ peerIP: ${addresses[name]}, asNumber: ${asNumber}, connectRetryTime: 1s, ttlSecurity: 1, bfd: { detectMultiplier: 20 }${more} }`,
  );

const state = clusterOf(
  node('node-1', '10.97.0.11', { pods: ['10.244.1.0/24'] }),
  node('node-2', '10.97.0.12', { pods: ['10.244.2.0/24'] }),
  ours('IPPool', 'pods', '{ cidr: 10.244.0.0/16 }'),
  ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }'),
  peer('bird', 65001, ', role: Customer, roleStrict: true'),
  peer('frr', 65002, ', role: Customer, roleStrict: true'),
);

const birdOwn = `router id ${addresses.bird};
protocol device {}
protocol bfd {}
protocol static { ipv4; route 0.0.0.0/0 blackhole; route 10.244.9.0/24 blackhole; }
`;

const frrOwn = `hostname test
router bgp 65002
 bgp router-id ${addresses.frr}
 neighbor 10.97.0.11 timers connect 1
 address-family ipv4 unicast
  network 10.50.0.0/24
  network 10.244.9.0/24
 exit-address-family
`;

beforeAll(async () => {
  nodeNamespace.ip('link add br0 type bridge');
  nodeNamespace.ip('link set br0 up');
  nodeNamespace.ip('addr add 10.97.0.11/24 dev br0');
  for (const name of ['bird', 'frr'] as const) {
    connectNamespaces(nodeNamespace, `to-${name}`, switches[name], 'eth0');
    nodeNamespace.ip(`link set to-${name} master br0`);
    switches[name].ip(`addr add ${addresses[name]}/24 dev eth0`);
  }
  for (const prefix of ['10.50.0.0/24', '10.244.9.0/24']) switches.frr.ip(`route add blackhole ${prefix}`);
  const outOfBird = enterNamespace(switches.bird.path);
  try {
    await bird.start(birdOwn + printSwitchSide(toSwitchSide(state, 'bird'), 'bird'));
  } finally {
    outOfBird();
  }
  await frr.start(printSwitchSide(toSwitchSide(state, 'frr'), 'frr') + frrOwn, 'hostname test\n');
  leave = enterNamespace(nodeNamespace.path);
  const { settings } = toSpeakerSettings(state, selfOf('node-1'));
  speaker = new Speaker({
    // The node tells one prefix too many.
    settings: { ...settings, originated: [...settings.originated, { prefix: '192.0.2.0/24', source: 'mistake' }] },
    driver: new TcpDriver(),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
  });
  await speaker.start();
});

afterAll(async () => {
  await speaker?.stop('shutdown');
  await bird.stop();
  await frr.stop();
  leave?.();
  for (const namespace of [nodeNamespace, switches.bird, switches.frr]) namespace.remove();
});

const running = () => speaker!;

function told(name: string): string[] {
  return [
    ...running().routes({ peer: `peer_${name}` }),
    ...running().routes({ peer: `peer_${name}`, filtered: true }),
  ].map(({ prefix }) => prefix);
}

describe.each([
  ['bird', '0.0.0.0/0', () => bird.show('route all'), /10\.244\.1\.0\/24/],
  ['frr', '10.50.0.0/24', () => frr.show('bgp ipv4 unicast'), /10\.244\.1\.0\/24/],
] as const)('%s', (name, outside, table, range) => {
  test('the session comes up, with GTSM and graceful restart for the node', async () => {
    await eventually(
      () =>
        running()
          .peers()
          .find((entry) => entry.name === `peer_${name}`)?.state === 'established',
      {
        reason: `a session with ${name}`,
      },
    );
    expect(
      running()
        .peers()
        .find((entry) => entry.name === `peer_${name}`),
    ).toMatchObject({ holdTimeSeconds: 90 });
  });

  test('BFD comes up, at the times of the BGPPeer', async () => {
    const bfd = () =>
      running()
        .peers()
        .find((entry) => entry.name === `peer_${name}`)?.bfd;
    await eventually(() => bfd()?.transmitIntervalMilliseconds === 300, { reason: `BFD with ${name}` });
    expect(bfd()).toMatchObject({ state: 'up', multihop: false, remoteDetectMultiplier: 20 });
  });

  test('the switch takes the pod range, and nothing else of the node', async () => {
    await eventually(() => range.test(table()), { reason: 'the pod range at the switch' });
    expect(table()).not.toContain('192.0.2.0');
  });

  test('the node hears what lies outside, and no prefix of the cluster', async () => {
    await eventually(() => told(name).includes(outside), { reason: 'a route of the switch' });
    expect(told(name)).toEqual([outside]);
  });
});

test('the switches keep the pod range while the agent restarts', async () => {
  await running().stop('restart');
  speaker = undefined;
  await eventually(() => !bird.show('protocols').includes('Established'), { reason: 'BIRD sees the session down' });
  await eventually(() => !/Established/.test(frr.show('bgp neighbors 10.97.0.11')), { reason: 'FRR sees it down' });
  expect(bird.show('route all')).toMatch(/10\.244\.1\.0\/24/);
  // FRR's mark of a stale route.
  expect(frr.show('bgp ipv4 unicast')).toMatch(/^S.*10\.244\.1\.0\/24/m);
});
