import { describe, expect, test } from 'vitest';
import type { FilteredRoute, NeighborSettings, RouteFilter, RoutePolicy } from '../../../bgp/index.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, ours, routeOf, selfOf } from '../../kit/cluster.ts';

const pool = ours('IPPool', 'pods', '{ cidr: 10.244.0.0/16 }');
const a = node('a', '10.0.0.1 fd00::1', { pods: ['10.244.1.0/24'] });
const b = node('b', '10.0.0.2 fd00::2', { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] });
const farB = node('b', '10.0.0.2', { pods: ['10.244.2.0/24'], asNumber: 65002 });
const reflector = node('rr', '10.0.0.11', { clusterId: '1.1.1.1', labels: { role: 'rr' } });
const tor = ours('BGPPeer', 'tor', '{ peerIP: 10.0.1.1, asNumber: 65001 }');
const fabric = ours('BGPPeer', 'tor', '{ peerIP: 10.0.1.1, asNumber: 65001, importClusterRoutes: true }');
const reflectors = ours('BGPPeer', 'rr', "{ nodeSelector: '!has(role)', peerSelector: has(role) }");

function settingsOf(self: string, name: string, ...manifests: readonly object[]): NeighborSettings {
  const { settings } = toSpeakerSettings(clusterOf(...manifests), selfOf(self));
  return settings.neighbors.find((neighbor) => neighbor.name === name)!;
}

function neighborOf(self: string, name: string, ...manifests: readonly object[]) {
  const { importFilter, exportFilter, policyText } = settingsOf(self, name, ...manifests);
  const filterOf = (policy: RoutePolicy | undefined) => (policy === 'acceptAll' ? undefined : policy);
  return { importFilter: filterOf(importFilter), exportFilter: filterOf(exportFilter), policyText };
}

function verdictOf(filter: RouteFilter | undefined, prefix: string, fields: Partial<FilteredRoute>): string {
  if (filter === undefined) return 'no filter';
  const verdict = filter.evaluate(routeOf(prefix, fields));
  return `${verdict.kind} ${verdict.rule}`;
}

describe('import from inside the cluster: origin validation by next hop', () => {
  const { importFilter } = neighborOf('a', 'mesh_b', a, b, pool);
  test.each<[string, Partial<FilteredRoute>, string]>([
    ['10.244.2.0/24', { nextHop: '10.0.0.2' }, 'accept origin valid'],
    ['10.244.2.128/25', { nextHop: '10.0.0.2' }, 'accept origin valid'],
    ['fd00:10:2::/64', { nextHop: 'fd00::2' }, 'accept origin valid'],
    ['fd00:10:2::/64', { nextHop: '::ffff:10.0.0.2' }, 'accept origin valid'],
    ['10.244.2.0/24', { nextHop: '10.0.0.9' }, "reject origin invalid: it is node b's, the next hop is not"],
    ['10.244.2.5/32', { nextHop: '10.0.0.1' }, "reject origin invalid: it is node b's, the next hop is not"],
    ['10.244.2.0/24', { nextHop: '10.0.0.11', originatorId: '10.0.0.2' }, 'accept origin valid'],
    [
      '10.244.2.0/24',
      { nextHop: '10.0.0.11', originatorId: '10.0.0.9' },
      "reject origin invalid: it is node b's, the next hop is not",
    ],
    ['10.244.1.0/24', { nextHop: '10.0.0.2' }, "reject origin invalid: it is node a's, the next hop is not"],
    ['10.244.9.0/24', { nextHop: '10.0.0.2' }, 'reject origin invalid: no node owns it'],
    ['10.244.0.0/16', { nextHop: '10.0.0.2' }, 'reject origin invalid: no node owns it'],
    ['10.0.0.0/8', { nextHop: '10.0.0.2' }, 'accept not a cluster prefix'],
    ['0.0.0.0/0', { nextHop: '10.0.0.2' }, 'accept not a cluster prefix'],
    ['192.0.2.0/24', { nextHop: '10.0.0.2' }, 'accept not a cluster prefix'],
  ])('%s %o: %s', (prefix, fields, wanted) => {
    expect(verdictOf(importFilter, prefix, fields)).toBe(wanted);
  });

  test('holds for nodes of another AS too', () => {
    const { importFilter: filter } = neighborOf('a', 'mesh_b', a, farB, pool);
    expect(verdictOf(filter, '10.244.2.0/24', { nextHop: '10.0.0.2', peerType: 'eBGP', asPath: [65002] })).toBe(
      'accept origin valid',
    );
  });

  test('where no node has a pod range, origins are unknown and accepted', () => {
    const { importFilter: filter } = neighborOf('a', 'mesh_b', node('a', '10.0.0.1'), node('b', '10.0.0.2'), pool);
    expect(verdictOf(filter, '10.244.2.0/24', { nextHop: '10.0.0.2' })).toBe(
      'accept origin unknown: no node has a pod range',
    );
  });

  test("where no prefix is the cluster's, there is no filter at all", () => {
    expect(settingsOf('a', 'mesh_b', node('a', '10.0.0.1'), node('b', '10.0.0.2')).importFilter).toBe('acceptAll');
  });
});

