/** RFC 2918 and RFC 7313: a table is told again. */

import { describe, expect, test } from 'vitest';
import type { Capabilities } from '../../../bgp/wire/capabilities.ts';
import { announce, withdraw } from '../rib/kit.ts';
import { fromHex, toHex } from '../kit/hex.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';
const toB = `to-${B}`;

const request = fromHex('00010001');
const begins = fromHex('00010101');
const ended = fromHex('00010201');

/** B has said 10.2.0.0/24 and 10.3.0.0/24. */
async function session(capabilities: Partial<Capabilities> = {}, endsTable = true) {
  const world = new VirtualWorld();
  const given = settings(A, 65000, [neighbor(B, 65000, { passive: true })], { originated: originated('10.1.0.0/24') });
  const a = await startSpeaker(world, given);
  const b = new ScriptedPeer(world, {
    address: B,
    to: A,
    asNumber: 65000,
    families: ['ipv4'],
    restartTimeSeconds: 20,
    capabilities: () => capabilities,
    endsTable: () => endsTable,
    table: () => [announce(['10.2.0.0/24', '10.3.0.0/24'], { nextHop: B })],
  });
  b.connect();
  b.persistent = false;
  world.seconds(1);
  expect(fromPeer()).toEqual(['10.2.0.0/24', '10.3.0.0/24']);
  const ours = world.connections.find(({ here }) => here === A);
  if (ours === undefined) throw new Error('no connection');

  /** Prefixes from B, ` stale` where they are. */
  function fromPeer(): string[] {
    return [...a.speaker.routes({ peer: toB })].map(({ prefix, stale }) => prefix + (stale ? ' stale' : '')).sort();
  }

  /** Types and bodies of what A has sent since the last call; KEEPALIVEs left out. */
  let read = ours.sent.length;
  const sent = () =>
    ours.sent
      .slice(read)
      .splice(0, (read = ours.sent.length))
      .filter((message) => message[18] !== 4)
      .map((message) => `${message[18]} ${toHex(message.subarray(19))}`);
  return { world, a, b, given, fromPeer, sent };
}

