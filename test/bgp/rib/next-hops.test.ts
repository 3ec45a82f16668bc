/** IPv6 next hops of IPv4 routes, and link-local next hops, from peer to peer and to the kernel. */

import { describe, expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibPeer } from '../../../bgp/rib/rib-types.ts';
import { announce, client, external, local, Neighbor, peer, withdraw } from './kit.ts';

const V4 = '10.1.0.0/16';
const V6 = '2001:db8:1::/48';

function ribOf(differing: { maximumPaths?: number } = {}): Rib {
  return new Rib({ local: { ...local, ...differing } });
}

/** A peer behind an interface: sessions between link-local addresses. */
function onLink(name: string, interfaceName: string, differing: Partial<RibPeer> = {}): RibPeer {
  return external(name, 1, 65001, {
    address: `fe80::${name.length}%${interfaceName}`,
    localAddress: `fe80::ff%${interfaceName}`,
    nextHopSelf: {},
    extendedNextHop: true,
    ipv6NextHopForIpv4: true,
    link: { interfaceName, linkLocalAddress: 'fe80::ff' },
    ...differing,
  });
}

function bestNextHops(rib: Rib, prefix: string): string[] {
  const reader = rib.bestPathReader();
  const found = reader.read(100).find((change) => change.prefix === prefix);
  reader.close();
  return found?.paths.map(({ nextHop }) => nextHop) ?? [];
}

describe('RFC 8950: IPv4 routes with an IPv6 next hop', () => {
  const able = { extendedNextHop: true } as const;

  test('are learned, shown and told to the kernel', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, peer('x', 1, able));
    x.says(announce([V4], { nextHop: '2001:db8::9' }));
    expect([...rib.routes({})]).toMatchObject([{ family: 'ipv4', prefix: V4, nextHop: '2001:db8::9' }]);
    expect(bestNextHops(rib, V4)).toEqual(['2001:db8::9']);
    x.says(withdraw([V4]));
    expect(bestNextHops(rib, V4)).toEqual([]);
  });

  test('§4: within the AS they go unchanged to who understands them, and to nobody else', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1, able));
    const [y, old] = [new Neighbor(rib, client('y', 2, able)), new Neighbor(rib, client('old', 3))];
    x.says(announce([V4], { nextHop: '2001:db8::9 fe80::9' }));
    expect(y.listen().routes.get(V4)?.nextHop).toBe('2001:db8::9');
    expect(old.listen().prefixes()).toEqual([]);
    x.says(announce([V4], { nextHop: '192.0.2.9' }));
    expect(old.listen().routes.get(V4)?.nextHop).toBe('192.0.2.9');
    x.says(announce([V4], { nextHop: '2001:db8::9' }));
    expect(old.listen().prefixes()).toEqual([]);
    expect(y.listen().routes.get(V4)?.nextHop).toBe('2001:db8::9');
  });

  const own = '2001:db8::254';
  const both = { ipv4: '192.0.2.254', ipv6: own };
  test.each<[string, Partial<RibPeer>, string | undefined]>([
    ['our IPv4 address, where we have one', { ...able, nextHopSelf: both }, '192.0.2.254'],
    ['our IPv6 address, where it is asked for', { ...able, nextHopSelf: both, ipv6NextHopForIpv4: true }, own],
    ['our IPv6 address, where we have no other', { ...able, localAddress: own, nextHopSelf: {} }, own],
    ['nothing, where we have no IPv4 address and the peer cannot', { localAddress: own, nextHopSelf: {} }, undefined],
    [
      'our IPv4 address, where the peer cannot, whatever is asked',
      { nextHopSelf: both, ipv6NextHopForIpv4: true },
      '192.0.2.254',
    ],
  ])('given as ourselves: %s', (_name, differing, nextHop) => {
    const rib = ribOf();
    const x = new Neighbor(rib, peer('x', 1));
    const out = new Neighbor(rib, external('out', 9, 65009, differing));
    x.says(announce([V4], { nextHop: '192.0.2.1' }));
    expect(out.listen().routes.get(V4)?.nextHop).toBe(nextHop);
    x.says(withdraw([V4]));
    expect(out.listen().prefixes()).toEqual([]);
  });

  test('packed: many prefixes with a 32-byte next hop stay within the message', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, peer('x', 1));
    const out = new Neighbor(rib, onLink('out', 'eth0', { nextHopSelf: { ipv6: own } }));
    const prefixes = Array.from({ length: 2000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    for (let i = 0; i < prefixes.length; i += 500) x.says(announce(prefixes.slice(i, i + 500)));
    expect(out.listen().prefixes()).toHaveLength(2000);
    expect(out.routes.get(prefixes[7])?.nextHop).toBe(`${own} fe80::ff`);
  });
});

