/** Stories of the whole RIB: what neighbours say, and what others then hold. */

import { describe, expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RouteFilter } from '../../../bgp/filter/filter.ts';
import { Neighbor, announce, client, external, local, peer, policy, settle, withdraw } from './kit.ts';

const P = '192.168.1.0/24';
const Q = '192.168.2.0/24';
const R = '2001:db8:1::/48';

function ribOf(differing: Partial<ConstructorParameters<typeof Rib>[0]['local']> = {}): Rib {
  return new Rib({ local: { ...local, ...differing }, seed: 7 });
}

describe('withdraw and announce as the best path moves', () => {
  test('a route is told to the others and never to its sender', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P, Q]));
    expect(x.listen().prefixes()).toEqual([]);
    expect(y.listen().prefixes()).toEqual([P, Q]);
  });

  test('when best moves from X to Y, Y hears a withdraw and X an announcement', () => {
    const rib = ribOf();
    const [x, y, z] = [client('x', 1), client('y', 2), client('z', 3)].map((each) => new Neighbor(rib, each));
    x.says(announce([P], { localPref: 100, nextHop: '192.0.2.1' }));
    for (const each of [x, y, z]) each.listen();
    y.says(announce([P], { localPref: 200, nextHop: '192.0.2.2' }));
    for (const each of [x, y, z]) each.listen();
    expect(y.prefixes()).toEqual([]);
    expect(x.routes.get(P)?.nextHop).toBe('192.0.2.2');
    expect(z.routes.get(P)?.nextHop).toBe('192.0.2.2');
    expect([x.withdrawals, y.withdrawals, z.withdrawals]).toEqual([0, 1, 0]);
  });

  test('a withdraw goes only to those that were told', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P]));
    y.listen();
    const late = new Neighbor(rib, client('late', 3));
    x.says(withdraw([P]));
    for (const each of [x, y, late]) each.listen();
    expect([x, y, late].map((each) => each.withdrawals)).toEqual([0, 1, 0]);
    expect(late.announcements).toBe(0);
  });

  test('a change that is undone before anyone listens is not told twice', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    y.listen();
    for (let i = 0; i < 50; i++) {
      x.says(announce([P], { med: i }));
      x.says(withdraw([P]));
    }
    x.says(announce([P], { med: 7 }));
    y.listen();
    expect([y.announcements, y.withdrawals, y.routes.get(P)?.med]).toEqual([1, 0, 7]);
  });

  test('an UPDATE that says what is known changes nothing', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P]));
    y.listen();
    x.says(announce([P]));
    expect(rib.hasOutput(y.id)).toBe(false);
  });

  test('withdrawn and announced in one UPDATE: the announcement counts', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    const both = announce([P]);
    const update = Uint8Array.from([0, 4, 24, 192, 168, 1, ...both.subarray(2)]);
    x.says(update);
    expect(y.listen().prefixes()).toEqual([P]);
  });
});

describe('End-of-RIB', () => {
  test('is sent once a family when everything known at the start was told', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    x.says(announce(Array.from({ length: 5000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)));
    const y = new Neighbor(rib, client('y', 2));
    y.listenOnce(1);
    expect(y.endOfRib).toEqual([]);
    y.listen();
    expect([y.endOfRib, y.routes.size]).toEqual([['ipv4', 'ipv6'], 5000]);
    x.says(announce([P]));
    y.listen();
    expect(y.endOfRib).toEqual(['ipv4', 'ipv6']);
    expect(rib.counters(y.id, 'ipv4')).toMatchObject({ exported: 5001, endOfRibSent: true });
  });

  test('is not held up by what keeps changing behind the start', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    x.says(announce([P]));
    const y = new Neighbor(rib, client('y', 2));
    x.says(announce([P], { med: 1 }));
    y.listenOnce(1);
    expect(y.endOfRib).toEqual(['ipv4']);
  });

  test.each([
    ['ipv4', Uint8Array.of(0, 0, 0, 0)],
    ['ipv6', Uint8Array.of(0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1)],
    ['ipv6', Uint8Array.of(0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1)],
  ])('of %s is known when received', (family, update) => {
    expect(new Neighbor(ribOf(), client('x', 1)).says(update)).toEqual({ endOfRib: family });
  });
});

