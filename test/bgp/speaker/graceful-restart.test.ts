import { describe, expect, test } from 'vitest';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { StartOptions } from '../kit/speakers.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';
const toA = `to-${A}`;
const toB = `to-${B}`;
const toC = `to-${C}`;

const fromB = `10.2.0.0/24 from ${toB}`;
const own = '10.1.0.0/24 from node-pods';

/** iBGP between A and B: B announces 10.2.0.0/24 and, before it restarts, 10.22.0.0/24. */
async function restartingPeer(changes: { b?: Partial<SpeakerSettings>; toB?: Partial<NeighborSettings> } = {}) {
  const world = new VirtualWorld();
  const settingsA = settings(A, 65000, [neighbor(B, 65000, changes.toB)], { originated: originated('10.1.0.0/24') });
  const before = settings(B, 65000, [neighbor(A, 65000)], {
    originated: originated('10.2.0.0/24', '10.22.0.0/24'),
    ...changes.b,
  });
  const a = await startSpeaker(world, settingsA);
  const b = await startSpeaker(world, before);
  world.seconds(10);
  expect(routesOf(a)).toEqual([own, fromB, `10.22.0.0/24 from ${toB}`]);
  const startAgain = (options: StartOptions, other: Partial<SpeakerSettings> = {}) =>
    startSpeaker(world, { ...before, originated: originated('10.2.0.0/24'), ...other }, options);
  /** SIGKILL: the kernel closes the sockets. */
  const kill = async () => {
    await b.speaker.stop('restart');
    b.driver.kill();
  };
  return { world, a, b, kill, startAgain };
}

const restarted = { restarting: true, forwardingPreserved: true };

describe('RFC 4724 §4.2: the receiving speaker', () => {
  test('keeps routes as stale when the connection is lost, until End-of-RIB', async () => {
    const { world, a, kill, startAgain } = await restartingPeer();
    await kill();
    world.run(100);
    expect(routesOf(a)).toEqual([own, `${fromB} stale`, `10.22.0.0/24 from ${toB} stale`]);
    expect(peerOf(a, toB)).toMatchObject({
      gracefulRestart: 'peerRestarting',
      lastError: 'connection closed by the peer',
    });
    await startAgain(restarted);
    world.seconds(5);
    expect(routesOf(a)).toEqual([own, fromB]);
    expect(peerOf(a, toB).gracefulRestart).toBe('ready');
  });

  test('gives up after the restart time of the peer', async () => {
    const { world, a, kill } = await restartingPeer({ b: { gracefulRestartSeconds: 20 } });
    await kill();
    world.seconds(19);
    expect(routesOf(a)).toHaveLength(3);
    world.seconds(2);
    expect(routesOf(a)).toEqual([own]);
    expect(peerOf(a, toB).gracefulRestart).toBe('none');
  });

  test('keeps them when the hold timer expires', async () => {
    const { world, a } = await restartingPeer({ toB: { holdTimeSeconds: 9 } });
    world.silence(A, B);
    world.seconds(12);
    expect(routesOf(a)).toEqual([own, `${fromB} stale`, `10.22.0.0/24 from ${toB} stale`]);
  });

  test('a NOTIFICATION ends it: nothing is kept', async () => {
    const { world, a, b } = await restartingPeer();
    await b.speaker.stop('shutdown');
    b.driver.kill();
    world.seconds(1);
    expect(routesOf(a)).toEqual([own]);
  });

  test('a peer without graceful restart: nothing is kept', async () => {
    const { world, a, kill } = await restartingPeer({ b: { gracefulRestartSeconds: 0 } });
    await kill();
    world.seconds(1);
    expect(routesOf(a)).toEqual([own]);
    expect(peerOf(a, toB).gracefulRestart).toBe('none');
  });

  test('graceful restart turned off towards one neighbour: nothing is kept', async () => {
    const { world, a, kill } = await restartingPeer({ toB: { gracefulRestartSeconds: 0 } });
    await kill();
    world.seconds(1);
    expect(routesOf(a)).toEqual([own]);
  });

  test('an F bit of zero in the new OPEN: what was kept goes at once, before End-of-RIB', async () => {
    const { world, a, kill, startAgain } = await restartingPeer();
    await kill();
    world.seconds(1);
    // It waits for C, which never answers, so that its own table and End-of-RIB come late.
    world.silence(B, C);
    await startAgain(
      { restarting: true, forwardingPreserved: false },
      { neighbors: [neighbor(A, 65000), neighbor(C, 65000)] },
    );
    world.seconds(5);
    expect(peerOf(a, toB).state).toBe('established');
    expect(routesOf(a)).toEqual([own]);
  });

  test('with the F bit they stay until the restarted peer has decided', async () => {
    const { world, a, kill, startAgain } = await restartingPeer();
    await kill();
    world.seconds(1);
    world.silence(B, C);
    await startAgain(restarted, { neighbors: [neighbor(A, 65000), neighbor(C, 65000)] });
    world.seconds(5);
    expect(peerOf(a, toB).state).toBe('established');
    expect(routesOf(a)).toEqual([own, `${fromB} stale`, `10.22.0.0/24 from ${toB} stale`]);
    expect(peerOf(a, toB).remoteCapabilities).toContain(
      'graceful restart 120 s, restarting (R), NOTIFICATIONs too (N), IPv4 forwarding preserved (F)',
    );
    world.seconds(10);
    expect(routesOf(a)).toEqual([own, fromB]);
  });

  test('a peer that comes back before we noticed its loss: the new connection replaces the old, routes stay', async () => {
    const { world, a, b, startAgain } = await restartingPeer();
    // The host's power fails: no FIN, no RST.
    for (const connection of world.openBetween(A, B)) connection.deaf = connection.here === A;
    await b.speaker.stop('restart');
    b.driver.kill();
    world.seconds(10);
    expect(peerOf(a, toB).state).toBe('established');
    await startAgain(restarted);
    const seen = new Set<number>();
    for (let i = 0; i < 50; i++) {
      world.run(100);
      seen.add(routesOf(a).length);
    }
    expect(Math.min(...seen)).toBe(2);
    expect(routesOf(a)).toEqual([own, fromB]);
    expect(a.events).toContainEqual({
      kind: 'peerDown',
      peer: toB,
      reason: 'replaced by a new connection of the peer',
    });
    expect(peerOf(a, toB)).toMatchObject({ state: 'established', lastError: undefined, counters: { flaps: 1 } });
  });
});

