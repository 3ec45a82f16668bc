import { describe, expect, test } from 'vitest';
import { familyOfText, parsePrefix } from '../../../bgp/ip.ts';
import type { TunnelSupports } from '../../../src/routing/encapsulation.ts';
import { toForwarding, unroutableReason } from '../../../src/routing/kernel-route.ts';
import { node, ours } from '../../kit/cluster.ts';
import { everythingSupported, formatRoute, inventoryOf, PlainUnderlay } from './world.ts';

const self = node('a', '10.0.1.1 fd00:0:1::1', { pods: ['10.244.1.0/24', 'fd00:10:1::/64'] });
const near = node('b', '10.0.1.2 fd00:0:1::2', { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] });
const far = node('c', '10.0.2.3 fd00:0:2::3', { pods: ['10.244.3.0/24', 'fd00:10:3::/64'] });
const farV4 = node('d', '10.0.2.4', { pods: ['10.244.4.0/24', 'fd00:10:4::/64'] });
const rangeless = node('e', '10.0.2.5');

const underlay = new PlainUnderlay({ eth0: ['10.0.1.1/24', 'fd00:0:1::1/64'], eth1: [] }, [
  '10.0.0.0/8 via 10.0.1.254',
  '192.0.2.0/24 via 10.0.1.253',
  'fd00:0:2::/48 via fd00:0:1::fe',
]);

const pools = (spec: string, spec6 = 'vxlanMode: Never') => [
  ours('IPPool', 'v4', `{ cidr: 10.244.0.0/16, ${spec} }`),
  ours('IPPool', 'v6', `{ cidr: 'fd00:10::/32', ${spec6} }`),
];

interface Options {
  readonly pools?: readonly object[];
  readonly support?: TunnelSupports;
  readonly self?: object;
}

/** The route as text, or `unroutable: REASON`. */
function routeTo(prefix: string, nextHops: readonly string[], options: Options = {}): string {
  const inventory = inventoryOf('a', options.self ?? self, near, far, farV4, rangeless, ...(options.pools ?? []));
  const pool = inventory.poolOf(parsePrefix(prefix)!);
  const forwarding = toForwarding(familyOfText(prefix), pool, nextHops, {
    inventory,
    underlay,
    tunnelSupport: options.support ?? everythingSupported,
  });
  const { nextHops: hops, preferredSource } = forwarding;
  if (hops.length === 0) return `unroutable: ${unroutableReason(forwarding)}`;
  return formatRoute({ prefix, kind: 'unicast', nextHops: hops, preferredSource });
}

const b = '10.0.1.2';
const c = '10.0.2.3';
const direct = (prefix: string, gateway: string) => `${prefix} via ${gateway} dev eth0`;
const ipipTo = (prefix: string, gateway: string) => `${prefix} via ${gateway} dev godwit-ipip onlink src 10.244.1.0`;
const vxlanTo = (prefix: string, gateway: string) => `${prefix} via ${gateway} dev godwit-vxlan onlink src 10.244.1.0`;

