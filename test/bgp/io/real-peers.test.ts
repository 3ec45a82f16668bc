import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Family } from '../../../bgp/ip.ts';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Capture } from '../kit/capture.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { enterNamespace } from '../kit/enter-namespace.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

/** We and BIRD are on one host (10.99.0.1 and .2), FRR is on its neighbour (.3); fd99::/64 alike. */
const we = '10.99.0.1';
const birdAddress = '10.99.0.2';
const frrAddress = '10.99.0.3';

const namespace = new TestNamespace();
const neighbourNamespace = new TestNamespace();
const bird = new Bird();
const frr = new Frr(neighbourNamespace.name);
let capture: Capture;
let leave: (() => void) | undefined;
let speaker: Speaker | undefined;
const events: string[] = [];

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
  connectNamespaces(namespace, 'eth0', neighbourNamespace, 'eth0');
  for (const host of [1, 2]) {
    namespace.ip(`addr add 10.99.0.${host}/24 dev eth0`);
    namespace.ip(`-6 addr add fd99::${host}/64 dev eth0 nodad`);
  }
  neighbourNamespace.ip(`addr add ${frrAddress}/24 dev eth0`);
  neighbourNamespace.ip('-6 addr add fd99::3/64 dev eth0 nodad');
  neighbourNamespace.ip('route add blackhole 10.30.0.0/24');
  neighbourNamespace.ip('-6 route add blackhole fd30::/64');
  leave = enterNamespace(namespace.path);
  capture = new Capture(namespace.name);
  await capture.started();
  await bird.start(birdConfiguration(65002));
  await frr.start(frrConfiguration);
  speaker = await startSpeaker(false);
});

afterAll(async () => {
  await speaker?.stop('shutdown');
  await bird.stop();
  await frr.stop();
  await capture?.end();
  capture?.remove();
  leave?.();
  namespace.remove();
  neighbourNamespace.remove();
});

async function startSpeaker(restarting: boolean): Promise<Speaker> {
  const neighbors = [
    neighbor(birdAddress, 65002, { ...both, name: 'bird', ttl: 64 }),
    neighbor(frrAddress, 65001, { ...both, name: 'frr' }),
  ];
  const started = new Speaker({
    settings: settings(we, 65001, neighbors, { originated: originated('10.10.0.0/24', 'fd10::/64') }),
    driver: new TcpDriver({ listenAddresses: [we] }),
    clock: systemClock,
    restarting,
    forwardingPreserved: restarting,
    onEvent: (event) => events.push(event.kind),
  });
  await started.start();
  return started;
}

function running(): Speaker {
  if (speaker === undefined) throw new Error('the speaker was not started');
  return speaker;
}

function peer(name: string) {
  const found = running()
    .peers()
    .find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`no peer ${name}`);
  return found;
}

function prefixesFrom(name: string, family: Family): string[] {
  return [...running().routes({ family, peer: name })].map(({ prefix, stale }) => prefix + (stale ? ' stale' : ''));
}

test('BIRD, eBGP: one session carries both families both ways', async () => {
  await eventually(() => prefixesFrom('bird', 'ipv4').length > 0 && prefixesFrom('bird', 'ipv6').length > 0, {
    reason: 'routes from BIRD',
  });
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24']);
  expect(prefixesFrom('bird', 'ipv6')).toEqual(['fd20::/64']);
  const [route] = running().routes({ family: 'ipv6', peer: 'bird' });
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
  running().peerAction('bird', 'refreshIn');
  await eventually(() => peer('bird').counters.updatesReceived > before.updatesReceived, { reason: 'BIRD sends anew' });
  bird.command('reload in godwit');
  await eventually(() => peer('bird').counters.updatesSent > before.updatesSent, { reason: 'we send anew' });
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24']);
});

test('RFC 4724: BIRD is killed and comes back; its routes are kept all the time', async () => {
  await bird.kill();
  await eventually(() => peer('bird').gracefulRestart === 'peerRestarting', { reason: 'the loss is noticed' });
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24 stale']);
  const lost: string[] = [];
  const watch = setInterval(() => {
    if (prefixesFrom('bird', 'ipv4').length === 0) lost.push('10.20.0.0/24');
    if (prefixesFrom('bird', 'ipv6').length === 0) lost.push('fd20::/64');
  }, 5);
  await bird.start(birdConfiguration(65002), '-R');
  await eventually(
    () => prefixesFrom('bird', 'ipv4')[0] === '10.20.0.0/24' && prefixesFrom('bird', 'ipv6')[0] === 'fd20::/64',
    {
      reason: 'fresh routes from BIRD',
    },
  );
  clearInterval(watch);
  expect(lost).toEqual([]);
  expect(peer('bird')).toMatchObject({ state: 'established', counters: { flaps: 1 } });
});

test('RFC 4724: we restart; BIRD and FRR keep our routes all the time, and the fresh ones come with End-of-RIB', async () => {
  const atBird = () => bird.show('route protocol godwit').includes('10.10.0.0/24');
  const atFrr = () => frr.show('bgp ipv4 unicast').includes('10.10.0.0/24');
  await eventually(() => atBird() && atFrr() && bird.show('route protocol godwit').includes('fd10::/64'), {
    reason: 'our routes are with both',
  });
  await speaker?.stop('restart');
  await eventually(() => !bird.show('protocols godwit').includes('Established'), { reason: 'BIRD notices' });
  expect([atBird(), atFrr()]).toEqual([true, true]);
  const lost: string[] = [];
  const watch = setInterval(() => {
    if (!atBird()) lost.push('BIRD');
    if (!atFrr()) lost.push('FRR');
  }, 100);
  events.length = 0;
  speaker = await startSpeaker(true);
  await eventually(() => events.includes('restartComplete'), { reason: 'the restart is complete' });
  expect(events.filter((kind) => kind === 'peerEstablished')).toHaveLength(2);
  expect(prefixesFrom('bird', 'ipv4')).toEqual(['10.20.0.0/24']);
  expect(prefixesFrom('frr', 'ipv6')).toEqual(['fd30::/64']);
  await eventually(() => peer('bird').families.every(({ endOfRibSent }) => endOfRibSent), { reason: 'End-of-RIB' });
  clearInterval(watch);
  expect(lost).toEqual([]);
  expect([atBird(), atFrr()]).toEqual([true, true]);
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
  await capture.end();
  expect(capture.problems()).toEqual([]);
});
