/**
 * The finite state machine of one connection with a peer: every state and every event, as one table.
 * Implements: RFC 4271 §8.2.2; RFC 4724 §5 (connectionReplaced); RFC 6608 (which FSM error); RFC 9687 (send hold timer).
 * Leaves out: the DelayOpen timer (§8.1.1), and carrying the actions out: that is session.ts.
 * Holds: what happens next depends on the state and the kind of the event, on nothing else.
 * docs/fsm.md is generated from this table.
 */

import type { SessionState } from '../status.ts';

export type FsmEvent =
  | 'manualStarted'
  | 'manualStartedPassively'
  | 'automaticStarted'
  | 'automaticStartedPassively'
  | 'manualStopped'
  | 'automaticStopped'
  | 'connectRetryTimerExpired'
  | 'holdTimerExpired'
  | 'keepaliveTimerExpired'
  | 'sendHoldTimerExpired'
  | 'tcpConnected'
  | 'tcpAccepted'
  | 'tcpFailed'
  | 'openReceived'
  | 'headerErrorFound'
  | 'openErrorFound'
  | 'collisionLost'
  | 'connectionReplaced'
  | 'versionErrorNotified'
  | 'notificationReceived'
  | 'keepaliveReceived'
  | 'updateReceived'
  | 'updateErrorFound'
  | 'routeRefreshReceived';

/** Number or place of each event in the RFCs. */
export const eventSources = {
  manualStarted: 'event 1',
  manualStartedPassively: 'event 4',
  automaticStarted: 'events 3, 6, 13',
  automaticStartedPassively: 'events 5, 7, 13',
  manualStopped: 'event 2',
  automaticStopped: 'event 8',
  connectRetryTimerExpired: 'event 9',
  holdTimerExpired: 'event 10',
  keepaliveTimerExpired: 'event 11',
  sendHoldTimerExpired: 'RFC 9687',
  tcpConnected: 'event 16',
  tcpAccepted: 'event 17',
  tcpFailed: 'event 18',
  openReceived: 'event 19',
  headerErrorFound: 'event 21',
  openErrorFound: 'event 22',
  collisionLost: 'event 23',
  connectionReplaced: 'RFC 4724 §5',
  versionErrorNotified: 'event 24',
  notificationReceived: 'event 25',
  keepaliveReceived: 'event 26',
  updateReceived: 'event 27',
  updateErrorFound: 'event 28',
  routeRefreshReceived: 'RFC 2918',
} as const satisfies Record<FsmEvent, string>;

export type FsmAction =
  /** The length grows with the counter. Passive: not started (§8.1.1 PassiveTcpEstablishment). */
  | 'startConnectRetryTimer'
  | 'stopConnectRetryTimer'
  | 'resetConnectRetryCounter'
  | 'countConnectRetry'
  | 'connectTcp'
  | 'closeTcp'
  | 'reportFailedAttempt'
  | 'sendOpen'
  /** Four minutes, until the OPEN has told the peer's hold time. */
  | 'startLargeHoldTimer'
  | 'acceptOpen'
  | 'sendKeepalive'
  | 'startNegotiatedTimers'
  | 'restartHoldTimer'
  | 'enterEstablished'
  | 'deliverUpdate'
  | 'deliverRouteRefresh'
  | 'notifyCease'
  | 'notifyError'
  | 'notifyHoldTimerExpired'
  | 'notifyFsmError'
  | 'notifyCollision'
  | 'leaveEstablished'
  /** Stops every timer, ends the connection, forgets what was negotiated. */
  | 'release'
  /** DampPeerOscillations: the idle hold timer starts; its end is an automatic start. */
  | 'damp';

export interface FsmCell {
  readonly next: SessionState;
  readonly actions: readonly FsmAction[];
  /** Why the cell is not what RFC 4271 says to the letter. */
  readonly note?: string;
}

type Row = Readonly<Record<FsmEvent, FsmCell>>;

function go(next: SessionState, actions: readonly FsmAction[], note?: string): FsmCell {
  return note === undefined ? { next, actions } : { next, actions, note };
}

const stayIdle = go('idle', []);
const stayConnect = go('connect', []);
const stayActive = go('active', []);
const stayOpenSent = go('openSent', []);
const stayOpenConfirm = go('openConfirm', []);
const stayEstablished = go('established', []);

const start = ['resetConnectRetryCounter', 'startConnectRetryTimer', 'connectTcp'] as const;
const open = ['stopConnectRetryTimer', 'sendOpen', 'startLargeHoldTimer'] as const;
const fall = ['release', 'countConnectRetry', 'damp'] as const;