describe('direct or tunnelled', () => {
  test.each([
    ['no pool: direct', '', '10.244.2.0/24', b, direct('10.244.2.0/24', b)],
    ['no pool: direct through the router', '', '10.244.3.0/24', c, direct('10.244.3.0/24', '10.0.1.254')],
    ['ipip Never', 'ipipMode: Never', '10.244.3.0/24', c, direct('10.244.3.0/24', '10.0.1.254')],
    ['ipip CrossSubnet, same subnet', 'ipipMode: CrossSubnet', '10.244.2.0/24', b, direct('10.244.2.0/24', b)],
    ['ipip CrossSubnet, other subnet', 'ipipMode: CrossSubnet', '10.244.3.0/24', c, ipipTo('10.244.3.0/24', c)],
    ['ipip Always, same subnet', 'ipipMode: Always', '10.244.2.0/24', b, ipipTo('10.244.2.0/24', b)],
    ['vxlan CrossSubnet, same subnet', 'vxlanMode: CrossSubnet', '10.244.2.0/24', b, direct('10.244.2.0/24', b)],
    [
      'vxlan CrossSubnet, other subnet',
      'vxlanMode: CrossSubnet',
      '10.244.3.0/24',
      c,
      vxlanTo('10.244.3.0/24', '10.244.3.0'),
    ],
    ['vxlan Always, same subnet', 'vxlanMode: Always', '10.244.2.0/24', b, vxlanTo('10.244.2.0/24', '10.244.2.0')],
    [
      'a part of a range, tunnelled as the range',
      'vxlanMode: Always',
      '10.244.2.64/26',
      b,
      vxlanTo('10.244.2.64/26', '10.244.2.0'),
    ],
    ['a disabled pool', 'ipipMode: Always, disabled: true', '10.244.2.0/24', b, direct('10.244.2.0/24', b)],
    [
      'a pool that does not select the other node',
      'ipipMode: Always, nodeSelector: has(gpu)',
      '10.244.2.0/24',
      b,
      direct('10.244.2.0/24', b),
    ],
    [
      'in the pool, but the next hop is no node',
      'ipipMode: Always',
      '10.244.9.0/24',
      '10.0.1.77',
      direct('10.244.9.0/24', '10.0.1.77'),
    ],
    [
      'outside the pool, though the next hop is a node',
      'ipipMode: Always',
      '192.0.2.0/24',
      b,
      direct('192.0.2.0/24', b),
    ],
    ['larger than the pool', 'ipipMode: Always', '10.240.0.0/12', b, direct('10.240.0.0/12', b)],
  ])('%s', (_, spec, prefix, nextHop, wanted) => {
    expect(routeTo(prefix, [nextHop], { pools: spec === '' ? [] : pools(spec) })).toBe(wanted);
  });

  test.each([
    ['vxlanMode: Never', 'fd00:0:1::2', 'fd00:10:2::/64 via fd00:0:1::2 dev eth0'],
    ['vxlanMode: CrossSubnet', 'fd00:0:1::2', 'fd00:10:2::/64 via fd00:0:1::2 dev eth0'],
    [
      'vxlanMode: CrossSubnet',
      'fd00:0:2::3',
      'fd00:10:2::/64 via fe80::67:aff:fe00:203 dev godwit-vxlan onlink src fd00:10:1::',
    ],
    [
      'vxlanMode: Always',
      'fd00:0:1::2',
      'fd00:10:2::/64 via fe80::67:aff:fe00:102 dev godwit-vxlan onlink src fd00:10:1::',
    ],
    [
      'vxlanMode: Always',
      '::ffff:10.0.2.4',
      'fd00:10:2::/64 via fe80::67:aff:fe00:204 dev godwit-vxlan onlink src fd00:10:1::',
    ],
    [
      'vxlanMode: CrossSubnet',
      '::ffff:10.0.2.4',
      'fd00:10:2::/64 via fe80::67:aff:fe00:204 dev godwit-vxlan onlink src fd00:10:1::',
    ],
  ])('IPv6, %s, next hop %s', (spec6, nextHop, wanted) => {
    expect(routeTo('fd00:10:2::/64', [nextHop], { pools: pools('vxlanMode: Never', spec6) })).toBe(wanted);
  });
});

describe('a next hop is resolved by connected and static routes alone', () => {
  test.each([
    ['on a connected subnet', '203.0.113.0/24', '10.0.1.254', direct('203.0.113.0/24', '10.0.1.254')],
    ['by a static route', '203.0.113.0/24', '192.0.2.9', direct('203.0.113.0/24', '10.0.1.253')],
    [
      'by nothing',
      '203.0.113.0/24',
      '198.51.100.1',
      'unroutable: next hop 198.51.100.1 is on no connected subnet, and no static route leads to it',
    ],
  ])('%s', (_, prefix, nextHop, wanted) => {
    expect(routeTo(prefix, [nextHop])).toBe(wanted);
  });
});

describe('equal paths', () => {
  const prefix = '203.0.113.0/24';
  test('become one route, in an order of its own', () => {
    const wanted = `${prefix} via 10.0.1.2 dev eth0 + via 10.0.1.3 dev eth0`;
    expect(routeTo(prefix, ['10.0.1.3', '10.0.1.2'])).toBe(wanted);
    expect(routeTo(prefix, ['10.0.1.2', '10.0.1.3'])).toBe(wanted);
  });

  test('by way of one gateway count once: two reflectors tell the same', () => {
    expect(routeTo(prefix, ['10.0.1.2', '10.0.1.2'])).toBe(direct(prefix, '10.0.1.2'));
    expect(routeTo(prefix, ['10.0.2.3', '10.0.2.4'])).toBe(direct(prefix, '10.0.1.254'));
  });

  test('that cannot be resolved are left out', () => {
    expect(routeTo(prefix, ['198.51.100.1', '10.0.1.2'])).toBe(direct(prefix, '10.0.1.2'));
  });

  test('may be direct and tunnelled at once; the source is the tunnel address', () => {
    expect(routeTo('10.244.7.7/32', [b, c], { pools: pools('ipipMode: CrossSubnet') })).toBe(
      '10.244.7.7/32 via 10.0.1.2 dev eth0 + via 10.0.2.3 dev godwit-ipip onlink src 10.244.1.0',
    );
  });
});

