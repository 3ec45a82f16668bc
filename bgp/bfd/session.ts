/**
 * One BFD session in asynchronous mode, in the active role. Events go in, actions come out.
 * Implements: RFC 5880 §6.8 (but for the parts below): the machine of fsm.ts, timer negotiation (§6.8.2) with poll sequences
 * (§6.5, §6.8.3), detection (§6.8.4), reception (§6.8.6), transmission with jitter (§6.8.7). Demand mode (§6.6) is honoured where
 * the neighbour asks for it, and never asked for.
 * Leaves out: authentication (§6.7), the echo function (§6.4), the passive role.
 * Holds: knows no clock and no socket. While the session is not up no packet leaves more often than once a second but for
 * changes of state and answers to polls. The C bit is 0: our BFD runs in the process that speaks BGP and shares its fate.
 */

import { jittered } from '../session/timers.ts';
import type { Sleeper } from '../session/wake-queue.ts';
import type { BfdSettings } from '../settings.ts';
import type { BfdState } from '../status.ts';
import { unreachable } from '../unreachable.ts';
import type { BfdFsmCell, BfdFsmEvent } from './fsm.ts';
import { bfdFsm, Diagnostic, receivedEvents } from './fsm.ts';
import type { ControlPacket } from './packet.ts';
import { encodeControlPacket } from './packet.ts';

export type BfdParameters = Omit<BfdSettings, 'multihop'>;

export type BfdEvent =
  | { readonly kind: 'enabled' }
  | { readonly kind: 'disabled' }
  | { readonly kind: 'timeReached' }
  | { readonly kind: 'packetReceived'; readonly packet: ControlPacket }
  | { readonly kind: 'parametersChanged'; readonly parameters: BfdParameters };

export type BfdAction =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'stateChanged' }
  /**
   * Up is over because the path is, as far as one can tell: neither side switched it off (RFC 5882 §3.2), and the neighbour's BFD did not
   * just begin anew.
   */
  | { readonly kind: 'reportFailure' };

export interface BfdSessionOptions {
  readonly parameters: BfdParameters;
  /** Ours; not 0. */
  readonly discriminator: number;
  /** 0 <= x < 1 */
  readonly random: () => number;
}

/** §6.8.3: the least interval of a session that is not up. */
export const slowMilliseconds = 1000;

/** What the neighbour said last; times in milliseconds. */
interface Remote {
  /** 0: not known (any more). */
  discriminator: number;
  state: BfdState;
  diagnostic: number;
  demand: boolean;
  minimumTransmit: number;
  minimumReceive: number;
  detectMultiplier: number;
}

export class BfdSession implements Sleeper {
  wakeAt = Infinity;
  state: BfdState = 'adminDown';
  localDiagnostic: number = Diagnostic.none;
  /** -Infinity before the first. */
  lastReceivedAt = -Infinity;
  readonly discriminator: number;
  // §6.8.1: RemoteMinRxInterval begins with a microsecond.
  readonly remote: Remote = {
    discriminator: 0,
    state: 'down',
    diagnostic: Diagnostic.none,
    demand: false,
    minimumTransmit: 0,
    minimumReceive: 0.001,
    detectMultiplier: 0,
  };

  private readonly random: () => number;
  private parameters: BfdParameters;
  /** Our DesiredMinTxInterval as we follow it: an increase waits for the end of the poll sequence. */
  private transmitInUse = slowMilliseconds;
  /** Our RequiredMinRxInterval as detection follows it: a decrease waits for the end of the poll sequence. */
  private receiveInUse: number;
  private polling = false;
  /** Something changed again while polling: the answer that comes may be to the older question. */
  private pollAgain = false;
  private lastTransmitAt = -Infinity;
  /** Drawn anew with every periodic packet. */
  private jitter: number;
  private transmitAt = Infinity;
  private detectAt = Infinity;

  /** It begins administratively down: enable it. */
  constructor(options: BfdSessionOptions) {
    this.discriminator = options.discriminator;
    this.random = options.random;
    this.parameters = options.parameters;
    this.receiveInUse = options.parameters.minimumReceiveMilliseconds;
    this.jitter = this.drawJitter();
  }

  /** When it wants the event timeReached. */
  nextDeadline(): number {
    return Math.min(this.transmitAt, this.detectAt);
  }

  /** Between two of our periodic packets, before jitter; Infinity: the neighbour wants none. */
  get transmitInterval(): number {
    const { minimumReceive } = this.remote;
    return minimumReceive === 0 ? Infinity : Math.max(this.transmitInUse, minimumReceive);
  }

  /** §6.8.4: how long the neighbour may be silent; 0 before its first packet. */
  get detectionTime(): number {
    return this.remote.detectMultiplier * Math.max(this.receiveInUse, this.remote.minimumTransmit);
  }

  handle(event: BfdEvent, now: number): readonly BfdAction[] {
    const actions: BfdAction[] = [];
    switch (event.kind) {
      case 'enabled':
      case 'disabled':
        this.step(event.kind, now, actions);
        break;
      case 'timeReached':
        this.timeReached(now, actions);
        break;
      case 'packetReceived':
        this.receive(event.packet, now, actions);
        break;
      case 'parametersChanged':
        this.parameters = event.parameters;
        this.intervalsChanged(now);
        break;
      default:
        unreachable(event);
    }
    return actions;
  }

  /** Packets that may lie unread are waited for: a detection time that has passed ends then instead. */
  postponeDetection(until: number): void {
    if (this.detectAt < until) this.detectAt = until;
  }