describe('slow readers', () => {
  test('see the present state only, and end as the quick do', () => {
    const rib = ribOf();
    const [x, quick, slow] = [client('x', 1), client('quick', 2), client('slow', 3)].map(
      (each) => new Neighbor(rib, each),
    );
    const prefixes = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    const say = (med: number, part: readonly string[]) => {
      for (let i = 0; i < part.length; i += 500) x.says(announce(part.slice(i, i + 500), { med }));
    };
    say(1, prefixes);
    slow.listenOnce(1);
    quick.listen();
    say(2, prefixes.slice(5000));
    quick.listen();
    slow.listenOnce(1);
    for (let i = 0; i < 4000; i += 500) x.says(withdraw(prefixes.slice(i, i + 500)));
    quick.listen();
    say(3, prefixes.slice(100, 200));
    quick.listen();
    slow.listen();
    expect(slow.routes).toEqual(quick.routes);
    expect(slow.routes.size).toBe(16_100);
    expect(slow.announcements).toBeLessThan(quick.announcements);
  });

  test('nothing waits for one that it was never told of, and what was packed of it is void', () => {
    const rib = new Rib({ local, tombstoneSlack: 0 });
    const [x, quick, slow] = [client('x', 1), client('quick', 2), client('slow', 3)].map(
      (each) => new Neighbor(rib, each),
    );
    for (const each of [x, quick, slow]) each.listen();
    x.says(announce([P]));
    for (const each of [x, quick]) each.listen();
    x.says(withdraw([P]));
    for (const each of [x, quick]) each.listen();
    settle(rib);
    // The row of P is free: Q takes it.
    x.says(announce([Q]));
    expect(slow.listen().prefixes()).toEqual([Q]);
    expect(rib.counters(slow.id, 'ipv4').exported).toBe(1);
    x.says(withdraw([Q]));
    expect(slow.listen().prefixes()).toEqual([]);
  });

  test('one that reads nothing costs no more rows than it was told, however many prefixes come and go', () => {
    const rib = new Rib({ local, tombstoneSlack: 1000 });
    const [x, quick, slow] = [client('x', 1), client('quick', 2), client('slow', 3)].map(
      (each) => new Neighbor(rib, each),
    );
    const batch = (i: number, size: number) =>
      Array.from({ length: size }, (_, j) => `10.${i}.${j >> 8}.${j & 255}/32`);
    x.says(announce(batch(0, 700)));
    for (const each of [x, quick, slow]) each.listen();
    x.says(withdraw(batch(0, 700)));
    for (let i = 1; i <= 200; i++) {
      x.says(announce(batch(i, 700)));
      x.says(withdraw(batch(i, 700)));
      for (const each of [x, quick]) each.listen();
      settle(rib);
    }
    // 700 that it was told of, twice as many and the slack before the next sweep, and one batch.
    expect(rib.totals('ipv4').rows).toBeLessThanOrEqual(1000 + 3 * 700 + 700);
    expect(slow.listen().prefixes()).toEqual([]);
    settle(rib);
    expect(rib.totals('ipv4')).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
  });
});

