/** What a session's own settings make of routes, before and after filters. */

import { describe, expect, test } from 'vitest';
import type { RouteFilter } from '../../../bgp/filter/filter.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { Role } from '../../../bgp/role.ts';
import { Neighbor, announce, client, external, local, peer, policy, settle, withdraw } from './kit.ts';

const P = '192.168.1.0/24';
const Q = '192.168.2.0/24';

const otc = (asNumber: number) => `c023 04 ${asNumber.toString(16).padStart(8, '0')}`;

function isEmpty(rib: Rib): boolean {
  settle(rib);
  return rib.totals('ipv4').paths === 0 && rib.totals('ipv4').attributes === 0;
}

describe('RFC 9234 §5: the attribute ONLY_TO_CUSTOMER', () => {
  /** What comes of a route with OTC of this value (undefined: without) from AS 65001, towards which we have the role. */
  test.each<[Role, number | undefined, string]>([
    ['provider', undefined, 'no OTC'],
    ['provider', 65001, 'leaked'],
    ['provider', 7, 'leaked'],
    ['routeServer', undefined, 'no OTC'],
    ['routeServer', 65001, 'leaked'],
    ['peer', undefined, 'OTC 65001'],
    ['peer', 65001, 'OTC 65001'],
    ['peer', 7, 'leaked'],
    ['customer', undefined, 'OTC 65001'],
    ['customer', 65001, 'OTC 65001'],
    ['customer', 7, 'OTC 7'],
    ['routeServerClient', undefined, 'OTC 65001'],
    ['routeServerClient', 7, 'OTC 7'],
  ])('ingress: we are %s, it comes with %s: %s', (role, value, outcome) => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, external('x', 1, 65001, { role }));
    const inside = new Neighbor(rib, peer('inside', 2));
    x.says(announce([P], { asPath: [65001], raw: value === undefined ? '' : otc(value) }));
    const told = inside.listen().routes.get(P);
    const [refused] = rib.routes({ filtered: true });
    if (outcome === 'leaked') {
      expect(told).toBeUndefined();
      expect(refused).toMatchObject({ prefix: P, lostAt: 'leaked' });
      expect(rib.counters(x.id, 'ipv4')).toMatchObject({ imported: 0, filtered: 1 });
    } else {
      expect(refused).toBeUndefined();
      expect(told?.onlyToCustomer).toBe(outcome === 'no OTC' ? undefined : Number(outcome.slice(4)));
    }
    x.says(withdraw([P]));
    expect(isEmpty(rib)).toBe(true);
  });

  /** What a peer hears towards which we have the role, of a route that has OTC 7, or none. */
  test.each<[Role | undefined, boolean, number | 'nothing' | undefined]>([
    ['provider', false, 65000],
    ['provider', true, 7],
    ['routeServer', false, 65000],
    ['routeServer', true, 7],
    ['peer', false, 65000],
    ['peer', true, 'nothing'],
    ['customer', false, undefined],
    ['customer', true, 'nothing'],
    ['routeServerClient', false, undefined],
    ['routeServerClient', true, 'nothing'],
    [undefined, false, undefined],
    [undefined, true, 7],
  ])('egress: we are %s, marked before: %s: the peer hears %s', (role, marked, outcome) => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const out = new Neighbor(rib, external('out', 2, 65002, { role }));
    x.says(announce([P], { asPath: [3], raw: marked ? otc(7) : '' }));
    const told = out.listen().routes.get(P);
    if (outcome === 'nothing') expect(told).toBeUndefined();
    else {
      expect(told).toBeDefined();
      expect(told?.onlyToCustomer).toBe(outcome);
    }
  });

  test('what we originate is marked, too, and a route that becomes marked is withdrawn from above', () => {
    const rib = new Rib({ local });
    rib.setOriginated([{ prefix: Q, source: 'node-pods' }]);
    const x = new Neighbor(rib, client('x', 1));
    const below = new Neighbor(rib, external('below', 2, 65002, { role: 'provider' }));
    const above = new Neighbor(rib, external('above', 3, 65003, { role: 'customer' }));
    x.says(announce([P]));
    expect(below.listen().routes.get(Q)?.onlyToCustomer).toBe(65000);
    expect(above.listen().prefixes()).toEqual([P, Q]);
    x.says(announce([P], { raw: otc(9) }));
    expect(above.listen().prefixes()).toEqual([Q]);
    expect(below.listen().routes.get(P)?.onlyToCustomer).toBe(9);
    expect([...rib.routes({ exportedTo: 'above' })].map(({ prefix }) => prefix)).toEqual([Q]);
  });
});