describe('import from an eBGP peer outside', () => {
  const outside = neighborOf('a', 'peer_tor', a, b, pool, tor).importFilter;
  const through = neighborOf('a', 'peer_tor', a, farB, pool, fabric).importFilter;
  const clusterPrefix = 'reject a prefix of the cluster from outside (importClusterRoutes is off)';
  test.each([
    ['0.0.0.0/0', 'accept not a cluster prefix'],
    ['192.0.2.0/24', 'accept not a cluster prefix'],
    ['10.0.0.0/8', 'accept not a cluster prefix'],
    ['10.244.0.0/16', clusterPrefix],
    ['10.244.2.0/24', clusterPrefix],
    ['10.244.77.0/24', clusterPrefix],
    ['fd00:10:2::/64', clusterPrefix],
  ])('%s: %s', (prefix, wanted) => {
    expect(verdictOf(outside, prefix, { peerType: 'eBGP', asPath: [65001] })).toBe(wanted);
  });

  test.each([
    ['10.244.2.0/24', [65001, 65000, 65002], 'accept origin valid'],
    ['10.244.2.0/24', [65001, 65009], "reject origin invalid: it is node b's, its AS is 65002"],
    ['10.244.2.0/24', [], "reject origin invalid: it is node b's, its AS is 65002"],
    ['10.244.1.7/32', [65001, 64512], "reject origin invalid: it is this node's own"],
    ['10.244.77.0/24', [65001, 65002], 'reject origin invalid: no node owns it'],
    ['0.0.0.0/0', [65001], 'accept not a cluster prefix'],
  ])(
    "with importClusterRoutes the AS at the end of the path must be the owner's: %s %j: %s",
    (prefix, asPath, wanted) => {
      expect(verdictOf(through, prefix, { peerType: 'eBGP', asPath })).toBe(wanted);
    },
  );
});

