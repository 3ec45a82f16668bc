import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { removeAll } from '../../dataplane/cleanup.ts';
import { LinkMonitor } from '../../dataplane/links.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { RouteTable } from '../../dataplane/route-table.ts';
import { TunnelDevices } from '../../dataplane/tunnels.ts';
import type { Tunnel } from '../../dataplane/types.ts';
import { eventually } from '../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../kit/netns.ts';
import { clockWithoutRetries } from '../kit/real-clock.ts';

/** One node: its namespace and our dataplane in it. */
class Node {
  readonly namespace = new TestNamespace();
  readonly kernel = new Rtnetlink({ namespace: this.namespace.path });
  readonly links = new LinkMonitor({ kernel: this.kernel, clock: clockWithoutRetries });
  readonly tunnels = new TunnelDevices({ kernel: this.kernel, links: this.links, clock: clockWithoutRetries });
  readonly routes = new RouteTable({ kernel: this.kernel, links: this.links, clock: clockWithoutRetries });

  close(): void {
    this.routes.close();
    this.tunnels.close();
    this.links.close();
    this.kernel.close();
    this.namespace.remove();
  }
}

type Vxlan = Tunnel & { kind: 'vxlan' };

function vxlan(own: number, others: readonly number[], changes: Partial<Vxlan> = {}): Vxlan {
  return {
    kind: 'vxlan',
    name: 'godwit-vxlan',
    local: `10.0.0.${own}`,
    vni: 4096,
    port: 4789,
    mtu: 1450,
    mac: `02:00:0a:00:00:0${own}`,
    addresses: [`10.244.${own}.0/32`],
    peers: others.map((other) => ({
      remote: `10.0.0.${other}`,
      mac: `02:00:0A:00:00:0${other}`,
      gateways: [`10.244.${other}.0`],
    })),
    ...changes,
  };
}

let here: Node;
beforeEach(() => {
  here = new Node();
});
afterEach(() => here.close());

