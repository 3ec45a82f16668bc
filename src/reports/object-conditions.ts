/**
 * The conditions of a BGPPeer and of an IPPool, from what the agents of all nodes report. Pure.
 * Takes: the reports in order of node name, so that equal reports give equal conditions.
 * Holds: a node that is not heard from counts for nothing good.
 */

import type { NodeReport } from '../resources/node-network-status.ts';
import { finding, type Finding } from './status-conditions.ts';

export interface ReportOfNode {
  readonly node: string;
  readonly report: NodeReport;
  /** Kubernetes does not hear from the node: what it reported may be long over. */
  readonly silent: boolean;
}

/** Nodes that a message names; of the others it says how many. */
const mostNamed = 3;
const longestMessage = 1024;

/** @param invalid why the object as it is now is not in force; undefined: it is */
export function peerFindings(
  name: string,
  invalid: string | undefined,
  reports: readonly ReportOfNode[],
): readonly Finding[] {
  return [acceptedFinding('BGPPeer', name, invalid, reports), establishedFinding(name, reports)];
}

/** @param kind the tunnels that the pool asks for */
export function poolFindings(
  name: string,
  kind: 'ipip' | 'vxlan' | undefined,
  invalid: string | undefined,
  reports: readonly ReportOfNode[],
): readonly Finding[] {
  return [acceptedFinding('IPPool', name, invalid, reports), tunnelsFinding(name, kind, reports)];
}

function acceptedFinding(
  kind: string,
  name: string,
  invalid: string | undefined,
  reports: readonly ReportOfNode[],
): Finding {
  if (invalid !== undefined) return finding('Accepted', false, 'Invalid', shortened(invalid));
  const problems = reports.flatMap(({ node, report }) =>
    report.problems
      .filter((problem) => problem.kind === kind && problem.name === name && problem.reason !== tunnelUnsupported)
      .map(({ reason, message }) => ({ node, reason, text: message })),
  );
  if (problems.length === 0) return finding('Accepted', true, 'Accepted', 'in force on every node that it concerns');
  return finding('Accepted', false, problems[0].reason, listed(problems));
}

function establishedFinding(name: string, reports: readonly ReportOfNode[]): Finding {
  let sessions = 0;
  let established = 0;
  const down: { node: string; text: string }[] = [];
  for (const { node, report, silent } of reports) {
    const peer = report.peers.find((candidate) => candidate.name === name);
    if (peer === undefined) continue;
    sessions += peer.sessions;
    if (silent && peer.sessions > 0) down.push({ node, text: 'the node is not heard from' });
    else if (peer.established < peer.sessions) down.push({ node, text: peer.lastError ?? 'not established' });
    if (!silent) established += peer.established;
  }
  if (sessions === 0) return finding('Established', undefined, 'NoSessions', 'no node has a session of it');
  const ratio = `${established} of ${sessions} sessions`;
  if (down.length === 0) return finding('Established', true, 'Established', ratio);
  return finding('Established', false, established === 0 ? 'Down' : 'PartlyDown', `${ratio}; ${listed(down)}`);
}

/** The reason that src/routing gives. */
const tunnelUnsupported = 'TunnelUnsupported';

function tunnelsFinding(name: string, kind: string | undefined, reports: readonly ReportOfNode[]): Finding {
  if (kind === undefined) return finding('TunnelsReady', undefined, 'NoTunnels', 'the pool asks for none');
  const failed: { node: string; text: string }[] = [];
  let up = 0;
  for (const { node, report, silent } of reports) {
    const refusal = report.problems.find(
      (problem) => problem.kind === 'IPPool' && problem.name === name && problem.reason === tunnelUnsupported,
    );
    const tunnel = report.tunnels.find((candidate) => candidate.kind === kind);
    if (refusal !== undefined) failed.push({ node, text: refusal.message });
    else if (tunnel?.state === 'Failed') failed.push({ node, text: tunnel.reason ?? 'the kernel refuses it' });
    else if (tunnel !== undefined && !silent) up++;
  }
  if (failed.length > 0) return finding('TunnelsReady', false, 'TunnelFailed', listed(failed));
  if (up === 0) return finding('TunnelsReady', undefined, 'NoTunnels', 'no node has made one');
  return finding('TunnelsReady', true, 'Up', up === 1 ? 'on 1 node' : `on ${up} nodes`);
}

/** `node-1: connection refused; node-2: …; and 7 more` */
function listed(entries: readonly { readonly node: string; readonly text: string }[]): string {
  const named = entries.slice(0, mostNamed).map(({ node, text }) => `${node}: ${text}`);
  const rest = entries.length - named.length;
  return shortened([...named, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; '));
}

function shortened(text: string): string {
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage - 1)}…`;
}
