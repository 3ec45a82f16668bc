/** What an agent reports of its node: what a person would act on, and nothing that counts. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import type { Schema } from '../../../scripts/resources/crd.ts';
import { newsOf, toNodeReport, type NodeFacts } from '../../../src/reports/node-report.ts';
import { refused } from '../../../src/topology/condition.ts';
import { crdProblems } from '../../kit/crd.ts';
import { factsOf, session } from './reports-kit.ts';

const start = Date.UTC(2026, 0, 1);
const crdFile = fileURLToPath(new URL('../../../deploy/crds/godwit.dev_nodenetworkstatuses.yaml', import.meta.url));
const schema = (
  parse(readFileSync(crdFile, 'utf8')) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } }
).spec.versions[0].schema.openAPIV3Schema;

const rich: NodeFacts = factsOf(
  [
    session('mesh_b'),
    session('peer_tor', { state: 'active', lastError: 'connection refused' }),
    session('peer_edge_1', { range: 'peer_edge' }),
  ],
  {
    conditions: [refused('BGPPeer', 'tor', 'FilterMissing', 'no BGPFilter f')],
    kernel: {
      failed: 1,
      unroutable: 3,
      tunnels: [{ name: 'godwit.vxlan', kind: 'vxlan', state: 'failed', reason: 'not supported' }],
    },
    policy: { state: 'failed', lastError: 'no nf_tables' },
    ownProblems: ['net.ipv4.ip_forward is 0'],
  },
);

test('a report says what is there, in the form of its CRD', () => {
  const report = toNodeReport(rich, undefined, start);
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  expect(report).toEqual({
    observedAt: '2026-01-01T00:00:00Z',
    agentVersion: '0.1.0',
    asNumber: 64512,
    routerId: '10.0.0.11',
    sessions: { total: 3, established: 2 },
    peers: [
      { name: 'edge', sessions: 1, established: 1 },
      { name: 'tor', sessions: 1, established: 0, lastError: 'connection refused' },
    ],
    neighbors: [
      {
        name: 'peer_tor',
        peer: 'tor',
        address: '10.0.0.1',
        asNumber: 65001,
        state: 'Down',
        since: '2026-01-01T00:00:00Z',
        lastError: 'connection refused',
      },
      {
        name: 'peer_edge_1',
        peer: 'edge',
        address: '10.0.0.1',
        asNumber: 65001,
        state: 'Established',
        since: '2025-12-31T00:00:00Z',
      },
      { name: 'mesh_b', address: '10.0.0.1', asNumber: 65001, state: 'Established', since: '2025-12-31T00:00:00Z' },
    ],
    tunnels: [{ name: 'godwit.vxlan', kind: 'vxlan', state: 'Failed', reason: 'not supported' }],
    problems: [{ kind: 'BGPPeer', name: 'tor', reason: 'FilterMissing', message: 'no BGPFilter f' }],
    conditions: [
      {
        type: 'SessionsEstablished',
        status: 'False',
        reason: 'SessionDown',
        message: '2 of 3 sessions',
        lastTransitionTime,
      },
      {
        type: 'RoutesProgrammed',
        status: 'False',
        reason: 'RoutesRefused',
        message: 'the kernel refuses routes',
        lastTransitionTime,
      },
      { type: 'PolicyInForce', status: 'False', reason: 'PolicyRefused', message: 'no nf_tables', lastTransitionTime },
      {
        type: 'Healthy',
        status: 'False',
        reason: 'AgentProblem',
        message: 'net.ipv4.ip_forward is 0',
        lastTransitionTime,
      },
    ],
  });
  const object = { apiVersion: 'godwit.dev/v1', kind: 'NodeNetworkStatus', metadata: { name: 'a' }, status: report };
  expect(crdProblems(schema, object)).toEqual([]);
});

test('no text is empty: Kubernetes 1.20 refuses an empty one', () => {
  const well = factsOf([session('peer_tor', { lastError: '' })], { policy: { state: 'failed', lastError: '' } });
  const failed = factsOf([session('peer_tor', { state: 'idle', lastError: '' })], {
    kernel: { failed: 0, unroutable: 0, tunnels: [{ name: 'x', kind: 'ipip', state: 'failed', reason: '' }] },
  });
  for (const facts of [well, failed]) expect(JSON.stringify(toNodeReport(facts, undefined, start))).not.toContain('""');
});

test('a node with a thousand sessions has a report that its CRD accepts: what is down comes first, the rest is counted', () => {
  const peers = Array.from({ length: 1000 }, (_, i) =>
    session(`mesh_${String(i).padStart(4, '0')}`, i === 999 ? { state: 'idle', lastError: 'x'.repeat(5000) } : {}),
  );
  const report = toNodeReport(factsOf(peers), undefined, start);
  expect(report.sessions).toEqual({ total: 1000, established: 999 });
  expect(report.neighbors).toHaveLength(256);
  expect(report.neighbors[0]).toMatchObject({ name: 'mesh_0999', state: 'Down' });
  const object = { apiVersion: 'godwit.dev/v1', kind: 'NodeNetworkStatus', metadata: { name: 'a' }, status: report };
  expect(crdProblems(schema, object)).toEqual([]);
});

const before = toNodeReport(rich, undefined, start);
const later = start + 60_000;

test.each<[string, NodeFacts, 'none' | 'words' | 'state']>([
  ['nothing', rich, 'none'],
  ['another attempt of a session that is down', withPeer('peer_tor', { state: 'connect', since: later }), 'none'],
  ['counters', withPeer('mesh_b', { counters: { ...session('x').counters, updatesReceived: 9, flaps: 3 } }), 'none'],
  ['how many routes are refused', { ...rich, kernel: { ...rich.kernel!, failed: 7, unroutable: 0 } }, 'none'],
  ['why a session is down', withPeer('peer_tor', { lastError: 'no route to host' }), 'words'],
  ['a session that comes up', withPeer('peer_tor', { state: 'established', since: later }), 'state'],
  ['a session that went down', withPeer('mesh_b', { state: 'idle' }), 'state'],
  ['a session that was down for a moment', withPeer('mesh_b', { since: later }), 'state'],
  ['a session that is gone', { ...rich, peers: rich.peers.slice(1) }, 'state'],
  ['a tunnel', { ...rich, kernel: { ...rich.kernel!, tunnels: [] } }, 'state'],
  ['an object that is refused no more', { ...rich, conditions: [] }, 'state'],
  ['the policy', { ...rich, policy: { state: 'inForce' } }, 'state'],
  ['the version', { ...rich, version: '0.2.0' }, 'state'],
])('news: %s', (_what, facts, news) => {
  expect(newsOf(before, toNodeReport(facts, before, later))).toBe(news);
});

test('a state keeps its time while it lasts, also over a restart of the agent', () => {
  const after = toNodeReport(withPeer('mesh_b', { state: 'idle' }), before, later);
  expect(after.neighbors.map(({ name, since }) => [name, since])).toEqual([
    ['peer_tor', '2026-01-01T00:00:00Z'],
    ['mesh_b', '2026-01-01T00:01:00Z'],
    ['peer_edge_1', '2025-12-31T00:00:00Z'],
  ]);
  expect(after.conditions.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual(
    Array.from({ length: 4 }, () => '2026-01-01T00:00:00Z'),
  );
});

function withPeer(name: string, changes: Parameters<typeof session>[1]): NodeFacts {
  return { ...rich, peers: rich.peers.map((peer) => (peer.name === name ? { ...peer, ...changes } : peer)) };
}
