import { afterEach, beforeEach, expect, test } from 'vitest';

import { HostRoutes } from '../../dataplane/host-routes.ts';
import { LinkMonitor } from '../../dataplane/links.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { eventually } from '../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../kit/netns.ts';
import { realClock } from '../kit/real-clock.ts';

let here: TestNamespace;
let there: TestNamespace;
let kernel: Rtnetlink;
let links: LinkMonitor;

beforeEach(() => {
  here = new TestNamespace();
  there = new TestNamespace();
  connectNamespaces(here, 'eth0', there, 'eth0');
  here.ip('addr add 10.0.0.1/24 dev eth0');
  here.ip('addr add fd00::1/64 dev eth0 nodad');
  kernel = new Rtnetlink({ namespace: here.path });
  links = new LinkMonitor({ kernel, clock: realClock });
});

afterEach(() => {
  links.close();
  kernel.close();
  here.remove();
  there.remove();
});

const byName = (name: string) => links.links().find((link) => link.name === name);

test('a link is told as `ip` tells it: index, mtu, mac, kind, addresses', () => {
  const [judge] = here.ipJson('-d addr show dev eth0');
  const { ifindex, mtu, address } = judge as { ifindex: number; mtu: number; address: string };
  expect(byName('eth0')).toMatchObject({ index: ifindex, name: 'eth0', up: true, mtu, mac: address, kind: 'veth' });
  expect(byName('eth0')?.addresses).toEqual(expect.arrayContaining(['10.0.0.1/24', 'fd00::1/64']));
  expect(links.indexOf('eth0')).toBe(ifindex);
  expect(links.indexOf('eth9')).toBeUndefined();
});

test('changes are heard: mtu, down, addresses, a new link, a removed one', async () => {
  let calls = 0;
  links.onChange(() => calls++);
  here.ip('link set eth0 mtu 1400');
  await eventually(() => byName('eth0')?.mtu === 1400, { reason: 'mtu' });
  here.ip('addr add 10.0.9.1/24 dev eth0');
  await eventually(() => byName('eth0')?.addresses.includes('10.0.9.1/24') === true, { reason: 'address added' });
  here.ip('addr del 10.0.9.1/24 dev eth0');
  await eventually(() => byName('eth0')?.addresses.includes('10.0.9.1/24') === false, { reason: 'address removed' });
  there.ip('link set eth0 down');
  await eventually(() => byName('eth0')?.up === false, { reason: 'no carrier' });
  connectNamespaces(here, 'eth1', there, 'eth1');
  await eventually(() => byName('eth1')?.up === true, { reason: 'new link' });
  here.ip('link del eth1');
  await eventually(() => byName('eth1') === undefined, { reason: 'removed link' });
  expect(calls).toBeGreaterThanOrEqual(5);
});

test('an interface that has just been made is found before its notification came', () => {
  here.ip('link add br0 type bridge');
  expect(links.indexOf('br0')).toBe((here.ipJson('link show br0')[0] as { ifindex: number }).ifindex);
});

test('resolution: connected subnets and static routes, the longest match, the least metric', () => {
  here.ip('route add default via 10.0.0.254');
  here.ip('route add 10.2.0.0/16 via 10.0.0.253 metric 20');
  here.ip('route add 10.2.0.0/16 via 10.0.0.252 metric 10');
  here.ip('route add blackhole 10.2.3.0/24');
  here.ip('-6 route add fd02::/32 via fd00::fe');
  links.refresh();
  expect(links.resolve('10.0.0.7')).toEqual({ interfaceName: 'eth0', connected: true });
  expect(links.resolve('10.2.9.9')).toEqual({ interfaceName: 'eth0', gateway: '10.0.0.252', connected: false });
  expect(links.resolve('10.2.3.4')).toBeUndefined();
  expect(links.resolve('192.0.2.1')).toEqual({ interfaceName: 'eth0', gateway: '10.0.0.254', connected: false });
  expect(links.resolve('fd00::77')).toEqual({ interfaceName: 'eth0', connected: true });
  expect(links.resolve('fd02::1')).toEqual({ interfaceName: 'eth0', gateway: 'fd00::fe', connected: false });
  expect(links.resolve('fd03::1')).toBeUndefined();
});

test('a link-local address is resolved by its interface, while that is up', async () => {
  expect(links.resolve('fe80::1%eth0')).toEqual({ interfaceName: 'eth0', connected: true });
  expect(links.resolve('fe80::1%none')).toBeUndefined();
  here.ip('link set eth0 down');
  await eventually(() => links.resolve('fe80::1%eth0') === undefined, { reason: 'the link is down' });
});

test('resolution never goes through a routing daemon: not ours, not another', () => {
  for (const [i, protocol] of ['167', 'bird', 'bgp', '80'].entries()) {
    here.ip(`route add 10.3.0.0/24 via 10.0.0.2 proto ${protocol} metric ${i + 1}`);
  }
  here.ip('route add 10.0.0.64/26 via 10.0.0.2 proto 167');
  links.refresh();
  expect(links.resolve('10.3.0.1')).toBeUndefined();
  expect(links.resolve('10.0.0.65')).toEqual({ interfaceName: 'eth0', connected: true });
});

test('resolution follows the kernel: a static route that comes and goes, a link that fails', async () => {
  expect(links.resolve('10.4.0.1')).toBeUndefined();
  here.ip('route add 10.4.0.0/24 via 10.0.0.2');
  await eventually(() => links.resolve('10.4.0.1')?.gateway === '10.0.0.2', { reason: 'static route' });
  here.ip('route del 10.4.0.0/24');
  await eventually(() => links.resolve('10.4.0.1') === undefined, { reason: 'static route gone' });
  there.ip('link set eth0 down');
  await eventually(() => links.resolve('10.0.0.7') === undefined, { reason: 'no carrier' });
});

test('host routes name the interface of a pod; own addresses, gateways, tunnels and daemons do not count', async () => {
  connectNamespaces(here, 'pod1', there, 'pod1');
  here.ip('link add vx0 type vxlan id 9 local 10.0.0.1 dstport 4789');
  here.ip('link set vx0 up');
  here.ip('addr add fd00::99/128 dev eth0 nodad');
  const pods = new HostRoutes(links);
  try {
    let calls = 0;
    pods.onChange(() => calls++);
    here.ip('route add 10.244.1.5/32 dev pod1 scope link');
    here.ip('-6 route add fd01::5/128 dev pod1');
    here.ip('route add 10.244.1.6/32 via 10.0.0.2');
    here.ip('route add 10.244.1.7/32 dev vx0');
    here.ip('route add 10.244.1.8/32 dev eth0 proto 167');
    const expected = new Map([
      ['10.244.1.5', 'pod1'],
      ['fd01::5', 'pod1'],
    ]);
    await eventually(() => expect(pods.interfaces()).toEqual(expected), { reason: 'pods found' });
    here.ip('link del pod1');
    await eventually(() => expect(pods.interfaces()).toEqual(new Map()), { reason: 'pod gone' });
    const before = calls;
    here.ip('route add 10.99.0.0/24 via 10.0.0.2');
    await eventually(() => links.resolve('10.99.0.1') !== undefined, { reason: 'another change' });
    expect(calls).toBe(before);
  } finally {
    pods.close();
  }
});
