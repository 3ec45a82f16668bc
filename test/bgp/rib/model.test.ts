/** Whatever is said in whatever order, and however slowly it is heard: each neighbour ends with what a naive model says. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { Family } from '../../../bgp/ip.ts';
import type { RibPeer } from '../../../bgp/rib/rib-types.ts';
import { Neighbor, announce, client, external, local, peer, settle, withdraw } from './kit.ts';

const peers: readonly RibPeer[] = [
  client('c1', 1),
  client('c2', 2),
  client('c3', 3),
  peer('n4', 4),
  peer('n5', 5),
  external('e6', 6, 65006),
  external('e7', 7, 65007),
  // RFC 7911: all paths, the best two, the best one; the first and the last send several, too.
  client('a8', 8, { addPath: { receive: ['ipv4', 'ipv6'], send: ['ipv4', 'ipv6'], sendMaximum: Infinity } }),
  client('b9', 9, { addPath: { receive: [], send: ['ipv4', 'ipv6'], sendMaximum: 2 } }),
  peer('n10', 10, { addPath: { receive: [], send: ['ipv4'], sendMaximum: 1 } }),
  external('x11', 11, 65011, { addPath: { receive: ['ipv4'], send: ['ipv4', 'ipv6'], sendMaximum: Infinity } }),
];
const prefixes = ['10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '192.0.2.128/25', '2001:db8::/32', '2001:db8:1::/48'];

interface Held {
  readonly from: number;
  readonly pathId: number;
  readonly localPref: number;
  readonly med: number;
}

const isExternal = (i: number) => peers[i].peerType === 'eBGP';
/** What stands first in the paths that the peer sends. */
const firstAs = (i: number) => (isExternal(i) ? peers[i].remoteAs : 64000 + i);

/** Higher LOCAL_PREF, then the lower MED of one AS, then (all else equal) eBGP, the lower peer, the lower path identifier. */
function naiveBest(paths: readonly Held[]): Held {
  const preference = ({ from, localPref }: Held) => (isExternal(from) ? 100 : localPref);
  const highest = Math.max(...paths.map(preference));
  let left = paths.filter((path) => preference(path) === highest);
  left = left.filter((path) => !left.some((other) => other.from === path.from && other.med < path.med));
  const rank = (path: Held) => [isExternal(path.from) ? 0 : 1, path.from, path.pathId];
  return left.sort((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
  })[0];
}

/** Each the best of what the ones before it leave. */
function naiveOrder(paths: readonly Held[]): Held[] {
  if (paths.length === 0) return [];
  const best = naiveBest(paths);
  return [best, ...naiveOrder(paths.filter((path) => path !== best))];
}

/** By the kinds of the peers. */
function mayHear(from: number, to: number): boolean {
  return isExternal(from) || isExternal(to) || peers[from].reflectorClient || peers[to].reflectorClient;
}

/** What the peer is to have been told of a prefix. */
function expectedOf(paths: readonly Held[], to: number, family: Family): Held[] {
  const { addPath } = peers[to];
  const ordered = naiveOrder(paths);
  const told =
    addPath?.send.includes(family) === true
      ? ordered.filter(({ from }) => mayHear(from, to)).slice(0, addPath.sendMaximum)
      : ordered.slice(0, 1).filter(({ from }) => mayHear(from, to));
  return told.filter(({ from }) => from !== to);
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      peer: fc.nat(peers.length - 1),
      prefix: fc.nat(5),
      pathId: fc.nat(2),
      localPref: fc.constantFrom(100, 200),
      med: fc.nat(3),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('withdraw' as const),
      peer: fc.nat(peers.length - 1),
      prefix: fc.nat(5),
      pathId: fc.nat(2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('listen' as const),
      peer: fc.nat(peers.length - 1),
      bytes: fc.constantFrom(1, 200, 65_536),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reset' as const), peer: fc.nat(peers.length - 1), keep: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refresh' as const), peer: fc.nat(peers.length - 1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('work' as const) }) },
);