describe('next hop, AS_PATH, MED and LOCAL_PREF on the way out', () => {
  const learned = { nextHop: '192.0.2.9', asPath: [65001, 100], med: 5 };

  test('eBGP: own AS in front, own address, no LOCAL_PREF, no foreign MED, no reflection attributes', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    const out = new Neighbor(rib, external('out', 9, 65009));
    x.says(announce([P], { ...learned, localPref: 300, originatorId: '10.0.0.77', clusterList: ['1.1.1.1'] }));
    expect(out.listen().routes.get(P)).toEqual({ nextHop: '10.0.0.254', origin: 0, asPath: [65000, 65001, 100] });
  });

  test('iBGP from eBGP: LOCAL_PREF 100, MED and next hop as they came', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, external('x', 1, 65001));
    const y = new Neighbor(rib, peer('y', 2));
    x.says(announce([P], learned));
    expect(y.listen().routes.get(P)).toEqual({
      nextHop: '192.0.2.9',
      origin: 0,
      asPath: [65001, 100],
      med: 5,
      localPref: 100,
    });
  });

  test.each([
    ['self', '10.0.0.254'],
    ['keep', '192.0.2.9'],
    ['auto', '192.0.2.9'],
  ] as const)('nextHopMode %s within the AS', (nextHopMode, nextHop) => {
    const rib = ribOf();
    const x = new Neighbor(rib, external('x', 1, 65001));
    const y = new Neighbor(rib, peer('y', 2, { nextHopMode }));
    x.says(announce([P], learned));
    expect(y.listen().routes.get(P)?.nextHop).toBe(nextHop);
  });

  test('nextHopMode keep towards another AS', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, external('x', 1, 65001));
    const y = new Neighbor(rib, external('y', 2, 65002, { nextHopMode: 'keep' }));
    x.says(announce([P], learned));
    expect(y.listen().routes.get(P)).toEqual({ nextHop: '192.0.2.9', origin: 0, asPath: [65000, 65001, 100] });
  });

  test('IPv6 lies in MP_REACH_NLRI with the own address of that family', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    const out = new Neighbor(rib, external('out', 9, 65009));
    const reflected = new Neighbor(rib, client('y', 2));
    x.says(announce([R], { nextHop: '2001:db8::9' }));
    expect(out.listen().routes.get(R)?.nextHop).toBe('2001:db8::254');
    expect(reflected.listen().routes.get(R)?.nextHop).toBe('2001:db8::9');
    x.says(withdraw([R]));
    expect(out.listen().prefixes()).toEqual([]);
  });

  test('a family without an own address is not told where the own address is needed', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    const out = new Neighbor(rib, external('out', 9, 65009, { nextHopSelf: {} }));
    x.says(announce([R]));
    expect(out.listen().prefixes()).toEqual([]);
    expect(out.endOfRib).toEqual(['ipv4', 'ipv6']);
  });

  test('towards a peer of 2-octet numbers AS_TRANS stands in', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, external('x', 1, 70_001));
    const y = new Neighbor(rib, external('y', 2, 65002, { fourOctetAs: false }));
    x.says(announce([P], { asPath: [70_001, 5] }));
    expect(y.listen().routes.get(P)?.asPath).toEqual([65000, 23456, 5]);
  });

  test('a set too long for the message is not told, and withdrawn where it was', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1, { maximumMessageSize: 65_535 }));
    const [small, large] = [client('small', 2), client('large', 3, { maximumMessageSize: 65_535 })].map(
      (each) => new Neighbor(rib, each),
    );
    x.says(announce([P]));
    for (const each of [small, large]) each.listen();
    const communities = Array.from({ length: 1100 }, (_, i) => `1:${i}`);
    x.says(announce([P, Q], { communities }));
    expect(small.listen().prefixes()).toEqual([]);
    expect(large.listen().prefixes()).toEqual([P, Q]);
  });
});

describe('well-known communities (RFC 1997)', () => {
  test.each([
    ['65535:65281', 'NO_EXPORT', ['inside']],
    ['65535:65282', 'NO_ADVERTISE', []],
    ['65535:65283', 'NO_EXPORT_SUBCONFED', ['inside']],
    ['65000:1', 'an ordinary one', ['inside', 'outside']],
  ])('%s (%s)', (community, _name, told) => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    const all = [client('inside', 2), external('outside', 3, 65003)].map((each) => new Neighbor(rib, each));
    x.says(announce([P], { communities: [community] }));
    expect(all.filter((each) => each.listen().routes.size > 0).map((each) => each.name)).toEqual(told);
  });
});

