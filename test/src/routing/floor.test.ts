import { describe, expect, test } from 'vitest';
import { Floor, mergeFloor } from '../../../src/routing/floor.ts';
import { node } from '../../kit/cluster.ts';
import { inventoryOf, session } from './world.ts';

const a = node('a', '10.0.0.1', { pods: ['10.244.1.0/24'] });
const b = node('b', '10.0.0.2', { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] });
const c = node('c', '10.0.0.3', { pods: ['10.244.3.0/24'] });
const reflector = node('rr', '10.0.0.11', { clusterId: '1.1.1.1' });

const prefixB = '10.244.2.0/24';
const prefixC = '10.244.3.0/24';
const toB = session('10.0.0.2', 'ipv4', 'ipv6');
const toC = session('10.0.0.3', 'ipv4', 'ipv6');
const toReflector = session('10.0.0.11', 'ipv4', 'ipv6');

/** A floor, and the prefixes that BGP has. */
function story(adopted: readonly string[] = []) {
  const floor = new Floor(inventoryOf('a', a, b, c, reflector), new Set(adopted));
  const best = new Set<string>();
  return {
    floor,
    best,
    peers: (...peers: ReturnType<typeof session>[]) => floor.setPeers(peers, (prefix) => best.has(prefix)),
    /** The next hops of b's and c's range. */
    get answers() {
      return [floor.nextHop(prefixB), floor.nextHop(prefixC)];
    },
  };
}

test('BGP wins where it has a path, its own prefix included', () => {
  expect(mergeFloor(['10.0.0.9'], '10.0.0.2')).toEqual({ source: 'bgp', nextHops: ['10.0.0.9'] });
  expect(mergeFloor([], '10.0.0.2')).toEqual({ source: 'bgp', nextHops: [] });
  expect(mergeFloor(undefined, '10.0.0.2')).toEqual({ source: 'floor', nextHops: ['10.0.0.2'] });
  expect(mergeFloor(undefined, undefined)).toEqual({ source: 'none', nextHops: [] });
});

describe('the floor', () => {
  test('leads to every other node by its address, as long as no session has spoken', () => {
    const { floor, answers } = story();
    expect(answers).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(floor.nextHop('10.244.1.0/24')).toBeUndefined();
    expect(floor.nextHop('fd00:10:2::/64')).toBe('::ffff:10.0.0.2');
  });

  test('a session that is not complete, or not in this family, has not spoken', () => {
    const world = story();
    world.peers(session('10.0.0.11'), session('10.0.0.2', 'ipv6'));
    expect(world.answers).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(world.floor.nextHop('fd00:10:2::/64')).toBeUndefined();
  });

  test('a complete session with a reflector, or with a peer outside, could have carried every prefix', () => {
    for (const peer of [toReflector, session('192.0.2.1', 'ipv4')]) {
      const world = story();
      world.peers(peer);
      expect(world.answers).toEqual([undefined, undefined]);
    }
  });

  test('a mesh session speaks for its own node alone', () => {
    const world = story();
    world.peers(toB);
    expect(world.answers).toEqual([undefined, '10.0.0.3']);
    world.peers(toB, toC);
    expect(world.answers).toEqual([undefined, undefined]);
  });

  test('a lost session leaves its word behind while another is complete', () => {
    const world = story();
    world.peers(toB, toC);
    world.peers(toC);
    expect(world.answers).toEqual([undefined, undefined]);
  });

  test('when every session is lost, it carries what BGP had carried, and not what was withdrawn', () => {
    const world = story();
    world.best.add(prefixB);
    world.peers(toReflector);
    world.peers();
    world.best.clear();
    expect(world.answers).toEqual(['10.0.0.2', undefined]);
  });

  test('a withdrawn prefix stays away until a session speaks again', () => {
    const world = story();
    world.peers(toReflector);
    world.peers();
    world.peers(session('10.0.0.11'));
    expect(world.answers).toEqual([undefined, undefined]);
    world.best.add(prefixC);
    world.peers(toReflector);
    world.peers();
    expect(world.answers).toEqual([undefined, '10.0.0.3']);
  });

  test('a withdrawn prefix is forgotten when its Node object changes', () => {
    const world = story();
    world.peers(toReflector);
    world.peers();
    const moved = node('c', '10.0.0.33', { pods: [prefixC] });
    expect([...world.floor.setInventory(inventoryOf('a', a, b, moved, reflector))]).toEqual([prefixC]);
    expect(world.answers).toEqual([undefined, '10.0.0.33']);
  });

  test('follows the Node objects', () => {
    const world = story();
    expect([...world.floor.setInventory(inventoryOf('a', a, c))].sort()).toEqual([prefixB, 'fd00:10:2::/64']);
    expect(world.answers).toEqual([undefined, '10.0.0.3']);
  });

  test('a prefix whose route was adopted has none until the adopted are released', () => {
    const world = story([prefixB]);
    expect(world.answers).toEqual([undefined, '10.0.0.3']);
    expect([...world.floor.releaseAdopted()]).toEqual([prefixB]);
    expect(world.answers).toEqual(['10.0.0.2', '10.0.0.3']);
  });

  test('names what may have changed, and nothing where nothing did', () => {
    const world = story();
    expect([...world.peers(session('10.0.0.11'))]).toEqual([]);
    expect([...world.peers(toReflector)].sort()).toEqual([prefixB, prefixC, 'fd00:10:2::/64']);
    expect([...world.peers(toReflector, toB)]).toEqual([]);
    expect([...world.peers()].sort()).toEqual([prefixB, prefixC, 'fd00:10:2::/64']);
  });
});
