/** What becomes of attributes on the way out, by whom the route is told to. */

import { describe, expect, test } from 'vitest';
import { Neighbor, announce, client, external, peer, ribOf, withdraw } from './kit.ts';

const P = '192.168.1.0/24';
const Q = '192.168.2.0/24';
const R = '2001:db8:1::/48';

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
