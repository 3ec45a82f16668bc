import { expect, test } from 'vitest';
import type { RouteStatus } from '../../../bgp/index.ts';
import { RouteProgrammer } from '../../../src/routing/route-programmer.ts';
import { node, ours } from '../../kit/cluster.ts';
import { best, everythingSupported, inventoryOf, PlainUnderlay, RecordingSink, session } from './world.ts';

const inventory = inventoryOf(
  'a',
  node('a', '10.0.1.1', { pods: ['10.244.1.0/24'] }),
  node('c', '10.0.2.3', { pods: ['10.244.3.0/24'] }),
  ours('IPPool', 'pods', '{ cidr: 10.244.0.0/16, ipipMode: CrossSubnet }'),
);

function programmer(ipip = true) {
  const made = new RouteProgrammer({
    sink: new RecordingSink(),
    inventory,
    underlay: new PlainUnderlay({ eth0: ['10.0.1.1/24'] }),
    tunnelSupport: { ...everythingSupported, ipip: { supported: ipip, reason: 'Unknown device type' } },
  });
  made.onBestPathsChanged([best('10.244.3.0/24', '10.0.2.3'), best('203.0.113.0/24', '10.0.1.254')]);
  return made;
}

const path = (fields: Partial<RouteStatus>): RouteStatus => ({
  family: 'ipv4',
  prefix: '10.244.3.0/24',
  peerName: 'mesh_c',
  peerType: 'iBGP',
  peerAddress: '10.0.2.3',
  peerRouterId: '10.0.2.3',
  nextHop: '10.0.2.3',
  origin: 'IGP',
  asPath: '',
  localPref: 100,
  med: undefined,
  communities: [],
  largeCommunities: [],
  extendedCommunities: [],
  onlyToCustomer: undefined,
  originatorId: undefined,
  clusterList: [],
  selected: 'best',
  stale: false,
  ...fields,
});

const lines = (steps: ReturnType<RouteProgrammer['why']>) =>
  steps.map(({ subject, outcome, text }) => `${subject} ${outcome}: ${text}`);

test('a tunnelled route: the path, the owner, the pool, the rule of the tunnel, the route', () => {
  const paths = [
    path({}),
    path({ peerName: 'rr', selected: 'no', lostAt: 'shorterClusterList', stale: true }),
    path({ peerName: 'tor', selected: 'no', lostAt: 'filtered', rule: 'origin invalid: no node owns it' }),
  ];
  expect(lines(programmer().why('10.244.3.0/24', paths))).toEqual([
    'path ok: from mesh_c, next hop 10.0.2.3: the best path',
    'path note: from rr, next hop 10.0.2.3, kept from before the restart of its peer: not chosen, lost at shorterClusterList',
    'path problem: from tor, next hop 10.0.2.3: refused by origin invalid: no node owns it',
    'origin note: in the pod range of node c',
    'pool note: in pool pods',
    'next hop ok: 10.0.2.3 (node c): through a tunnel, via 10.0.2.3 dev godwit-ipip; pool pods has ipipMode CrossSubnet and node c is on no connected subnet',
    'kernel ok: 10.244.3.0/24 via 10.0.2.3 dev godwit-ipip src 10.244.1.0',
  ]);
});

test('an unroutable prefix ends in its reason', () => {
  expect(lines(programmer(false).why('10.244.3.0/24', [path({})])).slice(-2)).toEqual([
    'next hop problem: this kernel makes no IP-in-IP tunnel: Unknown device type',
    'kernel problem: unroutable: this kernel makes no IP-in-IP tunnel: Unknown device type',
  ]);
});

test('a direct route to elsewhere', () => {
  const from = path({ prefix: '203.0.113.0/24', peerName: 'tor', nextHop: '10.0.1.254' });
  expect(lines(programmer().why('203.0.113.0/24', [from]))).toEqual([
    'path ok: from tor, next hop 10.0.1.254: the best path',
    'next hop ok: 10.0.1.254: directly, via 10.0.1.254 dev eth0; the prefix lies in no pool',
    'kernel ok: 203.0.113.0/24 via 10.0.1.254 dev eth0',
  ]);
});

test('a pod range of our own', () => {
  const own = path({ prefix: '10.244.1.0/24', peerType: 'local', peerName: 'node-pods' });
  expect(lines(programmer().why('10.244.1.0/24', [own]))).toEqual([
    'path ok: our own (node-pods): the best path',
    'path note: a pod range of this node',
    'origin note: in the pod range of node a',
    'pool note: in pool pods',
    'kernel ok: blackhole 10.244.1.0/24: each pod has a longer route of its own',
  ]);
});

test('a prefix that nobody tells, with the floor and without', () => {
  const made = programmer();
  made.onBestPathsChanged([best('10.244.3.0/24')]);
  expect(lines(made.why('10.244.3.0/24', []))[0]).toBe(
    'path note: no session has spoken for it yet: by way of the Node object, until one does',
  );
  made.setPeers([session('192.0.2.1', 'ipv4')]);
  expect(lines(made.why('10.244.3.0/24', []))).toEqual([
    'path problem: no peer tells this prefix',
    'origin note: in the pod range of node c',
    'pool note: in pool pods',
    'kernel note: no route of ours',
  ]);
});

test('a route whose metric a filter gives: which rule, and the metric in the kernel', () => {
  const made = programmer();
  const change = best('203.0.113.0/24', '10.0.1.254');
  made.onBestPathsChanged([{ ...change, paths: change.paths.map((each) => ({ ...each, fibMetric: 50 })) }]);
  const fields = { prefix: '203.0.113.0/24', peerName: 'tor', nextHop: '10.0.1.254' };
  const from = path({ ...fields, fibMetric: 50, rule: 'uplink importV4[0]' });
  const [first, ...rest] = lines(made.why('203.0.113.0/24', [from]));
  expect(first).toBe(
    'path ok: from tor, next hop 10.0.1.254: the best path; uplink importV4[0] gives its route the metric 50',
  );
  expect(rest.at(-1)).toBe('kernel ok: 203.0.113.0/24 via 10.0.1.254 dev eth0 metric 50');
});
