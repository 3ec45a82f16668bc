/**
 * One session: the machine of fsm.ts with its timers and its stream of messages. Events go in, actions come out.
 * Implements: RFC 4271 §8 (the actions of the FSM), §6 (which error a message is), §4.4 (keepalives).
 * Leaves out: the connection itself, and two of them at once: peer.ts.
 * Holds: knows no clock and no socket. Of UPDATEs it only cuts the body out, and makes no object for it but the view.
 */

import { ErrorCode, MessageType } from '../registry.ts';
import type { SessionState } from '../status.ts';
import { unreachable } from '../unreachable.ts';
import { keepaliveMessage, MessageStream } from '../wire/message.ts';
import type { Notification } from '../wire/notification.ts';
import { decodeNotification, encodeNotification } from '../wire/notification.ts';
import type { Open } from '../wire/open.ts';
import { decodeOpen, encodeOpen } from '../wire/open.ts';
import { ProtocolError } from '../wire/protocol-error.ts';
import type { RouteRefresh } from '../wire/route-refresh.ts';
import { decodeRouteRefresh } from '../wire/route-refresh.ts';
import type { LeaveCause, StopReason } from './ending.ts';
import { hasConnection, isNotified, leaveCauseOf, notificationOf, reasonOf } from './ending.ts';
import type { FsmAction, FsmCell, FsmEvent } from './fsm.ts';
import { fsm } from './fsm.ts';
import type { LocalOffer, Negotiated } from './negotiate.ts';
import { negotiate, toOpen } from './negotiate.ts';
import {
  backoff,
  jittered,
  largeHoldTimeSeconds,
  longestIdleHoldSeconds,
  SessionTimers,
  stableAfterSeconds,
} from './timers.ts';

export type SessionEvent =
  | { readonly kind: SimpleEvent }
  | { readonly kind: 'manualStopped' | 'automaticStopped'; readonly stop: StopReason }
  | { readonly kind: 'tcpFailed'; readonly reason: string }
  | { readonly kind: 'openReceived'; readonly negotiated: Negotiated | undefined }
  | { readonly kind: 'headerErrorFound' | 'openErrorFound' | 'updateErrorFound'; readonly error: ProtocolError }
  | { readonly kind: 'versionErrorNotified' | 'notificationReceived'; readonly notification: Notification }
  | { readonly kind: 'updateReceived'; readonly body: Uint8Array }
  | { readonly kind: 'routeRefreshReceived'; readonly message: RouteRefresh | undefined };

type SimpleEvent = Exclude<
  FsmEvent,
  | 'manualStopped'
  | 'automaticStopped'
  | 'tcpFailed'
  | 'openReceived'
  | 'headerErrorFound'
  | 'openErrorFound'
  | 'updateErrorFound'
  | 'versionErrorNotified'
  | 'notificationReceived'
  | 'updateReceived'
  | 'routeRefreshReceived'
>;

export type SessionAction =
  | { readonly kind: 'connectTcp' }
  /** What was sent before still goes out. */
  | { readonly kind: 'closeTcp' }
  | { readonly kind: 'send'; readonly message: Uint8Array }
  /** A valid OPEN: whoever knows the other connection answers with the event openReceived or collisionLost. */
  | { readonly kind: 'resolveCollision'; readonly open: Open; readonly negotiated: Negotiated }
  | { readonly kind: 'enterEstablished'; readonly negotiated: Negotiated }
  | { readonly kind: 'leaveEstablished'; readonly negotiated: Negotiated; readonly cause: LeaveCause }
  | { readonly kind: 'deliverUpdate'; readonly body: Uint8Array }
  | { readonly kind: 'deliverRouteRefresh'; readonly message: RouteRefresh }
  /** Why an attempt or a session ended, in words. */
  | {
      readonly kind: 'reportReason';
      readonly reason: string;
      /** A NOTIFICATION says so, ours or the peer's; not just a connection that failed. */
      readonly notified: boolean;
    };

export interface SessionOptions {
  passive: boolean;
  connectRetrySeconds: number;
  /** Asked anew for every OPEN: the R bit changes with time. */
  readonly offer: () => LocalOffer;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** The peer's, common to all its sessions. */
  readonly counters: SessionCounters;
}

export interface SessionCounters {
  messagesReceived: number;
  messagesSent: number;
  updatesReceived: number;
  /** RFC 4271 §8.1.1 ConnectRetryCounter; back to zero once a session is established. */
  connectRetry: number;
  /** Falls to Idle in a row that damping counts. */
  oscillations: number;
}

const nothing: readonly SessionAction[] = [];

export class Session {
  state: SessionState = 'idle';
  readonly timers = new SessionTimers();
  /** What the last OPEN of ours said. */
  offer: LocalOffer | undefined;
  /** From OpenConfirm on. */
  negotiated: Negotiated | undefined;
  /** When it became established, on the speaker's clock. */
  establishedAt = Infinity;

