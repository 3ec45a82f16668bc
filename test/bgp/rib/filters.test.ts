/** What takes part in the decision, and what is told: exclusions with their reason, import and export filters. */

import { describe, expect, test } from 'vitest';
import type { RouteFilter } from '../../../bgp/filter/filter.ts';
import { Neighbor, announce, client, external, local, peer, policy, ribOf, settle, withdraw } from './kit.ts';

const P = '192.168.1.0/24';
const Q = '192.168.2.0/24';

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