describe('routes that take no part keep their reason', () => {
  const reasons: [string, Parameters<typeof announce>[1], string][] = [
    ['own AS in AS_PATH', { asPath: [7, 65000] }, 'ownAsInPath'],
    ['own ORIGINATOR_ID', { originatorId: '10.0.0.254' }, 'ownOriginatorId'],
    [
      'own cluster id in CLUSTER_LIST',
      { originatorId: '10.0.0.7', clusterList: ['9.9.9.9', '1.2.3.4'] },
      'ownClusterId',
    ],
    ['own address as next hop', { nextHop: '10.0.0.254' }, 'nextHopIsOurs'],
  ];
  test.each(reasons)('%s', (_name, route, lostAt) => {
    const rib = ribOf({ clusterId: '1.2.3.4' });
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P], route));
    expect(y.listen().prefixes()).toEqual([]);
    expect([...rib.routes({})]).toEqual([]);
    expect([...rib.routes({ filtered: true })]).toMatchObject([{ prefix: P, selected: 'no', lostAt }]);
    x.says(announce([P]));
    expect(y.listen().prefixes()).toEqual([P]);
    x.says(announce([P], route));
    expect(y.listen().prefixes()).toEqual([]);
  });

  test('allowedOwnAs lets the own AS pass so many times', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1, { allowedOwnAs: 1 })), new Neighbor(rib, client('y', 2))];
    x.says(announce([P], { asPath: [65000] }));
    x.says(announce([Q], { asPath: [65000, 65000] }));
    expect(y.listen().prefixes()).toEqual([P]);
  });

  test('a changed cluster id is judged by anew', () => {
    const rib = ribOf({ clusterId: '1.2.3.4' });
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P], { clusterList: ['1.2.3.4'] }));
    x.says(announce([Q]));
    y.listen();
    rib.setLocal({ ...local, clusterId: '4.3.2.1' });
    settle(rib);
    y.listen();
    expect(y.routes.get(P)?.clusterList).toEqual(['4.3.2.1', '1.2.3.4']);
    expect(y.routes.get(Q)?.clusterList).toEqual(['4.3.2.1']);
  });
});

