import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeControlPacket } from '../../../bgp/bfd/packet.ts';
import { BfdSessions } from '../../../bgp/bfd/sessions.ts';
import type { BfdSettings, NeighborSettings } from '../../../bgp/settings.ts';
import type { BfdStatus } from '../../../bgp/status.ts';
import type { TestSpeaker } from '../kit/speakers.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';

const bfd: BfdSettings = {
  minimumTransmitMilliseconds: 300,
  minimumReceiveMilliseconds: 300,
  detectMultiplier: 3,
  multihop: false,
};

interface Pair {
  readonly world: VirtualWorld;
  readonly a: TestSpeaker;
  readonly b: TestSpeaker;
}

function settingsOfA(changes: Partial<NeighborSettings> = {}) {
  return settings(A, 65001, [neighbor(B, 65002, { bfd, ...changes })], { originated: originated('10.1.0.0/24') });
}

function settingsOfB(changes: Partial<NeighborSettings> = {}) {
  return settings(B, 65002, [neighbor(A, 65001, { bfd, ...changes })], { originated: originated('10.2.0.0/24') });
}

async function startPair(ofA: Partial<NeighborSettings> = {}, ofB: Partial<NeighborSettings> = {}): Promise<Pair> {
  const world = new VirtualWorld();
  const a = await startSpeaker(world, settingsOfA(ofA));
  const b = await startSpeaker(world, settingsOfB(ofB));
  world.seconds(10);
  expect(peerOf(a, `to-${B}`).state).toBe('established');
  return { world, a, b };
}

function bfdOf(speaker: TestSpeaker): BfdStatus {
  const [{ bfd: status }] = speaker.speaker.peers();
  if (status === undefined) throw new Error('no BFD');
  return status;
}

function stateOf({ speaker }: TestSpeaker): string {
  const [peer] = speaker.peers();
  return `${peer.state}, BFD ${peer.bfd?.state ?? 'none'}, ${peer.counters.flaps} flaps`;
}

function downEvents({ events }: TestSpeaker): string[] {
  return events.flatMap((event) => (event.kind === 'peerDown' ? [event.reason] : []));
}

describe('a path that fails', () => {
  test('both ends come up, at the slower of both wishes', async () => {
    const { a, b } = await startPair({}, { bfd: { ...bfd, minimumTransmitMilliseconds: 500, detectMultiplier: 5 } });
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
    expect(bfdOf(a)).toMatchObject({
      transmitIntervalMilliseconds: 300,
      detectionTimeMilliseconds: 2500,
      remoteMinimumTransmitMilliseconds: 500,
      remoteMinimumReceiveMilliseconds: 300,
      remoteDetectMultiplier: 5,
      remoteDiscriminator: bfdOf(b).localDiscriminator,
      diagnostic: 'none',
    });
    expect(bfdOf(b)).toMatchObject({ transmitIntervalMilliseconds: 500, detectionTimeMilliseconds: 900 });
  });

  test('RFC 5882 §4.2, §10.2: the session ends within the detection time, and nothing is kept for a graceful restart', async () => {
    const { world, a, b } = await startPair();
    expect(peerOf(a, `to-${B}`).gracefulRestart).toBe('ready');
    const [connection] = world.openBetween(A, B);
    world.silence(A, B);
    world.run(899 - 300);
    expect([downEvents(a), downEvents(b)]).toEqual([[], []]);
    world.run(301);
    expect([downEvents(a), downEvents(b)]).toEqual([
      ['cease: hard reset (6/9) with cease: BFD down (6/10), sent'],
      ['cease: hard reset (6/9) with cease: BFD down (6/10), sent'],
    ]);
    expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods']);
    expect(bfdOf(a).diagnostic).toBe('control detection time expired');
    expect(connection.isOpen).toBe(false);
    world.silent.clear();
    world.seconds(60);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 1 flaps', 'established, BFD up, 1 flaps']);
    expect(routesOf(a)).toContain(`10.2.0.0/24 from to-${B}`);
  });

  test('in one direction only: who still hears is told, and RFC 9384 names it in the NOTIFICATION', async () => {
    const { world, a, b } = await startPair();
    world.silent.add(`${B}>${A}`);
    world.seconds(2);
    expect(downEvents(a)).toEqual(['cease: hard reset (6/9) with cease: BFD down (6/10), sent']);
    expect(bfdOf(b)).toMatchObject({ state: 'init', remoteDiagnostic: 'control detection time expired' });
    // The NOTIFICATION or BFD's word, whichever packet came first: both left at once.
    expect(downEvents(b)).toHaveLength(1);
    expect(downEvents(b)[0]).toMatch(/^cease: hard reset \(6\/9\) with cease: BFD down \(6\/10\), (sent|received)$/);
  });

  test('a session that is only being opened ends, too', async () => {
    const world = new VirtualWorld();
    const driver = world.host(B);
    await driver.listen(179, () => {});
    const other = new BfdSessions({
      clock: world.clock,
      driver: driver.datagrams,
      random: () => 0.5,
      failed: () => {},
      listenFailed: () => {},
    });
    other.set(A, { settings: bfd, localAddress: undefined });
    const a = await startSpeaker(world, settingsOfA());
    world.seconds(10);
    expect(stateOf(a)).toBe('openSent, BFD up, 0 flaps');
    await other.stop();
    world.run(10);
    expect(stateOf(a)).toBe('openSent, BFD down, 0 flaps');
    other.set(A, { settings: bfd, localAddress: undefined });
    world.seconds(10);
    expect(stateOf(a)).toBe('openSent, BFD up, 0 flaps');
    world.silence(A, B);
    world.run(900);
    expect(stateOf(a)).toBe('idle, BFD down, 0 flaps');
    expect(peerOf(a, `to-${B}`).lastError).toBe('cease: BFD down (6/10), sent');
  });
});