describe('RFC 4724 §4.1: the restarting speaker', () => {
  test('a first start waits for nobody', async () => {
    const world = new VirtualWorld();
    world.silence(A, B);
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]));
    expect(a.events).toEqual([{ kind: 'restartComplete' }]);
    expect(peerOf(a, toB).localCapabilities).toContain('graceful restart 120 s, NOTIFICATIONs too (N), IPv4');
  });

  test('waits for End-of-RIB from those that are up, with the R and F bits set meanwhile', async () => {
    const { world, b, kill, startAgain } = await restartingPeer();
    await kill();
    world.seconds(1);
    const again = await startAgain(restarted);
    world.run(2);
    expect(again.events).toEqual([]);
    expect(peerOf(again, toA).localCapabilities).toContain(
      'graceful restart 120 s, restarting (R), NOTIFICATIONs too (N), IPv4 forwarding preserved (F)',
    );
    world.seconds(3);
    expect(again.events).toEqual([{ kind: 'peerEstablished', peer: toA }, { kind: 'restartComplete' }]);
    expect(peerOf(again, toA).gracefulRestart).toBe('ready');
    void b;
  });

  test.each<[string, (world: VirtualWorld) => void, Partial<NeighborSettings>]>([
    ['a peer that refuses', (world) => void (world.host(C).off = true), {}],
    ['a peer that is unreachable', () => {}, {}],
    ['a peer that is silent', (world) => world.silence(A, C), {}],
    [
      'a peer that closes every connection without a word',
      (world) => void world.host(C).listen(179, (connection) => connection.close()),
      {},
    ],
    ['a passive peer that never comes', (world) => void world.host(C), { passive: true }],
    ['a peer that is held down', (world) => world.silence(A, C), { heldDown: 'its key is not known' }],
  ])('%s holds nothing up for long', async (_, arrange, changes) => {
    const world = new VirtualWorld();
    arrange(world);
    await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
    const a = await startSpeaker(
      world,
      settings(A, 65000, [neighbor(B, 65000), neighbor(C, 65000, changes)]),
      restarted,
    );
    world.seconds(21);
    expect(a.events.at(-1)).toEqual({ kind: 'restartComplete' });
  });

  test('a peer that closes connections without a word is there, and is waited for: its pause after a lost session', async () => {
    const world = new VirtualWorld();
    const pausing = world.host(B);
    void pausing.listen(179, (connection) => connection.close());
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]), restarted);
    world.seconds(6);
    expect(a.events).toEqual([]);
    pausing.kill();
    await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)], { originated: originated('10.2.0.0/24') }));
    world.seconds(2);
    expect(a.events).toEqual([{ kind: 'peerEstablished', peer: toB }, { kind: 'restartComplete' }]);
    expect(routesOf(a)).toEqual([fromB]);
  });

  test.each<[string, number, (world: VirtualWorld) => void]>([
    ['connection refused', 15, (world) => void world.host(B)],
    ['connection attempt timed out', 6, (world) => world.silence(A, B)],
  ])(
    '%s: a peer that does not listen is waited for, as ExaBGP, which comes by itself',
    async (error, wait, arrange) => {
      const world = new VirtualWorld();
      arrange(world);
      const a = await startSpeaker(
        world,
        settings(A, 65000, [neighbor(B, 65000, { connectRetrySeconds: 1 })]),
        restarted,
      );
      world.seconds(wait);
      expect(peerOf(a, toB).lastError).toBe(error);
      expect(a.events).toEqual([]);
      world.silent.clear();
      const given = settings(B, 65000, [neighbor(A, 65000)], { originated: originated('10.2.0.0/24') });
      await startSpeaker(world, { ...given, listenPort: undefined });
      world.seconds(3);
      expect(a.events).toEqual([{ kind: 'peerEstablished', peer: toB }, { kind: 'restartComplete' }]);
      expect(routesOf(a)).toEqual([fromB]);
    },
  );

  test('two that restart at once (R bits) do not wait for each other beyond seconds', async () => {
    const world = new VirtualWorld();
    const b = await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]), restarted);
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]), restarted);
    world.seconds(4);
    expect(a.events).toEqual([{ kind: 'peerEstablished', peer: toB }]);
    world.seconds(2);
    expect(a.events.at(-1)).toEqual({ kind: 'restartComplete' });
    expect(b.events.at(-1)).toEqual({ kind: 'restartComplete' });
  });

  test('a peer that sets the R bit and sends its table nevertheless, as FRR does after any start, is waited for', async () => {
    const world = new VirtualWorld();
    const b = await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]), restarted);
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]), restarted);
    world.seconds(2);
    // Its decision comes before ours.
    Reflect.get(b.speaker, 'rib').setDeferral(false);
    world.run(10);
    expect(a.events).toEqual([{ kind: 'peerEstablished', peer: toB }, { kind: 'restartComplete' }]);
  });

  test('a peer without graceful restart is not waited for', async () => {
    const world = new VirtualWorld();
    await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)], { gracefulRestartSeconds: 0 }));
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]), restarted);
    world.seconds(1);
    expect(a.events).toEqual([{ kind: 'peerEstablished', peer: toB }, { kind: 'restartComplete' }]);
  });

  test('a peer whose OPEN does not suit, or that refuses ours, is not waited for', async () => {
    for (const [ours, its] of [
      [65009, 65000],
      [65000, 65009],
    ]) {
      const world = new VirtualWorld();
      await startSpeaker(world, settings(B, 65000, [neighbor(A, its)]));
      const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, ours)]), restarted);
      world.seconds(1);
      expect(peerOf(a, toB).lastNotification).toMatch(/^OPEN error: bad peer AS \(2\/2\), (sent|received)/);
      expect(a.events).toEqual([{ kind: 'restartComplete' }]);
    }
  });

  test('a peer that is disabled is not waited for', async () => {
    const world = new VirtualWorld();
    world.silence(A, B);
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]), restarted);
    world.seconds(1);
    expect(a.events).toEqual([]);
    a.speaker.peerAction(toB, 'disable');
    world.run(10);
    expect(a.events).toEqual([{ kind: 'restartComplete' }]);
  });

  test('a peer that is removed is not waited for', async () => {
    const world = new VirtualWorld();
    world.silence(A, B);
    const given = settings(A, 65000, [neighbor(B, 65000)]);
    const a = await startSpeaker(world, given, restarted);
    world.seconds(1);
    expect(a.events).toEqual([]);
    a.speaker.configure({ ...given, neighbors: [] });
    expect(a.events).toEqual([{ kind: 'restartComplete' }]);
  });

  test('without neighbours there is nobody to wait for', async () => {
    const world = new VirtualWorld();
    const a = await startSpeaker(world, settings(A, 65000, []), restarted);
    world.seconds(1);
    expect(a.events).toEqual([{ kind: 'restartComplete' }]);
  });

  test('a peer that is up and never sends End-of-RIB: one minute at the longest', async () => {
    const world = new VirtualWorld();
    const b = await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
    // As if a million routes were on their way.
    Reflect.get(b.speaker, 'rib').setDeferral(true);
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]), restarted);
    world.seconds(58);
    expect(a.events).toEqual([{ kind: 'peerEstablished', peer: toB }]);
    world.seconds(3);
    expect(a.events.at(-1)).toEqual({ kind: 'restartComplete' });
  });

  test('peers hear nothing before the decision, then everything with End-of-RIB', async () => {
    const world = new VirtualWorld();
    world.silence(A, C);
    const b = await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
    const a = await startSpeaker(
      world,
      settings(A, 65000, [neighbor(B, 65000), neighbor(C, 65000)], { originated: originated('10.1.0.0/24') }),
      restarted,
    );
    world.seconds(5);
    expect(peerOf(b, toA)).toMatchObject({
      state: 'established',
      families: [{ imported: 0, endOfRibReceived: false }],
    });
    expect(peerOf(a, toB).gracefulRestart).toBe('weRestart');
    world.seconds(10);
    expect(peerOf(b, toA)).toMatchObject({ families: [{ imported: 1, endOfRibReceived: true }] });
    expect(peerOf(a, toC).state).toBe('connect');
  });
});