describe('RFC 8326: graceful shutdown', () => {
  const gshut = '65535:0';

  test('a marked route from an eBGP peer has LOCAL_PREF 0, so that any other is better', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, external('x', 1, 65001, { lowers: 'marked' }));
    const y = new Neighbor(rib, external('y', 2, 65002, { lowers: 'marked' }));
    const inside = new Neighbor(rib, peer('inside', 3));
    y.says(announce([P], { asPath: [65002, 5, 6, 7], nextHop: '192.0.2.2' }));
    x.says(announce([P], { asPath: [65001], nextHop: '192.0.2.1' }));
    expect(inside.listen().routes.get(P)?.nextHop).toBe('192.0.2.1');
    x.says(announce([P], { asPath: [65001], nextHop: '192.0.2.1', communities: [gshut] }));
    expect(inside.listen().routes.get(P)?.nextHop).toBe('192.0.2.2');
    y.says(withdraw([P]));
    expect(inside.listen().routes.get(P)).toMatchObject({ nextHop: '192.0.2.1', localPref: 0 });
    rib.setPolicy(x.id, policy());
    settle(rib);
    expect(inside.listen().routes.get(P)).toMatchObject({ localPref: 100 });
    x.says(withdraw([P]));
    expect(isEmpty(rib)).toBe(true);
  });

  test('no filter raises it again, and one may mark by itself', () => {
    const raise: RouteFilter = {
      name: 'raise',
      key: 'raise',
      evaluate: ({ prefix }) => ({
        kind: 'accept',
        rule: 'raise',
        changes: prefix === P ? { localPref: 500 } : { addCommunities: [gshut] },
      }),
    };
    const rib = new Rib({ local });
    const x = new Neighbor(rib, external('x', 1, 65001, { lowers: 'marked', importFilter: raise }));
    x.says(announce([P, Q], { asPath: [65001], communities: [gshut] }));
    x.says(announce([Q], { asPath: [65001] }));
    expect([...rib.routes({})].map(({ localPref }) => localPref)).toEqual([0, 0]);
    x.says(withdraw([P, Q]));
    expect(isEmpty(rib)).toBe(true);
  });

  test('before a session ends: marked for eBGP, LOCAL_PREF 0 for iBGP, as other groups hear it unmarked', () => {
    const rib = new Rib({ local });
    rib.setOriginated([{ prefix: Q, source: 'node-pods' }]);
    const x = new Neighbor(rib, client('x', 1));
    const outside = new Neighbor(rib, external('outside', 2, 65002));
    const inside = new Neighbor(rib, client('inside', 3));
    const other = new Neighbor(rib, external('other', 4, 65004));
    x.says(announce([P], { communities: ['1:2'], localPref: 200 }));
    for (const each of [outside, inside, other]) each.listen();
    for (const each of [outside, inside]) rib.setPolicy(each.id, policy({ marksGracefulShutdown: true }));
    for (const each of [outside, inside, other]) each.listen();
    expect(outside.routes.get(P)?.communities).toBe('00010002ffff0000');
    expect(outside.routes.get(Q)?.communities).toBe('ffff0000');
    expect(outside.routes.get(P)).not.toHaveProperty('localPref');
    expect(inside.routes.get(P)).toMatchObject({ communities: '00010002', localPref: 0 });
    expect(inside.routes.get(Q)).toMatchObject({ localPref: 0 });
    expect(other.routes.get(P)?.communities).toBe('00010002');
    expect([...rib.routes({ exportedTo: 'outside', prefix: Q })]).toMatchObject([{ communities: [gshut] }]);
    for (const each of [outside, inside]) rib.setPolicy(each.id, policy());
    expect(outside.listen().routes.get(Q)).not.toHaveProperty('communities');
    expect(inside.listen().routes.get(P)).toMatchObject({ localPref: 200 });
    // A mark that is there is not written twice.
    x.says(announce([P], { communities: [gshut] }));
    rib.setPolicy(outside.id, policy({ marksGracefulShutdown: true }));
    expect(outside.listen().routes.get(P)?.communities).toBe('ffff0000');
  });

  test('what the peer of a session that is about to end tells is the last choice here, marked or not', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const y = new Neighbor(rib, client('y', 2));
    x.says(announce([P], { localPref: 500, nextHop: '192.0.2.1' }));
    y.says(announce([P], { nextHop: '192.0.2.2' }));
    rib.setPolicy(x.id, policy({ lowers: 'all' }));
    settle(rib);
    expect([...rib.routes({ prefix: P })]).toMatchObject([
      { peerName: 'y', selected: 'best' },
      { peerName: 'x', localPref: 0, lostAt: 'higherLocalPref' },
    ]);
  });
});