  private timeReached(now: number, out: BfdAction[]): void {
    if (this.detectAt <= now) {
      this.detectAt = Infinity;
      // §6.8.1: RemoteDiscr is forgotten after a detection time without packets, and with it what that neighbour had asked for.
      this.remote.discriminator = 0;
      this.remote.state = 'down';
      this.remote.demand = false;
      this.step('detectionTimeExpired', now, out);
    }
    if (this.transmitAt <= now) {
      this.transmit(now, out, { poll: this.polling, final: false });
      this.schedule();
    }
  }

  private receive(packet: ControlPacket, now: number, out: BfdAction[]): void {
    const { remote } = this;
    const known = remote.discriminator;
    remote.discriminator = packet.myDiscriminator;
    remote.state = packet.state;
    remote.diagnostic = packet.diagnostic;
    remote.demand = packet.demand;
    remote.detectMultiplier = packet.detectMultiplier;
    remote.minimumTransmit = packet.desiredMinimumTransmit / 1000;
    remote.minimumReceive = packet.requiredMinimumReceive / 1000;
    this.lastReceivedAt = now;
    if (packet.final && this.polling) this.pollAnswered();
    this.detectAt = this.state === 'adminDown' ? Infinity : now + this.detectionTime;
    this.schedule();
    const begunAnew = known !== 0 && known !== packet.myDiscriminator;
    this.step(receivedEvents[packet.state], now, out, begunAnew);
    // §6.8.7: answered at once, whatever the timer says, and whatever we say besides.
    if (packet.poll && this.state !== 'adminDown') this.transmit(now, out, { poll: false, final: true });
  }

  private step(event: BfdFsmEvent, now: number, out: BfdAction[], begunAnew = false): void {
    const before = this.state;
    const { next, diagnostic }: BfdFsmCell = bfdFsm[before][event];
    if (diagnostic === undefined) return;
    this.state = next;
    this.localDiagnostic = diagnostic;
    if (next === 'adminDown') this.detectAt = Infinity;
    if (next !== 'up') {
      this.polling = false;
      this.pollAgain = false;
    }
    this.intervalsChanged(now);
    out.push({ kind: 'stateChanged' });
    // §6.8.7: a change of state is told at once.
    this.transmit(now, out, { poll: this.polling, final: false });
    this.schedule();
    const intended = event === 'adminDownReceived' || event === 'disabled' || begunAnew;
    if (before === 'up' && !intended) out.push({ kind: 'reportFailure' });
  }

  /** §6.8.3: what we ask for may have changed, by settings or by the state. */
  private intervalsChanged(now: number): void {
    const [transmit, receive] = [this.desiredTransmit, this.parameters.minimumReceiveMilliseconds];
    if (this.state !== 'up') {
      this.transmitInUse = transmit;
      this.receiveInUse = receive;
    } else if (transmit !== this.transmitInUse || receive !== this.receiveInUse || this.polling) {
      this.pollAgain = this.polling;
      this.polling = true;
      this.transmitInUse = Math.min(this.transmitInUse, transmit);
      this.receiveInUse = Math.max(this.receiveInUse, receive);
    }
    if (this.detectAt !== Infinity) this.detectAt = Math.max(now, this.lastReceivedAt + this.detectionTime);
    this.schedule();
  }

  private pollAnswered(): void {
    this.polling = this.pollAgain;
    this.pollAgain = false;
    if (this.polling) return;
    this.transmitInUse = this.desiredTransmit;
    this.receiveInUse = this.parameters.minimumReceiveMilliseconds;
  }

  private get desiredTransmit(): number {
    const { minimumTransmitMilliseconds } = this.parameters;
    return this.state === 'up' ? minimumTransmitMilliseconds : Math.max(slowMilliseconds, minimumTransmitMilliseconds);
  }

  /** When the next periodic packet leaves, counted from the one before: a shorter interval holds at once (§6.8.3). */
  private schedule(): void {
    const { remote } = this;
    const demandActive = remote.demand && this.state === 'up' && remote.state === 'up';
    const silent = this.lastTransmitAt === -Infinity || (demandActive && !this.polling);
    this.transmitAt = silent ? Infinity : this.lastTransmitAt + this.transmitInterval * this.jitter;
  }

  /** §6.8.7: 75 to 100 % of the interval; at most 90 % where one lost packet is the whole detection time. */
  private drawJitter(): number {
    return this.parameters.detectMultiplier === 1 ? 0.75 + this.random() * 0.15 : jittered(1, this.random());
  }

  private transmit(now: number, out: BfdAction[], bits: { readonly poll: boolean; readonly final: boolean }): void {
    const { parameters, remote } = this;
    // A Final is no periodic packet: the timer does not notice it.
    if (!bits.final) {
      this.lastTransmitAt = now;
      this.jitter = this.drawJitter();
    }
    const bytes = encodeControlPacket({
      state: this.state,
      diagnostic: this.localDiagnostic,
      ...bits,
      controlPlaneIndependent: false,
      demand: false,
      detectMultiplier: parameters.detectMultiplier,
      myDiscriminator: this.discriminator,
      yourDiscriminator: remote.discriminator,
      desiredMinimumTransmit: Math.round(this.desiredTransmit * 1000),
      requiredMinimumReceive: Math.round(parameters.minimumReceiveMilliseconds * 1000),
      requiredMinimumEchoReceive: 0,
    });
    out.push({ kind: 'send', bytes });
  }
}
