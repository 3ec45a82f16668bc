/** RFC 7911: several paths of one prefix to one peer. */

import { describe, expect, test } from 'vitest';
import type { Family } from '../../../bgp/ip.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibPeer } from '../../../bgp/rib/rib-types.ts';
import { Neighbor, announce, client, local, peer, policy, settle, withdraw } from './kit.ts';

const P = '10.1.0.0/16';
const Q = '2001:db8:1::/48';
const both: readonly Family[] = ['ipv4', 'ipv6'];

/** Sends us several paths. */
const sender = (name: string, number: number, differing: Partial<RibPeer> = {}) =>
  client(name, number, { addPath: { receive: both, send: [], sendMaximum: 0 }, ...differing });

/** Hears several paths. */
const hearing = (sendMaximum: number, families: readonly Family[] = both) => ({
  addPath: { receive: [], send: families, sendMaximum },
});

const all = hearing(Infinity);

/** Next hops of what is told of a prefix, by identifier. */
function told(neighbor: Neighbor, prefix: string): Record<string, string> {
  const paths = [...neighbor.routes].filter(([key]) => key.startsWith(`${prefix}#`));
  return Object.fromEntries(paths.map(([key, { nextHop }]) => [key.split('#')[1], nextHop]));
}

const nextHops = (neighbor: Neighbor, prefix: string) => Object.values(told(neighbor, prefix)).sort();

/** A peer and three that have told it a path of P each, .1 the best. */
function three(differing: Partial<RibPeer>, families: readonly string[] = [P]) {
  const rib = new Rib({ local });
  const [x, y, z] = ['x', 'y', 'z'].map((name, i) => new Neighbor(rib, client(name, i + 1)));
  const r = new Neighbor(rib, client('r', 9, differing));
  for (const [i, from] of [x, y, z].entries()) {
    for (const prefix of families) {
      const nextHop = prefix.includes(':') ? `2001:db8::${i + 1}` : `192.0.2.${i + 1}`;
      from.says(announce([prefix], { nextHop, localPref: 300 - i }));
    }
  }
  r.listen();
  const counted = () => {
    const { announcements, withdrawals } = r;
    r.listen();
    return [r.announcements - announcements, r.withdrawals - withdrawals];
  };
  return { rib, x, y, z, r, counted };
}

