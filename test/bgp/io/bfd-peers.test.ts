import { systemClock } from '../../../bgp/io/tcp-driver.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BfdSettings, NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import { eventually } from '../../kit/eventually.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

/** Three hosts in a row: BIRD (10.98.1.2), we (10.98.1.1 and 10.98.2.1), FRR (10.98.2.2). fd98:1:: alike on BIRD's link. */
const toBird = { we: '10.98.1.1', peer: '10.98.1.2', peer6: 'fd98:1::2', we6: 'fd98:1::1' };
const toFrr = { we: '10.98.2.1', peer: '10.98.2.2' };

const lab = new SpeakerLab();
const birdNamespace = lab.neighbor('eth0');
const frrNamespace = lab.neighbor('eth1', 'eth0');
const bird = lab.use(new Bird(birdNamespace.name));
const frr = lab.use(new Frr(frrNamespace.name));

const birdConfiguration = `
router id ${toBird.peer};
protocol device {}
protocol static { ipv4; route 10.20.0.0/24 blackhole; }
protocol bfd {
  interface "eth0" { min rx interval 150 ms; min tx interval 120 ms; idle tx interval 1000 ms; multiplier 10; };
  multihop { min rx interval 150 ms; min tx interval 120 ms; multiplier 10; };
}
template bgp common {
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  graceful restart on;
  ipv4 { import all; export all; };
}
protocol bgp godwit4 from common { local ${toBird.peer} as 65002; neighbor ${toBird.we} as 65001; direct; bfd graceful; }
protocol bgp godwit6 from common { local ${toBird.peer6} as 65002; neighbor ${toBird.we6} as 65001; multihop 4; bfd on; }
`;

const frrConfiguration = `
hostname test
router bgp 65003
 bgp router-id ${toFrr.peer}
 bgp graceful-restart
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor ${toFrr.we} remote-as 65001
 neighbor ${toFrr.we} timers connect 1
 neighbor ${toFrr.we} bfd profile quick
 address-family ipv4 unicast
  network 10.30.0.0/24
  neighbor ${toFrr.we} activate
 exit-address-family
`;
const bfddConfiguration = `
hostname test
bfd
 profile quick
  receive-interval 200
  transmit-interval 180
  detect-multiplier 9
 !
`;

const bfd: BfdSettings = {
  minimumTransmitMilliseconds: 100,
  minimumReceiveMilliseconds: 100,
  detectMultiplier: 12,
  multihop: false,
};

function neighbors(changes: Partial<BfdSettings> = {}): NeighborSettings[] {
  const common: Partial<NeighborSettings> = {
    holdTimeSeconds: 180,
    connectRetrySeconds: 1,
    bfd: { ...bfd, ...changes },
  };
  return [
    neighbor(toBird.peer, 65002, { ...common, name: 'bird4', localAddress: toBird.we }),
    neighbor(toBird.peer6, 65002, {
      ...common,
      name: 'bird6',
      localAddress: toBird.we6,
      ttl: 64,
      bfd: { ...bfd, ...changes, multihop: true },
    }),
    neighbor(toFrr.peer, 65003, { ...common, name: 'frr', localAddress: toFrr.we }),
  ];
}

function ours(changes: Partial<BfdSettings> = {}): SpeakerSettings {
  return settings(toBird.we, 65001, neighbors(changes), { originated: originated('10.10.0.0/24') });
}

beforeAll(async () => {
  lab.home.addAddresses('eth0', `${toBird.we}/24`, `${toBird.we6}/64`);
  lab.home.addAddresses('eth1', `${toFrr.we}/24`);
  birdNamespace.addAddresses('eth0', `${toBird.peer}/24`, `${toBird.peer6}/64`);
  frrNamespace.addAddresses('eth0', `${toFrr.peer}/24`);
  frrNamespace.ip('route add blackhole 10.30.0.0/24');
  await lab.enter();
  await bird.start(birdConfiguration);
  await frr.start(frrConfiguration, bfddConfiguration);
  await lab.startSpeaker(ours());
});

afterAll(() => lab.remove());

const peer = (name: string) => lab.peer(name);
const routesFrom = (name: string) => lab.prefixesFrom(name);

