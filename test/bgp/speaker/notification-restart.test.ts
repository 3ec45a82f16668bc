/** RFC 8538: what a NOTIFICATION does to a graceful restart. */

import { describe, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import type { GracefulRestartCapability } from '../../../bgp/wire/capabilities.ts';
import { announce } from '../rib/kit.ts';
import { fromHex } from '../kit/hex.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import type { ScriptedPeerOptions } from '../kit/scripted-peer.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const toA = `to-${A}`;
const toB = `to-${B}`;

const kept = [`10.2.0.0/24 from ${toB} stale`];
const fresh = [`10.2.0.0/24 from ${toB}`];

function capability(changes: Partial<GracefulRestartCapability> = {}): GracefulRestartCapability {
  const families = [{ family: 'ipv4' as const, forwardingPreserved: true }];
  return { restarting: false, notification: true, restartTimeSeconds: 20, families, ...changes };
}

/** A has a session with a peer that says 10.2.0.0/24. @param notification the peer's N bit */
async function established(notification: boolean, changes: Partial<ScriptedPeerOptions> = {}) {
  const world = new VirtualWorld();
  const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000, { passive: true, holdTimeSeconds: 30 })]));
  const peer = new ScriptedPeer(world, {
    address: B,
    to: A,
    asNumber: 65000,
    families: ['ipv4'],
    restartTimeSeconds: 20,
    capabilities: () => ({ gracefulRestart: capability({ notification }) }),
    table: () => [announce(['10.2.0.0/24'], { nextHop: B })],
    ...changes,
  });
  peer.connect();
  world.seconds(1);
  expect(routesOf(a)).toEqual(fresh);
  peer.persistent = false;
  return { world, a, peer };
}

describe.each([
  ['with the N bit', true],
  ['without it', false],
])('§4, %s', (_, notification) => {
  const expected = notification ? kept : [];

  test('a NOTIFICATION of the peer', async () => {
    const { world, a, peer } = await established(notification);
    peer.notifies(Uint8Array.of(6, 6));
    world.seconds(1);
    expect(routesOf(a)).toEqual(expected);
    expect(peerOf(a, toB).lastNotification).toBe('cease: other configuration change (6/6), received');
    world.seconds(20);
    expect(routesOf(a)).toEqual([]);
  });

  test('a NOTIFICATION of ours: an UPDATE that cannot be read', async () => {
    const { world, a, peer } = await established(notification);
    peer.says(fromHex('0000ffff'));
    world.seconds(1);
    expect(peerOf(a, toB).lastNotification).toMatch(/^UPDATE error: malformed attribute list \(3\/1\), sent/);
    expect(routesOf(a)).toEqual(expected);
  });

  test('the hold timer', async () => {
    const { world, a } = await established(notification);
    world.silence(A, B);
    world.seconds(31);
    expect(peerOf(a, toB).lastNotification).toBe('hold timer expired (4/0), sent');
    expect(routesOf(a)).toEqual(expected);
  });

  test('§3.2: a Hard Reset ends everything, and what it carries is shown', async () => {
    const { world, a, peer } = await established(notification);
    peer.notifies(fromHex('0609 0602 04 6e6f6f6e'));
    world.seconds(1);
    expect(routesOf(a)).toEqual([]);
    expect(peerOf(a, toB).lastNotification).toBe(
      'cease: hard reset (6/9) with cease: administrative shutdown (6/2) "noon", received',
    );
  });

  test('§5.1: a shutdown is a Hard Reset to a peer that knows it, and nothing is kept here', async () => {
    const { world, a } = await established(notification);
    a.speaker.peerAction(toB, 'disable', 'noon');
    world.run(10);
    expect(routesOf(a)).toEqual([]);
    const said = world.connections.find(({ here }) => here === A)?.sent.at(-1);
    const body = notification ? '0609 0602 04 6e6f6f6e' : '0602 04 6e6f6f6e';
    expect(said?.subarray(19)).toEqual(fromHex(body));
  });

  test('§4.1: a second loss before End-of-RIB', async () => {
    let ends = true;
    const { world, a, peer } = await established(notification, { endsTable: () => ends });
    peer.hangUp();
    world.seconds(1);
    expect(routesOf(a)).toEqual(kept);
    // It is back, says another route, and is gone again.
    ends = false;
    peer.options.table = () => [announce(['10.3.0.0/24'], { nextHop: B })];
    peer.connect();
    world.seconds(1);
    expect(routesOf(a)).toEqual([...kept, `10.3.0.0/24 from ${toB}`]);
    peer.hangUp();
    world.seconds(1);
    expect(routesOf(a)).toEqual([...expected, `10.3.0.0/24 from ${toB} stale`]);
    ends = true;
    peer.connect();
    world.seconds(1);
    expect(routesOf(a)).toEqual([`10.3.0.0/24 from ${toB}`]);
  });
});

