import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Family } from '../../../bgp/ip.ts';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { eventually } from '../../kit/eventually.ts';
import { missedWhile } from '../../kit/missed-while.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

/** We and BIRD are on one host (10.99.0.1 and .2), FRR is on its neighbour (.3); fd99::/64 alike. */
const we = '10.99.0.1';
const birdAddress = '10.99.0.2';
const frrAddress = '10.99.0.3';

const lab = new SpeakerLab();
const neighbourNamespace = lab.neighbor();
const bird = lab.use(new Bird(lab.home.name));
const frr = lab.use(new Frr(neighbourNamespace.name));

const both: Partial<NeighborSettings> = {
  families: ['ipv4', 'ipv6'],
  localAddress: we,
  nextHopSelf: { ipv4: we, ipv6: 'fd99::1' },
  holdTimeSeconds: 9,
  connectRetrySeconds: 1,
};

const birdConfiguration = (localAs: number) => `
router id ${birdAddress};
protocol device {}
protocol static s4 { ipv4; route 10.20.0.0/24 blackhole; }
protocol static s6 { ipv6; route fd20::/64 blackhole; }
protocol bgp godwit {
  local ${birdAddress} as ${localAs};
  neighbor ${we} as 65001;
  strict bind yes; multihop; graceful restart on;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; next hop self; };
  ipv6 { import all; export all; next hop address fd99::2; };
}
`;

const frrConfiguration = `
hostname test
router bgp 65001
 bgp router-id ${frrAddress}
 no bgp default ipv4-unicast
 bgp graceful-restart
 neighbor ${we} remote-as 65001
 neighbor ${we} timers connect 1
 address-family ipv4 unicast
  network 10.30.0.0/24
  neighbor ${we} activate
 exit-address-family
 address-family ipv6 unicast
  network fd30::/64
  neighbor ${we} activate
 exit-address-family
`;

beforeAll(async () => {
  lab.home.addAddresses('eth0', `${we}/24`, 'fd99::1/64', `${birdAddress}/24`, 'fd99::2/64');
  neighbourNamespace.addAddresses('eth0', `${frrAddress}/24`, 'fd99::3/64');
  neighbourNamespace.ip('route add blackhole 10.30.0.0/24');
  neighbourNamespace.ip('-6 route add blackhole fd30::/64');
  await lab.enter();
  await bird.start(birdConfiguration(65002));
  await frr.start(frrConfiguration);
  await startSpeaker(false);
});

afterAll(() => lab.remove());

async function startSpeaker(restarting: boolean): Promise<void> {
  const neighbors = [
    neighbor(birdAddress, 65002, { ...both, name: 'bird', ttl: 64 }),
    neighbor(frrAddress, 65001, { ...both, name: 'frr' }),
  ];
  const ours = settings(we, 65001, neighbors, { originated: originated('10.10.0.0/24', 'fd10::/64') });
  await lab.startSpeaker(ours, { restarting, listenAddresses: [we] });
}

const peer = (name: string) => lab.peer(name);
const prefixesFrom = (name: string, family: Family) => lab.prefixesFrom(name, family);

test('BIRD, eBGP: one session carries both families both ways', async () => {
  await eventually(() => prefixesFrom('bird', 'ipv4').length > 0 && prefixesFrom('bird', 'ipv6').length > 0, {
    reason: 'routes from BIRD',
  });
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24']);
  expect(prefixesFrom('bird', 'ipv6')).toEqual(['fd20::/64']);
  const [route] = lab.speaker.routes({ family: 'ipv6', peer: 'bird' });
  expect(route).toMatchObject({ nextHop: 'fd99::2', asPath: '65002', peerRouterId: birdAddress });
  await eventually(() => bird.show('route all protocol godwit').includes('fd10::/64'), {
    reason: 'our routes at BIRD',
  });
  const text = bird.show('route all protocol godwit');
  expect(text).toContain('10.10.0.0/24');
  expect(text).toContain('BGP.as_path: 65001');
  expect(text).toContain(`BGP.next_hop: fd99::1`);
  expect(peer('bird').remoteCapabilities).toEqual(
    expect.arrayContaining(['IPv4 unicast', 'IPv6 unicast', 'route refresh', '4-octet AS number 65002']),
  );
});

