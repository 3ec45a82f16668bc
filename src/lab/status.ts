/** `lab status`: one table of machines, one of what is wrong. */

import { styleText } from 'node:util';
import { daemonTitle } from './routers/switch.ts';
import type { RunningLab } from './run-folder.ts';
import { snapshotProblems, takeSnapshot } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';
import { toColumns } from './table.ts';

/** @returns whether all is well. */
export async function printStatus(lab: RunningLab, write: (text: string) => void): Promise<boolean> {
  const { topology, record, folder } = lab;
  const snapshot = await takeSnapshot(lab);
  write(`Lab ${topology.name}, up since ${new Date(record.startedAt).toISOString()}, in ${folder.path}\n\n`);
  const header = ['machine', 'what', 'where', 'BGP sessions', 'pod routes'].map((title) => styleText('dim', title));
  const switchRows = topology.switches.map((device) => {
    const sessions = snapshot.switches.get(device.name) ?? [];
    const state = typeof sessions === 'string' ? styleText('red', 'does not answer') : sessionCount(sessions);
    return [device.name, `${daemonTitle(device)}, AS ${device.asNumber}`, '', state, ''];
  });
  const agentRows = [...topology.nodes, ...topology.reflectors].map(({ name, segment, ipv4 }) => {
    const agent = snapshot.agents.get(name);
    const state = agent?.kind === 'answering' ? sessionCount(agent.sessions) : styleText('red', 'does not answer');
    const what = topology.reflectors.some((reflector) => reflector.name === name) ? 'reflector' : 'node';
    return [name, what, `${segment} ${ipv4}`, state, podRouteText(snapshot, name)];
  });
  const podRows = topology.pods.map(({ name, node, ipv4, ipv6 }) => [name, 'pod', `${node} ${ipv4} ${ipv6}`]);
  const hostRows = topology.hosts.map(({ name, segment, ipv4, ipv6 }) => [
    name,
    'outside host',
    `${segment} ${ipv4} ${ipv6}`,
  ]);
  for (const line of toColumns([header, ...switchRows, ...agentRows])) write(`${line}\n`);
  write('\n');
  for (const line of toColumns([...podRows, ...hostRows])) write(`${line}\n`);
  const problems = snapshotProblems(snapshot);
  write(problems.length === 0 ? `\n${styleText('green', 'All sessions are established.')}\n` : '\n');
  for (const problem of problems) write(`${styleText('red', '✗')} ${problem}\n`);
  return problems.length === 0;
}

function sessionCount(sessions: readonly { readonly established: boolean }[]): string {
  const established = sessions.filter((session) => session.established).length;
  const text = `${established} of ${sessions.length}`;
  return established === sessions.length ? text : styleText('red', text);
}

function podRouteText({ podRoutes }: Snapshot, node: string): string {
  const routes = podRoutes.get(node);
  if (routes === undefined) return '';
  const { direct, tunnelled, missing } = routes;
  const text = `${direct.length} direct, ${tunnelled.length} in tunnels`;
  return missing.length === 0 ? text : `${text}, ${styleText('red', `${missing.length} missing`)}`;
}
