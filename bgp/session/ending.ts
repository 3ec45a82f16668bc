/**
 * How a session ends: which NOTIFICATION is sent, why in words, and whether its routes may outlive it.
 * Implements: RFC 4271 §6 (codes), RFC 6608 (FSM error subcodes), RFC 8538 §3.1, §4, §5.1 (when a Hard Reset is sent), RFC 4724 §5.
 * Leaves out: how long routes are kept: graceful-restart.ts.
 */

import { Cease, ErrorCode, FsmError, formatErrorCode } from '../registry.ts';
import type { SessionState } from '../status.ts';
import { unreachable } from '../unreachable.ts';
import type { Notification } from '../wire/notification.ts';
import { encodeShutdownCommunication, formatNotification, isHardReset, toHardReset } from '../wire/notification.ts';
import type { FsmAction, FsmEvent } from './fsm.ts';
import type { Negotiated } from './negotiate.ts';
import type { SessionEvent } from './session.ts';

/** The Cease of a stop. */
export interface StopReason {
  readonly subcode: number;
  /** For the peer's operator (RFC 9003); empty: none. */
  readonly text: string;
  /** What the NOTIFICATION carries instead of the text, where its subcode has data of its own. */
  readonly data?: Uint8Array;
  /** RFC 8538: whether neither side is to keep routes; undefined: as the subcode suggests. */
  readonly hard?: boolean;
}

/** What graceful restart makes a difference of (RFC 4724 §4.2, RFC 8538 §4). */
export type LeaveCause =
  | 'connectionLost'
  | 'holdTimerExpired'
  /** Another connection of the same peer takes its place. */
  | 'connectionReplaced'
  /** Sent or received, and no Hard Reset. */
  | 'notification'
  | 'hardReset';

/**
 * RFC 8538 §5.1: subcodes of Cease after which nothing is to be kept. 4, administrative reset, is left to the user there: hard,
 * as FRR does it unless told. 10, BFD down (RFC 9384), is none of that table: the path is lost, so that nothing can go on.
 */
const hardSubcodes: ReadonlySet<number> = new Set([1, 2, 3, 4, 9, 10]);

export function leaveCauseOf(event: SessionEvent): LeaveCause {
  switch (event.kind) {
    case 'tcpFailed':
    // The peer is there and does not read: what it said stays good as long as a lost connection's would.
    case 'sendHoldTimerExpired':
      return 'connectionLost';
    case 'holdTimerExpired':
      return 'holdTimerExpired';
    case 'connectionReplaced':
    case 'collisionLost':
      return 'connectionReplaced';
    case 'notificationReceived':
    case 'versionErrorNotified':
      if (isHardReset(event.notification)) return 'hardReset';
      return isCollision(event.notification) ? 'connectionReplaced' : 'notification';
    default:
      return isHard(event) ? 'hardReset' : 'notification';
  }
}

/** RFC 4271 §6.8: the peer has kept another connection with us. */
function isCollision({ code, subcode }: Notification): boolean {
  return code === ErrorCode.cease && subcode === Cease.connectionCollisionResolution;
}

/** Whether what we end the session with is meant as a Hard Reset. */
function isHard(event: SessionEvent): boolean {
  if ('stop' in event) return event.stop.hard ?? hardSubcodes.has(event.stop.subcode);
  return 'error' in event && event.error.code === ErrorCode.cease && hardSubcodes.has(event.error.subcode);
}

/** RFC 8538 §4: only a peer that knows it is sent one, and only a session that was established has routes. */
function sendsHardReset(event: SessionEvent, negotiated: Negotiated | undefined, before: SessionState): boolean {
  return before === 'established' && negotiated?.gracefulRestart?.notification === true && isHard(event);
}

type Notify = Extract<FsmAction, `notify${string}`>;

/** @param negotiated on the session, where it has come so far */
export function notificationOf(
  action: Notify,
  event: SessionEvent,
  before: SessionState,
  negotiated: Negotiated | undefined,
): Notification {
  const notification = innerNotificationOf(action, event, before);
  return sendsHardReset(event, negotiated, before) ? toHardReset(notification) : notification;
}

