/** What changed between two snapshots, in words, with the time. Pure. */

import type { AgentView } from './agent-view.ts';
import type { PodRoutes, Snapshot } from './snapshot.ts';

export interface LabEvent {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly text: string;
  readonly good: boolean;
}

const kept = 8;

export class EventLog {
  private before: Snapshot | undefined;
  private events: LabEvent[] = [];

  /** Notes what is different from the snapshot before; the first one is only remembered. */
  compare(snapshot: Snapshot, at: number): void {
    const { before } = this;
    this.before = snapshot;
    if (before === undefined) return;
    const changes = [
      ...agentChanges(before, snapshot),
      ...switchChanges(before, snapshot),
      ...routeChanges(before, snapshot),
    ];
    this.events = [...this.events, ...changes.map((change) => ({ ...change, at }))].slice(-kept);
  }

  /** The latest, oldest first. */
  recent(): readonly LabEvent[] {
    return this.events;
  }
}

type Change = Omit<LabEvent, 'at'>;

function agentChanges(before: Snapshot, now: Snapshot): Change[] {
  const changes: Change[] = [];
  for (const [name, agent] of now.agents) {
    const earlier = before.agents.get(name);
    if (earlier === undefined || earlier.kind !== agent.kind) {
      changes.push({
        text: `${name}: the agent ${agent.kind === 'silent' ? 'is gone' : 'answers'}`,
        good: agent.kind !== 'silent',
      });
    }
    if (agent.kind === 'answering' && earlier?.kind === 'answering')
      changes.push(...sessionChanges(name, earlier, agent));
  }
  return changes;
}

function sessionChanges(
  name: string,
  before: Extract<AgentView, { kind: 'answering' }>,
  now: Extract<AgentView, { kind: 'answering' }>,
): Change[] {
  return now.sessions.flatMap(({ neighbor, established, state, lastError }) => {
    const earlier = before.sessions.find((session) => session.neighbor === neighbor);
    if (earlier?.established === established) return [];
    const why = established || lastError === undefined ? '' : `: ${lastError}`;
    return [
      { text: `${name}: session with ${neighbor} ${established ? 'established' : state}${why}`, good: established },
    ];
  });
}

function switchChanges(before: Snapshot, now: Snapshot): Change[] {
  const changes: Change[] = [];
  for (const [name, sessions] of now.switches) {
    const earlier = before.switches.get(name);
    if (typeof sessions === 'string' || earlier === undefined || typeof earlier === 'string') {
      if (typeof sessions !== typeof earlier) {
        const silent = typeof sessions === 'string';
        changes.push({ text: `${name} ${silent ? 'does not answer' : 'answers'}`, good: !silent });
      }
      continue;
    }
    for (const { neighbor, established, state } of sessions) {
      if (earlier.find((session) => session.neighbor === neighbor)?.established === established) continue;
      changes.push({
        text: `${name}: session with ${neighbor} ${established ? 'established' : state}`,
        good: established,
      });
    }
  }
  return changes;
}

function routeChanges(before: Snapshot, now: Snapshot): Change[] {
  const changes: Change[] = [];
  for (const [name, routes] of now.podRoutes) {
    const earlier = before.podRoutes.get(name);
    if (earlier === undefined) continue;
    for (const prefix of [...routes.direct, ...routes.tunnelled, ...routes.missing]) {
      const [was, is] = [carriageOf(earlier, prefix), carriageOf(routes, prefix)];
      if (was !== is) changes.push({ text: `${name}: ${prefix} ${is} (was ${was})`, good: is !== 'without a route' });
    }
  }
  return changes;
}

function carriageOf({ direct, tunnelled }: PodRoutes, prefix: string): string {
  if (direct.includes(prefix)) return 'direct';
  return tunnelled.includes(prefix) ? 'in a tunnel' : 'without a route';
}
