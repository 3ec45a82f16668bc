import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KernelError } from '../../../dataplane/netlink/kernel-error.ts';
import { Rtnetlink } from '../../../dataplane/netlink/rtnetlink.ts';
import { podRouteProtocol } from '../../../dataplane/ownership.ts';
import type { PodLink } from '../../../dataplane/pods/pod-link.ts';
import { PodNetwork } from '../../../dataplane/pods/pod-network.ts';
import { TestNamespace } from '../../kit/netns.ts';

let host: TestNamespace;
let pod: TestNamespace;
let kernel: Rtnetlink;
let network: PodNetwork;

beforeEach(() => {
  host = new TestNamespace();
  pod = new TestNamespace();
  host.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  host.ip('addr add 192.0.2.11/32 dev lo');
  host.ip('addr add 2001:db8::11/128 dev lo nodad');
  kernel = new Rtnetlink({ namespace: host.path });
  network = new PodNetwork({ kernel, namespace: host.path });
});

afterEach(() => {
  network.close();
  kernel.close();
  host.remove();
  pod.remove();
});

function linkOf(namespace: TestNamespace, number: number, changes: Partial<PodLink> = {}): PodLink {
  return {
    namespace: namespace.path,
    podName: 'eth0',
    podMac: `02:00:00:00:01:0${number}`,
    hostName: `gw000000000000${number}`,
    hostMac: `02:00:00:00:02:0${number}`,
    mtu: 1400,
    addresses: [`10.244.1.${number}`, `fd00:1::${number}`],
    defaultRoute: true,
    routes: [],
    ...changes,
  };
}

const names = (namespace: TestNamespace) => namespace.ipJson('link show').map(({ ifname }) => ifname);
const pings = (from: TestNamespace, to: string) => from.exec('ping', '-c', '1', '-W', '1', to);

test('a prepared pod has its addresses and routes, and reaches nothing', () => {
  network.prepare(linkOf(pod, 1));
  expect(pod.ip('-br addr show eth0')).toContain('10.244.1.1/32');
  expect(pod.ip('route show')).toBe(
    'default via 169.254.1.1 dev eth0 proto static onlink linkdown \n169.254.1.1 dev eth0 proto static scope link linkdown \n',
  );
  expect(() => pings(pod, '169.254.1.1')).toThrow();
  expect(host.ip(`route show proto ${podRouteProtocol}`)).toBe('');
});

test('a connected pod and its host reach each other at once, in both families, without a question for a MAC', () => {
  const link = linkOf(pod, 1);
  network.prepare(link);
  network.connect(link);
  pings(host, '10.244.1.1');
  pings(host, 'fd00:1::1');
  expect(host.ip(`route show proto ${podRouteProtocol}`)).toBe('10.244.1.1 dev gw0000000000001 scope link \n');
  expect(host.ip('neigh show dev gw0000000000001 nud permanent')).toContain('10.244.1.1 lladdr 02:00:00:00:01:01');
  expect(network.differences(link)).toEqual([]);
});

test('two pods of one host reach each other, and the gateway answers', () => {
  using other = new TestNamespace();
  for (const [namespace, number] of [
    [pod, 1],
    [other, 2],
  ] as const) {
    const link = linkOf(namespace, number);
    network.prepare(link);
    network.connect(link);
  }
  pings(pod, '10.244.1.2');
  pings(pod, 'fd00:1::2');
  pings(pod, 'fe80::1%eth0');
});

test('a pod that sends from an address that is not its own is not heard', () => {
  using other = new TestNamespace();
  for (const [namespace, number] of [
    [pod, 1],
    [other, 2],
  ] as const) {
    const link = linkOf(namespace, number);
    network.prepare(link);
    network.connect(link);
  }
  pod.ip('addr add 10.244.1.99/32 dev eth0');
  other.ip('route add 10.244.1.99 via 169.254.1.1');
  expect(() => pod.exec('ping', '-c', '1', '-W', '1', '-I', '10.244.1.99', '10.244.1.2')).toThrow();
  const received = other.exec('sh', '-c', 'grep "^Icmp: [0-9]" /proc/net/snmp').split(' ');
  expect(received[1]).toBe('0');
});

