/**
 * What an agent reports of its node, from what its parts know. Pure.
 * Holds: a session that is not established is down, in whatever state its attempts are; nothing that only counts is in it.
 */

import type { PeerStatus } from '../../bgp/index.ts';
import { timeText } from '../kube/clock.ts';
import { mostListed, type NodeReport } from '../resources/node-network-status.ts';
import type { Condition } from '../topology/condition.ts';
import { datedConditions, finding, type Finding } from './status-conditions.ts';

/** The agent at one moment; parts that a role leaves out are undefined. */
export interface NodeFacts {
  readonly version: string;
  readonly asNumber: number;
  readonly routerId: string;
  readonly peers: readonly PeerStatus[];
  /** Name of a neighbour, or of its range → name of the BGPPeer. Neighbours of the mesh are missing. */
  readonly owners: ReadonlyMap<string, string>;
  readonly conditions: readonly Condition[];
  readonly kernel?: {
    readonly failed: number;
    readonly unroutable: number;
    readonly tunnels: readonly { name: string; kind: string; state: 'up' | 'failed'; reason?: string }[];
  };
  readonly policy?: { readonly state: 'inForce' | 'pending' | 'failed'; readonly lastError?: string };
  /** What the agent could not do of its own. */
  readonly ownProblems: readonly string[];
}

type Neighbor = NodeReport['neighbors'][number];

const longestText = 1024;

/** @param now milliseconds since the epoch. @param before the report that this one follows */
export function toNodeReport(facts: NodeFacts, before: NodeReport | undefined, now: number): NodeReport {
  const earlier = new Map(before?.neighbors.map((neighbor) => [neighbor.name, neighbor]));
  const neighbors = facts.peers.map((peer) => toNeighbor(peer, facts.owners, earlier.get(peer.name), now));
  const established = neighbors.filter(isEstablished).length;
  return {
    observedAt: timeText(now),
    agentVersion: facts.version,
    asNumber: facts.asNumber,
    routerId: facts.routerId,
    sessions: { total: neighbors.length, established },
    peers: toPeers(neighbors, facts.owners),
    neighbors: neighbors.sort(importantFirst).slice(0, mostListed),
    tunnels: (facts.kernel?.tunnels ?? []).map(({ name, kind, state, reason }) => ({
      name,
      kind,
      state: state === 'up' ? 'Up' : 'Failed',
      ...(reason && { reason: reason.slice(0, longestText) }),
    })),
    problems: facts.conditions
      .filter(({ status }) => !status)
      .map(({ object, reason, message }) => ({ ...object, reason, message: message.slice(0, longestText) }))
      .slice(0, mostListed),
    conditions: datedConditions(findingsOf(facts, neighbors.length, established), before?.conditions ?? [], now),
  };
}

/**
 * What kind of news a report is after another: none; other words for the same state, which can wait; or another state.
 * @param before undefined: nothing was reported yet.
 */
export function newsOf(before: NodeReport | undefined, after: NodeReport): 'none' | 'words' | 'state' {
  if (before === undefined) return 'state';
  if (JSON.stringify(withoutWords(before)) !== JSON.stringify(withoutWords(after))) return 'state';
  return JSON.stringify({ ...before, observedAt: '' }) === JSON.stringify({ ...after, observedAt: '' })
    ? 'none'
    : 'words';
}

function toNeighbor(
  peer: PeerStatus,
  owners: ReadonlyMap<string, string>,
  earlier: Neighbor | undefined,
  now: number,
): Neighbor {
  const state = peer.state === 'established' ? 'Established' : 'Down';
  const owner = owners.get(peer.range ?? peer.name);
  return {
    name: peer.name,
    ...(owner !== undefined && { peer: owner }),
    address: peer.address,
    asNumber: peer.remoteAs,
    state,
    // Its attempts have states of their own: down it is since it was seen so first.
    since:
      state === 'Down' && earlier?.state === 'Down' ? earlier.since : timeText(state === 'Down' ? now : peer.since),
    ...(state === 'Down' && peer.lastError && { lastError: peer.lastError.slice(0, longestText) }),
  };
}

/** Also those of which there is no session now: a range that nobody called. */
function toPeers(neighbors: readonly Neighbor[], owners: ReadonlyMap<string, string>): NodeReport['peers'] {
  const byPeer = Map.groupBy(neighbors, ({ peer }) => peer);
  return [...new Set(owners.values())].sort().map((name) => {
    const own = byPeer.get(name) ?? [];
    const lastError = own.find((neighbor) => !isEstablished(neighbor) && neighbor.lastError !== undefined)?.lastError;
    return {
      name,
      sessions: own.length,
      established: own.filter(isEstablished).length,
      ...(lastError !== undefined && { lastError }),
    };
  });
}

function findingsOf({ kernel, policy, ownProblems }: NodeFacts, total: number, established: number): Finding[] {
  const findings: Finding[] = [
    finding(
      'SessionsEstablished',
      established === total,
      established === total ? 'Established' : 'SessionDown',
      `${established} of ${total} sessions`,
    ),
  ];
  if (kernel !== undefined) {
    const { failed } = kernel;
    // How many is a number that passes by; that there are some is not.
    const message = failed === 0 ? 'the kernel holds what was decided' : 'the kernel refuses routes';
    findings.push(finding('RoutesProgrammed', failed === 0, failed === 0 ? 'Programmed' : 'RoutesRefused', message));
  }
  if (policy !== undefined && policy.state !== 'pending') {
    const inForce = policy.state === 'inForce';
    const message = inForce
      ? 'NetworkPolicies are in force'
      : policy.lastError || 'the kernel refuses the policy table';
    findings.push(
      finding('PolicyInForce', inForce, inForce ? 'InForce' : 'PolicyRefused', message.slice(0, longestText)),
    );
  }
  findings.push(
    finding(
      'Healthy',
      ownProblems.length === 0,
      ownProblems.length === 0 ? 'Healthy' : 'AgentProblem',
      ownProblems.length === 0 ? 'the agent has no problem of its own' : ownProblems.join('; ').slice(0, longestText),
    ),
  );
  return findings;
}

function isEstablished({ state }: Neighbor): boolean {
  return state === 'Established';
}

/** Down before established, those of a BGPPeer before the mesh, then by name. */
function importantFirst(a: Neighbor, b: Neighbor): number {
  const rank = (neighbor: Neighbor) => Number(isEstablished(neighbor)) * 2 + Number(neighbor.peer === undefined);
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

function withoutWords(report: NodeReport): unknown {
  const wordless = <T extends object>(value: T) => ({ ...value, lastError: '', reason: '', message: '' });
  return {
    ...report,
    observedAt: '',
    peers: report.peers.map(wordless),
    neighbors: report.neighbors.map(wordless),
    tunnels: report.tunnels.map(wordless),
    problems: report.problems.map(({ kind, name, reason }) => ({ kind, name, reason })),
    conditions: report.conditions.map(wordless),
  };
}