describe('what does not end a session', () => {
  test('a peer that speaks no BFD', async () => {
    const { world, a } = await startPair({}, { bfd: undefined });
    world.seconds(3600);
    expect(stateOf(a)).toBe('established, BFD down, 0 flaps');
    expect(bfdOf(a)).toMatchObject({ remoteDiscriminator: 0, detectionTimeMilliseconds: 0, packetsReceived: 0 });
  });

  test('RFC 5882 §3.2: AdminDown: BFD is taken out of the settings of one side, later put back', async () => {
    const { world, a, b } = await startPair();
    b.speaker.configure(settingsOfB({ bfd: undefined }));
    world.run(10);
    expect(bfdOf(a)).toMatchObject({
      state: 'down',
      diagnostic: 'neighbor signaled session down',
      remoteDiagnostic: 'administratively down',
    });
    world.seconds(100);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD down, 0 flaps', 'established, BFD none, 0 flaps']);
    b.speaker.configure(settingsOfB());
    world.seconds(10);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
  });

  test('RFC 5880 §6.8.3: other timers, while it runs', async () => {
    const { world, a, b } = await startPair();
    const slower = { ...bfd, minimumTransmitMilliseconds: 2000, minimumReceiveMilliseconds: 1000 };
    expect(a.speaker.configure(settingsOfA({ bfd: slower })).reset).toEqual([]);
    world.seconds(10);
    expect(bfdOf(b)).toMatchObject({ transmitIntervalMilliseconds: 1000, detectionTimeMilliseconds: 6000 });
    a.speaker.configure(settingsOfA());
    world.seconds(10);
    expect(bfdOf(b)).toMatchObject({ transmitIntervalMilliseconds: 300, detectionTimeMilliseconds: 900 });
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
  });

  test('RFC 5882 §4.3.2: a failure while a graceful restart goes on does not abort it', async () => {
    const { world, a, b } = await startPair();
    b.driver.kill();
    world.hosts.delete(B);
    world.cutFor(A, B);
    world.seconds(20);
    expect(stateOf(a)).toMatch(/, BFD down, 1 flaps$/);
    expect(peerOf(a, `to-${B}`).gracefulRestart).toBe('peerRestarting');
    expect(routesOf(a)).toContain(`10.2.0.0/24 from to-${B} stale`);
  });

  test.each([0, 200, 800, 1500])(
    'a peer that is back after %i ms, before or after BFD notices: its new session stays',
    async (milliseconds) => {
      const { world, a, b } = await startPair();
      await b.speaker.stop('restart');
      b.driver.kill();
      world.run(milliseconds);
      const again = await startSpeaker(world, settingsOfB(), { restarting: true, forwardingPreserved: true });
      world.seconds(30);
      expect([stateOf(a), stateOf(again)]).toEqual(['established, BFD up, 1 flaps', 'established, BFD up, 0 flaps']);
      expect(downEvents(a)).toEqual(['connection closed by the peer']);
    },
  );

  test('a peer that was killed and is back before its silence is noticed: its BFD began anew, the path is there', async () => {
    const { world, a, b } = await startPair();
    b.driver.kill();
    world.hosts.delete(B);
    world.cutFor(A, B);
    world.run(1);
    const again = await startSpeaker(world, settingsOfB(), { restarting: true, forwardingPreserved: true });
    world.seconds(30);
    expect([stateOf(a), stateOf(again)]).toEqual(['established, BFD up, 1 flaps', 'established, BFD up, 0 flaps']);
  });

  test('our own pause: what lies unread in the sockets counts before the time it took us to read it', async () => {
    const { world, a, b } = await startPair({ bfd: { ...bfd, detectMultiplier: 20 } });
    a.driver.datagrams.stopped = true;
    world.run(2000);
    a.driver.datagrams.resume();
    world.seconds(5);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
  });
});

