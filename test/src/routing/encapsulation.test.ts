import { describe, expect, test } from 'vitest';
import { podMtu, toTunnels, vtepMac } from '../../../src/routing/encapsulation.ts';
import { node, ours } from '../../kit/cluster.ts';
import { everythingSupported, inventoryOf, PlainUnderlay } from './world.ts';

const a = node('a', '10.0.1.1 fd00::1', { pods: ['10.244.1.0/24', 'fd00:10:1::/64'] });
const b = node('b', '10.0.1.2', { pods: ['10.244.2.0/24'] });
const rangeless = node('e', '10.0.1.5');
const pool = (spec: string) => ours('IPPool', 'pods', `{ cidr: 10.244.0.0/16, ${spec} }`);
const underlay = new PlainUnderlay({ lo: ['127.0.0.1/8'], eth0: ['10.0.1.1/24', 'fd00::1/64'] });

const tunnelsOf = (spec: string, self = a, below = underlay) =>
  toTunnels(inventoryOf('a', self, b, rangeless, pool(spec)), below, everythingSupported);

describe('tunnel devices', () => {
  test('no pool asks for one: none', () => {
    expect(tunnelsOf('ipipMode: Never')).toEqual([]);
    expect(tunnelsOf('ipipMode: Always, disabled: true')).toEqual([]);
  });

  test('IP-in-IP: the node address, its tunnel address, 20 bytes less', () => {
    expect(tunnelsOf('ipipMode: CrossSubnet')).toEqual([
      { kind: 'ipip', name: 'godwit-ipip', local: '10.0.1.1', mtu: 1480, addresses: ['10.244.1.0/32'] },
    ]);
  });

  test('VXLAN: every other node with a pod range is a peer, 50 bytes less', () => {
    expect(tunnelsOf('vxlanMode: Always')).toEqual([
      {
        kind: 'vxlan',
        name: 'godwit-vxlan',
        local: '10.0.1.1',
        vni: 26487,
        port: 4789,
        mtu: 1450,
        mac: '02:67:0a:00:01:01',
        addresses: ['10.244.1.0/32', 'fd00:10:1::/128'],
        peers: [{ remote: '10.0.1.2', mac: '02:67:0a:00:01:02', gateways: ['10.244.2.0'] }],
      },
    ]);
  });

  test('the gateway of IPv6 routes is the link-local address of the VTEP, as its MAC makes it', () => {
    const dual = node('b', '10.0.1.2', { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] });
    expect(
      toTunnels(inventoryOf('a', a, dual, pool('vxlanMode: Always')), underlay, everythingSupported),
    ).toMatchObject([{ peers: [{ mac: '02:67:0a:00:01:02', gateways: ['10.244.2.0', 'fe80::67:aff:fe00:102'] }] }]);
  });

  test('VXLAN over IPv6 takes 70 bytes, and has only peers with IPv6', () => {
    const self = node('a', 'fd00::1', { pods: ['fd00:10:1::/64'] });
    expect(tunnelsOf('vxlanMode: Always', self)).toMatchObject([{ local: 'fd00::1', mtu: 1430, peers: [] }]);
  });

  test('a kernel without the device gets none', () => {
    const support = { ...everythingSupported, ipip: { supported: false } };
    expect(toTunnels(inventoryOf('a', a, b, pool('ipipMode: Always')), underlay, support)).toEqual([]);
  });

  test('a node address on the loopback takes the MTU of the links to the other nodes', () => {
    const routed = new PlainUnderlay({ lo: ['10.9.9.9/32'], eth0: ['10.0.1.254/24'] });
    routed.mtu = 9000;
    expect(tunnelsOf('ipipMode: Always', node('a', '10.9.9.9'), routed)).toMatchObject([{ mtu: 8980 }]);
  });

  test('an address that is nowhere counts as on Ethernet', () => {
    expect(tunnelsOf('ipipMode: Always', node('a', '10.9.9.9'), new PlainUnderlay({}))).toMatchObject([{ mtu: 1480 }]);
  });
});

describe('the MAC of a VTEP', () => {
  test('is that of the node address, wherever it is computed', () => {
    expect(vtepMac('192.0.2.255')).toBe('02:67:c0:00:02:ff');
    expect(vtepMac('fd00::1')).toBe(vtepMac('fd00::1'));
    expect(vtepMac('fd00::1')).not.toBe(vtepMac('fd00::2'));
  });

  test('is locally administered and unicast', () => {
    expect(vtepMac('fd00::1')).toMatch(/^02(:[0-9a-f]{2}){5}$/);
  });
});

describe('the MTU of pods’ links', () => {
  const mtuOf = (spec: string, below = underlay) => podMtu(inventoryOf('a', a, b, pool(spec)), below);

  test.each([
    ['no tunnel: that of the link with the node’s address', 'ipipMode: Never', 1500],
    ['IP-in-IP', 'ipipMode: Always', 1480],
    ['VXLAN, also to some nodes only', 'vxlanMode: CrossSubnet', 1450],
    ['a disabled pool has no tunnel', 'vxlanMode: Always, disabled: true', 1500],
    ['a pool that does not select the node has none here', 'vxlanMode: Always, nodeSelector: "has(x)"', 1500],
  ])('%s', (_, spec, mtu) => {
    expect(mtuOf(spec)).toBe(mtu);
  });

  test('follows the underlay', () => {
    const large = new PlainUnderlay({ eth0: ['10.0.1.1/24', 'fd00::1/64'] });
    large.mtu = 9000;
    expect(mtuOf('vxlanMode: Always', large)).toBe(8950);
  });

  test('a pool of other ranges is nothing to this node', () => {
    const other = ours('IPPool', 'other', '{ cidr: 10.99.0.0/16, vxlanMode: Always }');
    expect(podMtu(inventoryOf('a', a, b, other), underlay)).toBe(1500);
  });
});
