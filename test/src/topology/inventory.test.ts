import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../../bgp/ip.ts';
import { ipamBlockName } from '../../../src/resources/ipam-block.ts';
import { toAdvertisements } from '../../../src/topology/advertisements.ts';
import { toInventory, tunnelAddressOf } from '../../../src/topology/inventory.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

const prefix = (text: string) => parsePrefix(text)!;

describe('identity of a node', () => {
  const cases: readonly [string, object[], Record<string, unknown>][] = [
    ['the router id is the IPv4 node address', [node('a', '10.0.0.1 fd00::1')], { routerId: '10.0.0.1' }],
    ['the AS number is 64512 where nothing says otherwise', [node('a', '10.0.0.1')], { asNumber: 64512 }],
    [
      'BGPConfiguration default says the AS number',
      [node('a', '10.0.0.1'), ours('BGPConfiguration', 'default', '{ asNumber: 65000 }')],
      { asNumber: 65000 },
    ],
    [
      'BGPConfiguration node.NAME wins over default',
      [
        node('a', '10.0.0.1'),
        ours('BGPConfiguration', 'default', '{ asNumber: 65000, listenPort: 1179 }'),
        ours('BGPConfiguration', 'node.a', '{ asNumber: 65010 }'),
      ],
      { asNumber: 65010, listenPort: 1179 },
    ],
    [
      'the annotation wins over every BGPConfiguration',
      [node('a', '10.0.0.1', { asNumber: 65020 }), ours('BGPConfiguration', 'node.a', '{ asNumber: 65010 }')],
      { asNumber: 65020 },
    ],
    ['the annotation makes a reflector', [node('a', '10.0.0.1', { clusterId: '1.1.1.1' })], { clusterId: '1.1.1.1' }],
  ];
  test.each(cases)('%s', (_, manifests, wanted) => {
    expect(toInventory(clusterOf(...manifests), selfOf('a')).self).toMatchObject(wanted);
  });

  test('without an IPv4 address the router id is a hash of the name: stable, not zero, different for another name', () => {
    const routerId = (name: string) => toInventory(clusterOf(node(name, 'fd00::1')), selfOf(name)).self.routerId;
    expect(routerId('a')).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(routerId('a')).toBe(routerId('a'));
    expect(routerId('a')).not.toBe('0.0.0.0');
    expect(routerId('a')).not.toBe(routerId('b'));
  });

  test('an address of the command line wins over the Node object', () => {
    const self = { ...selfOf('a'), nodeIps: { ipv4: '192.0.2.9' } };
    expect(toInventory(clusterOf(node('a', '10.0.0.1 fd00::1')), self).self).toMatchObject({
      addresses: { ipv4: '192.0.2.9', ipv6: 'fd00::1' },
      routerId: '192.0.2.9',
    });
  });

  test('a missing Node object of our own is a condition, not an end', () => {
    const { self, conditions } = toInventory(clusterOf(), { ...selfOf('a'), nodeIps: { ipv4: '10.0.0.1' } });
    expect(self).toMatchObject({ name: 'a', asNumber: 64512, podPrefixes: [] });
    expect(conditions).toMatchObject([{ object: { kind: 'Node', name: 'a' }, status: false, reason: 'NodeMissing' }]);
  });
});