describe('RFC 2545 §3: link-local next hops', () => {
  test.each<[string, Partial<RibPeer>, string]>([
    ['between link-local addresses, no other address: it alone', {}, 'fe80::ff'],
    [
      'between link-local addresses: beside the global one',
      { nextHopSelf: { ipv6: '2001:db8::254' } },
      '2001:db8::254 fe80::ff',
    ],
    [
      'between global addresses of one subnet: beside the global one',
      { address: '2001:db8::1', localAddress: '2001:db8::254' },
      '2001:db8::254 fe80::ff',
    ],
    [
      'the global one is not on the link: it alone',
      { address: '2001:db8::1', localAddress: '2001:db8::254', nextHopSelf: { ipv6: '2001:db8:f::1' } },
      '2001:db8:f::1',
    ],
    [
      'no link in common: the global one alone',
      { address: '2001:db8::1', localAddress: '2001:db8::254', link: undefined },
      '2001:db8::254',
    ],
  ])('sent %s', (_name, differing, nextHop) => {
    const rib = ribOf();
    const x = new Neighbor(rib, peer('x', 1));
    const out = new Neighbor(rib, onLink('out', 'eth0', differing));
    x.says(announce([V6]));
    expect(out.listen().routes.get(V6)?.nextHop).toBe(nextHop);
  });

  test.each<[string, string, Partial<RibPeer>, string]>([
    ['alone', 'fe80::9', {}, 'fe80::9%eth0'],
    ['beside a global one, on a session between link-local addresses', '2001:db8::9 fe80::9', {}, 'fe80::9%eth0'],
    ['beside a global one, on any other session', '2001:db8::9 fe80::9', { address: '2001:db8::1' }, '2001:db8::9'],
    ['alone, from a peer on the link', 'fe80::9', { address: '2001:db8::1' }, 'fe80::9%eth0'],
  ])('the kernel is told: %s', (_name, nextHop, differing, expected) => {
    for (const prefix of [V4, V6]) {
      const rib = ribOf();
      const x = new Neighbor(rib, onLink('x', 'eth0', differing));
      x.says(announce([prefix], { nextHop, asPath: [65001] }));
      expect(bestNextHops(rib, prefix)).toEqual([expected]);
      expect([...rib.routes({})]).toMatchObject([
        { nextHop: nextHop.split(' ')[0], linkLocalNextHop: 'fe80::9%eth0', selected: 'best' },
      ]);
    }
  });

  test('from a peer that shares no link with us it cannot be used', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, external('x', 1, 65001));
    x.says(announce([V6], { nextHop: 'fe80::9', asPath: [65001] }));
    expect([...rib.routes({ filtered: true })]).toMatchObject([{ prefix: V6, lostAt: 'nextHopOffLink' }]);
    expect(bestNextHops(rib, V6)).toEqual([]);
  });

  test('our own as next hop, alone or as one of two, leads in a circle', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, onLink('x', 'eth0'));
    for (const nextHop of ['fe80::ff', '2001:db8::9 fe80::ff']) {
      x.says(announce([V6], { nextHop, asPath: [65001] }));
      expect([...rib.routes({ filtered: true })]).toMatchObject([{ lostAt: 'nextHopIsOurs' }]);
    }
  });

  test('within the AS, ourselves stand for what only we can reach', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, onLink('x', 'eth0'));
    const y = new Neighbor(rib, peer('y', 2));
    x.says(announce([V4, '10.2.0.0/16'], { nextHop: 'fe80::9', asPath: [65001] }));
    x.says(announce([V6], { nextHop: 'fe80::9', asPath: [65001] }));
    expect(y.listen().routes.get(V4)?.nextHop).toBe('10.0.0.254');
    expect(y.routes.get(V6)?.nextHop).toBe('2001:db8::254');
  });

  test('equal ones on two links are two next hops; on one link they are one', () => {
    const rib = ribOf({ maximumPaths: 8 });
    const x = new Neighbor(rib, onLink('x', 'eth0'));
    const y = new Neighbor(rib, onLink('y', 'eth1', { remoteRouterId: '10.0.0.2' }));
    const z = new Neighbor(rib, onLink('z', 'eth1', { remoteRouterId: '10.0.0.3', address: 'fe80::3%eth1' }));
    for (const each of [x, y, z]) each.says(announce([V4], { nextHop: 'fe80::9', asPath: [65001] }));
    expect(bestNextHops(rib, V4)).toEqual(['fe80::9%eth0', 'fe80::9%eth1']);
  });
});
