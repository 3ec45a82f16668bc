/** Conditions of BGPPeers and IPPools, from reports of nodes. */

import { expect, test } from 'vitest';
import { toNodeReport, type NodeFacts } from '../../../src/reports/node-report.ts';
import { peerFindings, poolFindings, type ReportOfNode } from '../../../src/reports/object-conditions.ts';
import { datedConditions, finding } from '../../../src/reports/status-conditions.ts';
import { refused } from '../../../src/topology/condition.ts';
import { factsOf, session } from './reports-kit.ts';

function node(name: string, facts: NodeFacts, silent = false): ReportOfNode {
  return { node: name, report: toNodeReport(facts, undefined, 0), silent };
}

const up = factsOf([session('peer_tor'), session('mesh_x')]);
const down = factsOf([session('peer_tor', { state: 'active', lastError: 'connection refused' })]);
const without = factsOf([session('mesh_x')]);
const accepted = finding('Accepted', true, 'Accepted', 'in force on every node that it concerns');

test.each<[string, ReportOfNode[], 'True' | 'False' | 'Unknown', string, string]>([
  ['nobody', [], 'Unknown', 'NoSessions', 'no node has a session of it'],
  ['nodes that have none of it', [node('a', without)], 'Unknown', 'NoSessions', 'no node has a session of it'],
  ['all', [node('a', up), node('b', up), node('c', without)], 'True', 'Established', '2 of 2 sessions'],
  [
    'some',
    [node('a', up), node('b', down), node('c', up)],
    'False',
    'PartlyDown',
    '2 of 3 sessions; b: connection refused',
  ],
  ['none', [node('a', down)], 'False', 'Down', '0 of 1 sessions; a: connection refused'],
  [
    'one whose node is not heard from',
    [node('a', up), node('b', up, true)],
    'False',
    'PartlyDown',
    '1 of 2 sessions; b: the node is not heard from',
  ],
  [
    'many that are down',
    ['a', 'b', 'c', 'd', 'e'].map((name) => node(name, down)),
    'False',
    'Down',
    '0 of 5 sessions; a: connection refused; b: connection refused; c: connection refused; and 2 more',
  ],
])('Established of %s', (_what, reports, status, reason, message) => {
  expect(peerFindings('tor', undefined, reports)).toEqual([accepted, { type: 'Established', status, reason, message }]);
});

test('Accepted is False where the object is invalid, or a node refuses it, with its reason', () => {
  const conflict = factsOf([session('peer_tor')], {
    conditions: [
      refused('BGPPeer', 'tor', 'Conflict', '10.0.0.1: BGPPeer other is older'),
      refused('BGPPeer', 'another', 'OwnAddress', 'not ours'),
    ],
  });
  expect(peerFindings('tor', undefined, [node('a', up), node('b', conflict)])[0]).toEqual(
    finding('Accepted', false, 'Conflict', 'b: 10.0.0.1: BGPPeer other is older'),
  );
  expect(peerFindings('tor', 'spec.asNumber: 0 is reserved (RFC 7607)', [node('a', up)])[0]).toEqual(
    finding('Accepted', false, 'Invalid', 'spec.asNumber: 0 is reserved (RFC 7607)'),
  );
});

const tunnel = (state: 'up' | 'failed', reason?: string) =>
  factsOf([], {
    kernel: { failed: 0, unroutable: 0, tunnels: [{ name: 'godwit.vxlan', kind: 'vxlan', state, reason }] },
  });
const unsupported = factsOf([], {
  conditions: [refused('IPPool', 'pods', 'TunnelUnsupported', 'the kernel has no VXLAN')],
});

test.each<[string, 'ipip' | 'vxlan' | undefined, ReportOfNode[], 'True' | 'False' | 'Unknown', string, string]>([
  ['a pool without', undefined, [node('a', tunnel('up'))], 'Unknown', 'NoTunnels', 'the pool asks for none'],
  ['one that is nowhere', 'ipip', [node('a', tunnel('up'))], 'Unknown', 'NoTunnels', 'no node has made one'],
  ['one that is', 'vxlan', [node('a', tunnel('up')), node('b', tunnel('up'))], 'True', 'Up', 'on 2 nodes'],
  [
    'one that failed',
    'vxlan',
    [node('a', tunnel('up')), node('b', tunnel('failed', 'ENOTSUP'))],
    'False',
    'TunnelFailed',
    'b: ENOTSUP',
  ],
  ['one that a kernel lacks', 'vxlan', [node('a', unsupported)], 'False', 'TunnelFailed', 'a: the kernel has no VXLAN'],
])('TunnelsReady of %s', (_what, kind, reports, status, reason, message) => {
  expect(poolFindings('pods', kind, undefined, reports)).toEqual([
    accepted,
    { type: 'TunnelsReady', status, reason, message },
  ]);
});

test('a condition keeps its time while its status is the same, whatever its words', () => {
  const first = datedConditions([finding('E', false, 'Down', '0 of 2')], [], 0);
  const second = datedConditions([finding('E', false, 'PartlyDown', '1 of 2')], first, 60_000);
  const third = datedConditions([finding('E', true, 'Established', '2 of 2')], second, 120_000);
  expect([first, second, third].map(([{ lastTransitionTime }]) => lastTransitionTime)).toEqual([
    '1970-01-01T00:00:00Z',
    '1970-01-01T00:00:00Z',
    '1970-01-01T00:02:00Z',
  ]);
});
