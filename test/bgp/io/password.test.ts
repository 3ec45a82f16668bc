/** RFC 2385 in the kernel: our own speakers on the loopback, then BIRD and FRR. */

import { afterEach, describe, expect, test } from 'vitest';
import { familyOfText } from '../../../bgp/ip.ts';
import { readSignatureDrops } from '../../../bgp/io/md5-signature.ts';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { SpeakerEvent } from '../../../bgp/speaker-types.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { enterNamespace } from '../kit/enter-namespace.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const port = 1790;
const running: Speaker[] = [];
const ending: (() => void)[] = [];

afterEach(async () => {
  for (const speaker of running.splice(0)) await speaker.stop('restart');
  for (const end of ending.splice(0).reverse()) end();
});

/** A network of its own: the counters of signatures are ours alone. */
function enterOwnNetwork(...addresses: string[]): TestNamespace {
  const namespace = new TestNamespace();
  ending.push(() => namespace.remove());
  namespace.ip('link set lo up');
  for (const address of addresses) namespace.ip(`addr add ${address} dev lo${address.includes(':') ? ' nodad' : ''}`);
  ending.push(enterNamespace(namespace.path));
  return namespace;
}

async function start(given: SpeakerSettings, address: string, events: SpeakerEvent[] = []): Promise<Speaker> {
  const speaker = new Speaker({
    settings: { ...given, listenPort: port },
    driver: new TcpDriver({ listenAddresses: [address] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
    onEvent: (event) => events.push(event),
  });
  running.push(speaker);
  await speaker.start();
  return speaker;
}

function toward(address: string, from: string, remoteAs: number, changes: Partial<NeighborSettings> = {}) {
  const remote = { kind: 'address', address, port } as const;
  return neighbor(address, remoteAs, {
    remote,
    localAddress: from,
    connectRetrySeconds: 1,
    holdTimeSeconds: 9,
    families: [familyOfText(from)],
    ...changes,
  });
}

async function established(...speakers: Speaker[]): Promise<void> {
  const states = () => speakers.flatMap((speaker) => speaker.peers().map(({ state }) => state));
  await eventually(() => states().length >= speakers.length && states().every((state) => state === 'established'), {
    reason: 'established',
  });
}

function received(speaker: Speaker): string[] {
  return [...speaker.routes({})].filter(({ peerType }) => peerType !== 'local').map(({ prefix }) => prefix);
}

describe.each([
  ['IPv4', '10.77.0.1', '10.77.0.2', '10.77.0.0/24', ['10.2.0.0/24', '10.3.0.0/24', '10.4.0.0/24']],
  ['IPv6', 'fd77::1', 'fd77::2', 'fd77::/64', ['fd02::/64', 'fd03::/64', 'fd04::/64']],
] as const)('%s', (_family, A, B, range, prefixes) => {
  const enter = () => enterOwnNetwork(...[A, B].map((address) => `${address}/${address.includes(':') ? 128 : 32}`));
  const ofA = (changes: Partial<NeighborSettings>, originates: string[] = []) =>
    settings('10.0.0.1', 65001, [toward(B, A, 65002, changes)], {
      listenPort: port,
      originated: originated(...originates),
    });
  const ofB = (changes: Partial<NeighborSettings>) =>
    settings('10.0.0.2', 65002, [toward(A, B, 65001, changes)], { listenPort: port });

  test('one key: a session; another key on the living connection of both sides: the same session', async () => {
    enter();
    const a = await start(ofA({ password: 'one' }), A);
    const b = await start(ofB({ password: 'one' }), B);
    await established(a, b);
    for (const [password, prefix] of [
      ['two', prefixes[0]],
      [undefined, prefixes[1]],
      ['four', prefixes[2]],
    ] as const) {
      // Between the two changes nothing that is sent arrives: a route is on its way.
      a.configure({ ...ofA({ password }, [prefix]) });
      b.configure(ofB({ password }));
      await eventually(() => received(b).join() === prefix, { reason: `a route signed with ${password}` });
    }
    expect([...a.peers(), ...b.peers()].map(({ counters }) => counters.flaps)).toEqual([0, 0]);
  });

  test('another key: no session, and the kernel counts what each side drops', async () => {
    enter();
    const a = await start(ofA({ password: 'one' }), A);
    const b = await start(ofB({ password: 'other' }), B);
    const hint = (speaker: Speaker) => /with another TCP MD5 key/.test(speaker.peers()[0].lastError ?? '');
    await eventually(() => hint(a) && hint(b), { reason: 'a hint at the key' });
    expect([a.peers()[0].state, b.peers()[0].state]).not.toContain('established');
    expect(readSignatureDrops().wrong).toBeGreaterThan(0);
    // The key mended on one side is all that it takes.
    b.configure(ofB({ password: 'one' }));
    await established(a, b);
  });

  test('a key on one side only: both are told', async () => {
    enter();
    const a = await start(ofA({ password: 'one' }), A);
    const b = await start(ofB({}), B);
    const says = (speaker: Speaker, words: string) => speaker.peers()[0].lastError?.includes(words) ?? false;
    await eventually(() => says(a, 'without the TCP MD5 signature') && says(b, 'does this one expect a password?'), {
      reason: 'hints',
    });
  });

  test('a range: its key is that of every member', async () => {
    enter();
    const remote = { kind: 'range', prefix: range } as const;
    const ranged = (password: string) =>
      settings('10.0.0.1', 65001, [toward('', A, 65002, { name: 'range', remote, password })], { listenPort: port });
    const a = await start(ranged('one'), A);
    const b = await start(ofB({ password: 'one' }), B);
    await eventually(() => b.peers()[0].state === 'established', { reason: 'established' });
    a.configure(ranged('two'));
    b.configure({ ...ofB({ password: 'two' }), originated: originated(prefixes[0]) });
    await eventually(() => received(a).join() === prefixes[0], { reason: 'a route signed with the new key' });
    expect(b.peers()[0].counters.flaps).toBe(0);
  });
});

test('more keys than the kernel has room for are named, and the reason', async () => {
  enterOwnNetwork('10.77.0.1/32');
  const events: SpeakerEvent[] = [];
  const many = Array.from({ length: 2000 }, (_, i) =>
    toward(`10.80.${i >> 8}.${i & 255}`, '10.77.0.1', 65002, { passive: true, password: 'one' }),
  );
  await start(settings('10.0.0.1', 65001, many), '10.77.0.1', events);
  expect(events.filter(({ kind }) => kind === 'listenFailed')).toEqual([
    {
      kind: 'listenFailed',
      reason: expect.stringMatching(
        /^a connection from 10\.80\.\d+\.\d+ and \d+ more: the TCP MD5 key is refused: net\.core\.optmem_max holds no more keys \(ENOMEM\)$/,
      ) as string,
    },
  ]);
});

describe('real peers', () => {
  const we = '10.99.0.1';
  const birdAddress = '10.99.0.2';
  const frrAddress = '10.99.0.3';
  const common = { localAddress: we, holdTimeSeconds: 3, connectRetrySeconds: 1 } as const;
  const given = (bird: string, frr: string): SpeakerSettings =>
    settings(we, 65001, [
      neighbor(birdAddress, 65002, { ...common, name: 'bird', ttl: 64, password: bird }),
      neighbor(frrAddress, 65001, { ...common, name: 'frr', password: frr }),
    ]);
  const birdConfiguration = (password: string) => `
router id ${birdAddress};
protocol device {}
protocol static s4 { ipv4; route 10.20.0.0/24 blackhole; }
protocol bgp godwit {
  local ${birdAddress} as 65002;
  neighbor ${we} as 65001;
  password "${password}";
  strict bind yes; multihop;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; };
}
`;
  const frrConfiguration = `
hostname test
router bgp 65001
 bgp router-id ${frrAddress}
 neighbor ${we} remote-as 65001
 neighbor ${we} timers connect 1
 neighbor ${we} password frr-key
`;

  test('BIRD and FRR: a session with the key; BIRD with another key: none, and a hint; then both change: a session', async () => {
    const here = new TestNamespace();
    const there = new TestNamespace();
    ending.push(
      () => here.remove(),
      () => there.remove(),
    );
    connectNamespaces(here, 'eth0', there, 'eth0');
    for (const host of [1, 2]) here.ip(`addr add 10.99.0.${host}/24 dev eth0`);
    there.ip(`addr add ${frrAddress}/24 dev eth0`);
    ending.push(enterNamespace(here.path));
    const bird = new Bird();
    const frr = new Frr(there.name);
    const speaker = new Speaker({
      settings: given('bird-key', 'frr-key'),
      driver: new TcpDriver({ listenAddresses: [we] }),
      clock: systemClock,
      restarting: false,
      forwardingPreserved: false,
    });
    const peer = (name: string) => speaker.peers().find((entry) => entry.name === name)!;
    const isUp = (name: string) => peer(name).state === 'established';
    try {
      await bird.start(birdConfiguration('bird-key'));
      await frr.start(frrConfiguration);
      await speaker.start();
      running.push(speaker);
      await eventually(() => isUp('bird') && isUp('frr'), { reason: 'both with their keys' });
      expect(frr.show('bgp neighbors')).toContain('Peer Authentication Enabled');

      speaker.configure(given('new-key', 'frr-key'));
      bird.reconfigure(birdConfiguration('other-key'));
      await eventually(() => /is the password the same on both sides/.test(peer('bird').lastError ?? ''), {
        reason: 'a hint at the key',
      });
      bird.reconfigure(birdConfiguration('new-key'));
      await eventually(() => isUp('bird'), { reason: 'both have the new key' });
      expect(peer('frr').counters.flaps).toBe(0);
    } finally {
      await speaker.stop('shutdown');
      await bird.stop();
      await frr.stop();
    }
  }, 60_000);
});