describe('sent', () => {
  test.each([P, Q])('all paths of %s, each with an identifier of its own, in one way for both families', (prefix) => {
    const { r, counted } = three(all, [prefix]);
    const hop = (n: number) => (prefix === Q ? `2001:db8::${n}` : `192.0.2.${n}`);
    expect(nextHops(r, prefix)).toEqual([hop(1), hop(2), hop(3)]);
    expect(r.announcements).toBe(3);
    expect(r.endOfRib.sort()).toEqual(['ipv4', 'ipv6']);
    expect(counted()).toEqual([0, 0]);
  });

  test('a family without the capability hears the best path, without an identifier', () => {
    const { r } = three(hearing(Infinity, ['ipv6']), [P, Q]);
    expect(r.prefixes().filter((key) => key.startsWith(P))).toEqual([P]);
    expect(nextHops(r, Q)).toHaveLength(3);
  });

  test('one path that changes is sent alone, under its identifier; one that goes is withdrawn alone', () => {
    const { r, y, z, counted } = three(all);
    const before = told(r, P);
    y.says(announce([P], { nextHop: '192.0.2.22', localPref: 299 }));
    expect(counted()).toEqual([1, 0]);
    expect(told(r, P)).toEqual(
      Object.fromEntries(Object.entries(before).map(([id, hop]) => [id, hop === '192.0.2.2' ? '192.0.2.22' : hop])),
    );
    // Another rank, the same path: nothing changes for who hears all.
    z.says(announce([P], { nextHop: '192.0.2.3', localPref: 999 }));
    expect(counted()).toEqual([1, 0]);
    y.says(withdraw([P]));
    expect(counted()).toEqual([0, 1]);
    expect(nextHops(r, P)).toEqual(['192.0.2.1', '192.0.2.3']);
    expect(Object.keys(told(r, P)).every((id) => before[id] !== undefined)).toBe(true);
  });

  test('who hears one path a prefix is not told of changes among the others, nor the kernel', () => {
    const { rib, y, z, r, counted } = three(all);
    const plain = new Neighbor(rib, client('plain', 8)).listen();
    const reader = rib.bestPathReader();
    reader.read(10);
    const { announcements } = plain;
    y.says(announce([P], { nextHop: '192.0.2.22', localPref: 150 }));
    z.says(withdraw([P]));
    expect(counted()).toEqual([1, 1]);
    expect([rib.hasOutput(plain.id), plain.listen().announcements, reader.read(10)]).toEqual([
      false,
      announcements,
      [],
    ]);
    expect(nextHops(r, P)).toEqual(['192.0.2.1', '192.0.2.22']);
  });

  test('the best two: a better one takes the place of the last, the next one that of one that is gone', () => {
    const { rib, x, z, r, counted } = three(hearing(2));
    expect(nextHops(r, P)).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(rib.counters(r.id, 'ipv4').exported).toBe(2);
    z.says(announce([P], { nextHop: '192.0.2.3', localPref: 400 }));
    expect(counted()).toEqual([1, 1]);
    expect(nextHops(r, P)).toEqual(['192.0.2.1', '192.0.2.3']);
    x.says(withdraw([P]));
    expect(counted()).toEqual([1, 1]);
    expect(nextHops(r, P)).toEqual(['192.0.2.2', '192.0.2.3']);
    // Below the two.
    x.says(announce([P], { nextHop: '192.0.2.1', localPref: 1 }));
    expect(counted()).toEqual([0, 0]);
  });

  test('the best few of what may be told: what reflection or a filter forbids takes no place', () => {
    const rib = new Rib({ local });
    const [n1, n2] = [1, 2].map((i) => new Neighbor(rib, peer(`n${i}`, i)));
    const c = new Neighbor(rib, client('c', 3));
    const exportFilter = {
      name: 'no .4',
      key: 'no .4',
      evaluate: ({ nextHop }: { nextHop: string }) => ({
        kind: nextHop === '192.0.2.4' ? ('reject' as const) : ('accept' as const),
        rule: 'r',
      }),
    };
    const d = new Neighbor(rib, client('d', 4));
    const r = new Neighbor(rib, peer('r', 9, { ...hearing(1), exportFilter }));
    for (const [i, from] of [n1, n2, c, d].entries()) {
      from.says(announce([P], { nextHop: `192.0.2.${i + 1}`, localPref: i === 3 ? 900 : 300 - i }));
    }
    expect(nextHops(r.listen(), P)).toEqual(['192.0.2.3']);
    rib.setPolicy(r.id, policy());
    expect(nextHops(r.listen(), P)).toEqual(['192.0.2.4']);
  });

  test('RFC 4456 §6, §8 for each path: who may hear it, ORIGINATOR_ID, CLUSTER_LIST; never back to its sender', () => {
    const rib = new Rib({ local });
    const [c, n] = [new Neighbor(rib, client('c', 1)), new Neighbor(rib, peer('n', 2))];
    const toClient = new Neighbor(rib, client('r', 8, all));
    const both = { receive: ['ipv4'] as const, send: ['ipv4'] as const, sendMaximum: Infinity };
    const toNonClient = new Neighbor(rib, peer('s', 9, { addPath: both }));
    c.says(announce([P], { nextHop: '192.0.2.1' }));
    n.says(announce([P], { nextHop: '192.0.2.2' }));
    toNonClient.says(announce([`${P}#7`], { nextHop: '192.0.2.9' }));
    toNonClient.says(announce([`${P}#8`], { nextHop: '192.0.2.10' }));
    expect(nextHops(toClient.listen(), P)).toEqual(['192.0.2.1', '192.0.2.10', '192.0.2.2', '192.0.2.9']);
    expect(nextHops(toNonClient.listen(), P)).toEqual(['192.0.2.1']);
    expect(toClient.paths(P).find(({ nextHop }) => nextHop === '192.0.2.9')).toMatchObject({
      originatorId: '10.0.0.9',
      clusterList: ['10.0.0.254'],
    });
  });

  test("a row that is given out anew: the path of another in the sender's place is withdrawn from who sends it now", () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const r = new Neighbor(rib, client('r', 9, all));
    x.says(announce([P]));
    const before = told(r.listen(), P);
    x.says(withdraw([P]));
    r.says(announce([P], { nextHop: '192.0.2.9' }));
    const [now] = rib.routes({ prefix: P });
    r.listen();
    expect([Object.keys(before), nextHops(r, P), now.peerName]).toEqual([['1'], [], 'r']);
  });

  test('who comes later hears everything once, however little at a time, then End-of-RIB', () => {
    const { rib, x, y } = three(all);
    const many = Array.from({ length: 700 }, (_, i) => `10.2.${i >> 8}.${i & 255}/32`);
    x.says(announce(many, { nextHop: '192.0.2.1' }));
    y.says(announce(many, { nextHop: '192.0.2.2' }));
    for (const sendMaximum of [Infinity, 2]) {
      const late = new Neighbor(
        rib,
        client(`late ${sendMaximum}`, 20 + Math.min(sendMaximum, 3), hearing(sendMaximum)),
      );
      while (rib.hasOutput(late.id)) late.listenOnce(1);
      expect(late.endOfRib.sort()).toEqual(['ipv4', 'ipv6']);
      expect(late.announcements).toBe(many.length * 2 + Math.min(3, sendMaximum));
      expect(late.withdrawals).toBe(0);
    }
  });

  test('a prefix that went and came back is there for who comes later', () => {
    const { rib, x, y, z, r } = three(all);
    for (const each of [x, y, z]) each.says(withdraw([P]));
    x.says(announce([P], { nextHop: '192.0.2.1' }));
    r.listen();
    settle(rib);
    const late = new Neighbor(rib, client('late', 20, all)).listen();
    expect([nextHops(r, P), nextHops(late, P)]).toEqual([['192.0.2.1'], ['192.0.2.1']]);
    x.says(withdraw([P]));
    expect([r.listen().routes.size, late.listen().routes.size]).toEqual([0, 0]);
    for (const each of [x, y, z]) each.listen();
    settle(rib);
    expect(rib.totals('ipv4').rows).toBe(0);
  });

  test('the first that hears several comes to a full table: it is entered in slices, End-of-RIB follows it', () => {
    const rib = new Rib({ local });
    const [x, y] = ['x', 'y'].map((name, i) => new Neighbor(rib, client(name, i + 1)));
    const many = Array.from({ length: 700 }, (_, i) => `10.2.${i >> 8}.${i & 255}/32`);
    x.says(announce(many, { nextHop: '192.0.2.1' }));
    y.says(announce(many, { nextHop: '192.0.2.2' }));
    const woken: number[] = [];
    let asked = 0;
    rib.onOutput = (id) => woken.push(id);
    rib.onWork = () => asked++;
    const r = new Neighbor(rib, client('r', 9, all)).listen();
    expect([r.endOfRib, r.routes.size, asked > 0]).toEqual([['ipv6'], 0, true]);
    let looks = 0;
    rib.work(() => looks++ > 0);
    x.says(announce(['10.9.0.0/16']));
    r.listen();
    expect(r.endOfRib).toEqual(['ipv6']);
    expect(r.routes.size).toBeGreaterThan(0);
    woken.length = 0;
    settle(rib);
    expect(woken).toEqual([r.id]);
    r.listen();
    expect([r.endOfRib, r.routes.size, r.announcements]).toEqual([['ipv6', 'ipv4'], 1401, 1401]);
  });

  test('RFC 2918: a refresh tells every path again, and withdraws nothing', () => {
    const { rib, r, counted } = three(all);
    rib.requestRefresh(r.id, 'ipv4');
    expect(counted()).toEqual([3, 0]);
    expect(nextHops(r, P)).toHaveLength(3);
  });

  test('RFC 7313 §4: between the markers stands every path, those too that were there before anyone heard several', () => {
    const rib = new Rib({ local });
    const [x, y] = ['x', 'y'].map((name, i) => new Neighbor(rib, client(name, i + 1)));
    x.says(announce([P, '10.2.0.0/16'], { nextHop: '192.0.2.1' }));
    y.says(announce([P], { nextHop: '192.0.2.2' }));
    const r = new Neighbor(rib, client('r', 9, { ...all, enhancedRouteRefresh: true }));
    settle(rib);
    // The refresh is asked for before its table was told: it waits for End-of-RIB.
    rib.requestRefresh(r.id, 'ipv4');
    const types = () =>
      rib.takeOutput(r.id, 65_536).flatMap((part) => {
        if (part[18] !== 5) r.hears(part);
        return part[18] === 5 ? [`marker ${part[21]}`] : [`${r.announcements} told`];
      });
    expect(types()).toEqual(['3 told', '3 told', 'marker 1', '6 told', 'marker 2', '6 told']);
    y.says(announce(['10.3.0.0/16']));
    rib.requestRefresh(r.id, 'ipv4');
    expect(types()).toEqual(['marker 1', '10 told', 'marker 2']);
    expect([nextHops(r, P), r.withdrawals]).toEqual([['192.0.2.1', '192.0.2.2'], 0]);
  });

  test('RFC 4724 §4.1: while we restart nothing is told; End-of-RIB follows what there is then', () => {
    const rib = new Rib({ local });
    rib.setDeferral(true);
    const [x, y] = ['x', 'y'].map((name, i) => new Neighbor(rib, client(name, i + 1)));
    const r = new Neighbor(rib, client('r', 9, all));
    x.says(announce([P], { nextHop: '192.0.2.1' }));
    y.says(announce([P], { nextHop: '192.0.2.2' }));
    expect(rib.hasOutput(r.id)).toBe(false);
    rib.setDeferral(false);
    r.listenOnce(1);
    expect([r.endOfRib, nextHops(r, P)]).toEqual([[], ['192.0.2.1', '192.0.2.2']]);
    r.listen();
    expect([r.endOfRib.sort(), r.announcements]).toEqual([['ipv4', 'ipv6'], 2]);
  });

  test('a peer that reads nothing costs no more rows than it was told of, and hears the present state', () => {
    const rib = new Rib({ local, tombstoneSlack: 64 });
    const x = new Neighbor(rib, sender('x', 1));
    const slow = new Neighbor(rib, client('slow', 8, all)).listen();
    const quick = new Neighbor(rib, client('quick', 9, all));
    for (let i = 0; i < 300; i++) {
      const prefix = `10.${i >> 8}.${i & 255}.0/24`;
      x.says(announce([`${prefix}#1`, `${prefix}#2`]));
      quick.listen();
      if (i < 295) x.says(withdraw([`${prefix}#1`, `${prefix}#2`]));
      settle(rib);
    }
    expect(rib.totals('ipv4').rows).toBeLessThan(140);
    x.says(withdraw(['10.1.43.0/24#2']));
    expect([slow.listen().routes.size, quick.listen().routes.size]).toEqual([9, 9]);
  });

  test('more paths of one prefix than one run of the packer holds', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    const r = new Neighbor(rib, client('r', 9, all));
    const count = 4200;
    const ids = Array.from({ length: count }, (_, i) => `${P}#${i}`);
    for (const [i, id] of ids.entries()) x.says(announce([id], { localPref: 1 + i }));
    expect(r.listen().routes.size).toBe(count);
    const other = new Neighbor(rib, client('other', 8, hearing(2))).listen();
    expect(other.routes.size).toBe(2);
    x.says(withdraw([ids[count - 1]]));
    expect([r.listen().routes.size, other.listen().routes.size]).toEqual([count - 1, 2]);
    // All change; two become too long for a message.
    const long = Array.from({ length: 1018 }, (_, i) => `${i}:1`);
    for (const [i, id] of ids.entries()) {
      x.says(announce([id], { localPref: 1 + i, med: 7, ...(i < 2 && { communities: long }) }));
    }
    expect(r.listen().routes.size).toBe(count - 2);
    expect([...r.routes.values()].filter(({ med }) => med !== 7)).toEqual([]);
    expect(rib.counters(r.id, 'ipv4').exported).toBe(count - 2);
  });

  test('many paths that change at once: each is sent, wherever a run of the packer ends', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    const r = new Neighbor(rib, client('r', 9, all));
    // Three a prefix: no power of two is a multiple.
    const keys = Array.from({ length: 3000 }, (_, i) => i).flatMap((i) =>
      [1, 2, 3].map((id) => `10.${i >> 8}.${i & 255}.0/24#${id}`),
    );
    for (const nextHop of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      for (let i = 0; i < keys.length; i += 400) x.says(announce(keys.slice(i, i + 400), { nextHop }));
      r.listen();
      expect(r.routes.size).toBe(keys.length);
      expect([...r.routes.values()].filter((route) => route.nextHop !== nextHop)).toEqual([]);
    }
    expect(r.announcements).toBe(3 * keys.length);
    for (let i = 0; i < keys.length; i += 400) x.says(withdraw(keys.slice(i, i + 400)));
    expect([r.listen().routes.size, r.withdrawals]).toEqual([0, keys.length]);
  });

  test('a path that no message can carry is not told, and withdrawn where it was', () => {
    const { x, r, counted } = three(all);
    const long = Array.from({ length: 1018 }, (_, i) => `${i}:1`);
    x.says(announce([P], { nextHop: '192.0.2.1', communities: long }));
    expect(counted()).toEqual([0, 1]);
    expect(nextHops(r, P)).toEqual(['192.0.2.2', '192.0.2.3']);
    x.says(announce([P], { nextHop: '192.0.2.1' }));
    expect(counted()).toEqual([1, 0]);
  });

  test('what a peer was told is shown path by path, with the identifiers that it was told', () => {
    const { rib, r } = three(hearing(2));
    const shown = [...rib.routes({ exportedTo: 'r' })].map(({ pathId, nextHop, peerName }) => [
      pathId,
      nextHop,
      peerName,
    ]);
    expect(Object.fromEntries(shown.map(([pathId, nextHop]) => [pathId, nextHop]))).toEqual(told(r, P));
    expect(shown.map(([, , name]) => name)).toEqual(['x', 'y']);
  });

  test('members of a group share the bytes, less what is their own', () => {
    const { rib, x } = three(all);
    const [a, b] = ['a', 'b'].map((name, i) => new Neighbor(rib, client(name, 20 + i, all)).listen());
    x.says(announce(['10.7.0.0/16']));
    const [ofA, ofB] = [rib.takeOutput(a.id, 65_536), rib.takeOutput(b.id, 65_536)];
    expect(ofA).toHaveLength(1);
    expect(ofA[0]).toBe(ofB[0]);
    x.says(withdraw(['10.7.0.0/16']));
    expect(rib.takeOutput(a.id, 65_536)[0]).toBe(rib.takeOutput(b.id, 65_536)[0]);
  });

  test('nothing is left of what came and went', () => {
    const { rib, x, y, z, r } = three(all, [P, Q]);
    for (const each of [x, y, z, r]) rib.closePeer(each.id, []);
    settle(rib);
    for (const family of both) expect(rib.totals(family)).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
  });
});