describe('filters', () => {
  const rejecting = (key: string, prefix: string): RouteFilter => ({
    name: key,
    key,
    evaluate: (route) =>
      route.prefix === prefix ? { kind: 'reject', rule: `not ${prefix}` } : { kind: 'accept', rule: 'rest' },
  });

  test('the import filter decides, the rejected stay with their rule, a new filter re-runs them', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1, { importFilter: rejecting('a', P) }));
    const y = new Neighbor(rib, client('y', 2));
    x.says(announce([P, Q]));
    expect(y.listen().prefixes()).toEqual([Q]);
    expect([...rib.routes({ filtered: true })]).toMatchObject([{ prefix: P, lostAt: 'filtered', rule: `not ${P}` }]);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({ imported: 1, filtered: 1 });
    rib.setPolicy(x.id, policy({ importFilter: rejecting('b', Q) }));
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    rib.setPolicy(x.id, policy());
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P, Q]);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({ imported: 2, filtered: 0 });
  });

  test('a filter with an equal key is not run again', () => {
    const rib = ribOf();
    let runs = 0;
    const counting = (): RouteFilter => ({
      name: 'counting',
      key: 'same',
      evaluate: () => {
        runs++;
        return { kind: 'accept', rule: 'all' };
      },
    });
    const x = new Neighbor(rib, client('x', 1, { importFilter: counting() }));
    x.says(announce([P]));
    rib.setPolicy(x.id, policy({ importFilter: counting() }));
    settle(rib);
    expect(runs).toBe(1);
  });

  test('changes make a new attribute set and count in the decision', () => {
    const rib = ribOf();
    const raise: RouteFilter = {
      name: 'raise',
      key: 'raise',
      evaluate: (route) => ({
        kind: 'accept',
        rule: 'raise',
        changes: { localPref: 500, med: 3, addCommunities: ['65000:7'], prependAsPath: [65000, ...route.asPath] },
      }),
    };
    const x = new Neighbor(rib, external('x', 1, 65001, { importFilter: raise }));
    const y = new Neighbor(rib, external('y', 2, 65002));
    const z = new Neighbor(rib, peer('z', 3));
    x.says(announce([P], { asPath: [65001], nextHop: '192.0.2.1' }));
    y.says(announce([P], { asPath: [65002], nextHop: '192.0.2.2' }));
    expect(z.listen().routes.get(P)).toEqual({
      nextHop: '192.0.2.1',
      origin: 0,
      asPath: [65000, 65001, 65001],
      med: 3,
      localPref: 500,
      communities: 'fde80007',
    });
    x.says(withdraw([P]));
    y.says(withdraw([P]));
    settle(rib);
    expect(rib.totals('ipv4').attributes).toBe(0);
  });

  test('the export filter decides per peer, sees the source, and its MED goes even to another AS', () => {
    const rib = ribOf();
    const exportFilter: RouteFilter = {
      name: 'out',
      key: 'out',
      evaluate: (route) =>
        route.peerName === 'x' && route.prefix === P
          ? { kind: 'accept', rule: 'x', changes: { med: 42, prependAsPath: [65000] } }
          : { kind: 'reject', rule: 'rest' },
    };
    const x = new Neighbor(rib, external('x', 1, 65001));
    const out = new Neighbor(rib, external('out', 9, 65009, { exportFilter }));
    const all = new Neighbor(rib, external('all', 8, 65008));
    x.says(announce([P, Q], { asPath: [65001], med: 1 }));
    expect([...out.listen().routes]).toEqual([
      [P, { nextHop: '10.0.0.254', origin: 0, asPath: [65000, 65000, 65001], med: 42 }],
    ]);
    expect(all.listen().prefixes()).toEqual([P, Q]);
    expect([...rib.routes({ exportedTo: 'out' })]).toMatchObject([{ prefix: P, med: 42, asPath: '65000 65000 65001' }]);
    rib.setPolicy(out.id, policy());
    expect(out.listen().prefixes()).toEqual([P, Q]);
    expect(out.routes.get(P)).not.toHaveProperty('med');
    rib.setPolicy(out.id, policy({ exportFilter: rejecting('none', Q) }));
    expect(out.listen().prefixes()).toEqual([P]);
  });
});

describe('graceful restart (RFC 4724)', () => {
  const story = () => {
    const rib = ribOf();
    const settings = client('x', 1);
    const x = new Neighbor(rib, settings);
    const y = new Neighbor(rib, client('y', 2));
    x.says(announce([P, Q]));
    x.says(announce([R]));
    y.listen();
    return { rib, settings, x, y };
  };

  test('kept families stay as stale and are told no withdraw; the others go', () => {
    const { rib, x, y } = story();
    rib.closePeer(x.id, ['ipv4']);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P, Q]);
    expect([...rib.routes({})].map((route) => route.stale)).toEqual([true, true]);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({ stale: 2, imported: 2 });
  });

  test('what the returned peer does not say again goes at its End-of-RIB', () => {
    const { rib, settings, x, y } = story();
    rib.closePeer(x.id, ['ipv4', 'ipv6']);
    const back = new Neighbor(rib, settings);
    expect(back.id).toBe(x.id);
    back.says(announce([P]));
    y.listen();
    expect(y.withdrawals).toBe(0);
    expect(rib.counters(back.id, 'ipv4')).toMatchObject({ stale: 1 });
    rib.endOfRib(back.id, 'ipv4');
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P, R]);
    rib.endOfRib(back.id, 'ipv6');
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    expect(y.announcements).toBe(3);
  });

  test('a second restart deletes what was stale from the first', () => {
    const { rib, settings, x, y } = story();
    rib.closePeer(x.id, ['ipv4']);
    const back = new Neighbor(rib, settings);
    back.says(announce([P]));
    rib.closePeer(back.id, ['ipv4']);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    expect([...rib.routes({})]).toMatchObject([{ prefix: P, stale: true }]);
  });

  test('the end of the restart timer removes what is kept, and forgets the peer', () => {
    const { rib, settings, x, y } = story();
    rib.closePeer(x.id, ['ipv4', 'ipv6']);
    for (const family of ['ipv4', 'ipv6'] as const) rib.dropStale(x.id, family);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([]);
    expect(new Neighbor(rib, settings).id).not.toBe(x.id);
  });

  test('deferral: nobody is told anything until it ends, then End-of-RIB follows everything', () => {
    const rib = ribOf();
    const hints: number[] = [];
    rib.onOutput = (id) => hints.push(id);
    rib.setDeferral(true);
    const reader = rib.bestPathReader();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P]));
    expect([rib.hasOutput(y.id), rib.takeOutput(y.id, 1000), reader.read(10), hints]).toEqual([false, [], [], []]);
    rib.setDeferral(false);
    expect(hints).toEqual([x.id, y.id]);
    y.listen();
    expect([y.prefixes(), y.endOfRib]).toEqual([[P], ['ipv4', 'ipv6']]);
    expect(reader.read(10)).toHaveLength(1);
  });
});

