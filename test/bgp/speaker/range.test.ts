import { expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const R = '10.0.0.100';
const toR = `to-${R}`;

function range(prefix: string, changes: Partial<NeighborSettings> = {}): NeighborSettings {
  return {
    ...neighbor('', 65000),
    name: 'nodes',
    remote: { kind: 'range', prefix },
    passive: true,
    reflectorClient: true,
    ...changes,
  };
}

/** A reflector with a range, and two nodes in it. */
async function reflector(changes: Partial<NeighborSettings> = {}) {
  const world = new VirtualWorld();
  const given = settings(R, 65000, [range('10.0.0.0/24', changes)]);
  const r = await startSpeaker(world, given);
  const node = (address: string, prefix: string) =>
    startSpeaker(world, settings(address, 65000, [neighbor(R, 65000)], { originated: originated(prefix) }));
  const one = await node('10.0.0.1', '10.1.0.0/24');
  const two = await node('10.0.0.2', '10.2.0.0/24');
  world.seconds(2);
  return { world, given, r, one, two };
}

test('any member of the range is accepted, named after the range, and reflected to the others', async () => {
  const { r, one } = await reflector();
  expect(r.speaker.peers().map(({ name, range: from, passive, state }) => [name, from, passive, state])).toEqual([
    ['nodes_10.0.0.1', 'nodes', true, 'established'],
    ['nodes_10.0.0.2', 'nodes', true, 'established'],
  ]);
  expect(routesOf(one)).toEqual(['10.1.0.0/24 from node-pods', `10.2.0.0/24 from ${toR}`]);
});

test('an address outside the range is refused', async () => {
  const { world, r } = await reflector();
  const stranger = await startSpeaker(world, settings('10.0.1.1', 65000, [neighbor(R, 65000)]));
  world.seconds(5);
  expect(peerOf(stranger, toR).lastError).toBe('connection closed by the peer');
  expect(r.speaker.peers()).toHaveLength(2);
});

test('a neighbour of its own wins over the range, the narrower range over the wider', async () => {
  const world = new VirtualWorld();
  const own = neighbor('10.0.0.1', 65000, { name: 'special', passive: true });
  const wide = range('10.0.0.0/16', { name: 'wide' });
  const r = await startSpeaker(world, settings(R, 65000, [wide, range('10.0.0.0/24'), own]));
  for (const address of ['10.0.0.1', '10.0.0.2', '10.0.3.1']) {
    await startSpeaker(world, settings(address, 65000, [neighbor(R, 65000)]));
  }
  world.seconds(2);
  expect(
    r.speaker
      .peers()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['nodes_10.0.0.2', 'special', 'wide_10.0.3.1']);
});

test('a member that is gone is forgotten after a minute, and not before its kept routes are', async () => {
  const { world, r, one, two } = await reflector();
  await one.speaker.stop('shutdown');
  one.driver.kill();
  await two.speaker.stop('restart');
  two.driver.kill();
  world.seconds(59);
  expect(r.speaker.peers()).toHaveLength(2);
  expect(routesOf(r)).toEqual(['10.2.0.0/24 from nodes_10.0.0.2 stale']);
  world.seconds(2);
  expect(r.speaker.peers().map(({ name }) => name)).toEqual(['nodes_10.0.0.2']);
  expect(routesOf(r)).toEqual(['10.2.0.0/24 from nodes_10.0.0.2 stale']);
  world.seconds(60);
  expect(r.speaker.peers()).toEqual([]);
  expect(routesOf(r)).toEqual([]);
});

test('a change of the range reaches its members; removing it removes them', async () => {
  const { world, given, r, one } = await reflector();
  expect(
    r.speaker.configure({ ...given, neighbors: [range('10.0.0.0/24', { description: 'all nodes' })] }).reset,
  ).toEqual([]);
  expect(peerOf(r, 'nodes_10.0.0.1').description).toBe('all nodes');
  const narrowed = r.speaker.configure({ ...given, neighbors: [range('10.0.0.2/32', { description: 'all nodes' })] });
  expect(narrowed).toEqual({ added: [], removed: ['nodes_10.0.0.1'], reset: [] });
  world.seconds(1);
  expect(one.events.at(-1)).toMatchObject({
    reason: 'cease: hard reset (6/9) with cease: peer de-configured (6/3), received',
  });
  expect(r.speaker.configure({ ...given, neighbors: [] }).removed).toEqual(['nodes_10.0.0.2']);
});

test('a restarting reflector waits until no more members come, then decides', async () => {
  const { world, given, r, one } = await reflector();
  await r.speaker.stop('restart');
  r.driver.kill();
  world.seconds(1);
  const again = await startSpeaker(world, given, { restarting: true, forwardingPreserved: true });
  world.seconds(10);
  expect(again.events.map(({ kind }) => kind)).toEqual(['peerEstablished', 'peerEstablished']);
  expect(routesOf(one)).toEqual(['10.1.0.0/24 from node-pods', `10.2.0.0/24 from ${toR} stale`]);
  world.seconds(20);
  expect(again.events.at(-1)).toEqual({ kind: 'restartComplete' });
  expect(routesOf(one)).toEqual(['10.1.0.0/24 from node-pods', `10.2.0.0/24 from ${toR}`]);
});