test('removing the link leaves nothing on either side, and removing it again is no error', async () => {
  const link = linkOf(pod, 1);
  const before = host.ip('route show table all') + host.ip('-6 route show table all');
  network.prepare(link);
  network.connect(link);
  expect(network.hostLinks()).toEqual([{ name: 'gw0000000000001', addresses: ['10.244.1.1', 'fd00:1::1'] }]);
  expect(await network.remove(link.hostName)).toBe(true);
  expect(names(pod)).toEqual(['lo']);
  expect(names(host)).toEqual(['lo']);
  expect(host.ip('route show table all') + host.ip('-6 route show table all')).toBe(before);
  expect(await network.remove(link.hostName)).toBe(false);
});

describe('what fails is refused with the kernel’s word, and its removal leaves nothing', () => {
  test.each<[string, string, () => PodLink]>([
    [
      'the name is taken in the pod',
      'EEXIST',
      () => {
        pod.ip('link add eth0 type veth');
        return linkOf(pod, 1);
      },
    ],
    [
      'the name is taken on the host',
      'EEXIST',
      () => {
        host.ip('link add gw0000000000001 type bridge');
        return linkOf(pod, 1);
      },
    ],
    ['the namespace is gone', 'ENOENT', () => linkOf(pod, 1, { namespace: '/run/netns/nonexistent' })],
    ['the namespace is a plain file', 'EINVAL', () => linkOf(pod, 1, { namespace: '/etc/passwd' })],
    ["the namespace is the host's own", 'EINVAL', () => linkOf(host, 1)],
    ['an address is taken in the pod', 'EEXIST', () => linkOf(pod, 1, { addresses: ['10.244.1.1', '10.244.1.1'] })],
    [
      'a route leads two ways',
      'EEXIST',
      () => {
        pod.ip('link add other type veth');
        pod.ip('link set other up');
        pod.ip('route add default dev other');
        return linkOf(pod, 1);
      },
    ],
  ])('%s', async (_, errno, arrange) => {
    const link = arrange();
    const before = [names(host), names(pod)];
    expect(() => network.prepare(link)).toThrow(expect.objectContaining({ errno }) as KernelError);
    await network.remove(link.hostName);
    expect([names(host), names(pod)]).toEqual(before);
  });

  test('a route of somebody else to the address', async () => {
    const link = linkOf(pod, 1);
    host.ip('link add other type veth');
    host.ip('link set other up');
    host.ip('route add 10.244.1.1/32 dev other');
    network.prepare(link);
    expect(() => network.connect(link)).toThrow(/new route to 10.244.1.1\/32: EEXIST/);
    await network.remove(link.hostName);
    expect(names(host)).toEqual(expect.arrayContaining(['lo', 'other']));
    expect(names(pod)).toEqual(['lo']);
  });
});

test.each<[string, () => void, string]>([
  ['the host end is down', () => host.ip('link set gw0000000000001 down'), 'gw0000000000001 is down'],
  [
    'the route is gone',
    () => host.ip('route del 10.244.1.1'),
    'the host has no route to 10.244.1.1 through gw0000000000001',
  ],
  ['the address is gone', () => pod.ip('addr del fd00:1::1/128 dev eth0'), 'eth0 has no address fd00:1::1/128'],
  ['the default route is gone', () => pod.ip('route del default'), 'the pod has no route to 0.0.0.0/0 through eth0'],
  ['the MTU was changed', () => pod.ip('link set eth0 mtu 1300'), 'eth0 in the pod has the MTU 1300, not 1400'],
  ['the link is gone', () => pod.ip('link del eth0'), 'the host has no link gw0000000000001'],
])('difference: %s', (_, harm, difference) => {
  const link = linkOf(pod, 1);
  network.prepare(link);
  network.connect(link);
  harm();
  expect(network.differences(link)).toContain(difference);
});

test('a further interface of a pod carries only the routes it was given', () => {
  const first = linkOf(pod, 1);
  const second = linkOf(pod, 2, { podName: 'net1', defaultRoute: false, routes: ['192.0.2.0/24', 'fd00:2::/64'] });
  for (const link of [first, second]) {
    network.prepare(link);
    network.connect(link);
  }
  expect(pod.ip('route get 192.0.2.1')).toContain('via 169.254.1.1 dev net1');
  expect(pod.ip('route get 198.51.100.1')).toContain('via 169.254.1.1 dev eth0');
  expect(pod.ip('-6 route get fd00:2::9')).toContain('via fe80::1 dev net1');
  expect(network.differences(second)).toEqual([]);
});