describe('RFC 7313 §4: the peer tells its table again', () => {
  test('what stands between BoRR and EoRR stays, the rest goes, and all of it is used meanwhile', async () => {
    const { world, a, b, fromPeer } = await session();
    const isRefreshing = () => peerOf(a, toB).families[0].refreshing;
    b.sends(5, begins);
    world.seconds(1);
    expect([fromPeer(), isRefreshing()].flat()).toEqual(['10.2.0.0/24 stale', '10.3.0.0/24 stale', true]);
    b.says(announce(['10.2.0.0/24', '10.4.0.0/24'], { nextHop: B }));
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24', '10.3.0.0/24 stale', '10.4.0.0/24']);
    b.sends(5, ended);
    world.seconds(1);
    expect([fromPeer(), isRefreshing()].flat()).toEqual(['10.2.0.0/24', '10.4.0.0/24', false]);
  });

  test('a BoRR in the middle begins anew', async () => {
    const { world, b, fromPeer } = await session();
    b.sends(5, begins);
    b.says(announce(['10.2.0.0/24'], { nextHop: B }));
    b.sends(5, begins);
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24 stale', '10.3.0.0/24 stale']);
    b.says(announce(['10.3.0.0/24'], { nextHop: B }));
    b.sends(5, ended);
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.3.0.0/24']);
  });

  test('a thousand refreshes, with and without an end: what is stale is always known', async () => {
    const { world, b, fromPeer } = await session();
    for (let i = 0; i < 1000; i++) {
      b.sends(5, begins);
      b.says(announce([i % 2 === 0 ? '10.2.0.0/24' : '10.4.0.0/24'], { nextHop: B }));
      if (i % 300 === 299) b.sends(5, ended);
    }
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24 stale', '10.4.0.0/24']);
  });

  test('an EoRR without BoRR means nothing', async () => {
    const { world, b, fromPeer } = await session();
    b.sends(5, ended);
    world.seconds(1);
    expect(fromPeer()).toHaveLength(2);
  });

  test('an End-of-RIB in the middle is not its end', async () => {
    const { world, b, fromPeer } = await session();
    b.sends(5, begins);
    b.endTable('ipv4');
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24 stale', '10.3.0.0/24 stale']);
  });

  test('with graceful restart, a BoRR before End-of-RIB means nothing', async () => {
    const { world, b, fromPeer } = await session({}, false);
    b.sends(5, begins);
    b.sends(5, ended);
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24', '10.3.0.0/24']);
  });

  test('without graceful restart nobody promised one', async () => {
    const { world, b, fromPeer } = await session({ gracefulRestart: undefined }, false);
    b.sends(5, begins);
    b.sends(5, ended);
    world.seconds(1);
    expect(fromPeer()).toEqual([]);
  });

  test('a peer that never sends EoRR: what it has not said again goes after six minutes', async () => {
    const { world, b, fromPeer } = await session();
    b.sends(5, begins);
    b.says(announce(['10.2.0.0/24'], { nextHop: B }));
    world.seconds(355);
    expect(fromPeer()).toHaveLength(2);
    world.seconds(10);
    expect(fromPeer()).toEqual(['10.2.0.0/24']);
    b.sends(5, ended);
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24']);
  });

  test('the session is lost in the middle: a graceful restart keeps what had not come yet, too', async () => {
    const { world, b, fromPeer } = await session();
    b.sends(5, begins);
    b.says(announce(['10.2.0.0/24'], { nextHop: B }));
    world.seconds(1);
    b.hangUp();
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24 stale', '10.3.0.0/24 stale']);
    b.connect();
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24', '10.3.0.0/24']);
    world.seconds(400);
    expect(fromPeer()).toHaveLength(2);
  });

  test('from a peer without the capability it is a request (RFC 2918 §3: a reserved octet)', async () => {
    const { world, b, fromPeer, sent } = await session({ enhancedRouteRefresh: false });
    b.sends(5, begins);
    world.seconds(1);
    expect(fromPeer()).toEqual(['10.2.0.0/24', '10.3.0.0/24']);
    expect(sent().map((text) => text[0])).toEqual(['2']);
  });

  test('§5: another subtype means nothing', async () => {
    const { world, a, b, fromPeer, sent } = await session();
    for (const subtype of [3, 128, 255]) b.sends(5, Uint8Array.of(0, 1, subtype, 1));
    world.seconds(1);
    expect([fromPeer(), sent(), peerOf(a, toB).state]).toEqual([['10.2.0.0/24', '10.3.0.0/24'], [], 'established']);
  });

  test('§5: a BoRR of another length ends the session with 7/1 and the message', async () => {
    const { world, a, b, sent } = await session();
    b.sends(5, fromHex('0001010100'));
    world.seconds(1);
    expect(sent()).toEqual([`3 0701${'ff'.repeat(16)}0018050001010100`]);
    expect(peerOf(a, toB).lastNotification).toBe(
      'ROUTE-REFRESH error: invalid message length (7/1), sent: a ROUTE-REFRESH message of 24 bytes',
    );
  });
});