describe('who owns a prefix', () => {
  const inventory = toInventory(
    clusterOf(
      node('a', '10.0.0.1 fd00::1', { pods: ['10.244.0.0/16', 'fd00:10::/64'] }),
      node('b', '10.0.0.2', { pods: ['10.244.1.0/24'] }),
      ours('IPPool', 'pods', '{ cidr: 10.244.0.0/16, vxlanMode: CrossSubnet }'),
      ours('IPPool', 'retired', '{ cidr: 10.9.0.0/16, vxlanMode: Always, disabled: true }'),
    ),
    selfOf('a'),
  );
  test.each([
    ['10.244.1.0/24', 'b'],
    ['10.244.1.128/25', 'b'],
    ['10.244.1.7/32', 'b'],
    ['10.244.2.0/24', 'a'],
    ['10.244.0.0/16', 'a'],
    ['10.244.0.0/15', undefined],
    ['10.0.0.0/8', undefined],
    ['0.0.0.0/0', undefined],
    ['fd00:10::5/128', 'a'],
    ['fd00:11::/64', undefined],
  ])('%s is of node %s: the most specific range that covers it whole', (text, owner) => {
    expect(inventory.ownerOf(prefix(text))?.name).toBe(owner);
  });

  test('a disabled pool keeps its range and tunnels nothing', () => {
    expect(inventory.poolOf(prefix('10.9.1.0/24'))).toMatchObject({ name: 'retired', tunnel: undefined });
    expect(inventory.isClusterPrefix(prefix('10.9.1.0/24'))).toBe(true);
    expect(inventory.isClusterPrefix(prefix('10.8.0.0/15'))).toBe(false);
  });

  test('an IPv4-mapped address finds its node', () => {
    expect(inventory.nodeByAddress('::ffff:10.0.0.2')?.name).toBe('b');
    expect(inventory.nodeByAddress('fd00::1')?.name).toBe('a');
    expect(inventory.nodeByAddress('10.0.0.3')).toBeUndefined();
  });

  test('the tunnel address is the first of the range', () => {
    expect(tunnelAddressOf(inventory.nodes.get('b')!, 'ipv4')).toBe('10.244.1.0');
    expect(tunnelAddressOf(inventory.self, 'ipv6')).toBe('fd00:10::');
    expect(tunnelAddressOf(inventory.nodes.get('b')!, 'ipv6')).toBeUndefined();
  });

  test('a borrowed address is the borrower’s once it is lent, and is no tunnel address', () => {
    const block = (cidr: string, owner: string, lender?: string) => {
      const annotations = lender === undefined ? {} : { 'godwit.dev/lent-by': lender };
      const object = ours('IPAMBlock', ipamBlockName(cidr), `{ cidr: ${cidr}, node: ${owner}, pool: p }`);
      return { ...object, metadata: { name: ipamBlockName(cidr), annotations } };
    };
    const blocks = [block('10.0.0.0/26', 'a'), block('10.0.0.7/32', 'b', 'a'), block('10.0.0.8/32', 'b')];
    const inventory = toInventory(clusterOf(node('a', '192.0.2.1'), node('b', '192.0.2.2'), ...blocks), selfOf('b'));
    const ownerOf = (prefix: string) => inventory.ownerOf(parsePrefix(prefix)!)?.name;
    expect([ownerOf('10.0.0.7/32'), ownerOf('10.0.0.8/32'), ownerOf('10.0.0.9/32')]).toEqual(['b', 'a', 'a']);
    expect(inventory.self.podPrefixes.map(({ text }) => text)).toEqual(['10.0.0.7/32']);
    expect(tunnelAddressOf(inventory.self, 'ipv4')).toBeUndefined();
    expect(toAdvertisements(inventory).originated.map(({ prefix }) => prefix)).toEqual(['10.0.0.7/32']);
  });

  test('a block is its node’s, also inside the range of another; the tunnel address is of the oldest', () => {
    const block = (cidr: string, owner: string, time: string) =>
      ours('IPAMBlock', cidr.replaceAll(/[.:/]/g, '-'), `{ cidr: "${cidr}", node: ${owner}, pool: pods }`, time);
    const { nodes, ownerOf } = toInventory(
      clusterOf(
        node('a', '10.0.0.1', { pods: ['10.244.0.0/24'] }),
        node('b', '10.0.0.2'),
        block('10.244.0.64/26', 'b', '2026-01-02T00:00:00Z'),
        block('10.244.9.0/26', 'b', '2026-01-01T00:00:00Z'),
        block('10.244.8.0/26', 'a', '2026-01-01T00:00:00Z'),
        block('10.244.7.0/26', 'gone', '2026-01-01T00:00:00Z'),
      ),
      selfOf('a'),
    );
    const ranges = (name: string) => nodes.get(name)!.podPrefixes.map(({ text, from }) => `${text} ${from}`);
    expect(ranges('a')).toEqual(['10.244.0.0/24 node', '10.244.8.0/26 block']);
    expect(ranges('b')).toEqual(['10.244.9.0/26 block', '10.244.0.64/26 block']);
    expect(tunnelAddressOf(nodes.get('b')!, 'ipv4')).toBe('10.244.9.0');
    expect(ownerOf(prefix('10.244.0.64/26'))?.name).toBe('b');
    expect(ownerOf(prefix('10.244.0.70/32'))?.name).toBe('b');
    expect(ownerOf(prefix('10.244.0.0/24'))?.name).toBe('a');
    expect(ownerOf(prefix('10.244.7.0/26'))).toBeUndefined();
  });

  test('of two nodes with one range the first by name keeps it, and the other gets a condition', () => {
    const { ownerOf, conditions } = toInventory(
      clusterOf(node('b', '10.0.0.2', { pods: ['10.244.1.0/24'] }), node('a', '10.0.0.1', { pods: ['10.244.1.0/24'] })),
      selfOf('a'),
    );
    expect(ownerOf(prefix('10.244.1.0/24'))?.name).toBe('a');
    expect(conditions).toMatchObject([{ object: { name: 'b' }, reason: 'PodCIDRConflict' }]);
  });

  test('of two nodes with one address the first by name has it, and the other gets a condition', () => {
    const { nodeByAddress, conditions } = toInventory(
      clusterOf(node('b', '10.0.0.1'), node('a', '10.0.0.1')),
      selfOf('a'),
    );
    expect(nodeByAddress('10.0.0.1')?.name).toBe('a');
    expect(conditions).toMatchObject([{ object: { name: 'b' }, reason: 'AddressConflict' }]);
  });
});
