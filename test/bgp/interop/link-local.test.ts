/**
 * Sessions between link-local addresses, with two routers that have the same one, each on a link of its own:
 *
 *     BIRD fe80::2 ── eth0 ── fe80::1 we fe80::1 ── eth1 ── fe80::2 FRR
 *
 * No host has any IPv4 address, so IPv4 routes travel with IPv6 next hops (RFC 8950).
 */

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const lab = new SpeakerLab();
const birdNamespace = lab.neighbor('eth0');
const frrNamespace = lab.neighbor('eth1');
const bird = lab.use(new Bird(birdNamespace.name));
const frr = lab.use(new Frr(frrNamespace.name));
let speaker: Speaker;

const keys = { bird: 'a key for BIRD', frr: 'a key for FRR' };

const birdConfiguration = (words = '') => `
router id 10.0.0.2;
protocol device {}
protocol bfd { interface "eth0" { interval 150 ms; multiplier 10; }; }
ipv6 table t6; ipv4 table t4;
protocol static s4 { ipv4 { table t4; }; route 10.20.0.0/24 blackhole; route 10.99.0.0/24 blackhole; }
protocol static s6 { ipv6 { table t6; }; route fd20::/64 blackhole; }
protocol bgp godwit {
  local fe80::2 as 65002; neighbor fe80::1%eth0 as 65001; bfd on; ${words}
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { table t4; import all; export all; extended next hop; };
  ipv6 { table t6; import all; export all; };
}
`;

const frrConfiguration = `
hostname test
router bgp 65003
 bgp router-id 10.0.0.3
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor fe80::1 remote-as 65001
 neighbor fe80::1 interface eth1
 neighbor fe80::1 timers connect 1
 neighbor fe80::1 capability extended-nexthop
 neighbor fe80::1 bfd profile quick
 address-family ipv4 unicast
  network 10.30.0.0/24
  network 10.99.0.0/24
  neighbor fe80::1 activate
 exit-address-family
 address-family ipv6 unicast
  network fd30::/64
  neighbor fe80::1 activate
 exit-address-family
`;
const bfddConfiguration = `
hostname test
bfd
 profile quick
  receive-interval 150
  transmit-interval 150
  detect-multiplier 10
 !
`;

function toSettings(changes: Partial<NeighborSettings> = {}, frrChanges = changes): SpeakerSettings {
  const common: Partial<NeighborSettings> = {
    families: ['ipv4', 'ipv6'],
    holdTimeSeconds: 90,
    connectRetrySeconds: 1,
    bfd: { minimumTransmitMilliseconds: 150, minimumReceiveMilliseconds: 150, detectMultiplier: 10, multihop: false },
  };
  const neighbors = [
    neighbor('fe80::2%eth0', 65002, { ...common, name: 'bird', ...changes }),
    neighbor('fe80::2%eth1', 65003, { ...common, name: 'frr', ...frrChanges }),
  ];
  return settings('10.0.0.1', 65001, neighbors, {
    maximumPaths: 2,
    originated: originated('10.10.0.0/24', 'fd10::/64'),
  });
}

beforeAll(async () => {
  for (const [namespace, name, address] of [
    [lab.home, 'eth0', 'fe80::1'],
    [lab.home, 'eth1', 'fe80::1'],
    [birdNamespace, 'eth0', 'fe80::2'],
    [frrNamespace, 'eth1', 'fe80::2'],
  ] as const) {
    namespace.ip(`addr flush dev ${name} scope link`);
    namespace.addAddresses(name, `${address}/64`);
  }
  lab.home.addAddresses('eth0', 'fd99::1/64');
  birdNamespace.addAddresses('eth0', 'fd99::2/64');
  await lab.enter();
  await Promise.all([bird.start(birdConfiguration()), frr.start(frrConfiguration, bfddConfiguration)]);
  speaker = await lab.startSpeaker(toSettings());
  await lab.established();
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(`BIRD:\n${bird.show('protocols all')}\nFRR:\n${frr.log.slice(-3000)}`));
});

afterAll(() => lab.remove());

const peer = (name: string) => lab.peer(name);

/** What the kernel would be told: next hops of the best paths. */
function nextHops(prefix: string): string[] {
  const reader = speaker.bestPathReader(() => {});
  const found = reader.read(1000).find((change) => change.prefix === prefix);
  reader.close();
  return found?.paths.map(({ nextHop }) => nextHop).sort() ?? [];
}

test('the peer is known by address and interface: two with one address, each on its link', () => {
  expect(
    speaker.peers().map(({ name, address, remoteAs, localAddress }) => [name, address, remoteAs, localAddress]),
  ).toEqual([
    ['bird', 'fe80::2%eth0', 65002, 'fe80::1%eth0'],
    ['frr', 'fe80::2%eth1', 65003, 'fe80::1%eth1'],
  ]);
});

test('RFC 8950, RFC 2545: what they tell leads over the link it came by, both families', async () => {
  const expected = {
    '10.20.0.0/24': ['fe80::2%eth0'],
    'fd20::/64': ['fe80::2%eth0'],
    '10.30.0.0/24': ['fe80::2%eth1'],
    'fd30::/64': ['fe80::2%eth1'],
    '10.99.0.0/24': ['fe80::2%eth0', 'fe80::2%eth1'],
  };
  for (const [prefix, hops] of Object.entries(expected)) {
    await eventually(() => expect(nextHops(prefix)).toEqual(hops), { reason: prefix });
  }
  expect(peer('bird').localCapabilities).toContain('extended next hop');
  expect(peer('bird').remoteCapabilities).toContain('extended next hop');
  expect(peer('frr').remoteCapabilities).toContain('extended next hop');
});

