import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { LinkMonitor } from '../../dataplane/links.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { godwitMetric } from '../../dataplane/ownership.ts';
import { RouteTable } from '../../dataplane/route-table.ts';
import type { KernelRoute } from '../../dataplane/types.ts';
import { eventually } from '../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../kit/netns.ts';
import { clockWithoutRetries } from '../kit/real-clock.ts';

let here: TestNamespace;
let there: TestNamespace;
let kernel: Rtnetlink;
let links: LinkMonitor;
let table: RouteTable;
let tables: RouteTable[];

beforeEach(() => {
  here = new TestNamespace();
  there = new TestNamespace();
  connectNamespaces(here, 'eth0', there, 'eth0');
  connectNamespaces(here, 'eth1', there, 'eth1');
  here.ip('addr add 10.0.0.1/24 dev eth0');
  here.ip('addr add 10.0.1.1/24 dev eth1');
  here.ip('addr add fd00::1/64 dev eth0 nodad');
  here.ip('addr add fd00:1::1/64 dev eth1 nodad');
  kernel = new Rtnetlink({ namespace: here.path });
  links = new LinkMonitor({ kernel, clock: clockWithoutRetries });
  tables = [];
  table = openTable();
});

afterEach(() => {
  for (const each of tables) each.close();
  links.close();
  kernel.close();
  here.remove();
  there.remove();
});

function openTable(): RouteTable {
  const opened = new RouteTable({ kernel, links, clock: clockWithoutRetries });
  tables.push(opened);
  return opened;
}

function via(prefix: string, ...gateways: string[]): KernelRoute {
  const interfaceOf = (gateway: string) => (/^(10\.0\.1|fd00:1:)/.test(gateway) ? 'eth1' : 'eth0');
  return {
    prefix,
    kind: 'unicast',
    nextHops: gateways.map((gateway) => ({ gateway, interfaceName: interfaceOf(gateway) })),
  };
}

/** The routes of our protocol, as `ip` words them. */
function ours(): string[] {
  return [...here.ip('-4 route show proto 167').split('\n'), ...here.ip('-6 route show proto 167').split('\n')]
    .reduce<string[]>((lines, line) => {
      const text = line.trim().replace(' pref medium', '').replace(/ +/g, ' ');
      if (line.startsWith('\t')) lines[lines.length - 1] += ` | ${text}`;
      else if (text !== '') lines.push(text);
      return lines;
    }, [])
    .sort();
}

function applyAll(): void {
  while (table.apply());
}

