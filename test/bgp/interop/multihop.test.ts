/** eBGP over a router, with BIRD and FRR: the TTL that it takes, and GTSM for two hops. */

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import type { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const we = '10.97.1.1';
const birdAddress = '10.97.2.2';
const frrAddress = '10.97.2.3';

const lab = new SpeakerLab();
const router = lab.neighbor('eth0', 'left');
const theirs = lab.use(new TestNamespace());
const bird = lab.use(new Bird(theirs.name));
const frr = lab.use(new Frr(theirs.name));
let speaker: Speaker;

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
  connectNamespaces(theirs, 'eth0', router, 'right');
  lab.home.addAddresses('eth0', `${we}/24`);
  lab.home.ip('route add default via 10.97.1.254');
  router.addAddresses('left', '10.97.1.254/24');
  router.addAddresses('right', '10.97.2.254/24');
  router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1');
  theirs.addAddresses('eth0', `${birdAddress}/24`, `${frrAddress}/24`);
  theirs.ip('route add 10.97.1.0/24 via 10.97.2.254');
  await lab.enter();
  await Promise.all([bird.start(birdConfiguration('multihop 2; ttl security on;')), frr.start(frrConfiguration)]);
  speaker = await lab.startSpeaker(toSettings({ ttlSecurityHops: 2 }), { listenAddresses: [we] });
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(`${bird.show('protocols all godwit')}\n${frr.show('bgp neighbors')}`));
});

afterAll(() => lab.remove());

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
  await lab.capture.end();
  expect(lab.capture.problems()).toEqual([]);
  const ttls = (filter: string) => [...new Set(lab.capture.find(filter, 'ip.ttl'))].sort();
  expect(ttls(`ip.src == ${frrAddress} && bgp`)).toEqual(['254']);
  expect(ttls(`ip.dst == ${frrAddress} && bgp.type == 2`)).toEqual(['255']);
});