describe('RFC 7313 §4: we tell our table again', () => {
  const table = '2 0000001540010100400200400304 0a000001 40050400000064180a0100'.replaceAll(' ', '').replace('2', '2 ');

  test('when asked: BoRR, the table, EoRR', async () => {
    const { world, b, sent } = await session();
    b.sends(5, request);
    world.seconds(1);
    const [first, ...rest] = sent();
    expect(first).toBe(`5 ${toHex(begins)}`);
    expect(rest).toEqual([table, `5 ${toHex(ended)}`]);
  });

  test('when told to', async () => {
    const { world, a, sent } = await session();
    const before = peerOf(a, toB).counters;
    a.speaker.peerAction(toB, 'refreshOut');
    world.seconds(1);
    expect(sent()).toEqual([`5 ${toHex(begins)}`, table, `5 ${toHex(ended)}`]);
    const { messagesSent, updatesSent } = peerOf(a, toB).counters;
    expect([messagesSent - before.messagesSent, updatesSent - before.updatesSent]).toEqual([3, 1]);
  });

  test('to a peer without the capability: the table', async () => {
    const { world, b, sent } = await session({ enhancedRouteRefresh: false });
    b.sends(5, request);
    world.seconds(1);
    expect(sent()).toEqual([table]);
  });

  test('another export filter: the refresh takes back what it refuses', async () => {
    const { world, a, given, sent } = await session();
    const exportFilter = { name: 'none', key: '1', evaluate: () => ({ kind: 'reject', rule: '' }) as const };
    a.speaker.configure({ ...given, neighbors: [{ ...given.neighbors[0], exportFilter }] });
    world.seconds(1);
    expect(sent()).toEqual([`5 ${toHex(begins)}`, '2 0004180a01000000', `5 ${toHex(ended)}`]);
  });

  test('never before End-of-RIB: while a restart is waited for, the peer is told nothing', async () => {
    const world = new VirtualWorld();
    world.silence(A, C);
    const b = await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
    const given = settings(A, 65000, [neighbor(B, 65000), neighbor(C, 65000)], {
      originated: originated('10.1.0.0/24'),
    });
    const a = await startSpeaker(world, given, { restarting: true });
    world.seconds(3);
    b.speaker.peerAction(`to-${A}`, 'refreshIn');
    world.seconds(10);
    const types = world
      .openBetween(A, B)
      .filter(({ here }) => here === A)
      .flatMap(({ sent }) => sent)
      .filter((message) => message[18] === 2 || message[18] === 5)
      .map((message) =>
        message[18] === 5 ? `refresh ${message[21]}` : message.length === 23 ? 'End-of-RIB' : 'table',
      );
    expect(types).toEqual(['table', 'End-of-RIB', 'refresh 1', 'table', 'refresh 2']);
    expect(routesOf(b)).toEqual([`10.1.0.0/24 from to-${A}`]);
    expect(a.events).toContainEqual({ kind: 'restartComplete' });
  });

  test('what changes while a slow peer is told stands before EoRR, too', async () => {
    const { world, a, given } = await session({ extendedMessage: false });
    // More than what may be in flight to one peer.
    const many = originated(
      ...Array.from({ length: 100_000 }, (_, i) => `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`),
    );
    a.speaker.configure({ ...given, originated: many });
    world.seconds(2);
    const [connection] = world.openBetween(A, B).filter(({ here }) => here === A);
    connection.stuck = true;
    const before = connection.sent.length;
    a.speaker.peerAction(toB, 'refreshOut');
    world.seconds(1);
    // The last in the log, which was not told yet.
    const last = many.length - 1;
    a.speaker.configure({
      ...given,
      originated: many.map((route, i) => (i === last ? { ...route, communities: ['65000:1'] } : route)),
    });
    for (let i = 0; i < 10; i++) {
      connection.unstick();
      world.run(100);
    }
    const said = connection.sent.slice(before).map((message) => toHex(message));
    const marker = (body: Uint8Array) =>
      said.findIndex((text) => text.endsWith(`0017 05 ${toHex(body)}`.replaceAll(' ', '')));
    const changed = said.findIndex((text) => text.includes('c00804fde80001'));
    expect(marker(begins)).toBe(0);
    expect(changed).toBeGreaterThan(0);
    expect(marker(ended)).toBeGreaterThan(changed);
    expect(marker(ended)).toBe(said.length - 1);
  });
});

test('two speakers: what one has lost of the other is back after a refresh, and what it should not have is gone', async () => {
  const world = new VirtualWorld();
  const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)]));
  const b = await startSpeaker(
    world,
    settings(B, 65000, [neighbor(A, 65000)], { originated: originated('10.2.0.0/24', '10.3.0.0/24') }),
  );
  world.seconds(5);
  const rib = Reflect.get(a.speaker, 'rib');
  const [peer] = Reflect.get(a.speaker, 'peersByName').values();
  rib.receiveUpdate(peer.ribId, withdraw(['10.2.0.0/24']));
  rib.receiveUpdate(peer.ribId, announce(['10.9.0.0/24'], { nextHop: B }));
  expect(routesOf(a)).toEqual([`10.3.0.0/24 from ${toB}`, `10.9.0.0/24 from ${toB}`]);
  a.speaker.peerAction(toB, 'refreshIn');
  world.seconds(1);
  expect(routesOf(a)).toEqual([`10.2.0.0/24 from ${toB}`, `10.3.0.0/24 from ${toB}`]);
  void b;
});