describe('what is desired is in the kernel', () => {
  test('both families: a gateway, several, an interface alone, onlink, a source, a blackhole', () => {
    table.setDesired(via('10.244.1.0/24', '10.0.0.2'));
    table.setDesired(via('10.244.2.0/24', '10.0.0.2', '10.0.1.2'));
    table.setDesired({ prefix: '10.244.3.0/24', kind: 'unicast', nextHops: [{ interfaceName: 'eth1' }] });
    const tunnelled = { gateway: '172.31.0.1', interfaceName: 'eth0', onLink: true };
    table.setDesired({ prefix: '10.244.4.0/24', kind: 'unicast', nextHops: [tunnelled], preferredSource: '10.0.1.1' });
    table.setDesired({ prefix: '10.244.0.0/16', kind: 'blackhole', nextHops: [] });
    table.setDesired({ prefix: '10.244.5.0/24', kind: 'unicast', nextHops: [{ gateway: '10.0.1.9' }] });
    table.setDesired(via('10.244.6.0/24', 'fd00::2'));
    table.setDesired(via('fd01:1::/64', 'fd00::2'));
    table.setDesired(via('fd01:2::/64', 'fd00::2', 'fd00:1::2'));
    table.setDesired({ prefix: 'fd01::/32', kind: 'blackhole', nextHops: [] });
    expect(table.apply()).toBe(false);
    expect(table.failures()).toEqual([]);
    expect(ours()).toEqual([
      '10.244.1.0/24 via 10.0.0.2 dev eth0 metric 1670',
      '10.244.2.0/24 metric 1670 | nexthop via 10.0.0.2 dev eth0 weight 1 | nexthop via 10.0.1.2 dev eth1 weight 1',
      '10.244.3.0/24 dev eth1 scope link metric 1670',
      '10.244.4.0/24 via 172.31.0.1 dev eth0 src 10.0.1.1 metric 1670 onlink',
      '10.244.5.0/24 via 10.0.1.9 dev eth1 metric 1670',
      '10.244.6.0/24 via inet6 fd00::2 dev eth0 metric 1670',
      'blackhole 10.244.0.0/16 metric 1670',
      'blackhole fd01::/32 dev lo metric 1670',
      'fd01:1::/64 via fd00::2 dev eth0 metric 1670',
      'fd01:2::/64 metric 1670 | nexthop via fd00::2 dev eth0 weight 1 | nexthop via fd00:1::2 dev eth1 weight 1',
    ]);
    expect(table.isInstalled('fd01:2::/64')).toBe(true);
  });

  test('next hops with weights: as told, read back, changed in place', () => {
    const weighted = (prefix: string, gateways: readonly string[], weights: readonly number[]): KernelRoute => {
      const route = via(prefix, ...gateways);
      return { ...route, nextHops: route.nextHops.map((hop, i) => ({ ...hop, weight: weights[i] })) };
    };
    const [four, six] = [
      ['10.0.0.2', '10.0.1.2'],
      ['fd00::2', 'fd00:1::2'],
    ];
    table.setDesired(weighted('10.244.2.0/24', four, [100, 10]));
    table.setDesired(weighted('fd01:2::/64', six, [256, 1]));
    applyAll();
    expect(table.failures()).toEqual([]);
    expect(ours()).toEqual([
      '10.244.2.0/24 metric 1670 | nexthop via 10.0.0.2 dev eth0 weight 100 | nexthop via 10.0.1.2 dev eth1 weight 10',
      'fd01:2::/64 metric 1670 | nexthop via fd00::2 dev eth0 weight 256 | nexthop via fd00:1::2 dev eth1 weight 1',
    ]);
    expect(table.adopt()).toBe(2);
    expect(table.totals()).toMatchObject({ desired: 2, actual: 2, pending: 0 });
    table.setDesired(via('10.244.2.0/24', ...four));
    table.setDesired(weighted('fd01:2::/64', six, [1, 2]));
    applyAll();
    expect(ours()).toEqual([
      '10.244.2.0/24 metric 1670 | nexthop via 10.0.0.2 dev eth0 weight 1 | nexthop via 10.0.1.2 dev eth1 weight 1',
      'fd01:2::/64 metric 1670 | nexthop via fd00::2 dev eth0 weight 1 | nexthop via fd00:1::2 dev eth1 weight 2',
    ]);
  });

  test('a route read back is as desired: a second look changes nothing', () => {
    table.setDesired(via('10.244.2.0/24', '10.0.1.2', '10.0.0.2'));
    table.setDesired(via('fd01:2::/64', 'fd00:1::2', 'fd00::2'));
    table.setDesired({ prefix: 'fd01::/32', kind: 'blackhole', nextHops: [] });
    applyAll();
    expect(table.adopt()).toBe(3);
    expect(table.totals()).toEqual({ desired: 3, actual: 3, adopted: 0, pending: 0, failures: 0 });
  });

  test('RFC 8950: IPv4 by IPv6 gateways, link-local ones too, alone, several, mixed; read back, replaced, adopted', () => {
    const lan = (gateway: string, interfaceName: string) => ({ gateway, interfaceName });
    const [left, right] = [lan('fe80::a', 'eth0'), lan('fe80::a', 'eth1')];
    table.setDesired({ prefix: '10.244.1.0/24', kind: 'unicast', nextHops: [left] });
    table.setDesired({ prefix: '10.244.2.0/24', kind: 'unicast', nextHops: [right, left] });
    table.setDesired({ prefix: '10.244.3.0/24', kind: 'unicast', nextHops: [left, lan('10.0.1.2', 'eth1')] });
    table.setDesired({ prefix: 'fd01:2::/64', kind: 'unicast', nextHops: [left, right] });
    applyAll();
    expect(table.failures()).toEqual([]);
    expect(ours()).toEqual([
      '10.244.1.0/24 via inet6 fe80::a dev eth0 metric 1670',
      '10.244.2.0/24 metric 1670 | nexthop via inet6 fe80::a dev eth1 weight 1 | nexthop via inet6 fe80::a dev eth0 weight 1',
      '10.244.3.0/24 metric 1670 | nexthop via inet6 fe80::a dev eth0 weight 1 | nexthop via 10.0.1.2 dev eth1 weight 1',
      'fd01:2::/64 metric 1670 | nexthop via fe80::a dev eth0 weight 1 | nexthop via fe80::a dev eth1 weight 1',
    ]);
    table.adopt();
    expect(table.totals()).toEqual({ desired: 4, actual: 4, adopted: 0, pending: 0, failures: 0 });
    table.setDesired({ prefix: '10.244.2.0/24', kind: 'unicast', nextHops: [right] });
    table.setDesired({ prefix: '10.244.1.0/24', kind: 'unicast', nextHops: [left, right] });
    applyAll();
    expect(table.failures()).toEqual([]);
    expect(ours().slice(0, 2)).toEqual([
      '10.244.1.0/24 metric 1670 | nexthop via inet6 fe80::a dev eth0 weight 1 | nexthop via inet6 fe80::a dev eth1 weight 1',
      '10.244.2.0/24 via inet6 fe80::a dev eth1 metric 1670',
    ]);
    const next = openTable();
    expect(next.adopt()).toBe(4);
  });

  test('replaced in place: other gateway, more paths, fewer, another kind, and back', () => {
    const steps: [KernelRoute, string][] = [
      [via('10.9.0.0/24', '10.0.0.2'), '10.9.0.0/24 via 10.0.0.2 dev eth0 metric 1670'],
      [via('10.9.0.0/24', '10.0.1.2'), '10.9.0.0/24 via 10.0.1.2 dev eth1 metric 1670'],
      [
        via('10.9.0.0/24', '10.0.0.2', '10.0.1.2'),
        '10.9.0.0/24 metric 1670 | nexthop via 10.0.0.2 dev eth0 weight 1 | nexthop via 10.0.1.2 dev eth1 weight 1',
      ],
      [{ prefix: '10.9.0.0/24', kind: 'blackhole', nextHops: [] }, 'blackhole 10.9.0.0/24 metric 1670'],
      [
        { ...via('10.9.0.0/24', '10.0.0.3'), preferredSource: '10.0.1.1' },
        '10.9.0.0/24 via 10.0.0.3 dev eth0 src 10.0.1.1 metric 1670',
      ],
      [via('10.9.0.0/24', '10.0.0.3'), '10.9.0.0/24 via 10.0.0.3 dev eth0 metric 1670'],
    ];
    const sixSteps: [KernelRoute, string][] = [
      [via('fd09::/64', 'fd00::2', 'fd00:1::2', 'fd00::3'), ''],
      [via('fd09::/64', 'fd00:1::2'), 'fd09::/64 via fd00:1::2 dev eth1 metric 1670'],
      [
        via('fd09::/64', 'fd00::2', 'fd00:1::2'),
        'fd09::/64 metric 1670 | nexthop via fd00::2 dev eth0 weight 1 | nexthop via fd00:1::2 dev eth1 weight 1',
      ],
      [{ prefix: 'fd09::/64', kind: 'blackhole', nextHops: [] }, 'blackhole fd09::/64 dev lo metric 1670'],
      [via('fd09::/64', 'fd00::3'), 'fd09::/64 via fd00::3 dev eth0 metric 1670'],
    ];
    for (const [route, expected] of [...steps, ...sixSteps]) {
      table.setDesired(route);
      applyAll();
      expect(table.failures()).toEqual([]);
      if (expected !== '') expect(ours()).toContain(expected);
    }
    expect(ours()).toHaveLength(2);
    table.removeDesired('10.9.0.0/24');
    table.removeDesired('fd09::/64');
    applyAll();
    expect(ours()).toEqual([]);
  });

  test('additions come first, deletions last, however small the slices', () => {
    table.setDesired(via('10.8.0.0/16', '10.0.0.2'));
    applyAll();
    table.removeDesired('10.8.0.0/16');
    table.setDesired(via('10.8.0.0/17', '10.0.0.2'));
    table.setDesired(via('10.8.128.0/17', '10.0.0.2'));
    const seen: number[] = [];
    do seen.push(ours().length);
    while (table.apply(1));
    expect([...seen, ours().length]).toEqual([1, 2, 3, 2]);
  });

  test('20,000 routes go in, change and go out in slices', () => {
    const prefixes = Array.from({ length: 20_000 }, (_, i) => `20.${i >> 8}.${i & 255}.0/24`);
    const counts = () => here.ip('-4 route show proto 167').split('\n').length - 1;
    for (const prefix of prefixes) table.setDesired(via(prefix, '10.0.0.2'));
    expect(table.apply(500)).toBe(true);
    expect(counts()).toBe(500);
    applyAll();
    expect(counts()).toBe(20_000);
    for (const prefix of prefixes) table.setDesired(via(prefix, '10.0.1.2'));
    applyAll();
    expect(here.ip('-4 route show proto 167 via 10.0.1.2').split('\n')).toHaveLength(20_001);
    for (const prefix of prefixes) table.removeDesired(prefix);
    applyAll();
    expect(counts()).toBe(0);
    expect(table.totals()).toEqual({ desired: 0, actual: 0, adopted: 0, pending: 0, failures: 0 });
  });

  test('what is no prefix or no address is refused at once', () => {
    expect(() => table.setDesired(via('10.0.0.0', '10.0.0.2'))).toThrow('not a prefix: 10.0.0.0');
    expect(() => table.setDesired(via('10.0.0.0/8', '10.0.2'))).toThrow('not an IP address in canonical form: 10.0.2');
  });
});

