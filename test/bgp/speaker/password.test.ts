/** RFC 2385 as the speaker sees it: which keys it tells its driver, and what it says of attempts that nobody answers. */

import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const toA = `to-${A}`;
const toB = `to-${B}`;

async function pair(ofB: Partial<NeighborSettings>) {
  const world = new VirtualWorld();
  const given = settings(A, 65000, [neighbor(B, 65000, ofB)], { originated: originated('10.1.0.0/24') });
  const a = await startSpeaker(world, given);
  const b = await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000, { passive: true })]));
  const configure = (changes: Partial<NeighborSettings>) =>
    a.speaker.configure({ ...given, neighbors: [neighbor(B, 65000, changes)] });
  world.seconds(2);
  return { world, a, b, configure };
}

test('the listener and the connection have the key', async () => {
  const { a } = await pair({ password: 'hunter2' });
  expect(a.driver.keys).toEqual([{ address: B, key: 'hunter2' }]);
  expect(a.driver.connectionKeys).toEqual([`${B} hunter2`]);
});

test('the key of a range is one of its prefix', async () => {
  const world = new VirtualWorld();
  const range = neighbor('', 65000, { name: 'rack', remote: { kind: 'range', prefix: '10.0.0.0/24' }, password: 'x' });
  const a = await startSpeaker(world, settings(A, 65000, [range]));
  await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
  world.seconds(2);
  expect(a.driver.keys).toEqual([{ address: '10.0.0.0', prefixLength: 24, key: 'x' }]);
  expect(a.driver.connectionKeys).toEqual([`${B} x`]);
  expect(peerOf(a, `rack_${B}`).state).toBe('established');
});

test('another key goes to the listener and to the living connection, and the session stays', async () => {
  const { world, a, configure } = await pair({ password: 'old' });
  expect(configure({ password: 'new' })).toEqual({ added: [], removed: [], reset: [] });
  expect(a.driver.keys).toEqual([{ address: B, key: 'new' }]);
  expect(a.driver.connectionKeys).toEqual([`${B} old`, `${B} new`]);
  expect(configure({})).toEqual({ added: [], removed: [], reset: [] });
  expect(a.driver.keys).toEqual([]);
  expect(a.driver.connectionKeys.at(-1)).toBe(`${B} undefined`);
  world.seconds(60);
  expect(peerOf(a, toB)).toMatchObject({ state: 'established', counters: { flaps: 0 } });
});

test('a peer that is held down neither calls nor is let in, and says why', async () => {
  const { world, a, b } = await pair({ heldDown: 'no Secret' });
  expect(peerOf(a, toB)).toMatchObject({ state: 'idle', lastError: 'no Secret' });
  b.speaker.configure(settings(B, 65000, [neighbor(A, 65000)]));
  world.seconds(60);
  expect(peerOf(a, toB)).toMatchObject({ state: 'idle', lastError: 'no Secret' });
  a.speaker.peerAction(toB, 'disable');
  a.speaker.peerAction(toB, 'enable');
  a.speaker.peerAction(toB, 'restart');
  world.seconds(60);
  expect(peerOf(a, toB)).toMatchObject({ state: 'idle', lastError: 'no Secret' });
});

test('when the key comes the session is made; when it goes the session ends with Cease 6/6 and its routes with it', async () => {
  const { world, a, b, configure } = await pair({ heldDown: 'no Secret' });
  configure({ password: 'x' });
  expect(peerOf(a, toB).lastError).toBeUndefined();
  world.seconds(2);
  expect(peerOf(a, toB).state).toBe('established');
  configure({ heldDown: 'the Secret is gone' });
  world.seconds(2);
  expect(peerOf(a, toB)).toMatchObject({ state: 'idle', lastError: 'the Secret is gone' });
  expect(peerOf(b, toA).lastError).toBe(
    'cease: hard reset (6/9) with cease: other configuration change (6/6), received',
  );
  expect(routesOf(b)).toEqual([]);
});

