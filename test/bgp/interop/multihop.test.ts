/** eBGP over a router, with BIRD and FRR: the TTL that it takes, and GTSM for two hops. */

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Capture } from '../kit/capture.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { enterNamespace } from '../kit/enter-namespace.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const we = '10.97.1.1';
const birdAddress = '10.97.2.2';
const frrAddress = '10.97.2.3';

const ours = new TestNamespace();
const router = new TestNamespace();
const theirs = new TestNamespace();
const bird = new Bird(theirs.name);
const frr = new Frr(theirs.name);
let capture: Capture;
let speaker: Speaker;
let leave: (() => void) | undefined;

const birdConfiguration = (words: string) => `
router id ${birdAddress};
protocol device {}
protocol static { ipv4; route 10.20.0.0/24 blackhole; }
protocol bgp godwit {
  local ${birdAddress} as 65002; neighbor ${we} as 65001; strict bind yes; ${words}
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; gateway recursive; };
}
`;

const frrConfiguration = `
hostname test
router bgp 65003
 bgp router-id ${frrAddress}
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor ${we} remote-as 65001
 neighbor ${we} timers connect 1
 neighbor ${we} update-source ${frrAddress}
 neighbor ${we} ttl-security hops 2
 address-family ipv4 unicast
  network 10.30.0.0/24
 exit-address-family
`;

function toSettings(changes: Partial<NeighborSettings>) {
  const common = { localAddress: we, connectRetrySeconds: 1, holdTimeSeconds: 9, ...changes };
  const neighbors = [
    neighbor(birdAddress, 65002, { ...common, name: 'bird' }),
    neighbor(frrAddress, 65003, { ...common, name: 'frr' }),
  ];
  return settings(we, 65001, neighbors, { originated: originated('10.10.0.0/24') });
}

beforeAll(async () => {
  connectNamespaces(ours, 'eth0', router, 'left');
  connectNamespaces(theirs, 'eth0', router, 'right');
  ours.ip(`addr add ${we}/24 dev eth0`);
  ours.ip('route add default via 10.97.1.254');
  router.ip('addr add 10.97.1.254/24 dev left');
  router.ip('addr add 10.97.2.254/24 dev right');
  router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1');
  for (const address of [birdAddress, frrAddress]) theirs.ip(`addr add ${address}/24 dev eth0`);
  theirs.ip('route add 10.97.1.0/24 via 10.97.2.254');
  leave = enterNamespace(ours.path);
  capture = new Capture(ours.name);
  await capture.started();
  await Promise.all([bird.start(birdConfiguration('multihop 2; ttl security on;')), frr.start(frrConfiguration)]);
  speaker = new Speaker({
    settings: toSettings({ ttlSecurityHops: 2 }),
    driver: new TcpDriver({ listenAddresses: [we] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
  });
  await speaker.start();
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(`${bird.show('protocols all godwit')}\n${frr.show('bgp neighbors')}`));
});

afterAll(async () => {
  await speaker?.stop('shutdown');
  await capture?.end();
  capture?.remove();
  await bird.stop();
  await frr.stop();
  leave?.();
  for (const each of [ours, router, theirs]) each.remove();
});

const states = () => Object.fromEntries(speaker.peers().map(({ name, state }) => [name, state]));

test('RFC 5082 §3: GTSM for two hops on both sides: sessions, and every packet was sent with TTL 255', async () => {
  await eventually(() => expect(states()).toEqual({ bird: 'established', frr: 'established' }), { reason: 'both' });
  await eventually(() => [...speaker.routes({ family: 'ipv4' })].length === 3, { reason: 'a route of each, and ours' });
  await eventually(() => bird.route('10.10.0.0/24').includes('10.10.0.0/24'), { reason: 'ours at BIRD' });
});

test('GTSM for one hop: the same packets never arrive', async () => {
  speaker.configure(toSettings({ ttlSecurityHops: 1 }));
  await eventually(() => speaker.peers().every(({ lastError }) => lastError?.includes('timed out')), {
    reason: 'nobody answers',
    within: 60_000,
  });
  expect(Object.values(states())).not.toContain('established');
}, 70_000);

test('without GTSM: with the TTL that it takes a session, with one hop less none', async () => {
  bird.reconfigure(birdConfiguration('multihop 2;'));
  speaker.configure(toSettings({ ttl: 1 }));
  await eventually(() => speaker.peers()[0].lastError?.match(/unreachable|timed out/), {
    reason: 'not so far',
    within: 60_000,
  });
  expect(states()['bird']).not.toBe('established');
  speaker.configure(toSettings({ ttl: 2 }));
  await eventually(() => states()['bird'] === 'established', { reason: 'so far' });
}, 90_000);

test('tshark: with GTSM ours have TTL 255, theirs 254 behind the router; no packet is malformed', async () => {
  await capture.end();
  expect(capture.problems()).toEqual([]);
  const ttls = (filter: string) => [...new Set(capture.find(filter, 'ip.ttl'))].sort();
  expect(ttls(`ip.src == ${frrAddress} && bgp`)).toEqual(['254']);
  expect(ttls(`ip.dst == ${frrAddress} && bgp.type == 2`)).toEqual(['255']);
});
