/** RFC 7911 between speakers: what is negotiated, told, taken, shown, and what a change of it does. */

import { expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { neighbor, originated, peerOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const [X, Y, R, Z] = ['10.0.0.1', '10.0.0.2', '10.0.0.8', '10.0.0.9'];
const asNumber = 65000;
const P = '10.1.0.0/16';
const client = { reflectorClient: true, passive: true };

/** X and Y originate P; R reflects it to Z. */
async function reflected(addPaths: NeighborSettings['addPaths'], ofZ: NeighborSettings['addPaths']) {
  const world = new VirtualWorld();
  const at = (
    address: string,
    prefixes: readonly string[],
    changes: Partial<NeighborSettings> = {},
    maximumPaths = 1,
  ) =>
    settings(address, asNumber, [neighbor(R, asNumber, changes)], {
      originated: originated(...prefixes),
      maximumPaths,
    });
  const ofR = (given: NeighborSettings['addPaths']) =>
    settings(R, asNumber, [
      neighbor(X, asNumber, client),
      neighbor(Y, asNumber, client),
      neighbor(Z, asNumber, { ...client, addPaths: given }),
    ]);
  const r = await startSpeaker(world, ofR(addPaths));
  const x = await startSpeaker(world, at(X, [P]));
  const y = await startSpeaker(world, at(Y, [P]));
  const z = await startSpeaker(world, at(Z, [], { addPaths: ofZ }, 4));
  world.seconds(5);
  const paths = () =>
    [...z.speaker.routes({ prefix: P })].map(({ nextHop, selected }) => `${nextHop} ${selected}`).sort();
  return { world, r, x, y, z, paths, ofR };
}

const all = { receive: false, sendMaximum: Infinity };
const receive = { receive: true, sendMaximum: 0 };

test('behind a reflector: both paths come, and share the traffic', async () => {
  const { world, r, z, x, paths } = await reflected(all, receive);
  expect(paths()).toEqual([`${X} best`, `${Y} multipath`]);
  expect(peerOf(r, `to-${Z}`).localCapabilities.slice(-3)).toEqual(['ADD-PATH', '  RX:', '  TX: ipv4']);
  expect(peerOf(r, `to-${Z}`).remoteCapabilities.slice(-3)).toEqual(['ADD-PATH', '  RX: ipv4', '  TX:']);
  const told = [...r.speaker.routes({ exportedTo: `to-${Z}` })].map(({ pathId, nextHop }) => [nextHop, pathId]);
  const taken = [...z.speaker.routes({ prefix: P })].map(({ pathId, nextHop }) => [nextHop, pathId]);
  expect(Object.fromEntries(taken)).toEqual(Object.fromEntries(told));
  expect(told.map(([nextHop]) => nextHop).sort()).toEqual([X, Y]);
  expect(peerOf(r, `to-${Z}`).families[0]).toMatchObject({ exported: 2, endOfRibSent: true });
  expect(peerOf(z, `to-${R}`).families[0]).toMatchObject({ imported: 2, endOfRibReceived: true });
  await x.speaker.stop('shutdown');
  world.seconds(1);
  expect(paths()).toEqual([`${Y} best`]);
});

test.each<[string, NeighborSettings['addPaths'], NeighborSettings['addPaths']]>([
  ['the reflector sends none', undefined, receive],
  ['the other receives none', all, undefined],
  ['both only send', all, all],
])('one path, as ever: %s', async (_, ofReflector, ofZ) => {
  const { z, paths } = await reflected(ofReflector, ofZ);
  expect(paths()).toEqual([`${X} best`]);
  expect([...z.speaker.routes({ prefix: P })][0].pathId).toBeUndefined();
});

test('a change of it needs a new session, of that peer alone', async () => {
  const { world, r, paths, ofR } = await reflected(all, receive);
  expect(r.speaker.configure(ofR(all)).reset).toEqual([]);
  expect(r.speaker.configure(ofR({ ...all, sendMaximum: 1 })).reset).toEqual([`to-${Z}`]);
  world.seconds(60);
  expect(paths()).toEqual([`${X} best`]);
  expect(r.speaker.configure(ofR(undefined)).reset).toEqual([`to-${Z}`]);
  world.seconds(60);
  expect(paths()).toEqual([`${X} best`]);
  expect(r.speaker.configure(ofR(all)).reset).toEqual([`to-${Z}`]);
  world.seconds(60);
  expect(paths()).toEqual([`${X} best`, `${Y} multipath`]);
});

test('a refresh tells all of it again, and what is the same stays', async () => {
  const { world, r, z, paths } = await reflected(all, receive);
  const before = peerOf(z, `to-${R}`).counters.updatesReceived;
  z.speaker.peerAction(`to-${R}`, 'refreshIn');
  world.seconds(1);
  expect(peerOf(z, `to-${R}`).counters.updatesReceived).toBeGreaterThan(before);
  expect(paths()).toEqual([`${X} best`, `${Y} multipath`]);
  expect(peerOf(r, `to-${Z}`).families[0].exported).toBe(2);
});

test('RFC 4724: the reflector restarts, with other identifiers; both paths are there all the time, and then only the new ones', async () => {
  const { world, r, z, paths, ofR } = await reflected(all, receive);
  await r.speaker.stop('restart');
  world.seconds(1);
  expect(paths()).toEqual([`${X} best`, `${Y} multipath`]);
  expect([...z.speaker.routes({ prefix: P })].every(({ stale }) => stale)).toBe(true);
  const again = await startSpeaker(world, ofR(all), { restarting: true, forwardingPreserved: true });
  for (let i = 0; i < 60; i++) {
    world.seconds(1);
    expect(paths().map((text) => text.split(' ')[0])).toEqual(expect.arrayContaining([X, Y]));
  }
  expect(peerOf(again, `to-${Z}`).state).toBe('established');
  expect(paths()).toEqual([`${X} best`, `${Y} multipath`]);
  expect([...z.speaker.routes({ prefix: P })].some(({ stale }) => stale)).toBe(false);
});
