import { expect, test } from 'vitest';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';

test('a peer that does not read costs about 256 KiB of whole messages, and holds nobody up', async () => {
  const world = new VirtualWorld();
  // A hundred thousand prefixes are about 500 KiB.
  const prefixes = Array.from({ length: 100_000 }, (_, i) => `10.${(i >> 8) >> 8}.${(i >> 8) & 255}.${i & 255}/32`);
  const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000), neighbor(C, 65000)]));
  await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)]));
  const c = await startSpeaker(world, settings(C, 65000, [neighbor(A, 65000)]));
  world.seconds(5);
  const toB = world.openBetween(A, B).find(({ here }) => here === A);
  if (toB === undefined) throw new Error('no connection to B');
  toB.stuck = true;
  a.speaker.configure({
    ...settings(A, 65000, [neighbor(B, 65000), neighbor(C, 65000)]),
    originated: originated(...prefixes),
  });
  world.seconds(5);
  expect(routesOf(c)).toHaveLength(100_000);
  expect(toB.unsentBytes).toBeGreaterThan(200 * 1024);
  // The last message may begin below the limit and end above it.
  expect(toB.unsentBytes).toBeLessThan((256 + 64) * 1024);
  // It reads on at last, and hears the rest.
  toB.unstick();
  world.seconds(5);
  expect(peerOf(a, `to-${B}`)).toMatchObject({ state: 'established', families: [{ exported: 100_000 }] });
});

test('a connection whose input piles up is not read until it is worked off', async () => {
  const world = new VirtualWorld();
  const many = Array.from({ length: 200_000 }, (_, i) => ({
    prefix: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`,
    source: 'node-pods',
  }));
  const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000, { passive: true })]));
  await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000)], { originated: many }));
  world.seconds(5);
  expect(routesOf(a)).toHaveLength(200_000);
  const ours = world.openBetween(A, B).find(({ here }) => here === A);
  expect(ours).toMatchObject({ reading: true });
  expect(ours?.pauses).toBeGreaterThan(0);
});