async function allUp(...names: string[]): Promise<void> {
  for (const name of names) {
    await eventually(() => peer(name).state === 'established' && peer(name).bfd?.state === 'up', {
      reason: `${name} established, BFD up`,
    });
  }
}

/** When its session ended last, on the system's clock. */
function timeOfLoss(name: string): number {
  const found = lab.events.findLast((event) => event.kind === 'peerDown' && event.peer === name);
  if (found === undefined) throw new Error(`${name} was never lost`);
  return found.at;
}

/** Sessions that have ended, and why. */
function downs(): string[] {
  return lab.events.flatMap((event) => (event.kind === 'peerDown' ? [`${event.peer}: ${event.reason}`] : []));
}

test('RFC 5880 §6.8.2: BIRD (single hop, multihop over IPv6) and FRR come up; each side takes the slower of both wishes', async () => {
  await allUp('bird4', 'bird6', 'frr');
  expect(peer('bird4').bfd).toMatchObject({
    multihop: false,
    transmitIntervalMilliseconds: 150,
    detectionTimeMilliseconds: 10 * 120,
    remoteDetectMultiplier: 10,
  });
  expect(peer('bird6').bfd).toMatchObject({ multihop: true, detectionTimeMilliseconds: 10 * 120 });
  expect(peer('frr').bfd).toMatchObject({ transmitIntervalMilliseconds: 200, detectionTimeMilliseconds: 9 * 180 });
  // Interval and timeout: BIRD sends every 120 ms, and takes us for dead after twelve times its own 150 ms.
  await eventually(() => birdSession(toBird.we).includes('0.120 1.800'), { reason: "BIRD's poll sequence is over" });
  await eventually(() => birdSession(toBird.we6).includes('0.120 1.800'), { reason: "BIRD's poll sequence is over" });
  await eventually(() => frr.bfdPeer(toFrr.we)['remote-transmit-interval'] === 100, { reason: 'FRR knows our wish' });
  expect(frr.bfdPeer(toFrr.we)).toMatchObject({ status: 'up', 'remote-detect-multiplier': 12, multihop: false });
  expect(Object.values(lab.speaker.bfdDiscards())).toEqual(Object.values(lab.speaker.bfdDiscards()).map(() => 0));
});

function birdSession(address: string): string {
  const line =
    bird
      .show('bfd sessions')
      .split('\n')
      .find((text) => text.startsWith(address)) ?? '';
  return line.replaceAll(/ +/g, ' ');
}

test('RFC 5880 §6.8.3: new timers come into force by a poll sequence, and no session notices', async () => {
  const before = downs();
  lab.speaker.configure(ours({ minimumTransmitMilliseconds: 400, minimumReceiveMilliseconds: 300 }));
  await eventually(() => birdSession(toBird.we).includes('0.300 4.800'), { reason: 'BIRD has taken them over' });
  await eventually(() => frr.bfdPeer(toFrr.we)['remote-receive-interval'] === 300, { reason: 'FRR has' });
  await eventually(() => peer('bird4').bfd?.transmitIntervalMilliseconds === 400, { reason: 'the poll is answered' });
  expect(peer('bird4').bfd?.detectionTimeMilliseconds).toBe(10 * 300);
  expect(peer('frr').bfd).toMatchObject({ transmitIntervalMilliseconds: 400, detectionTimeMilliseconds: 9 * 300 });
  lab.speaker.configure(ours());
  await eventually(() => birdSession(toBird.we).includes('0.120 1.800'), { reason: 'and back' });
  await eventually(() => peer('frr').bfd?.detectionTimeMilliseconds === 1620, { reason: 'and back' });
  expect(lab.speaker.peers().map(({ bfd }) => bfd?.state)).toEqual(['up', 'up', 'up']);
  expect(downs()).toEqual(before);
});

test('RFC 5882 §3.2: AdminDown by the peer leaves the BGP session up', async () => {
  const before = downs();
  frr.configureBfd('bfd', 'profile quick', 'shutdown');
  await eventually(() => peer('frr').bfd?.state === 'down', { reason: 'AdminDown is heard' });
  expect(peer('frr')).toMatchObject({ state: 'established', bfd: { diagnostic: 'neighbor signaled session down' } });
  frr.configureBfd('bfd', 'profile quick', 'no shutdown');
  await allUp('frr');
  expect(downs()).toEqual(before);
});