test('a restart does not wait for a peer that is held down, and waits for the others', async () => {
  const world = new VirtualWorld();
  const C = '10.0.0.3';
  const neighbors = [neighbor(B, 65000, { heldDown: 'no Secret' }), neighbor(C, 65000)];
  const a = await startSpeaker(world, settings(A, 65000, neighbors), { restarting: true });
  expect(a.events).toEqual([]);
  await startSpeaker(world, settings(C, 65000, [neighbor(A, 65000)]));
  world.seconds(40);
  expect(a.events.map(({ kind }) => kind)).toContain('restartComplete');
});

test('a range that is held down lets no member in', async () => {
  const world = new VirtualWorld();
  const range = neighbor('', 65000, { remote: { kind: 'range', prefix: '10.0.0.0/24' }, heldDown: 'no Secret' });
  const a = await startSpeaker(world, settings(A, 65000, [range]));
  await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
  world.seconds(20);
  expect(a.speaker.peers()).toEqual([]);
});

test.each([
  ['no key, nothing dropped', {}, {}, ''],
  [
    'no key, signed segments dropped',
    {},
    { unexpected: 2 },
    '; meanwhile this node dropped 2 segments signed with TCP MD5, from some peer: does this one expect a password?',
  ],
  [
    'wrong key',
    { password: 'x' },
    { wrong: 1, missing: 1 },
    '; meanwhile this node dropped 1 segment with another TCP MD5 key, from some peer: is the password the same on both sides?',
  ],
  [
    'the peer has none',
    { password: 'x' },
    { missing: 3 },
    '; meanwhile this node dropped 3 segments without the TCP MD5 signature, from some peer: has the peer a password for us?',
  ],
  [
    'key, nothing dropped',
    { password: 'x' },
    {},
    '; a peer with another TCP MD5 key, or with none, does not answer either',
  ],
])('an attempt that nobody answers: %s', async (_title, changes, drops, hint) => {
  const world = new VirtualWorld();
  world.silence(A, B);
  const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000, { connectRetrySeconds: 5, ...changes })]));
  world.seconds(1);
  a.driver.drops = { missing: 0, unexpected: 0, wrong: 0, ...drops };
  world.seconds(5);
  expect(peerOf(a, toB).lastError).toBe(`connection attempt timed out${hint}`);
});

test('a connection that is refused is not the key', async () => {
  const world = new VirtualWorld();
  const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000, { password: 'x' })]));
  world.host(B);
  world.seconds(20);
  expect(peerOf(a, toB).lastError).toBe('connection refused');
});

test('a key that the system refuses is reported', async () => {
  const world = new VirtualWorld();
  world.host(A);
  const { a, configure } = await pair({});
  a.driver.keyFailures = [
    { address: B, reason: 'no room' },
    { address: '10.0.0.0', prefixLength: 8, reason: 'no room' },
  ];
  configure({ password: 'hunter2' });
  expect(a.events.at(-1)).toEqual({
    kind: 'listenFailed',
    reason: `a connection from ${B} and 1 more: the TCP MD5 key is refused: no room`,
  });
});

test.each([
  ['', 0],
  ['x'.repeat(81), 81],
  ['é'.repeat(41), 82],
])('a key of no or too many bytes is refused, and not shown', async (password, length) => {
  const { a, configure } = await pair({ password: 'x'.repeat(80) });
  expect(() => configure({ password })).toThrow(
    new RangeError(`neighbour ${toB}: a TCP MD5 key has 1 to 80 bytes, this one has ${length}`),
  );
  expect(peerOf(a, toB).state).toBe('established');
});

test('what the speaker tells holds no key', async () => {
  const { world, a, configure } = await pair({ password: 'hunter2' });
  configure({ password: 'hunter3' });
  world.cut(A, B);
  world.seconds(5);
  const told = JSON.stringify([a.speaker.peers(), a.events, a.speaker.totals()]) + inspect(a.events, { depth: 9 });
  expect(told).not.toMatch(/hunter/);
  expect(told).toContain(toB);
});