/** RFC 4271: "releases all BGP resources, drops the TCP connection, increments the counter, damps, goes to Idle". */
const dropped = go('idle', fall);
const stoppedBefore = go('idle', ['release', 'resetConnectRetryCounter']);
const stopped = go('idle', ['notifyCease', 'release', 'resetConnectRetryCounter']);
const ceased = go('idle', ['notifyCease', ...fall]);
const failed = go('idle', ['notifyError', ...fall]);
const fsmError = go('idle', ['notifyFsmError', ...fall]);
const held = go('idle', ['notifyHoldTimerExpired', ...fall]);
const collided = go('idle', ['notifyCollision', ...fall]);
const replaced = go('idle', ['release']);
const lost = go('idle', ['leaveEstablished', ...fall]);
const lostByError = go('idle', ['notifyError', 'leaveEstablished', ...fall]);
const lostByFsmError = go('idle', ['notifyFsmError', 'leaveEstablished', ...fall]);

const ownMachine = 'An accepted connection has a machine of its own until §6.8 has chosen (peer.ts).';
const silent = 'A NOTIFICATION is never answered by one (§6).';

export const fsm = {
  idle: {
    manualStarted: go('connect', start),
    manualStartedPassively: go('active', ['resetConnectRetryCounter']),
    automaticStarted: go('connect', ['startConnectRetryTimer', 'connectTcp']),
    automaticStartedPassively: stayActive,
    manualStopped: go('idle', ['release', 'resetConnectRetryCounter'], 'Ends the idle hold timer, too.'),
    automaticStopped: stayIdle,
    connectRetryTimerExpired: stayIdle,
    holdTimerExpired: stayIdle,
    keepaliveTimerExpired: stayIdle,
    sendHoldTimerExpired: stayIdle,
    tcpConnected: stayIdle,
    tcpAccepted: go('openSent', open, 'Damping holds our own attempts back, never a peer that comes by itself.'),
    tcpFailed: stayIdle,
    openReceived: stayIdle,
    headerErrorFound: stayIdle,
    openErrorFound: stayIdle,
    collisionLost: stayIdle,
    connectionReplaced: stayIdle,
    versionErrorNotified: stayIdle,
    notificationReceived: stayIdle,
    keepaliveReceived: stayIdle,
    updateReceived: stayIdle,
    updateErrorFound: stayIdle,
    routeRefreshReceived: stayIdle,
  },
  connect: {
    manualStarted: stayConnect,
    manualStartedPassively: stayConnect,
    automaticStarted: stayConnect,
    automaticStartedPassively: stayConnect,
    manualStopped: stoppedBefore,
    automaticStopped: dropped,
    connectRetryTimerExpired: go('connect', [
      'closeTcp',
      'countConnectRetry',
      'reportFailedAttempt',
      'startConnectRetryTimer',
      'connectTcp',
    ]),
    holdTimerExpired: dropped,
    keepaliveTimerExpired: dropped,
    sendHoldTimerExpired: dropped,
    tcpConnected: go('openSent', open),
    tcpAccepted: go('connect', [], ownMachine),
    tcpFailed: go(
      'active',
      ['closeTcp', 'countConnectRetry', 'reportFailedAttempt', 'startConnectRetryTimer'],
      'Not Idle, which would be deaf to the peer until the next attempt.',
    ),
    openReceived: dropped,
    headerErrorFound: dropped,
    openErrorFound: dropped,
    collisionLost: dropped,
    connectionReplaced: replaced,
    versionErrorNotified: dropped,
    notificationReceived: dropped,
    keepaliveReceived: dropped,
    updateReceived: dropped,
    updateErrorFound: dropped,
    routeRefreshReceived: dropped,
  },
  active: {
    manualStarted: stayActive,
    manualStartedPassively: stayActive,
    automaticStarted: stayActive,
    automaticStartedPassively: stayActive,
    manualStopped: stoppedBefore,
    automaticStopped: dropped,
    connectRetryTimerExpired: go('connect', ['startConnectRetryTimer', 'connectTcp']),
    holdTimerExpired: dropped,
    keepaliveTimerExpired: dropped,
    sendHoldTimerExpired: dropped,
    tcpConnected: go('openSent', open),
    tcpAccepted: go('openSent', open),
    tcpFailed: dropped,
    openReceived: dropped,
    headerErrorFound: dropped,
    openErrorFound: dropped,
    collisionLost: dropped,
    connectionReplaced: replaced,
    versionErrorNotified: dropped,
    notificationReceived: dropped,
    keepaliveReceived: dropped,
    updateReceived: dropped,
    updateErrorFound: dropped,
    routeRefreshReceived: dropped,
  },
  openSent: {
    manualStarted: stayOpenSent,
    manualStartedPassively: stayOpenSent,
    automaticStarted: stayOpenSent,
    automaticStartedPassively: stayOpenSent,
    manualStopped: stopped,
    automaticStopped: ceased,
    connectRetryTimerExpired: fsmError,
    holdTimerExpired: held,
    keepaliveTimerExpired: fsmError,
    sendHoldTimerExpired: dropped,
    tcpConnected: stayOpenSent,
    tcpAccepted: go('openSent', [], ownMachine),
    tcpFailed: go('active', ['closeTcp', 'countConnectRetry', 'reportFailedAttempt', 'startConnectRetryTimer']),
    openReceived: go('openConfirm', ['acceptOpen', 'sendKeepalive', 'startNegotiatedTimers']),
    headerErrorFound: failed,
    openErrorFound: failed,
    collisionLost: collided,
    connectionReplaced: replaced,
    versionErrorNotified: dropped,
    notificationReceived: go('idle', fall, silent),
    keepaliveReceived: fsmError,
    updateReceived: fsmError,
    updateErrorFound: fsmError,
    routeRefreshReceived: fsmError,
  },
  openConfirm: {
    manualStarted: stayOpenConfirm,
    manualStartedPassively: stayOpenConfirm,
    automaticStarted: stayOpenConfirm,
    automaticStartedPassively: stayOpenConfirm,
    manualStopped: stopped,
    automaticStopped: ceased,
    connectRetryTimerExpired: fsmError,
    holdTimerExpired: held,
    keepaliveTimerExpired: go('openConfirm', ['sendKeepalive']),
    sendHoldTimerExpired: dropped,
    tcpConnected: stayOpenConfirm,
    tcpAccepted: go('openConfirm', [], ownMachine),
    tcpFailed: dropped,
    openReceived: fsmError,
    headerErrorFound: failed,
    openErrorFound: failed,
    collisionLost: collided,
    connectionReplaced: replaced,
    versionErrorNotified: dropped,
    notificationReceived: dropped,
    keepaliveReceived: go('established', ['restartHoldTimer', 'enterEstablished']),
    updateReceived: go(
      'established',
      ['restartHoldTimer', 'enterEstablished', 'deliverUpdate'],
      'Some speakers skip their first KEEPALIVE: an UPDATE counts as one.',
    ),
    updateErrorFound: fsmError,
    routeRefreshReceived: fsmError,
  },
  established: {
    manualStarted: stayEstablished,
    manualStartedPassively: stayEstablished,
    automaticStarted: stayEstablished,
    automaticStartedPassively: stayEstablished,
    manualStopped: go('idle', ['notifyCease', 'leaveEstablished', 'release', 'resetConnectRetryCounter']),
    automaticStopped: go('idle', ['notifyCease', 'leaveEstablished', ...fall]),
    connectRetryTimerExpired: lostByFsmError,
    holdTimerExpired: go('idle', ['notifyHoldTimerExpired', 'leaveEstablished', ...fall]),
    keepaliveTimerExpired: go('established', ['sendKeepalive']),
    sendHoldTimerExpired: go('idle', ['leaveEstablished', ...fall], 'A NOTIFICATION could not leave either.'),
    tcpConnected: stayEstablished,
    tcpAccepted: go('established', [], ownMachine),
    tcpFailed: lost,
    openReceived: lostByFsmError,
    headerErrorFound: go('idle', lostByError.actions, 'The peer is told what is wrong, rather than FSM error.'),
    openErrorFound: lostByFsmError,
    collisionLost: go('idle', ['notifyCollision', 'leaveEstablished', ...fall]),
    connectionReplaced: go('idle', ['leaveEstablished', 'release']),
    versionErrorNotified: lost,
    notificationReceived: lost,
    keepaliveReceived: go('established', ['restartHoldTimer']),
    updateReceived: go('established', ['restartHoldTimer', 'deliverUpdate']),
    updateErrorFound: lostByError,
    routeRefreshReceived: go('established', ['restartHoldTimer', 'deliverRouteRefresh']),
  },
} as const satisfies Record<SessionState, Row>;