test('RFC 8950, RFC 2545: what we tell has our link-local address as next hop', async () => {
  for (const prefix of ['10.10.0.0/24', 'fd10::/64']) {
    const table = prefix.includes(':') ? 't6' : 't4';
    await eventually(() => bird.route(prefix, table).includes('via fe80::1 on eth0'), { reason: `${prefix} at BIRD` });
    await eventually(() => frr.route(prefix).includes('fe80::1'), { reason: `${prefix} at FRR` });
    expect(frr.route(prefix)).toMatch(/valid, external/);
  }
  // What one told goes on to the other with us as next hop.
  await eventually(() => frr.route('10.20.0.0/24').includes('fe80::1'), { reason: 'of BIRD, at FRR' });
  await eventually(() => bird.route('10.30.0.0/24', 't4').includes('via fe80::1 on eth0'), {
    reason: 'of FRR, at BIRD',
  });
});

test('RFC 5881: BFD runs over each link', async () => {
  for (const name of ['bird', 'frr']) {
    await eventually(() => expect(peer(name).bfd).toMatchObject({ state: 'up' }), { reason: `BFD with ${name}` });
  }
  expect(bird.show('bfd sessions')).toMatch(/fe80::1 +eth0 +Up/);
});

// FRR 8.4 calls no link-local neighbour that it knows by address: BIRD alone can show what is accepted.
test('an accepted connection belongs to the peer of its interface', async () => {
  speaker.configure(toSettings({ passive: true }, {}));
  speaker.peerAction('bird', 'restart');
  await eventually(() => peer('bird').counters.flaps === 1, { reason: 'the session was ended' });
  await lab.established();
  await eventually(() => expect(nextHops('10.20.0.0/24')).toEqual(['fe80::2%eth0']), { reason: 'of BIRD' });
});

test('any AS but ours: external', async () => {
  speaker.configure(toSettings({ remoteAs: 'external' }));
  await lab.established();
  expect(speaker.peers().map(({ remoteAs }) => remoteAs)).toEqual([65002, 65003]);
});

test('a range of an interface takes who comes there, and nobody else', async () => {
  const range = (interfaceName: string) => ({ kind: 'range', prefix: 'fe80::/10', interfaceName }) as const;
  const members = () => speaker.peers().map(({ name, state, range: from }) => `${name} of ${from} ${state}`);
  speaker.configure(toSettings({ passive: true, remote: range('eth1') }, {}));
  await eventually(() => bird.show('protocols').match(/godwit.*(Connect|Active)/), { reason: 'BIRD is refused' });
  expect(members().filter((text) => text.startsWith('bird'))).toEqual([]);
  speaker.configure(toSettings({ passive: true, remote: range('eth0') }, {}));
  await eventually(() => expect(members()).toContain('bird_fe80::2_eth0 of bird established'), { reason: 'it came' });
});

test('RFC 2545 §3: on a session between global addresses of one subnet the link-local one goes along, both ways', async () => {
  const changes = { name: 'global', remoteAs: 65002, localAddress: 'fd99::1' } as const;
  const { neighbors, ...rest } = toSettings({}, {});
  speaker.configure({
    ...rest,
    neighbors: [
      ...neighbors,
      neighbor('fd99::2', 65002, {
        ...neighbors[0],
        ...changes,
        remote: { kind: 'address', address: 'fd99::2', port: 179 },
        bfd: undefined,
      }),
    ],
  });
  bird.reconfigure(`${birdConfiguration()}
protocol bgp wide {
  local fd99::2 as 65002; neighbor fd99::1 as 65001; direct;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { table t4; import all; export all; extended next hop; };
  ipv6 { table t6; import all; export all; };
}`);
  await lab.established();
  for (const [prefix, table] of [
    ['fd10::/64', 't6'],
    ['10.10.0.0/24', 't4'],
  ]) {
    const text = () => bird.show(`route ${prefix} protocol wide all table ${table}`);
    await eventually(() => expect(text()).toMatch(/BGP\.next_hop: fd99::1 fe80::1/), { reason: `${prefix} at BIRD` });
  }
  for (const prefix of ['fd20::/64', '10.20.0.0/24']) {
    const told = () => [...speaker.routes({ prefix, peer: 'global' })];
    await eventually(() => expect(told()).toMatchObject([{ nextHop: 'fd99::2', linkLocalNextHop: 'fe80::2%eth0' }]), {
      reason: `${prefix} of BIRD`,
    });
  }
});

test('RFC 2385, RFC 5082: keys and GTSM; one key for one address, whatever the interface', async () => {
  const changes = { password: keys.bird, ttlSecurityHops: 1 };
  bird.reconfigure(birdConfiguration(`password "${keys.bird}"; ttl security on;`));
  frr.configure(
    'router bgp 65003',
    `neighbor fe80::1 password ${keys.bird.replaceAll(' ', '')}`,
    'neighbor fe80::1 ttl-security hops 1',
  );
  speaker.configure(toSettings(changes, { ...changes, password: keys.bird.replaceAll(' ', '') }));
  await eventually(() => peer('bird').state === 'established', { reason: 'with BIRD' });
  // FRR is called with its own key, on our connection; only what it calls itself meets the listener's.
  await lab.established();
  await eventually(() => expect(nextHops('10.20.0.0/24')).toEqual(['fe80::2%eth0']), { reason: 'of BIRD' });
});

test('tshark finds no malformed packet in all this', async () => {
  await lab.capture.end();
  expect(lab.capture.problems()).toEqual([]);
});