function innerNotificationOf(action: Notify, event: SessionEvent, before: SessionState): Notification {
  const data = new Uint8Array(0);
  switch (action) {
    case 'notifyCease': {
      if (!('stop' in event)) throw new Error(`${action} by ${event.kind}`);
      const { subcode, text, data: own } = event.stop;
      return { code: ErrorCode.cease, subcode, data: own ?? encodeShutdownCommunication(text) };
    }
    case 'notifyError':
      if (!('error' in event)) throw new Error(`${action} by ${event.kind}`);
      return event.error;
    case 'notifyHoldTimerExpired':
      return { code: ErrorCode.holdTimerExpired, subcode: 0, data };
    case 'notifyFsmError':
      return { code: ErrorCode.fsm, subcode: fsmErrorSubcode(before), data };
    case 'notifyCollision':
      return { code: ErrorCode.cease, subcode: Cease.connectionCollisionResolution, data };
    default:
      return unreachable(action);
  }
}

function fsmErrorSubcode(state: SessionState): number {
  switch (state) {
    case 'openSent':
      return FsmError.inOpenSent;
    case 'openConfirm':
      return FsmError.inOpenConfirm;
    case 'established':
      return FsmError.inEstablished;
    case 'idle':
    case 'connect':
    case 'active':
      return 0;
    default:
      return unreachable(state);
  }
}

/** Whether a NOTIFICATION says so, ours or the peer's. */
export function isNotified({ kind }: SessionEvent): boolean {
  switch (kind) {
    case 'tcpFailed':
    case 'connectRetryTimerExpired':
    case 'sendHoldTimerExpired':
    case 'connectionReplaced':
      return false;
    default:
      return true;
  }
}

/** The reason of an attempt to connect that nobody answered while we waited. */
export const attemptTimedOut = 'connection attempt timed out';

/** Why, in words a person can use. @param negotiated on the session, where it has come so far */
export function reasonOf(event: SessionEvent, before: SessionState, negotiated: Negotiated | undefined): string {
  const hard = sendsHardReset(event, negotiated, before);
  const outer = hard ? `${formatErrorCode(ErrorCode.cease, Cease.hardReset)} with ` : '';
  switch (event.kind) {
    case 'manualStopped':
    case 'automaticStopped': {
      const { subcode, text } = event.stop;
      const sent = hasConnection[before] ? ', sent' : '';
      return `${outer}${formatErrorCode(ErrorCode.cease, subcode)}${sent}${text && `: ${text}`}`;
    }
    case 'tcpFailed':
      return event.reason;
    case 'connectRetryTimerExpired':
      return before === 'connect' ? attemptTimedOut : fsmErrorReason(event.kind, before);
    case 'holdTimerExpired':
      return `${formatErrorCode(ErrorCode.holdTimerExpired, 0)}, sent`;
    case 'sendHoldTimerExpired':
      return 'send hold timer expired: the peer reads nothing';
    case 'headerErrorFound':
    case 'openErrorFound':
    case 'updateErrorFound':
      if (event.kind === 'updateErrorFound' && before !== 'established') return fsmErrorReason(event.kind, before);
      return `${outer}${formatErrorCode(event.error.code, event.error.subcode)}, sent: ${event.error.message}`;
    case 'collisionLost':
      return `${formatErrorCode(ErrorCode.cease, Cease.connectionCollisionResolution)}, sent`;
    case 'connectionReplaced':
      return 'the peer restarted: its new connection replaces this one';
    case 'versionErrorNotified':
    case 'notificationReceived':
      return `${formatNotification(event.notification)}, received`;
    default:
      return fsmErrorReason(event.kind, before);
  }
}

function fsmErrorReason(kind: FsmEvent, before: SessionState): string {
  return `${formatErrorCode(ErrorCode.fsm, fsmErrorSubcode(before))}, sent: ${kind} in ${before}`;
}

/** States in which the peer's bytes are read. */
export const hasConnection = {
  idle: false,
  connect: false,
  active: false,
  openSent: true,
  openConfirm: true,
  established: true,
} as const satisfies Record<SessionState, boolean>;