describe('export', () => {
  const cluster = [
    a,
    b,
    reflector,
    reflectors,
    pool,
    tor,
    ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }'),
  ];
  const noTor = cluster.filter((manifest) => manifest !== tor);
  test.each<[string, string, readonly object[], FilteredRoute['peerType'], string]>([
    ['a', 'peer_tor', cluster, 'local', 'accept own'],
    ['a', 'peer_tor', cluster, 'iBGP', 'reject not our own'],
    ['a', 'peer_tor', cluster, 'eBGP', 'reject not our own'],
    ['a', 'peer_rr_rr', cluster, 'local', 'accept own'],
    ['a', 'peer_rr_rr', cluster, 'eBGP', 'reject learned by eBGP'],
    ['a', 'peer_rr_rr', noTor, 'local', 'no filter'],
    ['rr', 'peer_rr_a', cluster, 'iBGP', 'accept iBGP'],
    ['rr', 'peer_rr_a', cluster, 'eBGP', 'reject learned by eBGP'],
    ['rr', 'peer_rr_a', noTor, 'iBGP', 'no filter'],
  ])('%s tells %s (%#): %s', (self, name, manifests, peerType, wanted) => {
    expect(verdictOf(neighborOf(self, name, ...manifests).exportFilter, '10.244.1.0/24', { peerType })).toBe(wanted);
  });

  test('a pool with disableBGPExport is told inside the cluster, whatever the AS, and not outside', () => {
    const kept = ours('IPPool', 'pods', '{ cidr: 10.244.0.0/16, disableBGPExport: true }');
    const manifests = [a, farB, kept, tor];
    const own = { peerType: 'local' } as const;
    expect(verdictOf(neighborOf('a', 'peer_tor', ...manifests).exportFilter, '10.244.1.0/24', own)).toBe(
      'reject its pool has disableBGPExport',
    );
    expect(verdictOf(neighborOf('a', 'mesh_b', ...manifests).exportFilter, '10.244.1.0/24', own)).toBe('accept own');
  });

  test('a BGPFilter comes before it, and is named in the policy text', () => {
    const filtered = ours('BGPPeer', 'tor', '{ peerIP: 10.0.1.1, asNumber: 65001, filters: [wide] }');
    const wide = ours(
      'BGPFilter',
      'wide',
      '{ exportV4: [{ action: Accept, cidr: 10.244.0.0/16, matchOperator: In }] }',
    );
    const { exportFilter, importFilter, policyText } = neighborOf('a', 'peer_tor', a, b, pool, filtered, wide);
    expect(verdictOf(exportFilter, '10.244.2.0/24', { peerType: 'iBGP' })).toBe('accept wide exportV4[0]');
    expect(verdictOf(exportFilter, '192.0.2.0/24', { peerType: 'iBGP' })).toBe('reject not our own');
    expect(importFilter?.name).toBe('no cluster prefixes');
    expect(policyText).toBe(
      'import: filters wide, then all but prefixes of the cluster; export: filters wide, then own pod ranges whose pool allows it',
    );
  });
});

describe('keys of the default policies', () => {
  const cluster = [a, b, pool, tor];
  const keys = (...manifests: readonly object[]) => ({
    inside: neighborOf('a', 'mesh_b', ...manifests).importFilter?.key,
    outside: neighborOf('a', 'peer_tor', ...manifests).importFilter?.key,
    export: neighborOf('a', 'peer_tor', ...manifests).exportFilter?.key,
  });
  const before = keys(...cluster);

  test('are equal on all sessions of a kind, so that these share an update group', () => {
    const c = node('c', '10.0.0.3');
    const first = neighborOf('a', 'mesh_b', ...cluster, c);
    const second = neighborOf('a', 'mesh_c', ...cluster, c);
    expect(first.importFilter?.key).toBe(second.importFilter?.key);
    expect(first.exportFilter?.key).toBe(second.exportFilter?.key);
  });

  test('do not change with what the decision does not read', () => {
    const labelled = node('b', '10.0.0.2 fd00::2', { pods: ['10.244.2.0/24', 'fd00:10:2::/64'], labels: { x: 'y' } });
    expect(keys(a, labelled, pool, tor)).toEqual(before);
    expect(keys(...cluster, node('rangeless', '10.0.0.9'))).toEqual(before);
  });

  test('an address of an owner changes the check of next hops alone', () => {
    const moved = node('b', '10.0.0.22 fd00::2', { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] });
    const after = keys(a, moved, pool, tor);
    expect(after.inside).not.toBe(before.inside);
    expect(after.outside).toBe(before.outside);
    expect(after.export).toBe(before.export);
  });

  test.each([
    ['a pod range', [a, node('b', '10.0.0.2 fd00::2', { pods: ['10.244.3.0/24', 'fd00:10:2::/64'] }), pool, tor]],
    ['a pool', [a, b, ours('IPPool', 'pods', '{ cidr: 10.244.0.0/15 }'), tor]],
  ])('%s changes both checks of imports', (_, manifests) => {
    const after = keys(...manifests);
    expect(after.inside).not.toBe(before.inside);
    expect(after.outside).not.toBe(before.outside);
  });

  test('disableBGPExport changes the export', () => {
    const kept = ours('IPPool', 'pods', '{ cidr: 10.244.0.0/16, disableBGPExport: true }');
    const after = keys(a, b, kept, tor);
    expect(after).toEqual({ ...before, export: expect.not.stringMatching(`^${before.export}$`) });
  });
});