test('what each neighbour holds in the end is what the model says, and no withdraw was without an announcement', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 120 }),
      fc.constantFrom(0, 65_536),
      fc.nat(peers.length),
      (steps, tombstoneSlack, atFirst) => {
        const rib = new Rib({ local, tombstoneSlack });
        // The others come when the first step names them.
        const present = peers.map((each, i) => (i < atFirst ? new Neighbor(rib, each) : undefined));
        const neighborOf = (i: number) => (present[i] ??= new Neighbor(rib, peers[i]));
        const table = prefixes.map(() => new Map<string, Held>());
        for (const each of steps) {
          switch (each.kind) {
            case 'announce':
            case 'withdraw': {
              const family = prefixes[each.prefix].includes(':') ? 'ipv6' : 'ipv4';
              const hasPathIds = peers[each.peer].addPath?.receive.includes(family) === true;
              const pathId = hasPathIds ? each.pathId : 0;
              const key = `${each.peer} ${pathId}`;
              const named = hasPathIds ? `${prefixes[each.prefix]}#${pathId}` : prefixes[each.prefix];
              if (each.kind === 'withdraw') {
                neighborOf(each.peer).says(withdraw([named]));
                table[each.prefix].delete(key);
                break;
              }
              const { localPref, med } = each;
              const nextHop = `${family === 'ipv6' ? '2001:db8::' : '192.0.2.'}${each.peer * 10 + pathId + 1}`;
              const attributes = { nextHop, asPath: [firstAs(each.peer)], med };
              neighborOf(each.peer).says(
                announce([named], isExternal(each.peer) ? attributes : { ...attributes, localPref }),
              );
              table[each.prefix].set(key, { from: each.peer, pathId, localPref, med });
              break;
            }
            case 'listen':
              neighborOf(each.peer).listenOnce(each.bytes);
              break;
            case 'reset': {
              rib.closePeer(neighborOf(each.peer).id, each.keep ? ['ipv4', 'ipv6'] : []);
              present[each.peer] = new Neighbor(rib, peers[each.peer]);
              for (const family of ['ipv4', 'ipv6'] as const) rib.endOfRib(neighborOf(each.peer).id, family);
              for (const held of table) for (const [key, { from }] of held) if (from === each.peer) held.delete(key);
              break;
            }
            case 'refresh':
              for (const family of ['ipv4', 'ipv6'] as const) rib.requestRefresh(neighborOf(each.peer).id, family);
              break;
            case 'work':
              settle(rib);
              break;
          }
        }
        const neighbors = peers.map((_, i) => neighborOf(i));
        settle(rib);
        for (const neighbor of neighbors) neighbor.listen();
        settle(rib);
        for (const [to, neighbor] of neighbors.entries()) {
          for (const [i, prefix] of prefixes.entries()) {
            const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
            const expected = expectedOf([...table[i].values()], to, family).map(({ from, pathId, med }) =>
              isExternal(to) ? `65000,${firstAs(from)}` : `${firstAs(from)} ${med} ${from * 10 + pathId + 1}`,
            );
            const heard = neighbor
              .paths(prefix)
              .map(({ asPath, med, nextHop }) =>
                isExternal(to) ? asPath.join(',') : `${asPath.join(',')} ${med} ${nextHop.split(/[.:]/).at(-1)}`,
              );
            expect(heard.sort()).toEqual(expected.sort());
          }
          expect(neighbor.endOfRib.sort()).toEqual(['ipv4', 'ipv6']);
          const told = ['ipv4', 'ipv6'] as const;
          expect(told.reduce((sum, family) => sum + rib.counters(neighbor.id, family).exported, 0)).toBe(
            neighbor.routes.size,
          );
        }
        const live = table.filter((held) => held.size > 0).length;
        expect(rib.totals('ipv4').prefixes + rib.totals('ipv6').prefixes).toBe(live);
        for (const neighbor of neighbors) rib.closePeer(neighbor.id, []);
        settle(rib);
        for (const family of ['ipv4', 'ipv6'] as const) {
          expect(rib.totals(family)).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
        }
      },
    ),
    { numRuns: 400 },
  );
});