  private readonly options: SessionOptions;
  private stream = new MessageStream();
  private holdMilliseconds = Infinity;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  /** @param chunk the next bytes of the connection; then call `advance` until it has no more actions. */
  push(chunk: Uint8Array): void {
    this.stream.push(chunk);
  }

  /**
   * Reads messages up to the first that asks for actions.
   * @param deliver takes the body of an UPDATE while established; the bytes are lent. May throw ProtocolError.
   */
  advance(now: number, deliver: (body: Uint8Array) => void): readonly SessionAction[] {
    try {
      while (hasConnection[this.state] && this.stream.next()) {
        const { stream, state } = this;
        this.options.counters.messagesReceived++;
        if (stream.type === MessageType.update && state === 'established') {
          // The cell of the table, without an event value: restartHoldTimer, deliverUpdate.
          this.options.counters.updatesReceived++;
          this.timers.hold = now + this.holdMilliseconds;
          deliver(stream.body);
          continue;
        }
        const actions = this.receiveMessage(stream.type, stream.body, now);
        if (actions.length > 0) return actions;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.handle({ kind: errorEvent(error), error }, now);
    }
    return nothing;
  }

  /** @returns undefined where no timer has expired; call until then. */
  timeReached(now: number): readonly SessionAction[] | undefined {
    const timer = this.timers.takeExpired(now);
    switch (timer) {
      case undefined:
        return undefined;
      case 'idleHold':
        return this.handle({ kind: this.options.passive ? 'automaticStartedPassively' : 'automaticStarted' }, now);
      case 'connectRetry':
        return this.handle({ kind: 'connectRetryTimerExpired' }, now);
      case 'hold':
        return this.handle({ kind: 'holdTimerExpired' }, now);
      case 'keepalive':
        return this.handle({ kind: 'keepaliveTimerExpired' }, now);
      case 'sendHold':
        return this.handle({ kind: 'sendHoldTimerExpired' }, now);
      default:
        return unreachable(timer);
    }
  }

  handle(event: SessionEvent, now: number): readonly SessionAction[] {
    const before = this.state;
    const cell: FsmCell = fsm[before][event.kind];
    this.state = cell.next;
    if (cell.actions.length === 0) return nothing;
    const actions: SessionAction[] = [];
    if (cell.next === 'idle' && before !== 'idle') {
      actions.push({
        kind: 'reportReason',
        reason: reasonOf(event, before, this.negotiated),
        notified: isNotified(event),
      });
    }
    for (const action of cell.actions) this.perform(action, event, before, now, actions);
    return actions;
  }

  /** UPDATEs were sent: they count as a keepalive (RFC 4271 §8.2.2, Established). */
  updatesSent(now: number): void {
    this.restartKeepaliveTimer(now);
  }

  private receiveMessage(type: number, body: Uint8Array, now: number): readonly SessionAction[] {
    switch (type) {
      case MessageType.open: {
        if (this.state !== 'openSent' || this.offer === undefined) {
          return this.handle({ kind: 'openReceived', negotiated: undefined }, now);
        }
        const open = decodeOpen(body);
        return [{ kind: 'resolveCollision', open, negotiated: negotiate(this.offer, open) }];
      }
      case MessageType.update:
        this.options.counters.updatesReceived++;
        return this.handle({ kind: 'updateReceived', body }, now);
      case MessageType.notification: {
        const notification = decodeNotification(body);
        const version = notification.code === ErrorCode.open && notification.subcode === 1;
        return this.handle({ kind: version ? 'versionErrorNotified' : 'notificationReceived', notification }, now);
      }
      case MessageType.keepalive:
        return this.handle({ kind: 'keepaliveReceived' }, now);
      case MessageType.routeRefresh:
        return this.handle(
          {
            kind: 'routeRefreshReceived',
            message: decodeRouteRefresh(body, this.negotiated?.enhancedRouteRefresh ?? false),
          },
          now,
        );
      default:
        throw new Error(`the frame let message type ${type} pass`);
    }
  }

  private perform(
    action: FsmAction,
    event: SessionEvent,
    before: SessionState,
    now: number,
    out: SessionAction[],
  ): void {
    const { timers, options } = this;
    const { counters } = options;
    switch (action) {
      case 'startConnectRetryTimer':
        if (options.passive) return;
        timers.connectRetry =
          now + this.jittered(backoff(Math.max(1, counters.connectRetry), options.connectRetrySeconds));
        return;
      case 'stopConnectRetryTimer':
        timers.connectRetry = Infinity;
        timers.idleHold = Infinity;
        return;
      case 'resetConnectRetryCounter':
        counters.connectRetry = 0;
        counters.oscillations = 0;
        return;
      case 'countConnectRetry':
        counters.connectRetry++;
        return;
      case 'connectTcp':
        // While an attempt runs, the timer is its limit.
        timers.connectRetry = now + this.jittered(Math.min(options.connectRetrySeconds, longestAttemptSeconds) * 1000);
        timers.idleHold = Infinity;
        out.push({ kind: 'connectTcp' });
        return;
      case 'closeTcp':
        this.forgetConnection();
        out.push({ kind: 'closeTcp' });
        return;
      case 'reportFailedAttempt':
        out.push({
          kind: 'reportReason',
          reason: reasonOf(event, before, this.negotiated),
          notified: isNotified(event),
        });
        return;
      case 'sendOpen':
        this.stream = new MessageStream();
        this.offer = options.offer();
        this.send(encodeOpen(toOpen(this.offer)), out);
        return;
      case 'startLargeHoldTimer':
        timers.hold = now + largeHoldTimeSeconds * 1000;
        return;
      case 'acceptOpen':
        if (event.kind !== 'openReceived' || event.negotiated === undefined)
          throw new Error(`${action} by ${event.kind}`);
        this.acceptOpen(event.negotiated);
        return;
      case 'sendKeepalive':
        this.send(keepaliveMessage, out);
        this.restartKeepaliveTimer(now);
        return;
      case 'startNegotiatedTimers':
        timers.hold = now + this.holdMilliseconds;
        this.restartKeepaliveTimer(now);
        return;
      case 'restartHoldTimer':
        timers.hold = now + this.holdMilliseconds;
        return;
      case 'enterEstablished':
        this.establishedAt = now;
        counters.connectRetry = 0;
        out.push({ kind: 'enterEstablished', negotiated: this.mustHaveNegotiated() });
        return;
      case 'deliverUpdate':
        if (event.kind !== 'updateReceived') throw new Error(`${action} by ${event.kind}`);
        out.push({ kind: 'deliverUpdate', body: event.body });
        return;
      case 'deliverRouteRefresh':
        if (event.kind !== 'routeRefreshReceived') throw new Error(`${action} by ${event.kind}`);
        if (event.message !== undefined) out.push({ kind: 'deliverRouteRefresh', message: event.message });
        return;
      case 'notifyCease':
      case 'notifyError':
      case 'notifyHoldTimerExpired':
      case 'notifyFsmError':
      case 'notifyCollision':
        this.send(encodeNotification(notificationOf(action, event, before, this.negotiated)), out);
        return;
      case 'leaveEstablished':
        if (now - this.establishedAt >= stableAfterSeconds * 1000) counters.oscillations = 0;
        out.push({
          kind: 'leaveEstablished',
          negotiated: this.mustHaveNegotiated(),
          cause: leaveCauseOf(event),
        });
        return;
      case 'release':
        timers.stopAll();
        this.forgetConnection();
        out.push({ kind: 'closeTcp' });
        return;
      case 'damp':
        counters.oscillations++;
        timers.idleHold = now + this.jittered(backoff(counters.oscillations, longestIdleHoldSeconds));
        return;
      default:
        unreachable(action);
    }
  }

  private acceptOpen(negotiated: Negotiated): void {
    this.negotiated = negotiated;
    const { holdTimeSeconds } = negotiated;
    this.holdMilliseconds = holdTimeSeconds === 0 ? Infinity : holdTimeSeconds * 1000;
    if (negotiated.extendedMessage) this.stream.allowExtendedMessages();
  }

  private forgetConnection(): void {
    this.timers.hold = Infinity;
    this.timers.keepalive = Infinity;
    this.timers.sendHold = Infinity;
    this.negotiated = undefined;
    this.offer = undefined;
    this.establishedAt = Infinity;
    this.stream = new MessageStream();
  }

  private restartKeepaliveTimer(now: number): void {
    const seconds = this.negotiated?.keepaliveTimeSeconds ?? 0;
    this.timers.keepalive = seconds === 0 ? Infinity : now + this.jittered(seconds * 1000);
  }

  private send(message: Uint8Array, out: SessionAction[]): void {
    this.options.counters.messagesSent++;
    out.push({ kind: 'send', message });
  }

  private jittered(milliseconds: number): number {
    return jittered(milliseconds, this.options.random());
  }

  private mustHaveNegotiated(): Negotiated {
    if (this.negotiated === undefined) throw new Error('established without an OPEN');
    return this.negotiated;
  }
}

/** An attempt without any answer is given up after this, and begun anew: seconds. */
const longestAttemptSeconds = 15;

function errorEvent(error: ProtocolError): 'headerErrorFound' | 'openErrorFound' | 'updateErrorFound' {
  if (error.code === ErrorCode.header) return 'headerErrorFound';
  return error.code === ErrorCode.open ? 'openErrorFound' : 'updateErrorFound';
}
