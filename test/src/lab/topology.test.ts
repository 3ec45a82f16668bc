/** The lab that comes with Godwit, and labs that do not fit together. */

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLabFolder } from '../../../src/lab/manifests.ts';
import { namespaceOf } from '../../../src/lab/topology.ts';
import { bundledLab } from './bundled.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'godwit-lab-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

test('two racks: three switches, four nodes, two reflectors, two pods a node, two outside hosts', async () => {
  const { switches, nodes, reflectors, pods, hosts, machines } = await readLabFolder(bundledLab);
  expect(switches.map(({ name, daemon, asNumber }) => [name, daemon, asNumber])).toEqual([
    ['core', 'bird', 65000],
    ['tor-1', 'bird', 65001],
    ['tor-2', 'frr', 65002],
  ]);
  expect(nodes.map(({ name, segment }) => [name, segment])).toEqual([
    ['node-1', 'rack-1'],
    ['node-2', 'rack-1'],
    ['node-3', 'rack-2'],
    ['node-4', 'rack-2'],
  ]);
  expect(reflectors.map(({ name }) => name)).toEqual(['rr-1', 'rr-2']);
  expect(nodes.map(({ name }) => pods.filter((pod) => pod.node === name).length)).toEqual([2, 2, 2, 2]);
  expect(hosts.map(({ name }) => name)).toEqual(['outside-1', 'outside-2']);
  expect(machines).toHaveLength(3 + 4 + 2 + 8 + 2);
});

test('a node has its switch as gateway and a host route to each of its pods, and no other route', async () => {
  const { machines } = await readLabFolder(bundledLab);
  expect(machines.find(({ name }) => name === 'node-1')).toEqual({
    name: 'node-1',
    role: 'node',
    forwards: true,
    bridges: [],
    addresses: [
      { interfaceName: 'eth0', cidr: '10.1.1.11/24' },
      { interfaceName: 'eth0', cidr: 'fd00:10:1:1::11/64' },
    ],
    routes: [
      'default via 10.1.1.1 dev eth0 proto static',
      'default via fd00:10:1:1::1 dev eth0 proto static',
      '10.244.1.11/32 dev pod-web-1',
      'fd00:10:244:1::11/128 dev pod-web-1',
      '10.244.1.12/32 dev pod-db-1',
      'fd00:10:244:1::12/128 dev pod-db-1',
    ],
    neighbors: [],
  });
});

test('a pod has host addresses and a gateway that only its neighbour table knows', async () => {
  const { machines } = await readLabFolder(bundledLab);
  expect(machines.find(({ name }) => name === 'shop/web-1')).toMatchObject({
    role: 'pod',
    forwards: false,
    addresses: [
      { interfaceName: 'eth0', cidr: '10.244.1.11/32' },
      { interfaceName: 'eth0', cidr: 'fd00:10:244:1::11/128' },
    ],
    routes: ['default via 169.254.1.1 dev eth0 onlink', 'default via fe80::1 dev eth0'],
    neighbors: [
      { interfaceName: 'eth0', address: '169.254.1.1', mac: 'ee:ee:ee:ee:ee:ee' },
      { interfaceName: 'eth0', address: 'fe80::1', mac: 'ee:ee:ee:ee:ee:ee' },
    ],
  });
});

test('every interface name of the bundled lab fits the kernel, and none occurs twice on a machine', async () => {
  const { cables, machines } = await readLabFolder(bundledLab);
  for (const { name, bridges } of machines) {
    const names = cables.flat().flatMap((end) => (end.machine === name ? [end.interfaceName] : []));
    expect([...names, ...bridges].filter((interfaceName) => interfaceName.length > 15)).toEqual([]);
    expect(new Set([...names, ...bridges]).size).toBe(names.length + bridges.length);
  }
});

test('a pod’s namespace is named after it', () => {
  expect(namespaceOf('two-racks', 'shop/web-1')).toBe('gw-two-racks-shop.web-1');
});

test.each([
  [
    'manifests/nodes.yaml',
    'godwit.dev/segment: rack-2, rack',
    'godwit.dev/segment: rack-9, rack',
    'Node node-3: label godwit.dev/segment: no segment rack-9 in lab.yaml',
  ],
  [
    'manifests/nodes.yaml',
    'godwit.dev/segment: rack-2, rack',
    'other: x, rack',
    'Node node-3: no label godwit.dev/segment',
  ],
  [
    'manifests/nodes.yaml',
    "address: 'fd00:10:1:1::11'",
    'address: 10.1.1.15',
    'Node node-1: status.addresses: the lab needs an IPv4 and an IPv6 address',
  ],
  [
    'manifests/pods.yaml',
    'nodeName: node-4',
    'nodeName: rr-1',
    'Pod shop/db-4: spec.nodeName: rr-1 carries no pods here',
  ],
  [
    'manifests/pools.yaml',
    'vxlanMode: CrossSubnet',
    'vxlanMode: Sometimes',
    'pools.yaml: IPPool pods-ipv4: spec.vxlanMode: ',
  ],
  ['lab.yaml', 'daemon: frr', 'daemon: quagga', 'lab.yaml: switches["tor-2"].daemon: "quagga" is not one of bird, frr'],
  ['lab.yaml', 'podMtu: 1430', 'podMtu: 1430\nspare: 1', 'lab.yaml: spare: unknown field'],
  ['lab.yaml', '{ switch: core, interface: tor-2', '{ switch: spine, interface: tor-2', 'no switch spine in lab.yaml'],
])('a fault in %s is named with its object and field: %s → %s', async (file, before, after, message) => {
  const folder = await mkdtemp(join(scratch, 'fault-'));
  await cp(bundledLab, folder, { recursive: true });
  const path = join(folder, file);
  const text = await readFile(path, 'utf8');
  expect(text).toContain(before);
  await writeFile(path, text.replace(before, after));
  await expect(readLabFolder(folder)).rejects.toThrow(message);
});

test('a folder without lab.yaml is named', async () => {
  await expect(readLabFolder(join(scratch, 'nothing'))).rejects.toThrow(
    `cannot read ${join(scratch, 'nothing/lab.yaml')}`,
  );
});