test('FRR, iBGP: one session carries both families both ways', async () => {
  await eventually(() => prefixesFrom('frr', 'ipv4').length > 0 && prefixesFrom('frr', 'ipv6').length > 0, {
    reason: 'routes from FRR',
  });
  expect(prefixesFrom('frr', 'ipv4')).toEqual(['10.30.0.0/24']);
  expect(prefixesFrom('frr', 'ipv6')).toEqual(['fd30::/64']);
  await eventually(() => frr.show('bgp ipv6 unicast').includes('fd10::/64'), { reason: 'our routes at FRR' });
  const text = frr.show('bgp ipv4 unicast');
  expect(text).toContain('10.10.0.0/24');
  // RFC 4271 §9.2: what came by eBGP goes on to iBGP.
  expect(text).toContain('10.20.0.0/24');
  expect(peer('frr')).toMatchObject({ peerType: 'iBGP', remoteRouterId: frrAddress, holdTimeSeconds: 9 });
});

test('RFC 2918: each side refreshes for the other', async () => {
  const before = peer('bird').counters;
  lab.speaker.peerAction('bird', 'refreshIn');
  await eventually(() => peer('bird').counters.updatesReceived > before.updatesReceived, { reason: 'BIRD sends anew' });
  bird.command('reload in godwit');
  await eventually(() => peer('bird').counters.updatesSent > before.updatesSent, { reason: 'we send anew' });
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24']);
});

test('RFC 4724: BIRD is killed and comes back; its routes are kept all the time', async () => {
  await bird.kill();
  await eventually(() => peer('bird').gracefulRestart === 'peerRestarting', { reason: 'the loss is noticed' });
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24 stale']);
  const questions = {
    '10.20.0.0/24': () => prefixesFrom('bird', 'ipv4').length > 0,
    'fd20::/64': () => prefixesFrom('bird', 'ipv6').length > 0,
  };
  const fresh = () => [...prefixesFrom('bird', 'ipv4'), ...prefixesFrom('bird', 'ipv6')];
  const restarts = async () => {
    await bird.start(birdConfiguration(65002), '-R');
    await eventually(() => expect(fresh()).toEqual(['10.20.0.0/24', 'fd20::/64']), { reason: 'fresh routes' });
  };
  expect(await missedWhile(questions, restarts, { everyMilliseconds: 5 })).toEqual([]);
  expect(peer('bird')).toMatchObject({ state: 'established', counters: { flaps: 1 } });
});

test('RFC 4724: we restart; BIRD and FRR keep our routes all the time, and the fresh ones come with End-of-RIB', async () => {
  const atBird = () => bird.show('route protocol godwit').includes('10.10.0.0/24');
  const atFrr = () => frr.show('bgp ipv4 unicast').includes('10.10.0.0/24');
  await eventually(() => atBird() && atFrr() && bird.show('route protocol godwit').includes('fd10::/64'), {
    reason: 'our routes are with both',
  });
  await lab.stopSpeaker('restart');
  await eventually(() => !bird.show('protocols godwit').includes('Established'), { reason: 'BIRD notices' });
  const missed = await missedWhile({ BIRD: atBird, FRR: atFrr }, async () => {
    await startSpeaker(true);
    await eventually(() => lab.count('restartComplete') === 1, { reason: 'the restart is complete' });
    expect(lab.count('peerEstablished')).toBe(2);
    expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24']);
    expect(prefixesFrom('frr', 'ipv6')).toEqual(['fd30::/64']);
    await eventually(() => peer('bird').families.every(({ endOfRibSent }) => endOfRibSent), { reason: 'End-of-RIB' });
  });
  expect(missed).toEqual([]);
});

test('RFC 4271 §6.2: a BIRD with the wrong AS is refused with 2/2, and told in words', async () => {
  await bird.kill();
  await bird.start(birdConfiguration(65009));
  const reason = 'OPEN error: bad peer AS (2/2), sent: expected 65002, got 65009';
  await eventually(() => peer('bird').lastError === reason, { reason: 'the wrong AS is named' });
  await eventually(() => bird.show('protocols all godwit').includes('Bad peer AS'), { reason: 'BIRD says so, too' });
  expect(peer('bird').state).not.toBe('established');
});

test('tshark finds no malformed packet in all this', async () => {
  await lab.capture.end();
  expect(lab.capture.problems()).toEqual([]);
});