describe('strangers', () => {
  test('a route of another protocol, metric or table is never touched', () => {
    here.ip('route add 10.7.0.0/24 via 10.0.0.9 proto static');
    here.ip('route add 10.7.0.0/24 via 10.0.0.9 proto 167 metric 1670 table 77');
    here.ip('route add 10.7.1.0/24 via 10.0.0.9 proto bird metric 32');
    here.ip('-6 route add fd07::/64 via fd00::9 proto static');
    const before = here.ip('route show table all') + here.ip('-6 route show table main');
    table.setDesired(via('10.7.0.0/24', '10.0.0.2'));
    table.setDesired(via('fd07::/64', 'fd00::2'));
    applyAll();
    expect(ours()).toHaveLength(2);
    table.releaseAdopted();
    table.removeDesired('10.7.0.0/24');
    table.removeDesired('fd07::/64');
    applyAll();
    expect(here.ip('route show table all') + here.ip('-6 route show table main')).toBe(before);
  });

  test('a stranger with our very prefix and metric stays, is told as the reason, and makes room when it goes', async () => {
    here.ip(`route add 10.7.0.0/24 via 10.0.0.9 metric ${godwitMetric}`);
    here.ip(`-6 route add fd07::/64 via fd00::9 metric ${godwitMetric}`);
    table.setDesired(via('10.7.0.0/24', '10.0.0.2'));
    table.setDesired(via('fd07::/64', 'fd00::2'));
    applyAll();
    expect(table.failures()).toMatchObject([
      { prefix: '10.7.0.0/24', errno: 'EEXIST', message: 'a route of another owner has this prefix and metric 1670' },
      { prefix: 'fd07::/64', errno: 'EEXIST', message: 'a route of another owner has this prefix and metric 1670' },
    ]);
    table.removeDesired('fd07::/64');
    applyAll();
    expect(here.ip('-6 route show fd07::/64')).toContain('via fd00::9');
    expect(here.ip('route show 10.7.0.0/24')).toContain('via 10.0.0.9');
    here.ip(`route del 10.7.0.0/24 via 10.0.0.9 metric ${godwitMetric}`);
    await eventually(() => table.isInstalled('10.7.0.0/24'), { reason: 'ours takes the place' });
  });
});