describe('the life of a session', () => {
  test('RFC 5880 §6.8.16: one that is not wanted any more says AdminDown for a detection time, then nothing', async () => {
    const { world, a, b } = await startPair();
    const from = world.time;
    a.speaker.configure(settingsOfA({ bfd: undefined }));
    world.seconds(60);
    const last = b.driver.datagrams.received
      .filter(({ at }) => at > from)
      .map(({ at, bytes }) => ({ at, packet: decodeControlPacket(bytes) }));
    expect(last.length).toBeGreaterThanOrEqual(3);
    for (const { at, packet } of last) {
      expect(packet).toMatchObject({ state: 'adminDown', diagnostic: 7 });
      expect(at - from).toBeLessThan(3100);
    }
  });

  test('disabled and enabled again with its peer', async () => {
    const { world, a, b } = await startPair();
    a.speaker.peerAction(`to-${B}`, 'disable');
    world.seconds(5);
    expect(stateOf(a)).toBe('idle, BFD none, 1 flaps');
    a.speaker.peerAction(`to-${B}`, 'enable');
    world.seconds(60);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 1 flaps', 'established, BFD up, 1 flaps']);
  });

  test('the end of the speaker is AdminDown, after the connections', async () => {
    const { world, a, b } = await startPair();
    await a.speaker.stop('restart');
    world.run(10);
    expect(bfdOf(b)).toMatchObject({ state: 'down', remoteDiagnostic: 'administratively down' });
    expect(downEvents(b)).toEqual(['connection closed by the peer']);
    expect(peerOf(b, `to-${A}`).gracefulRestart).toBe('peerRestarting');
  });

  test('a member of a range has one while it is known', async () => {
    const world = new VirtualWorld();
    const range = neighbor('', 65002, {
      name: 'racks',
      remote: { kind: 'range', prefix: '10.0.0.0/24' },
      passive: true,
      bfd,
    });
    const a = await startSpeaker(world, settings(A, 65001, [range]));
    const b = await startSpeaker(world, settingsOfB());
    world.seconds(10);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
    world.silence(A, B);
    world.seconds(100);
    expect(a.speaker.peers()).toEqual([]);
  });

  test('single hop listens where only the link can reach; multihop on the other port', async () => {
    const { a, b } = await startPair({ bfd: { ...bfd, multihop: true } }, { bfd: { ...bfd, multihop: true } });
    expect([...a.driver.datagrams.minimumTtl]).toEqual([[4784, undefined]]);
    expect(bfdOf(b)).toMatchObject({ state: 'up', multihop: true });
    const single = await startPair();
    expect([...single.a.driver.datagrams.minimumTtl]).toEqual([[3784, 255]]);
  });

  test('sides that disagree about multihop never come up, and their BGP session does not care', async () => {
    const { world, a, b } = await startPair({ bfd: { ...bfd, multihop: true } });
    world.seconds(60);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD down, 0 flaps', 'established, BFD down, 0 flaps']);
  });

  test('a port that another program has: said once, tried again until it is free', async () => {
    const world = new VirtualWorld();
    world.host(A);
    const given = settingsOfA({ bfd: undefined });
    const a = await startSpeaker(world, given);
    const b = await startSpeaker(world, settingsOfB());
    a.driver.datagrams.taken.add(3784);
    a.speaker.configure(settingsOfA());
    world.seconds(60);
    expect(a.events.filter(({ kind }) => kind === 'listenFailed')).toEqual([
      { kind: 'listenFailed', reason: 'port 3784: another program has it (EADDRINUSE)' },
    ]);
    a.driver.datagrams.taken.clear();
    world.seconds(20);
    expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
  });
});

