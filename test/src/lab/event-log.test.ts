/** What is said to have happened between two snapshots. */

import { expect, test } from 'vitest';
import type { AgentSession, AgentView } from '../../../src/lab/agent-view.ts';
import { EventLog } from '../../../src/lab/event-log.ts';
import type { Snapshot } from '../../../src/lab/snapshot.ts';

const session = (neighbor: string, established: boolean, lastError?: string): AgentSession => ({
  neighbor,
  address: '10.0.0.1',
  established,
  state: established ? 'established' : 'active',
  ...(lastError !== undefined && { lastError }),
});
const answering = (...sessions: AgentSession[]): AgentView => ({
  kind: 'answering',
  startedAt: 0,
  restarting: false,
  sessions,
  complaints: [],
});
const snapshot = (parts: Partial<Record<keyof Snapshot, object>>): Snapshot => ({
  agents: new Map(Object.entries(parts.agents ?? {})),
  switches: new Map(Object.entries(parts.switches ?? {})),
  podRoutes: new Map(Object.entries(parts.podRoutes ?? {})),
});

function changes(before: Snapshot, after: Snapshot): string[] {
  const log = new EventLog();
  log.compare(before, 1);
  log.compare(after, 2);
  expect(log.recent().every(({ at }) => at === 2)).toBe(true);
  return log.recent().map(({ text, good }) => `${good ? '+' : '-'} ${text}`);
}

test('the first snapshot is no news, and an equal one neither', () => {
  const same = snapshot({ agents: { a: answering(session('x', true)) }, switches: { s: [session('y', false)] } });
  expect(changes(same, same)).toEqual([]);
});

test.each([
  [
    'an agent goes',
    { agents: { a: answering() } },
    { agents: { a: { kind: 'silent', reason: '' } } },
    ['- a: the agent is gone'],
  ],
  [
    'an agent comes',
    { agents: { a: { kind: 'silent', reason: '' } } },
    { agents: { a: answering() } },
    ['+ a: the agent answers'],
  ],
  [
    'a session is lost, with its reason',
    { agents: { a: answering(session('x', true)) } },
    { agents: { a: answering(session('x', false, 'TCP closed')) } },
    ['- a: session with x active: TCP closed'],
  ],
  [
    'a switch gets a session',
    { switches: { s: [session('y', false)] } },
    { switches: { s: [session('y', true)] } },
    ['+ s: session with y established'],
  ],
  ['a switch falls silent', { switches: { s: [] } }, { switches: { s: 'refused' } }, ['- s does not answer']],
  [
    'routes go and change',
    { podRoutes: { n: { direct: ['p', 'q'], tunnelled: [], missing: [] } } },
    { podRoutes: { n: { direct: [], tunnelled: ['p'], missing: ['q'] } } },
    ['+ n: p in a tunnel (was direct)', '- n: q without a route (was direct)'],
  ],
])('%s', (_, before, after, expected) => {
  expect(changes(snapshot(before), snapshot(after))).toEqual(expected);
});