describe('what cannot be carried has a reason', () => {
  const support = (kind: 'ipip' | 'vxlan', reason?: string) => ({
    ...everythingSupported,
    [kind]: { supported: false, reason },
  });
  test.each<[string, string, string, Options, string]>([
    [
      'the kernel has no ipip',
      '10.244.3.0/24',
      c,
      { pools: pools('ipipMode: Always'), support: support('ipip', 'Unknown device type') },
      'this kernel makes no IP-in-IP tunnel: Unknown device type',
    ],
    [
      'the kernel has no vxlan',
      '10.244.3.0/24',
      c,
      { pools: pools('vxlanMode: Always'), support: support('vxlan') },
      'this kernel makes no VXLAN tunnel',
    ],
    ['the next hop is ourselves', '10.244.3.0/24', '10.0.1.1', {}, 'next hop 10.0.1.1 is this node itself'],
    [
      'the other node has no pod range, so no VTEP address',
      '10.244.9.0/24',
      '10.0.2.5',
      { pools: pools('vxlanMode: Always') },
      'node e has no IPv4 pod range, so no tunnel address',
    ],
    [
      'an IPv4-mapped next hop without a tunnel',
      'fd00:10:4::/64',
      '::ffff:10.0.2.4',
      {},
      'next hop ::ffff:10.0.2.4 has no IPv6 address: its IPv6 routes need a pool with vxlanMode Always',
    ],
    [
      'an IPv6 route by an IPv4 next hop',
      '2001:db8::/32',
      '10.0.1.2',
      {},
      'next hop 10.0.1.2 is an IPv4 address: no IPv6 route can lead there',
    ],
    [
      'a link-local next hop whose interface is gone',
      '203.0.113.0/24',
      'fe80::1%eth9',
      {},
      'next hop fe80::1%eth9 is on no connected subnet, and there is no interface eth9, or it is down',
    ],
    [
      'IP-in-IP from a node without IPv4',
      '10.244.3.0/24',
      c,
      { pools: pools('ipipMode: Always'), self: node('a', 'fd00:0:1::1') },
      'this node has no IPv4 address for an IP-in-IP tunnel',
    ],
    [
      'VXLAN over IPv6 to a node without it',
      '10.244.4.0/24',
      '10.0.2.4',
      { pools: pools('vxlanMode: Always'), self: node('a', 'fd00:0:1::1') },
      'node d has no IPv6 address for a VXLAN tunnel',
    ],
  ])('%s', (_, prefix, nextHop, options, reason) => {
    expect(routeTo(prefix, [nextHop], options)).toBe(`unroutable: ${reason}`);
  });

  test('where direct is allowed, a kernel without tunnels still carries it', () => {
    const options = { pools: pools('ipipMode: CrossSubnet'), support: support('ipip') };
    expect(routeTo('10.244.2.0/24', [b], options)).toBe(direct('10.244.2.0/24', b));
  });
});

describe('next hops of the link', () => {
  test.each([
    ['RFC 8950: IPv4 by a connected IPv6 address', '203.0.113.0/24', ['fd00:0:1::2'], 'via fd00:0:1::2 dev eth0'],
    [
      'RFC 8950: IPv4 by an IPv6 address behind a router',
      '203.0.113.0/24',
      ['fd00:0:2::9'],
      'via fd00:0:1::fe dev eth0',
    ],
    ['IPv4 by a link-local address', '203.0.113.0/24', ['fe80::1%eth0'], 'via fe80::1 dev eth0'],
    ['IPv6 by a link-local address', '2001:db8::/32', ['fe80::1%eth0'], 'via fe80::1 dev eth0'],
    [
      'several: link-local ones on several links, an IPv4 one among them',
      '203.0.113.0/24',
      ['fe80::1%eth1', '10.0.1.2', 'fe80::1%eth0'],
      'via 10.0.1.2 dev eth0 + via fe80::1 dev eth0 + via fe80::1 dev eth1',
    ],
  ])('%s', (_name, prefix, nextHops, expected) => {
    expect(routeTo(prefix, nextHops)).toBe(`${prefix} ${expected}`);
  });
});