describe('memory', () => {
  test('a peer that is gone leaves no row, no set and no prefix behind', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    for (let i = 0; i < 3000; i++) x.says(announce([`10.${i >> 8}.${i & 255}.0/24`], { med: i }));
    x.says(announce([R]));
    y.listen();
    const reader = rib.bestPathReader();
    reader.read(5);
    rib.closePeer(x.id, []);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([]);
    reader.close();
    settle(rib);
    for (const family of ['ipv4', 'ipv6'] as const) {
      expect(rib.totals(family)).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
      expect(rib.counters(y.id, family)).toMatchObject({ exported: 0 });
    }
  });

  test('work stops at its deadline and goes on where it stopped', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    for (let i = 0; i < 3000; i += 300) {
      x.says(announce(Array.from({ length: 300 }, (_, j) => `10.${(i + j) >> 8}.${(i + j) & 255}.0/24`)));
    }
    rib.closePeer(x.id, []);
    let looks = 0;
    expect(rib.work(() => looks++ >= 2)).toBe(true);
    const left = rib.totals('ipv4').paths;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(3000);
    settle(rib);
    expect(rib.totals('ipv4').paths).toBe(0);
  });
});

describe('originated routes', () => {
  test('have ourselves as next hop, win over learned ones, and are compared with those before', () => {
    const rib = ribOf();
    const inside = new Neighbor(rib, client('inside', 1));
    const outside = new Neighbor(rib, external('outside', 2, 65002));
    inside.says(announce([P], { nextHop: '192.0.2.1' }));
    rib.setOriginated([
      { prefix: P, source: 'node-pods', communities: ['65000:1'] },
      { prefix: R, source: 'node-pods' },
    ]);
    for (const each of [inside, outside]) each.listen();
    expect(inside.routes.get(P)).toEqual({
      nextHop: '10.0.0.254',
      origin: 0,
      asPath: [],
      localPref: 100,
      communities: 'fde80001',
    });
    expect(outside.routes.get(P)).toEqual({
      nextHop: '10.0.0.254',
      origin: 0,
      asPath: [65000],
      communities: 'fde80001',
    });
    expect(outside.routes.get(R)?.nextHop).toBe('2001:db8::254');
    expect([...rib.routes({ prefix: P })]).toMatchObject([
      { peerName: 'node-pods', peerType: 'local', selected: 'best' },
      { peerName: 'inside', lostAt: 'locallyOriginated' },
    ]);
    const before = outside.messages;
    rib.setOriginated([{ prefix: P, source: 'node-pods', communities: ['65000:1'] }]);
    for (const each of [inside, outside]) each.listen();
    expect(outside.prefixes()).toEqual([P]);
    expect(outside.messages - before).toBe(1);
    rib.setOriginated([]);
    for (const each of [inside, outside]) each.listen();
    expect(inside.prefixes()).toEqual([]);
    expect(outside.routes.get(P)?.asPath).toEqual([65000]);
  });
});