describe('AS_PATH towards a peer in another AS', () => {
  const told = (differing: Parameters<typeof external>[3], asPath: readonly number[]) => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const out = new Neighbor(rib, external('out', 2, 65002, differing));
    x.says(announce([P, Q], { asPath }));
    const heard = out.listen().routes.get(P)?.asPath;
    expect([...rib.routes({ exportedTo: 'out', prefix: P })].map((route) => route.asPath)).toEqual([heard?.join(' ')]);
    x.says(withdraw([P, Q]));
    out.listen();
    expect(isEmpty(rib)).toBe(true);
    return heard;
  };

  test.each<[string, Parameters<typeof external>[3], readonly number[], readonly number[]]>([
    ['our number', {}, [3], [65000, 3]],
    ['a local number alone', { localAs: 64999 }, [3], [64999, 3]],
    ['a local number and ours', { localAs: 64999, localAsMode: 'noPrepend' }, [3], [64999, 65000, 3]],
    ['the same, where what it tells has it too', { localAs: 64999, localAsMode: 'prepend' }, [3], [64999, 65000, 3]],
    ['without private numbers', { removePrivateAs: 'all' }, [64600, 3, 64601], [65000, 3]],
    ['private numbers replaced', { removePrivateAs: 'replaceAll' }, [64600, 3], [65000, 65000, 3]],
    ['its own number replaced', { asOverride: true }, [3, 65002], [65000, 3, 65000]],
    ['its own number replaced by a local one', { asOverride: true, localAs: 64999 }, [65002], [64999, 64999]],
  ])('%s', (_name, differing, asPath, expected) => expect(told(differing, asPath)).toEqual(expected));

  test('numbers that the export filter puts in front stay, private or not', () => {
    const exportFilter: RouteFilter = {
      name: 'longer',
      key: 'longer',
      evaluate: ({ asPath }) => ({
        kind: 'accept',
        rule: `sees ${asPath.join(' ')}`,
        changes: { prependAsPath: [65000] },
      }),
    };
    expect(told({ removePrivateAs: 'all', exportFilter }, [64600, 3])).toEqual([65000, 65000, 3]);
  });

  test('within the AS the path is as it is', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const y = new Neighbor(rib, client('y', 2, { removePrivateAs: 'all', asOverride: true, localAsMode: 'noPrepend' }));
    x.says(announce([P], { asPath: [64600, 65000 - 1] }));
    expect(y.listen().routes.get(P)?.asPath).toEqual([64600, 64999]);
  });

  test('peers of different numbers share nothing where their number counts', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const [b, c] = [65002, 65003].map(
      (as, i) => new Neighbor(rib, external(`p${as}`, 2 + i, as, { asOverride: true })),
    );
    x.says(announce([P], { asPath: [65002, 65003] }));
    expect(b.listen().routes.get(P)?.asPath).toEqual([65000, 65000, 65003]);
    expect(c.listen().routes.get(P)?.asPath).toEqual([65000, 65002, 65000]);
  });
});