/** Without IPv6 a new device has no address events of its own, which would hide that another event is not heard. */
const quiet = () => here.namespace.exec('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
const link = (name: string) => here.namespace.ipJson('-d addr show').find((each) => each['ifname'] === name);
const forwarding = () =>
  here.namespace
    .exec('bridge', 'fdb', 'show', 'dev', 'godwit-vxlan')
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .sort();
const neighbors = () =>
  here.namespace
    .ip('neigh show dev godwit-vxlan nud permanent')
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .sort();

describe('vxlan', () => {
  test('the device is as told, by the word of `ip`; a second apply changes nothing', () => {
    expect(here.tunnels.apply([vxlan(1, [2, 3])])).toEqual([]);
    const before = link('godwit-vxlan');
    expect(before).toMatchObject({
      mtu: 1450,
      address: '02:00:0a:00:00:01',
      flags: expect.arrayContaining(['UP']) as string[],
      linkinfo: { info_kind: 'vxlan', info_data: { id: 4096, local: '10.0.0.1', port: 4789, learning: false } },
    });
    expect(forwarding()).toEqual([
      '02:00:0a:00:00:02 dst 10.0.0.2 self permanent',
      '02:00:0a:00:00:03 dst 10.0.0.3 self permanent',
    ]);
    expect(neighbors()).toEqual([
      '10.244.2.0 lladdr 02:00:0a:00:00:02 PERMANENT',
      '10.244.3.0 lladdr 02:00:0a:00:00:03 PERMANENT',
    ]);
    expect(here.tunnels.apply([vxlan(1, [2, 3])])).toEqual([]);
    expect(link('godwit-vxlan')).toMatchObject({ ifindex: before?.['ifindex'] });
  });

  test('peers, addresses, mtu and mac follow in place; another VNI makes the device anew', () => {
    here.tunnels.apply([vxlan(1, [2, 3])]);
    const index = link('godwit-vxlan')?.['ifindex'];
    const moved = { remote: '10.0.0.33', mac: '02:00:0a:00:00:03', gateways: ['10.244.3.0', 'fd03::'] };
    const changed = {
      mtu: 1400,
      mac: '02:00:0a:00:00:77',
      addresses: ['10.244.1.9/32', 'fd01::9/128'],
      peers: [moved],
    };
    expect(here.tunnels.apply([vxlan(1, [], changed)])).toEqual([]);
    expect(link('godwit-vxlan')).toMatchObject({ ifindex: index, mtu: 1400, address: '02:00:0a:00:00:77' });
    const addresses = link('godwit-vxlan')?.['addr_info'] as { local: string; scope: string }[];
    expect(addresses.filter(({ scope }) => scope === 'global').map(({ local }) => local)).toEqual([
      '10.244.1.9',
      'fd01::9',
    ]);
    expect(forwarding()).toEqual(['02:00:0a:00:00:03 dst 10.0.0.33 self permanent']);
    expect(neighbors()).toEqual([
      '10.244.3.0 lladdr 02:00:0a:00:00:03 PERMANENT',
      'fd03:: lladdr 02:00:0a:00:00:03 PERMANENT',
    ]);
    expect(here.tunnels.apply([vxlan(1, [2], { vni: 7 })])).toEqual([]);
    expect(link('godwit-vxlan')).toMatchObject({ linkinfo: { info_data: { id: 7 } } });
    expect(link('godwit-vxlan')?.['ifindex']).not.toBe(index);
  });

  test.each([
    ['link del godwit-vxlan'],
    ['link set godwit-vxlan down'],
    ['link set godwit-vxlan mtu 1300'],
    ['addr del 10.244.1.0/32 dev godwit-vxlan'],
    ['addr add 10.244.1.99/32 dev godwit-vxlan'],
    ['neigh del 10.244.2.0 dev godwit-vxlan'],
    ['neigh replace 10.244.2.0 lladdr 02:00:00:00:00:66 dev godwit-vxlan nud permanent'],
  ])('repaired after `ip %s`', async (words) => {
    quiet();
    here.tunnels.apply([vxlan(1, [2])]);
    const state = () => {
      const { mtu, flags, addr_info: addresses } = link('godwit-vxlan') ?? {};
      const global = (addresses as { local: string; scope: string }[] | undefined)?.filter(
        ({ scope }) => scope === 'global',
      );
      return {
        mtu,
        flags,
        addresses: global?.map(({ local }) => local),
        forwarding: forwarding(),
        neighbors: neighbors(),
      };
    };
    const before = state();
    // Twice: the first time, the notifications of our own making may be what makes us look.
    for (const time of ['first', 'second']) {
      here.namespace.ip(words);
      await eventually(() => expect(state()).toEqual(before), { reason: `${time} repair` });
    }
    expect(here.tunnels.failures()).toEqual([]);
  });

  test('a forwarding entry that others change or add is put right', async () => {
    quiet();
    here.tunnels.apply([vxlan(1, [2])]);
    const before = forwarding();
    here.namespace.exec(
      'bridge',
      'fdb',
      'replace',
      '02:00:0a:00:00:02',
      'dev',
      'godwit-vxlan',
      'dst',
      '10.0.0.66',
      'self',
      'permanent',
    );
    here.namespace.exec(
      'bridge',
      'fdb',
      'add',
      '02:00:0a:00:00:55',
      'dev',
      'godwit-vxlan',
      'dst',
      '10.0.0.55',
      'self',
      'permanent',
    );
    await eventually(() => expect(forwarding()).toEqual(before), { reason: 'repair' });
  });

  test('two nodes reach each other through the tunnel, with the tunnel addresses as sources', () => {
    const there = new Node();
    try {
      connectNamespaces(here.namespace, 'eth0', there.namespace, 'eth0');
      here.namespace.ip('addr add 10.0.0.1/24 dev eth0');
      there.namespace.ip('addr add 10.0.0.2/24 dev eth0');
      for (const [node, own, other] of [
        [here, 1, 2],
        [there, 2, 1],
      ] as const) {
        expect(node.tunnels.apply([vxlan(own, [other])])).toEqual([]);
        const hop = { gateway: `10.244.${other}.0`, interfaceName: 'godwit-vxlan', onLink: true };
        const preferredSource = `10.244.${own}.0`;
        node.routes.setDesired({ prefix: `10.244.${other}.0/24`, kind: 'unicast', nextHops: [hop], preferredSource });
        node.routes.apply();
        expect(node.routes.failures()).toEqual([]);
        // A pod's address, on a device of its own.
        node.namespace.ip(`addr add 10.244.${own}.5/32 dev lo`);
      }
      expect(here.namespace.exec('ping', '-c', '1', '-W', '5', '10.244.2.5')).toContain('1 received');
      expect(there.namespace.exec('ping', '-c', '1', '-W', '5', '-M', 'do', '-s', '1422', '10.244.1.5')).toContain(
        '1 received',
      );
      const route = here.namespace.ip('route get 10.244.2.5');
      expect(route).toContain('via 10.244.2.0 dev godwit-vxlan src 10.244.1.0');
    } finally {
      there.close();
    }
  });

  test('the underlay may be IPv6: pods of both families go through', () => {
    const there = new Node();
    try {
      connectNamespaces(here.namespace, 'eth0', there.namespace, 'eth0');
      const both = [
        [here, 1, 2],
        [there, 2, 1],
      ] as const;
      for (const [node, own, other] of both) {
        node.namespace.ip(`addr add fd00::${own}/64 dev eth0 nodad`);
        const mac = `02:00:0a:00:00:0${other}`;
        const peers = [{ remote: `fd00::${other}`, mac, gateways: [`10.244.${other}.0`, `fd01:${other}::`] }];
        const changes = {
          local: `fd00::${own}`,
          mtu: 1430,
          addresses: [`10.244.${own}.0/32`, `fd01:${own}::/128`],
          peers,
        };
        expect(node.tunnels.apply([vxlan(own, [], changes)])).toEqual([]);
        for (const prefix of [`10.244.${other}.0/24`, `fd01:${other}::/64`]) {
          const gateway = prefix.slice(0, prefix.indexOf('/'));
          const hop = { gateway, interfaceName: 'godwit-vxlan', onLink: true };
          node.routes.setDesired({ prefix, kind: 'unicast', nextHops: [hop] });
        }
        node.routes.apply();
        expect(node.routes.failures()).toEqual([]);
        node.namespace.ip(`addr add 10.244.${own}.5/32 dev lo`);
        node.namespace.ip(`addr add fd01:${own}::5/128 dev lo nodad`);
      }
      for (const pod of ['10.244.2.5', 'fd01:2::5']) {
        expect(here.namespace.exec('ping', '-c', '1', '-W', '5', pod)).toContain('1 received');
      }
    } finally {
      there.close();
    }
  });

  test('a device made anew gets its routes back', async () => {
    here.tunnels.apply([vxlan(1, [2])]);
    const hop = { gateway: '10.244.2.0', interfaceName: 'godwit-vxlan', onLink: true };
    here.routes.setDesired({ prefix: '10.244.2.0/24', kind: 'unicast', nextHops: [hop] });
    here.routes.apply();
    here.namespace.ip('link del godwit-vxlan');
    await eventually(() => here.namespace.ip('route show 10.244.2.0/24').includes('dev godwit-vxlan'), {
      reason: 'route back',
    });
  });
});

describe('ownership', () => {
  test('a device that has our name but another kind is a clear failure, and stays as it is', () => {
    here.namespace.ip('link add godwit-vxlan type bridge');
    expect(here.tunnels.apply([vxlan(1, [2])])).toMatchObject([
      {
        name: 'godwit-vxlan',
        errno: 'EEXIST',
        message: 'making of godwit-vxlan: a device of kind bridge has this name',
      },
    ]);
    expect(here.tunnels.removeUnused()).toEqual([]);
    expect(link('godwit-vxlan')).toMatchObject({ linkinfo: { info_kind: 'bridge' } });
  });

  test('it is made when the stranger goes', async () => {
    here.namespace.ip('link add godwit-vxlan type bridge');
    here.tunnels.apply([vxlan(1, [2])]);
    here.namespace.ip('link del godwit-vxlan');
    await eventually(() => expect(here.tunnels.failures()).toEqual([]), { reason: 'made' });
    expect(link('godwit-vxlan')).toMatchObject({ linkinfo: { info_kind: 'vxlan' } });
  });

  test('a device no longer told stays until removeUnused', () => {
    here.tunnels.apply([vxlan(1, [2]), vxlan(1, [2], { name: 'godwit-vxlan6', vni: 6, port: 4790 })]);
    expect(here.tunnels.apply([vxlan(1, [2])])).toEqual([]);
    expect(link('godwit-vxlan6')).toBeDefined();
    expect(here.tunnels.removeUnused()).toEqual(['godwit-vxlan6']);
    expect(link('godwit-vxlan6')).toBeUndefined();
    expect(link('godwit-vxlan')).toBeDefined();
  });

  test.each([
    [{ name: 'vxlan0' }, 'its name must begin with godwit-'],
    [{ name: 'godwit-vxlan-of-node' }, 'at most 15 letters'],
    [{ mac: '02:00' }, 'mac: not a MAC address: 02:00'],
    [{ local: 'node1' }, 'local: not an address in canonical form: node1'],
    [{ addresses: ['fd01:0::1/128'] }, 'not an interface address in canonical form: fd01:0::1/128'],
    [{ addresses: ['10.0.0.1/33'] }, 'not an interface address in canonical form: 10.0.0.1/33'],
    [{ addresses: ['10.0.0.1'] }, 'not an interface address in canonical form: 10.0.0.1'],
  ])('%j is refused', (changes, reason) => {
    expect(() => here.tunnels.apply([vxlan(1, [2], changes)])).toThrow(reason);
  });

  test('cleanup takes our routes in every table, our devices and the links of pods, and nothing else', () => {
    const { namespace, tunnels, routes, kernel } = here;
    namespace.ip('addr add 10.0.0.1/8 dev lo');
    namespace.ip('link add godwit-br type bridge');
    namespace.ip('link add vx7 type vxlan id 7 local 10.0.0.1 dstport 4790');
    namespace.ip('route add blackhole 10.1.0.0/16 proto static');
    namespace.ip('link add gateway0 type veth peer name gateway1');
    const before = [namespace.ip('route show table all'), namespace.ip('link show')];
    namespace.ip('link add gw0123456789abc type veth peer name eth9');
    tunnels.apply([vxlan(1, [2])]);
    routes.setDesired({ prefix: '10.244.0.0/16', kind: 'blackhole', nextHops: [] });
    routes.setDesired({ prefix: 'fd01::/32', kind: 'blackhole', nextHops: [] });
    routes.apply();
    namespace.ip('route add blackhole 10.3.0.0/16 proto 167 table 1000');
    routes.close();
    tunnels.close();
    expect(removeAll(kernel)).toEqual({ routes: 3, devices: ['godwit-vxlan'], podLinks: 1 });
    expect([namespace.ip('route show table all'), namespace.ip('link show')]).toEqual(before);
    expect(removeAll(kernel)).toEqual({ routes: 0, devices: [], podLinks: 0 });
  });
});

describe('support', () => {
  test('what the kernel says of vxlan and ipip is told, and the question leaves nothing behind', () => {
    const before = here.namespace
      .ip('-o link show')
      .split('\n')
      .filter((line) => !/tunl0/.test(line));
    expect(here.tunnels.supported('vxlan')).toEqual({ supported: true });
    const ipip = here.tunnels.supported('ipip');
    const tunnel: Tunnel = {
      kind: 'ipip',
      name: 'godwit-ipip',
      local: '10.0.0.1',
      mtu: 1480,
      addresses: ['10.244.1.0/32'],
    };
    expect(
      here.namespace
        .ip('-o link show')
        .split('\n')
        .filter((line) => !/tunl0/.test(line)),
    ).toEqual(before);
    if (ipip.supported) {
      expect(here.tunnels.apply([tunnel])).toEqual([]);
      expect(here.tunnels.apply([tunnel])).toEqual([]);
      expect(link('godwit-ipip')).toMatchObject({
        mtu: 1480,
        linkinfo: { info_data: { local: '10.0.0.1', remote: 'any' } },
      });
    } else {
      expect(ipip.reason).toBe('Unknown device type');
      expect(here.tunnels.apply([tunnel])).toMatchObject([
        { name: 'godwit-ipip', errno: 'EOPNOTSUPP', message: 'making of godwit-ipip: Unknown device type' },
      ]);
    }
  });
});
