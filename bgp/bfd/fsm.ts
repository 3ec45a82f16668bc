/**
 * The state machine of a BFD session: every state and every event, as one table.
 * Implements: RFC 5880 §6.2, the state part of §6.8.6, §6.8.4 (detection time), §6.8.16 (administrative control).
 * Leaves out: carrying it out: session.ts.
 * Holds: what happens next depends on the state and the kind of the event, on nothing else.
 */

import type { BfdState } from '../status.ts';

/** By their numbers on the wire (§4.1). */
export const bfdStates = ['adminDown', 'down', 'init', 'up'] as const satisfies readonly BfdState[];

/** §4.1; those that we say or that need a name. */
export const Diagnostic = {
  none: 0,
  detectionTimeExpired: 1,
  neighborSignaledDown: 3,
  administrativelyDown: 7,
} as const;

/** By number. */
const diagnosticNames = [
  'none',
  'control detection time expired',
  'echo function failed',
  'neighbor signaled session down',
  'forwarding plane reset',
  'path down',
  'concatenated path down',
  'administratively down',
  'reverse concatenated path down',
];

export function formatDiagnostic(diagnostic: number): string {
  return diagnosticNames[diagnostic] ?? `diagnostic ${diagnostic}`;
}

export type BfdFsmEvent =
  | 'adminDownReceived'
  | 'downReceived'
  | 'initReceived'
  | 'upReceived'
  | 'detectionTimeExpired'
  | 'enabled'
  | 'disabled';

export const receivedEvents = {
  adminDown: 'adminDownReceived',
  down: 'downReceived',
  init: 'initReceived',
  up: 'upReceived',
} as const satisfies Record<BfdState, BfdFsmEvent>;

export interface BfdFsmCell {
  readonly next: BfdState;
  /** The reason to give for the change; undefined: nothing changes. */
  readonly diagnostic: number | undefined;
}

const stay = (next: BfdState): BfdFsmCell => ({ next, diagnostic: undefined });
const go = (next: BfdState, diagnostic: number = Diagnostic.none): BfdFsmCell => ({ next, diagnostic });

const signaledDown = go('down', Diagnostic.neighborSignaledDown);
const timedOut = go('down', Diagnostic.detectionTimeExpired);
const switchedOff = go('adminDown', Diagnostic.administrativelyDown);

export const bfdFsm = {
  adminDown: {
    adminDownReceived: stay('adminDown'),
    downReceived: stay('adminDown'),
    initReceived: stay('adminDown'),
    upReceived: stay('adminDown'),
    detectionTimeExpired: stay('adminDown'),
    enabled: go('down'),
    disabled: stay('adminDown'),
  },
  down: {
    adminDownReceived: stay('down'),
    downReceived: go('init'),
    initReceived: go('up'),
    // The neighbour believes in a session that is over: our Down tells it so.
    upReceived: stay('down'),
    detectionTimeExpired: stay('down'),
    enabled: stay('down'),
    disabled: switchedOff,
  },
  init: {
    adminDownReceived: signaledDown,
    downReceived: stay('init'),
    initReceived: go('up'),
    upReceived: go('up'),
    detectionTimeExpired: timedOut,
    enabled: stay('init'),
    disabled: switchedOff,
  },
  up: {
    adminDownReceived: signaledDown,
    downReceived: signaledDown,
    initReceived: stay('up'),
    upReceived: stay('up'),
    detectionTimeExpired: timedOut,
    enabled: stay('up'),
    disabled: switchedOff,
  },
} as const satisfies Record<BfdState, Record<BfdFsmEvent, BfdFsmCell>>;
