/** The lab at one moment, as its parts tell it themselves: agents by their API sockets, switches by birdc and vtysh, kernels by `ip`. */

import { readAgent } from './agent-view.ts';
import type { AgentView } from './agent-view.ts';
import { run } from './command.ts';
import { switchSessions } from './routers/switch.ts';
import type { SwitchSession } from './routers/switch-status.ts';
import type { RunningLab } from './run-folder.ts';
import { namespaceOf } from './topology.ts';

export interface Snapshot {
  /** Agents of nodes and reflectors, by name. */
  readonly agents: ReadonlyMap<string, AgentView>;
  /** By the switch's name; a text: why it does not answer. */
  readonly switches: ReadonlyMap<string, readonly SwitchSession[] | string>;
  /** By the node's name. */
  readonly podRoutes: ReadonlyMap<string, PodRoutes>;
}

/** A node's kernel routes to the pod CIDRs of the other nodes. */
export interface PodRoutes {
  readonly direct: readonly string[];
  readonly tunnelled: readonly string[];
  readonly missing: readonly string[];
}

export async function takeSnapshot(lab: RunningLab): Promise<Snapshot> {
  const { nodes, reflectors, switches } = lab.topology;
  const [agents, sessions, podRoutes] = await Promise.all([
    byName([...nodes, ...reflectors], ({ name }) => readAgent(lab.folder, name)),
    byName(switches, (device) =>
      switchSessions(lab, device).catch((error: unknown) => (error instanceof Error ? error.message : String(error))),
    ),
    byName(nodes, ({ name }) => podRoutesOf(lab, name)),
  ]);
  return { agents, switches: sessions, podRoutes };
}

/** What is not as it should be: agents that do not answer or complain, sessions that are not established, pod CIDRs without a route. */
export function snapshotProblems({ agents, switches, podRoutes }: Snapshot): string[] {
  const problems: string[] = [];
  for (const [name, agent] of agents) {
    if (agent.kind === 'silent') {
      problems.push(`${name}: its agent does not answer: ${agent.reason}`);
      continue;
    }
    problems.push(...agent.complaints.map((complaint) => `${name}: ${complaint}`));
    for (const session of agent.sessions.filter(({ established }) => !established)) {
      const why = session.lastError === undefined ? '' : ` (${session.lastError})`;
      problems.push(`${name}: the session with ${session.neighbor} (${session.address}) is ${session.state}${why}`);
    }
  }
  for (const [name, sessions] of switches) {
    if (typeof sessions === 'string') {
      problems.push(`${name}: ${sessions}`);
      continue;
    }
    for (const session of sessions.filter(({ established }) => !established)) {
      problems.push(`${name}: the session with ${session.neighbor} is ${session.state}`);
    }
  }
  for (const [name, { missing }] of podRoutes) {
    if (missing.length > 0) problems.push(`${name}: no kernel route to ${missing.join(', ')}`);
  }
  return problems;
}

async function podRoutesOf({ topology }: RunningLab, node: string): Promise<PodRoutes> {
  const namespace = namespaceOf(topology.name, node);
  const tables = await Promise.all(
    ['-4', '-6'].map(async (family) => JSON.parse(await run(['ip', '-n', namespace, '-j', family, 'route', 'show']))),
  );
  const routes = tables.flat() as { dst: string; dev?: string; nexthops?: { dev?: string }[] }[];
  const wanted = topology.nodes.filter(({ name }) => name !== node).flatMap(({ podCidrs }) => podCidrs);
  const direct: string[] = [];
  const tunnelled: string[] = [];
  const missing: string[] = [];
  for (const prefix of wanted) {
    const route = routes.find(({ dst }) => dst === prefix);
    const device = route?.dev ?? route?.nexthops?.[0]?.dev;
    // The lab plugs every machine in with eth0; any other device on the way is a tunnel's.
    if (device === undefined) missing.push(prefix);
    else if (device === 'eth0') direct.push(prefix);
    else tunnelled.push(prefix);
  }
  return { direct, tunnelled, missing };
}

async function byName<T extends { readonly name: string }, R>(
  items: readonly T[],
  task: (item: T) => Promise<R>,
): Promise<Map<string, R>> {
  return new Map(await Promise.all(items.map(async (item): Promise<[string, R]> => [item.name, await task(item)])));
}