describe('adoption', () => {
  test('what was there stays until released; what is desired again is not touched', () => {
    table.setDesired(via('10.6.1.0/24', '10.0.0.2'));
    table.setDesired(via('10.6.2.0/24', '10.0.0.2'));
    table.setDesired(via('fd06:1::/64', 'fd00::2', 'fd00:1::2'));
    table.setDesired(via('fd06:2::/64', 'fd00::2'));
    applyAll();
    here.ip('route add 10.6.9.0/24 via 10.0.0.2 proto 167 metric 99');
    table.close();

    table = openTable();
    expect(table.adopt()).toBe(5);
    table.setDesired(via('10.6.1.0/24', '10.0.0.2'));
    table.setDesired(via('fd06:1::/64', 'fd00:1::2', 'fd00::2'));
    applyAll();
    expect(table.totals()).toEqual({ desired: 2, actual: 5, adopted: 3, pending: 0, failures: 0 });
    expect(ours()).toHaveLength(5);

    table.releaseAdopted();
    applyAll();
    expect(ours()).toEqual([
      '10.6.1.0/24 via 10.0.0.2 dev eth0 metric 1670',
      'fd06:1::/64 metric 1670 | nexthop via fd00::2 dev eth0 weight 1 | nexthop via fd00:1::2 dev eth1 weight 1',
    ]);
  });

  test('a route that was withdrawn before the release goes, though others are still kept', () => {
    table.setDesired(via('10.6.1.0/24', '10.0.0.2'));
    table.setDesired(via('10.6.2.0/24', '10.0.0.2'));
    applyAll();
    table.close();
    table = openTable();
    table.adopt();
    table.setDesired(via('10.6.1.0/24', '10.0.0.3'));
    table.removeDesired('10.6.1.0/24');
    table.adopt();
    applyAll();
    expect(ours()).toEqual(['10.6.2.0/24 via 10.0.0.2 dev eth0 metric 1670']);
  });
});