describe('AS_PATH of what a peer in another AS tells', () => {
  test('prepend: the local number stands in front, for filters and within the AS, and is no loop', () => {
    const seen: string[] = [];
    const importFilter: RouteFilter = {
      name: 'see',
      key: 'see',
      evaluate: ({ asPath }) => {
        seen.push(asPath.join(' '));
        return { kind: 'accept', rule: 'see' };
      },
    };
    const rib = new Rib({ local });
    const x = new Neighbor(rib, external('x', 1, 65001, { localAs: 64999, localAsMode: 'prepend', importFilter }));
    const inside = new Neighbor(rib, peer('inside', 2));
    x.says(announce([P], { asPath: [65001] }));
    expect(seen).toEqual(['64999 65001']);
    expect(inside.listen().routes.get(P)?.asPath).toEqual([64999, 65001]);
    rib.setPolicy(x.id, policy({ localAsMode: 'noPrepend' }));
    settle(rib);
    expect(inside.listen().routes.get(P)?.asPath).toEqual([65001]);
    x.says(withdraw([P]));
    expect(isEmpty(rib)).toBe(true);
  });

  test.each([
    [0, [65001, 65000], 'ownAsInPath'],
    [1, [65001, 65000], undefined],
    [1, [65001, 65000, 65000], 'ownAsInPath'],
    [2, [65001, 65000, 65000], undefined],
  ])('our own number up to %i times: %j: %s', (allowedOwnAs, asPath, lostAt) => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, external('x', 1, 65001));
    x.says(announce([P], { asPath }));
    rib.setPolicy(x.id, policy({ allowedOwnAs }));
    settle(rib);
    const routes = [...rib.routes({}), ...rib.routes({ filtered: true })];
    expect(routes.map((route) => route.lostAt)).toEqual([lostAt]);
  });
});

describe('RFC 4360 §6: extended communities', () => {
  test('those that are not transitive stay within the AS', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, client('x', 1));
    const [inside, outside] = [new Neighbor(rib, client('in', 2)), new Neighbor(rib, external('out', 3, 65003))];
    // A route target, and a link bandwidth.
    x.says(announce([P], { raw: 'c010 10 0002fde800000001 4004fde84cee6b28' }));
    x.says(announce([Q], { raw: 'c010 08 4004fde84cee6b28' }));
    expect(inside.listen().routes.get(P)?.extendedCommunities).toBe('0002fde8000000014004fde84cee6b28');
    expect(outside.listen().routes.get(P)?.extendedCommunities).toBe('0002fde800000001');
    expect(outside.routes.get(Q)).toBeDefined();
    expect(outside.routes.get(Q)).not.toHaveProperty('extendedCommunities');
  });
});

describe('draft-ietf-idr-link-bandwidth', () => {
  test('paths that share a prefix are told with their bandwidths; one that is alone, without', () => {
    const rib = new Rib({ local: { ...local, maximumPaths: 2 } });
    const reader = rib.bestPathReader();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    const bandwidths = () => reader.read(10).map(({ paths }) => paths.map(({ linkBandwidth }) => linkBandwidth));
    x.says(announce([P], { nextHop: '192.0.2.1', raw: 'c010 08 4004fde84cee6b28' }));
    expect(bandwidths()).toEqual([[undefined]]);
    y.says(announce([P], { nextHop: '192.0.2.2' }));
    expect(bandwidths()).toEqual([[125_000_000, undefined]]);
    y.says(announce([P], { nextHop: '192.0.2.2', raw: 'c010 08 0004fde84e9502f9' }));
    expect(bandwidths()).toEqual([[125_000_000, 1_250_000_000]]);
  });
});