test('§4.1: losses one after the other: what was stale first is kept no longer than the stale timer', async () => {
  let ends = true;
  const { world, a, peer } = await established(true, { endsTable: () => ends });
  ends = false;
  peer.options.table = () => [];
  // The restart time and six minutes.
  for (let seconds = 0; seconds < 360; seconds += 10) {
    expect(routesOf(a)).toEqual(seconds === 0 ? fresh : kept);
    peer.hangUp();
    world.seconds(5);
    peer.connect();
    world.seconds(5);
  }
  expect(routesOf(a)).toEqual(kept);
  for (let seconds = 0; seconds < 40; seconds += 10) {
    peer.hangUp();
    world.seconds(5);
    peer.connect();
    world.seconds(5);
  }
  expect(routesOf(a)).toEqual([]);
});

test('three hundred losses without End-of-RIB: what the first session said is still known to be stale', async () => {
  let ends = true;
  const { world, a, peer } = await established(true, { endsTable: () => ends });
  ends = false;
  peer.options.table = () => [announce(['10.3.0.0/24'], { nextHop: B })];
  for (let i = 0; i < 300; i++) {
    peer.hangUp();
    world.run(100);
    peer.connect();
    world.run(100);
  }
  expect(routesOf(a)).toEqual([...kept, `10.3.0.0/24 from ${toB}`]);
  peer.endTable('ipv4');
  world.seconds(1);
  expect(routesOf(a)).toEqual([`10.3.0.0/24 from ${toB}`]);
});

describe('§5.1: settings that need a new session', () => {
  async function reset(changes: Partial<NeighborSettings>) {
    const world = new VirtualWorld();
    const given = settings(A, 65000, [neighbor(B, 65000)], { originated: originated('10.1.0.0/24') });
    const a = await startSpeaker(world, given);
    const b = await startSpeaker(
      world,
      settings(B, 65000, [neighbor(A, 65000)], { originated: originated('10.2.0.0/24') }),
    );
    world.seconds(5);
    a.speaker.configure({ ...given, neighbors: [neighbor(B, 65000, changes)] });
    const missed = { a: 0, b: 0 };
    for (let i = 0; i < 100; i++) {
      world.run(100);
      if (routesOf(a).length < 2) missed.a++;
      if (routesOf(b).length < 2) missed.b++;
    }
    return { a, b, missed };
  }

  test('of the same neighbour: neither side misses a route', async () => {
    const { a, b, missed } = await reset({ holdTimeSeconds: 30 });
    expect(missed).toEqual({ a: 0, b: 0 });
    expect([peerOf(a, toB).counters.flaps, peerOf(b, toA).counters.flaps]).toEqual([1, 1]);
    expect([routesOf(a), routesOf(b)].flat().filter((text) => text.includes('stale'))).toEqual([]);
  });

  test('of another neighbour: nothing is kept', async () => {
    const { b, missed } = await reset({ remoteAs: 65001 });
    expect(missed.a).toBe(100);
    expect(missed.b).toBeGreaterThan(90);
    expect(b.events).toContainEqual({
      kind: 'peerDown',
      peer: toA,
      reason: 'cease: hard reset (6/9) with cease: other configuration change (6/6), received',
    });
  });
});

test('settings may change while nothing of a restarting peer is kept, since it had said nothing', async () => {
  const { world, a, peer } = await established(true);
  peer.says(fromHex('0004 180a0200 0000'));
  world.seconds(1);
  peer.hangUp();
  world.seconds(1);
  expect(peerOf(a, toB).gracefulRestart).toBe('peerRestarting');
  a.speaker.configure(
    settings(A, 65000, [neighbor(B, 65000, { passive: true, holdTimeSeconds: 30, description: 'x' })]),
  );
  expect(peerOf(a, toB).description).toBe('x');
});