describe('packets that are nobody’s', () => {
  test.each([
    ['from a stranger', '10.0.0.99', 3784, '20 40 03 18 00000005 00000000 000f4240 000493e0 00000000'],
    ['to a discriminator of nobody', B, 3784, '20 40 03 18 00000005 00000063 000f4240 000493e0 00000000'],
  ])('%s are counted', async (_, from, port, hex) => {
    const { a } = await startPair();
    const bytes = Uint8Array.from(hex.replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    a.driver.datagrams.arrive(from, port, bytes);
    expect(a.speaker.bfdDiscards().unknownSession).toBe(1);
    expect(stateOf(a)).toBe('established, BFD up, 0 flaps');
  });

  test('to our discriminator from another address: no session falls by guessing', async () => {
    const { a } = await startPair();
    const bytes = Uint8Array.of(0x20, 0x40, 3, 24, 0, 0, 0, 5, 0, 0, 0, 0, 0, 15, 66, 64, 0, 4, 147, 224, 0, 0, 0, 0);
    new DataView(bytes.buffer).setUint32(8, bfdOf(a).localDiscriminator);
    a.driver.datagrams.arrive('10.0.0.99', 3784, bytes);
    expect(a.speaker.bfdDiscards().unknownSession).toBe(1);
    expect(stateOf(a)).toBe('established, BFD up, 0 flaps');
  });

  test('random bytes from strangers: every one is counted, nothing else happens', async () => {
    const { world, a } = await startPair();
    const before = Object.values(a.speaker.bfdDiscards()).reduce((sum, count) => sum + count, 0);
    let count = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        a.driver.datagrams.arrive('10.0.0.99', 3784, bytes);
        count++;
      }),
      { numRuns: 500 },
    );
    expect(Object.values(a.speaker.bfdDiscards()).reduce((sum, each) => sum + each, 0) - before).toBe(count);
    world.seconds(5);
    expect(stateOf(a)).toBe('established, BFD up, 0 flaps');
  });

  test('random packets from the peer: whatever they do, BFD comes back when they end', async () => {
    const { world, a, b } = await startPair();
    const random = fc.tuple(
      fc.uint8Array({ minLength: 24, maxLength: 24 }),
      fc.boolean(),
      fc.integer({ min: 0, max: 500 }),
    );
    fc.assert(
      fc.property(random, ([bytes, aimed, pause]) => {
        bytes.set([0x20, bytes[1] & 0xf8, bytes[2] | 1, 24]);
        if (aimed) new DataView(bytes.buffer).setUint32(8, bfdOf(a).localDiscriminator);
        a.driver.datagrams.arrive(B, 3784, bytes);
        world.run(pause);
      }),
      { numRuns: 300 },
    );
    world.seconds(600);
    expect([bfdOf(a).state, bfdOf(b).state]).toEqual(['up', 'up']);
  });
});

test('packets lost at random, fewer in a row than the multiplier: nothing falls', async () => {
  const { world, a, b } = await startPair();
  const lost = new Map<string, number>();
  let seed = 1;
  const draw = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (const [driver, from] of [
    [a.driver.datagrams, B],
    [b.driver.datagrams, A],
  ] as const) {
    const arrive = driver.arrive.bind(driver);
    driver.arrive = (sender, port, bytes) => {
      const inARow = lost.get(from) ?? 0;
      const loses = inARow < 2 && draw() < 0.5;
      lost.set(from, loses ? inARow + 1 : 0);
      if (!loses) arrive(sender, port, bytes);
    };
  }
  world.seconds(300);
  expect([stateOf(a), stateOf(b)]).toEqual(['established, BFD up, 0 flaps', 'established, BFD up, 0 flaps']);
});
