/** natOutgoing on real packets: a node with pods of two pools and a host outside, each in a network namespace. */

import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { canonicalAddress, type Family } from '../../../bgp/ip.ts';
import { NftSocket, NftTable } from '../../../dataplane/index.ts';
import { TableKeeper } from '../../../src/agent/table-keeper.ts';
import { natTable, renderNat } from '../../../src/nat/render.ts';
import { clusterOf, node, ours } from '../../kit/cluster.ts';
import { Endpoint } from '../../kit/endpoint.ts';
import { eventually } from '../../kit/eventually.ts';
import { TestNamespace } from '../../kit/netns.ts';

/** Addresses, and the node's own on the link to it. */
const hosts = {
  pod: { ipv4: '10.9.0.1', ipv6: 'fd09::1', node: { ipv4: '10.255.0.1', ipv6: 'fd0f::1' } },
  other: { ipv4: '10.10.0.1', ipv6: 'fd10::1', node: { ipv4: '10.255.0.2', ipv6: 'fd0f::2' } },
  /** Another node of the cluster. */
  peer: { ipv4: '192.0.2.20', ipv6: '2001:db8:2::20', node: { ipv4: '192.0.2.1', ipv6: '2001:db8:2::1' } },
  outside: { ipv4: '198.51.100.10', ipv6: '2001:db8::10', node: { ipv4: '198.51.100.1', ipv6: '2001:db8::1' } },
} as const;
type Host = keyof typeof hosts;
const names = Object.keys(hosts) as Host[];
const families = ['ipv4', 'ipv6'] as const satisfies readonly Family[];
const port = 80;

let router: TestNamespace;
let namespaces: Record<Host, TestNamespace>;
let endpoints: Record<Host, Endpoint>;
let kernel: NftSocket;
let table: NftTable;
let keeper: TableKeeper;
let cluster = clusterOf();
let drift: string[] = [];
/** What the keeper does in a while; the test rings. */
let ring: () => void = () => {};