test('a peer that is frozen: its BGP sessions end within the detection time, and nothing of it is kept as stale', async () => {
  await allUp('bird4', 'bird6');
  await eventually(() => routesFrom('bird4').length === 1, { reason: 'a route' });
  expect(peer('bird4')).toMatchObject({ gracefulRestart: 'ready', holdTimeSeconds: 180 });
  const at = systemClock.now();
  bird.freeze(true);
  await eventually(() => peer('bird4').state !== 'established' && peer('bird6').state !== 'established', {
    reason: 'both sessions are down',
  });
  expect(peer('bird4').lastNotification).toBe('cease: BFD down (6/10), sent');
  expect(peer('bird4').gracefulRestart).toBe('none');
  await eventually(() => routesFrom('bird4').length === 0, { reason: 'its routes are gone' });
  // 1.2 s by agreement; the hold time would be 180 s.
  for (const name of ['bird4', 'bird6']) expect(timeOfLoss(name) - at).toBeLessThan(10_000);
  bird.freeze(false);
  await allUp('bird4', 'bird6');
});

test('a cut link: the same with FRR, and back again', async () => {
  await allUp('frr');
  const at = systemClock.now();
  frrNamespace.ip('link set eth0 down');
  await eventually(() => peer('frr').state !== 'established', { reason: 'the session is down' });
  // RFC 8538: FRR knows the N bit, BIRD does not.
  expect(peer('frr').lastNotification).toBe('cease: hard reset (6/9) with cease: BFD down (6/10), sent');
  expect(timeOfLoss('frr') - at).toBeLessThan(10_000);
  frrNamespace.ip('link set eth0 up');
  frrNamespace.ip('route replace blackhole 10.30.0.0/24');
  await allUp('frr');
});

test('RFC 5882 §4.3.2: a graceful restart that has begun goes on when BFD fails after it', async () => {
  await allUp('bird4');
  await eventually(() => routesFrom('bird4').length === 1, { reason: 'a route' });
  await bird.kill();
  await eventually(() => peer('bird4').bfd?.diagnostic === 'control detection time expired', { reason: 'BFD notices' });
  expect(peer('bird4').gracefulRestart).toBe('peerRestarting');
  expect(routesFrom('bird4')).toEqual(['10.20.0.0/24 stale']);
  await bird.start(birdConfiguration, '-R');
  await allUp('bird4', 'bird6');
  await eventually(() => routesFrom('bird4')[0] === '10.20.0.0/24', { reason: 'a fresh route' });
});

test('RFC 5882 §4.3.2: we restart; AdminDown comes after the end of the connection, and the peers keep our routes', async () => {
  await allUp('bird4', 'bird6', 'frr');
  const atFrr = () => frr.show('bgp ipv4 unicast').includes('10.10.0.0/24');
  const atBird = () => bird.show('route protocol godwit4').includes('10.10.0.0/24');
  await eventually(() => atFrr() && atBird() && peer('frr').families[0].endOfRibReceived, {
    reason: 'our route is there',
  });
  await lab.stopSpeaker('restart');
  await eventually(() => frr.bfdPeer(toFrr.we).status === 'down', { reason: 'FRR hears AdminDown' });
  await eventually(() => birdSession(toBird.we).includes(' Down '), { reason: 'BIRD hears AdminDown' });
  expect([frr.bfdPeer(toFrr.we)['remote-diagnostic'], atFrr(), atBird()]).toEqual([
    'administratively down',
    true,
    true,
  ]);
});

test('tshark finds no malformed packet, and BFD of both kinds and all states', async () => {
  await lab.capture.end();
  expect(lab.capture.problems()).toEqual([]);
  const seen = lab.capture.find('bfd', 'ip.src', 'ipv6.src', 'udp.dstport', 'bfd.sta').map((line) => line.split('\t'));
  const from = (source: string) => seen.filter(([v4, v6]) => v4 === source || v6 === source);
  expect(new Set(from(toBird.we).map(([, , port]) => port))).toEqual(new Set(['3784']));
  expect(new Set(from(toBird.we6).map(([, , port]) => port))).toEqual(new Set(['4784']));
  expect(new Set(seen.map(([, , , state]) => Number(state)))).toEqual(new Set([0, 1, 2, 3]));
});
