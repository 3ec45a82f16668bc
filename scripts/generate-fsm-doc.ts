/** Writes docs/fsm.md from the table in bgp/session/fsm.ts. Run: `node scripts/generate-fsm-doc.ts`. */

import { writeFileSync } from 'node:fs';
import type { FsmCell, FsmEvent } from '../bgp/session/fsm.ts';
import { eventSources, fsm } from '../bgp/session/fsm.ts';
import type { SessionState } from '../bgp/status.ts';

const stateNames = {
  idle: 'Idle',
  connect: 'Connect',
  active: 'Active',
  openSent: 'OpenSent',
  openConfirm: 'OpenConfirm',
  established: 'Established',
} as const satisfies Record<SessionState, string>;

const states = Object.keys(stateNames) as SessionState[];
const events = Object.keys(eventSources) as FsmEvent[];

/** The whole page. */
export function fsmDocument(): string {
  return [
    '# The session state machine',
    '',
    'Generated from `bgp/session/fsm.ts` by `node scripts/generate-fsm-doc.ts`; a test holds the two together.',
    'Event numbers are those of RFC 4271 §8.1. The DelayOpen timer is left out.',
    '',
    '## Overview',
    '',
    'The state after each event; `·` where nothing happens.',
    '',
    `| event | from | ${states.map((state) => stateNames[state]).join(' | ')} |`,
    `|---|---|${states.map(() => '---').join('|')}|`,
    ...events.map(
      (event) => `| ${event} | ${eventSources[event]} | ${states.map((state) => overview(state, event)).join(' | ')} |`,
    ),
    '',
    ...states.flatMap(stateSection),
  ].join('\n');
}

function cellOf(state: SessionState, event: FsmEvent): FsmCell {
  return fsm[state][event];
}

function overview(state: SessionState, event: FsmEvent): string {
  const { next, actions } = cellOf(state, event);
  return next === state && actions.length === 0 ? '·' : stateNames[next];
}

function stateSection(state: SessionState): string[] {
  const active = events.filter((event) => overview(state, event) !== '·' || cellOf(state, event).note !== undefined);
  return [
    `## ${stateNames[state]}`,
    '',
    '| event | actions, in order | next | note |',
    '|---|---|---|---|',
    ...active.map((event) => {
      const { next, actions, note } = cellOf(state, event);
      return `| ${event} | ${actions.join(', ')} | ${stateNames[next]} | ${note ?? ''} |`;
    }),
    '',
  ];
}

if (import.meta.main) writeFileSync(new URL('../docs/fsm.md', import.meta.url), fsmDocument());