beforeAll(async () => {
  router = new TestNamespace();
  const made = names.map((name) => [name, new TestNamespace()] as const);
  namespaces = Object.fromEntries(made) as Record<Host, TestNamespace>;
  for (const ns of [router, ...Object.values(namespaces)]) {
    ns.exec('sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
  }
  router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  for (const [name, ns] of made) {
    const { ipv4, ipv6, node: gateway } = hosts[name];
    router.ipBatch([
      `link add ${name} type veth peer name eth0 netns ${ns.name}`,
      `link set ${name} up`,
      `addr add ${gateway.ipv4}/32 dev ${name}`,
      `addr add ${gateway.ipv6}/128 dev ${name} nodad`,
      `addr add fe80::1/64 dev ${name} nodad`,
    ]);
    ns.ipBatch([
      'link set eth0 up',
      `addr add ${ipv4}/32 dev eth0`,
      `addr add ${ipv6}/128 dev eth0 nodad`,
      `route add ${gateway.ipv4} dev eth0 scope link`,
      `route add default via ${gateway.ipv4} dev eth0`,
      'route add default via fe80::1 dev eth0',
    ]);
    router.ipBatch([`route add ${ipv4}/32 dev ${name}`, `route add ${ipv6}/128 dev ${name}`]);
  }
  kernel = new NftSocket({ namespace: router.path });
  endpoints = Object.fromEntries(made.map(([name, ns]) => [name, new Endpoint(ns.name)])) as Record<Host, Endpoint>;
  await Promise.all(names.map((name) => endpoints[name].ready));
  await Promise.all(names.map((name) => endpoints[name].ask('listen', { ports: [port] })));
});

beforeEach(async () => {
  drift = [];
  await table?.remove();
  table = new NftTable({ kernel, table: natTable, onDrift: (difference) => drift.push(difference) });
  keeper = new TableKeeper({
    subject: 'natOutgoing',
    table,
    wanted: () => renderNat(cluster),
    clock: { now: () => 0, after: (_, callback) => ((ring = callback), () => (ring = () => {})) },
    log: pino({ level: 'silent' }),
  });
});

afterAll(() => {
  keeper?.close();
  kernel?.close();
  for (const endpoint of Object.values(endpoints ?? {})) endpoint.stop();
  for (const ns of [router, ...Object.values(namespaces ?? {})]) ns?.remove();
});

/** The pod's pools with natOutgoing or without; those of the other pod never have it. */
async function apply(natOutgoing: boolean): Promise<void> {
  cluster = clusterOf(
    node('peer', `${hosts.peer.ipv4} ${hosts.peer.ipv6}`),
    ours('IPPool', 'a4', `{ cidr: 10.9.0.0/16, natOutgoing: ${natOutgoing} }`),
    ours('IPPool', 'a6', `{ cidr: "fd09::/64", natOutgoing: ${natOutgoing} }`),
    ours('IPPool', 'b4', '{ cidr: 10.10.0.0/16, disabled: true }'),
    ours('IPPool', 'b6', '{ cidr: "fd10::/64" }'),
  );
  await keeper.flush();
  expect(keeper.failure).toBeUndefined();
}

let connections = 0;

/** @returns the other ends of its connections, once there are so many. */
function clientsOf(host: Host, count: number): Promise<string[]> {
  return eventually(
    async () => {
      const clients = await endpoints[host].ask<string[]>('clients');
      return clients.length === count && clients;
    },
    { reason: `${host} has ${count} connections` },
  ) as Promise<string[]>;
}

/** Connects, and @returns the address that the other side sees, by family. */
async function seen(from: Host, to: Host): Promise<readonly string[]> {
  const sources: string[] = [];
  for (const family of families) {
    const connection = ++connections;
    const address = hosts[to][family];
    expect(await endpoints[from].ask('connect', { address, port, connection })).toBe('connected');
    const [source] = await clientsOf(to, 1);
    sources.push(canonicalAddress(source.replace('::ffff:', ''))!);
    await endpoints[from].ask('abort', { connection });
    await clientsOf(to, 0);
  }
  return sources;
}

const addresses = ({ ipv4, ipv6 }: { ipv4: string; ipv6: string }) => [ipv4, ipv6];
const tables = () => router.exec('nft', 'list', 'tables').trim();

test("outside sees the node's address with natOutgoing and the pod's own without, and a change is live", async () => {
  await apply(false);
  expect(tables()).toBe('');
  expect(await seen('pod', 'outside')).toEqual(addresses(hosts.pod));
  await apply(true);
  expect(await seen('pod', 'outside')).toEqual(addresses(hosts.outside.node));
  await apply(false);
  expect(await seen('pod', 'outside')).toEqual(addresses(hosts.pod));
  expect(tables()).toBe('');
});

test.each([
  ['a pod to a pod of another pool', 'pod', 'other'],
  ['a pod to a node', 'pod', 'peer'],
  ['a pod of a pool without natOutgoing', 'other', 'outside'],
  ['from outside to a pod', 'outside', 'pod'],
] as const)('never masqueraded: %s', async (_, from, to) => {
  await apply(true);
  expect(await seen(from, to)).toEqual(addresses(hosts[from]));
});

test('a table as we left it is intact; one that others flushed is mended at the next look', async () => {
  await apply(true);
  expect([await table.verify(), drift]).toEqual(['intact', []]);
  router.exec('nft', 'flush', 'ruleset');
  expect(await seen('pod', 'outside')).toEqual(addresses(hosts.pod));
  ring();
  await eventually(() => tables() !== '', { reason: 'the table is back' });
  expect(await seen('pod', 'outside')).toEqual(addresses(hosts.outside.node));
  expect(drift).toEqual(['the table is gone']);
});

test('a rule that others put first is found', async () => {
  await apply(true);
  router.exec('nft', 'insert', 'rule', 'inet', natTable, 'postrouting', 'accept');
  expect(await table.verify()).toBe('repaired');
  expect(await seen('pod', 'outside')).toEqual(addresses(hosts.outside.node));
});