describe('repair', () => {
  const want = [
    via('10.5.0.0/24', '10.0.0.2'),
    via('10.5.1.0/24', '10.0.0.2', '10.0.1.2'),
    via('fd05::/64', 'fd00::2', 'fd00:1::2'),
  ];
  let before: string[];

  beforeEach(() => {
    for (const route of want) table.setDesired(route);
    table.setDesired({ ...via('10.5.2.0/24', '10.0.0.2'), preferredSource: '10.0.1.1' });
    applyAll();
    before = ours();
    expect(before).toHaveLength(4);
  });

  const repaired = () => eventually(() => expect(ours()).toEqual(before), { reason: 'repair' });

  test.each([
    'route del 10.5.0.0/24 metric 1670',
    'route change 10.5.0.0/24 via 10.0.0.9 metric 1670',
    'route replace 10.5.1.0/24 via 10.0.1.9 metric 1670 proto static',
    'route replace blackhole 10.5.0.0/24 metric 1670 proto 167',
    '-6 route del fd05::/64 metric 1670',
    '-6 route change fd05::/64 via fd00::9 metric 1670',
    '-6 route del fd05::/64 via fd00::2 dev eth0 metric 1670',
    '-6 route append fd05::/64 via fd00::7 dev eth0 metric 1670 proto 167',
    'route add 10.5.99.0/24 via 10.0.0.2 proto 167 metric 1670',
    'route flush proto 167',
  ])('after `ip %s`', async (words) => {
    here.ip(words);
    await repaired();
    expect(table.failures()).toEqual([]);
  });

  test('a link that went down takes its routes along; when it is back, they are too', async () => {
    here.ip('link set eth0 down');
    await eventually(() => table.failures().some(({ prefix }) => prefix === '10.5.0.0/24'), { reason: 'seen as lost' });
    // IPv6 deletes the addresses of a link that goes down, and makes none of them again.
    here.ip('link set eth0 up');
    here.ip('addr add fd00::1/64 dev eth0 nodad');
    await repaired();
    expect(table.failures()).toEqual([]);
  });

  test('IPv4 routes by IPv6 gateways come back too: deleted by another, and with their link', async () => {
    const right = { gateway: 'fe80::a', interfaceName: 'eth1' };
    table.setDesired({ prefix: '10.5.3.0/24', kind: 'unicast', nextHops: [right] });
    table.setDesired({
      prefix: '10.5.4.0/24',
      kind: 'unicast',
      nextHops: [right, { ...right, interfaceName: 'eth0' }],
    });
    applyAll();
    before = ours();
    expect(before).toHaveLength(6);
    here.ip('route del 10.5.4.0/24 metric 1670');
    await repaired();
    here.ip('link set eth1 down');
    await eventually(() => table.failures().some(({ prefix }) => prefix === '10.5.3.0/24'), { reason: 'seen as lost' });
    here.ip('link set eth1 up');
    here.ip('addr add fd00:1::1/64 dev eth1 nodad');
    await repaired();
    expect(table.failures()).toEqual([]);
  });

  test('a link that goes down and up drops IPv4 routes without a word: the link itself is the news', async () => {
    here.exec('sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1');
    table.removeDesired('fd05::/64');
    await eventually(() => !ours().some((line) => line.startsWith('fd05::')), { reason: 'IPv6 is gone' });
    applyAll();
    before = ours();
    here.ip('link set eth0 down');
    await eventually(() => table.failures().some(({ prefix }) => prefix === '10.5.0.0/24'), { reason: 'seen as lost' });
    here.ip('link set eth0 up');
    await repaired();
  });

  test('an address that went took routes along without a word (IPv4): they come back with it', async () => {
    here.ip('addr del 10.0.1.1/24 dev eth1');
    await eventually(() => table.failures().length > 0, { reason: 'seen as lost' });
    expect(table.failures().find(({ prefix }) => prefix === '10.5.2.0/24')).toMatchObject({ errno: 'EINVAL' });
    here.ip('addr add 10.0.1.1/24 dev eth1');
    await repaired();
  });

  test('an interface that is made anew has another index', async () => {
    here.ip('link del eth0');
    connectNamespaces(here, 'eth0', there, 'eth0');
    here.ip('addr add 10.0.0.1/24 dev eth0');
    here.ip('addr add fd00::1/64 dev eth0 nodad');
    await repaired();
  });
});