describe('best path readers', () => {
  test('begin with everything, then hear each change once, in its present state', () => {
    const rib = ribOf({ maximumPaths: 2 });
    let hints = 0;
    rib.onBestPaths = () => hints++;
    const [x, y] = [new Neighbor(rib, external('x', 1, 65001)), new Neighbor(rib, external('y', 2, 65002))];
    x.says(announce([P, Q], { asPath: [65001], nextHop: '192.0.2.1' }));
    const reader = rib.bestPathReader();
    expect(reader.read(1)).toEqual([
      {
        family: 'ipv4',
        prefix: P,
        paths: [
          {
            nextHop: '192.0.2.1',
            peerName: 'x',
            peerType: 'eBGP',
            originatorId: undefined,
            asPath: [65001],
            stale: false,
          },
        ],
      },
    ]);
    expect(reader.read(10).map((change) => change.prefix)).toEqual([Q]);
    y.says(announce([P], { asPath: [65002], nextHop: '192.0.2.2' }));
    y.says(announce([Q], { asPath: [65002, 1], nextHop: '192.0.2.2' }));
    expect(hints).toBe(1);
    const changes = reader.read(10);
    expect(changes.map((change) => [change.prefix, change.paths.map((path) => path.nextHop)])).toEqual([
      [P, ['192.0.2.1', '192.0.2.2']],
    ]);
    x.says(withdraw([P, Q]));
    y.says(withdraw([Q]));
    expect(reader.read(10).map((change) => [change.prefix, change.paths.map((path) => path.peerName)])).toEqual([
      [P, ['y']],
      [Q, []],
    ]);
    expect(reader.read(10)).toEqual([]);
  });
});

describe('route queries', () => {
  const rib = ribOf();
  const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
  x.says(announce(['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0'], { med: 1 }));
  y.says(announce(['10.1.0.0/16'], { med: 2 }));
  x.says(announce([R, '::/0']));
  const texts = (query: Parameters<Rib['routes']>[0]) =>
    [...rib.routes(query)].map((route) => `${route.prefix} ${route.peerName}`).sort();

  test.each([
    [{ prefix: '10.1.0.0/16' }, ['10.1.0.0/16 x', '10.1.0.0/16 y']],
    [{ prefix: '10.1.0.0/16', peer: 'y' }, ['10.1.0.0/16 y']],
    [{ prefix: '10.1.0.0/17' }, []],
    [{ for: '10.1.2.3' }, ['10.1.0.0/16 x', '10.1.0.0/16 y']],
    [{ for: '10.2.2.3' }, ['10.0.0.0/8 x']],
    [{ for: '11.0.0.1' }, ['0.0.0.0/0 x']],
    [{ for: '2001:db8:1::5' }, [`${R} x`]],
    [{ for: '2001:db9::5' }, ['::/0 x']],
    [{ family: 'ipv6' as const }, [`${R} x`, '::/0 x'].sort()],
    [{ peer: 'y' }, ['10.1.0.0/16 y']],
  ])('%j', (query, found) => expect(texts(query)).toEqual(found));

  test('an iterator survives growth and deletion between its steps', () => {
    const grown = ribOf();
    const feeder = new Neighbor(grown, client('x', 1));
    feeder.says(announce([P, Q]));
    const iterator = grown.routes({});
    expect(iterator.next().value).toMatchObject({ prefix: P });
    feeder.says(withdraw([Q]));
    settle(grown);
    for (let i = 0; i < 70_000; i += 500) {
      const prefixes = Array.from(
        { length: 500 },
        (_, j) => `${10 + ((i + j) >> 16)}.${((i + j) >> 8) & 255}.${(i + j) & 255}.0/24`,
      );
      feeder.says(announce(prefixes));
    }
    expect([...iterator]).toHaveLength(70_000);
  });
});
