/** What takes a direct eBGP session: GTSM and long messages with BIRD, FRR and ExaBGP (GoBGP and OpenBGPD do not know RFC 8654). */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { eventually } from '../../kit/eventually.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { ExaBgp } from '../kit/more-daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const we = '10.99.0.1';
const birdAddress = '10.99.0.2';
const frrAddress = '10.99.0.3';
const exabgpAddress = '10.99.0.4';

const lab = new SpeakerLab();
const theirs = lab.neighbor();
const bird = lab.use(new Bird(theirs.name));
const frr = lab.use(new Frr(theirs.name));
const exabgp = lab.use(new ExaBgp(theirs.name));

/** 3,000 prefixes of 4 bytes each: three messages of the old length. */
const many = (second: number) => Array.from({ length: 3000 }, (_, i) => `10.${second + (i >> 8)}.${i & 255}.0/24`);

const birdConfiguration = `
router id ${birdAddress};
protocol device {}
protocol static { ipv4; ${many(100)
  .map((prefix) => `route ${prefix} blackhole;`)
  .join(' ')} }
protocol bgp godwit {
  local ${birdAddress} as 65002; neighbor ${we} as 65001;
  strict bind yes; direct; ttl security on; enable extended messages on;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; };
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
 neighbor ${we} ttl-security hops 1
 address-family ipv4 unicast
  network 10.30.0.0/24
 exit-address-family
`;

const exabgpConfiguration = `
neighbor ${we} {
  router-id ${exabgpAddress};
  local-address ${exabgpAddress};
  local-as 65004;
  peer-as 65001;
  outgoing-ttl 255;
  incoming-ttl 255;
  family { ipv4 unicast; }
  capability { extended-message enable; }
  api { processes [ api ]; neighbor-changes; receive { parsed; update; } }
}
`;

const direct: Partial<NeighborSettings> = {
  localAddress: we,
  ttlSecurityHops: 1,
  holdTimeSeconds: 9,
  connectRetrySeconds: 1,
};

beforeAll(async () => {
  lab.home.addAddresses('eth0', `${we}/24`);
  theirs.addAddresses('eth0', ...[birdAddress, frrAddress, exabgpAddress].map((address) => `${address}/24`));
  await lab.enter();
  await Promise.all([
    bird.start(birdConfiguration),
    frr.start(frrConfiguration, undefined, '-l', frrAddress),
    exabgp.start(exabgpConfiguration),
  ]);
  const neighbors = [
    neighbor(birdAddress, 65002, { ...direct, name: 'bird' }),
    neighbor(frrAddress, 65003, { ...direct, name: 'frr' }),
    neighbor(exabgpAddress, 65004, { ...direct, name: 'exabgp' }),
  ];
  await lab.startSpeaker(settings(we, 65001, neighbors, { originated: originated(...many(200)) }), {
    listenAddresses: [we],
  });
});

afterAll(() => lab.remove());

test('RFC 8654: BIRD, FRR and ExaBGP take our long messages, and we take those of FRR', async () => {
  await eventually(() => expect(lab.prefixesFrom('bird')).toHaveLength(3000), { reason: 'the routes of BIRD' });
  await eventually(() => expect(bird.show('route protocol godwit count')).toMatch(/^3001 of 6001 /m), {
    reason: 'our routes, and those of FRR, at BIRD',
  });
  await eventually(() => expect(frr.show('bgp ipv4 unicast')).toContain('Displayed  6001 routes'), {
    reason: 'all routes at FRR',
  });
  const heard = () => new Set(exabgp.heard.match(/"10\.\d+\.\d+\.0\/24"/g));
  await eventually(() => expect(heard().size).toBe(6001), { reason: 'all routes at ExaBGP' });
});

test('RFC 9003: BIRD shows the word that we end a session with, and we the one that it does', async () => {
  lab.speaker.peerAction('bird', 'disable', 'new cables, back at noon');
  await eventually(() => expect(bird.show('protocols all godwit')).toContain('new cables, back at noon'), {
    reason: 'our text at BIRD',
  });
  lab.speaker.peerAction('bird', 'enable');
  const peer = () => lab.peer('bird');
  await eventually(() => peer().state === 'established', { reason: 'the session is up again' });
  bird.command('disable godwit "Grüße, 10 Minuten"');
  await eventually(() => expect(peer().lastNotification).toContain('Grüße, 10 Minuten'), { reason: 'its text' });
  bird.command('enable godwit');
  await eventually(() => peer().state === 'established', { reason: 'the session is up once more' });
});

test('RFC 5082: sessions with BIRD, FRR and ExaBGP come up, and every packet of either side has TTL 255', async () => {
  expect(lab.speaker.peers().map(({ state }) => state)).toEqual(['established', 'established', 'established']);
  await lab.capture.end();
  for (const address of [we, birdAddress, frrAddress, exabgpAddress]) {
    expect(new Set(lab.capture.find(`bgp && ip.src == ${address}`, 'ip.ttl'))).toEqual(new Set(['255']));
  }
});

test('tshark finds no malformed packet, and names the long messages of all who sent some', () => {
  // This tshark (4.0) does not know RFC 8654, and so names each long message for us.
  const long = (line: string) => /Length is invalid/.test(line);
  expect(lab.capture.problems().filter((line) => !long(line))).toEqual([]);
  const found = lab.capture.find('_ws.expert.message contains "Length is invalid"', 'ip.src', 'ip.dst');
  const pairs = [`${we}\t${birdAddress}`, `${we}\t${frrAddress}`, `${we}\t${exabgpAddress}`, `${frrAddress}\t${we}`];
  expect([...new Set(found)].sort()).toEqual(pairs);
});