describe('failures', () => {
  test('the kernel says why; the route is tried again when its gateway can be reached', async () => {
    table.setDesired(via('10.4.0.0/24', '10.0.7.2'));
    table.setDesired({
      prefix: '10.4.1.0/24',
      kind: 'unicast',
      nextHops: [{ gateway: '10.0.0.2', interfaceName: 'eth7' }],
    });
    table.setDesired(via('10.4.2.0/24', '10.0.0.2'));
    expect(table.apply()).toBe(false);
    expect(table.failures()).toMatchObject([
      { prefix: '10.4.1.0/24', errno: 'ENODEV', message: 'no interface named eth7' },
      { prefix: '10.4.0.0/24', errno: 'ENETUNREACH', message: 'Nexthop has invalid gateway' },
    ]);
    expect(ours()).toEqual(['10.4.2.0/24 via 10.0.0.2 dev eth0 metric 1670']);
    here.ip('addr add 10.0.7.1/24 dev eth0');
    connectNamespaces(here, 'eth7', there, 'eth7');
    here.ip('addr add 10.0.0.77/24 dev eth7');
    await eventually(() => expect(table.failures()).toEqual([]), { reason: 'tried again' });
    expect(ours()).toHaveLength(3);
  });

  test('a replacement that the kernel refuses leaves the old route in force', () => {
    table.setDesired(via('10.4.0.0/24', '10.0.0.2'));
    applyAll();
    table.setDesired(via('10.4.0.0/24', '10.0.7.2'));
    applyAll();
    expect(ours()).toEqual(['10.4.0.0/24 via 10.0.0.2 dev eth0 metric 1670']);
    expect(table.failures()).toMatchObject([{ prefix: '10.4.0.0/24', errno: 'ENETUNREACH' }]);
    expect(table.isInstalled('10.4.0.0/24')).toBe(false);
  });

  test('notifications that were lost are made good by looking', async () => {
    const small = new Rtnetlink({ namespace: here.path, receiveBuffer: 2048 });
    const smallLinks = new LinkMonitor({ kernel: small, clock: clockWithoutRetries });
    let overruns = 0;
    small.listen({ onOverrun: () => overruns++ });
    const lossy = new RouteTable({ kernel: small, links: smallLinks, clock: clockWithoutRetries });
    try {
      for (let i = 0; i < 200; i++) lossy.setDesired(via(`10.3.${i}.0/24`, '10.0.0.2'));
      while (lossy.apply());
      here.ip('route flush proto 167');
      await eventually(() => expect(ours()).toHaveLength(200), { reason: 'repair after an overrun' });
      expect(overruns).toBeGreaterThan(0);
    } finally {
      lossy.close();
      smallLinks.close();
      small.close();
    }
  });
});
