/** Whatever is said in whatever order, and however slowly it is heard: each neighbour ends with what a naive model says. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
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
];
const prefixes = ['10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '192.0.2.128/25', '2001:db8::/32', '2001:db8:1::/48'];

interface Held {
  readonly localPref: number;
  readonly med: number;
}

/** Higher LOCAL_PREF, then (all else equal) eBGP, then the lower number. */
function naiveBest(held: ReadonlyMap<number, Held>): number | undefined {
  const preference = (i: number) => (peers[i].peerType === 'eBGP' ? 100 : held.get(i)!.localPref);
  const rank = (i: number) => [-preference(i), peers[i].peerType === 'eBGP' ? 0 : 1, i];
  return [...held.keys()].sort((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
  })[0];
}

function mayHear(from: number, to: number): boolean {
  if (from === to) return false;
  if (peers[from].peerType === 'eBGP' || peers[to].peerType === 'eBGP') return true;
  return peers[from].reflectorClient || peers[to].reflectorClient;
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      peer: fc.nat(6),
      prefix: fc.nat(5),
      localPref: fc.constantFrom(100, 200),
      med: fc.nat(3),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), peer: fc.nat(6), prefix: fc.nat(5) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('listen' as const),
      peer: fc.nat(6),
      bytes: fc.constantFrom(1, 200, 65_536),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), peer: fc.nat(6), keep: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refresh' as const), peer: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('work' as const) }) },
);

test('what each neighbour holds in the end is what the model says, and no withdraw was without an announcement', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.constantFrom(0, 65_536), (steps, tombstoneSlack) => {
      const rib = new Rib({ local, tombstoneSlack });
      const neighbors = peers.map((each) => new Neighbor(rib, each));
      const table = prefixes.map(() => new Map<number, Held>());
      for (const each of steps) {
        switch (each.kind) {
          case 'announce': {
            const { localPref, med } = each;
            const external = peers[each.peer].peerType === 'eBGP';
            const nextHop = prefixes[each.prefix].includes(':') ? `2001:db8::${each.peer}` : `192.0.2.${each.peer}`;
            const asPath = [external ? peers[each.peer].remoteAs : 64000 + each.peer];
            neighbors[each.peer].says(
              announce([prefixes[each.prefix]], { nextHop, asPath, med, ...(external ? {} : { localPref }) }),
            );
            table[each.prefix].set(each.peer, { localPref, med });
            break;
          }
          case 'withdraw':
            neighbors[each.peer].says(withdraw([prefixes[each.prefix]]));
            table[each.prefix].delete(each.peer);
            break;
          case 'listen':
            neighbors[each.peer].listenOnce(each.bytes);
            break;
          case 'reset': {
            rib.closePeer(neighbors[each.peer].id, each.keep ? ['ipv4', 'ipv6'] : []);
            neighbors[each.peer] = new Neighbor(rib, peers[each.peer]);
            for (const family of ['ipv4', 'ipv6'] as const) rib.endOfRib(neighbors[each.peer].id, family);
            for (const held of table) held.delete(each.peer);
            break;
          }
          case 'refresh':
            for (const family of ['ipv4', 'ipv6'] as const) rib.requestRefresh(neighbors[each.peer].id, family);
            break;
          case 'work':
            settle(rib);
            break;
        }
      }
      settle(rib);
      for (const neighbor of neighbors) neighbor.listen();
      settle(rib);
      for (const [to, neighbor] of neighbors.entries()) {
        const expected = prefixes.flatMap((prefix, i) => {
          const best = naiveBest(table[i]);
          if (best === undefined || !mayHear(best, to)) return [];
          const toExternal = peers[to].peerType === 'eBGP';
          const path = peers[best].peerType === 'eBGP' ? peers[best].remoteAs : 64000 + best;
          return [[prefix, toExternal ? `65000,${path}` : `${path} ${table[i].get(best)!.med}`]];
        });
        const heard = [...neighbor.routes].map(([prefix, told]) => [
          prefix,
          peers[to].peerType === 'eBGP' ? told.asPath.join(',') : `${told.asPath.join(',')} ${told.med}`,
        ]);
        expect(Object.fromEntries(heard)).toEqual(Object.fromEntries(expected));
        expect(neighbor.endOfRib.sort()).toEqual(['ipv4', 'ipv6']);
        const told = ['ipv4', 'ipv6'] as const;
        expect(told.reduce((sum, family) => sum + rib.counters(neighbor.id, family).exported, 0)).toBe(heard.length);
      }
      const live = table.filter((held) => held.size > 0).length;
      expect(rib.totals('ipv4').prefixes + rib.totals('ipv6').prefixes).toBe(live);
      for (const neighbor of neighbors) rib.closePeer(neighbor.id, []);
      settle(rib);
      for (const family of ['ipv4', 'ipv6'] as const) {
        expect(rib.totals(family)).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
      }
    }),
    { numRuns: 400 },
  );
});
