/**
 * One neighbour: its session, the second connection while a collision is open, and what a person is told of it.
 * Implements: RFC 4271 §8.2.1 (a machine for each connection), §6.8; RFC 4724 §4.2 (what is kept when the session ends).
 * Leaves out: its routes (the speaker, with the RIB).
 * Holds: at most one of its sessions is established; at most two connections are open.
 */

import type { Connection, HopLimit, SignatureDrops } from '../driver.ts';
import { connectionRefused, connectionTimedOut } from '../driver.ts';
import type { Family } from '../ip.ts';
import { Cease, MessageType } from '../registry.ts';
import type { NeighborSettings } from '../settings.ts';
import type { SessionState } from '../status.ts';
import { unreachable } from '../unreachable.ts';
import type { Open } from '../wire/open.ts';
import { ProtocolError } from '../wire/protocol-error.ts';
import type { RouteRefresh } from '../wire/route-refresh.ts';
import { encodeRouteRefresh } from '../wire/route-refresh.ts';
import { collisionOf, longestWaitMilliseconds, resolveCollision } from './collision.ts';
import { PeerRestart } from './graceful-restart.ts';
import { PeerRefresh } from './refresh.ts';
import type { LinkOwner } from './link.ts';
import { Link } from './link.ts';
import { localAsOf, localOffer } from './local-offer.ts';
import type { LocalOffer, Negotiated } from './negotiate.ts';
import type { PeerHost } from './peer-host.ts';
import type { SessionAction, SessionCounters, SessionEvent, SessionOptions } from './session.ts';
import type { StopReason } from './ending.ts';
import { attemptTimedOut } from './ending.ts';
import { Session } from './session.ts';
import { sameValue } from './settings-rules.ts';
import { signatureHint } from './signature-hint.ts';
import { sendHoldTimeSeconds } from './timers.ts';
import type { Sleeper } from './wake-queue.ts';

export class Peer implements Sleeper, LinkOwner {
  readonly name: string;
  /** Name of the range that it came by. */
  readonly range: string | undefined;
  neighbor: NeighborSettings;
  wakeAt = Infinity;

  /** The RIB's number for it, while it has a session or routes that are kept. */
  ribId: number | undefined;
  /** It waits for its turn to be sent what the RIB has for it. */
  outputQueued = false;
  readonly restart = new PeerRestart();
  readonly refresh = new PeerRefresh();
  readonly endOfRibReceived = new Set<Family>();
  treatedAsWithdrawn = 0;
  lastTreatedAsWithdrawn: string | undefined;
  /** UPDATEs of sessions that have ended. */
  updatesSentBefore = 0;
  flaps = 0;
  lastError: string | undefined;
  /** The last NOTIFICATION since the session was up: attempts that follow it often fail for less telling reasons. */
  lastNotification: string | undefined;
  /** Milliseconds since the epoch. */
  since: number;
  /** Stopped by a person. */
  disabled = false;
  /** A member of a range is forgotten then, on the speaker's clock. */
  expiresAt = Infinity;

  private readonly host: PeerHost;
  private readonly sessionOptions: SessionOptions;
  private main: Link;
  /** A connection that came while the main session has one, or is making one. */
  private second: Link | undefined;
  /** Before the attempt to connect that is under way, or the last one. */
  private dropsBefore: SignatureDrops | undefined;
  private lastState: SessionState = 'idle';
  private hasBeenEstablished = false;
  /** No session before then, on the speaker's clock: the peer told more routes than it may. */
  private heldUntil = -Infinity;

  constructor(host: PeerHost, neighbor: NeighborSettings, range: string | undefined) {
    this.host = host;
    this.name = neighbor.name;
    this.range = range;
    this.neighbor = neighbor;
    this.since = host.clock.epoch();
    this.sessionOptions = {
      passive: neighbor.passive,
      connectRetrySeconds: neighbor.connectRetrySeconds,
      offer: () => this.localOffer(),
      random: () => host.random(),
      counters: { messagesReceived: 0, messagesSent: 0, updatesReceived: 0, connectRetry: 0, oscillations: 0 },
    };
    this.main = new Link(this, new Session(this.sessionOptions));
  }

  get address(): string {
    const { remote } = this.neighbor;
    if (remote.kind !== 'address') throw new Error(`${this.name} is a range`);
    return remote.address;
  }

  get state(): SessionState {
    return this.main.session.state;
  }

  get session(): Session {
    return this.main.session;
  }

  get counters(): Readonly<SessionCounters> {
    return this.sessionOptions.counters;
  }

  /** The connection of the main session. */
  get connection(): Connection | undefined {
    return this.main.connection;
  }

  get localAs(): number {
    return localAsOf(this.neighbor, this.host.speaker());
  }

  get peerType(): 'iBGP' | 'eBGP' {
    return this.localAs === this.neighbor.remoteAs ? 'iBGP' : 'eBGP';
  }

  /** Neither stopped by a person nor held down, nor held off for a time. */
  get mayRun(): boolean {
    return !this.disabled && this.neighbor.heldDown === undefined && this.host.clock.now() >= this.heldUntil;
  }

  get hops(): HopLimit {
    const { ttl, ttlSecurityHops } = this.neighbor;
    if (ttlSecurityHops !== undefined) return { ttl: 255, minimumTtl: 256 - ttlSecurityHops };
    return { ttl: ttl ?? (this.peerType === 'eBGP' ? 1 : undefined) };
  }

  nextDeadline(): number {
    const second = Math.min(this.second?.session.timers.next() ?? Infinity, this.second?.waiting?.until ?? Infinity);
    const stale = Math.min(this.restart.deadline, this.refresh.deadline);
    return Math.min(this.main.session.timers.next(), second, stale, this.expiresAt);
  }

  start(): void {
    this.disabled = false;
    this.heldUntil = -Infinity;
    const { heldDown } = this.neighbor;
    if (heldDown !== undefined) {
      this.lastError = heldDown;
      return;
    }
    this.handle(this.main, { kind: this.neighbor.passive ? 'manualStartedPassively' : 'manualStarted' });
  }

  /** Ends every session with a Cease and stays down until it is started. */
  stop(stop: StopReason): void {
    if (this.second !== undefined) this.handle(this.second, { kind: 'manualStopped', stop });
    this.handle(this.main, { kind: 'manualStopped', stop });
  }

  /** Ends every session with a Cease, then begins anew at once. */
  reset(stop: StopReason): void {
    this.stop(stop);
    if (!this.disabled) this.start();
  }

  /**
   * RFC 5882 §4.2, §10.2, RFC 9384: BFD says that the path has failed. A connection that is younger than the last BFD packet
   * proves the opposite, and stays. A restart that has begun goes on (§4.3.2: our BFD shares its fate with the speaker).
   * @param lastReceivedAt when that came, on the speaker's clock.
   */
  pathFailed(lastReceivedAt: number): void {
    for (const link of [this.second, this.main]) {
      if (link === undefined || !isOpen(link.session.state) || link.begunAt > lastReceivedAt) continue;
      this.handle(link, { kind: 'automaticStopped', stop: { subcode: Cease.bfdDown, text: '' } });
    }
  }

  /** Ends the established session with a Cease; the next one is made in time. */
  end(stop: StopReason): void {
    this.handle(this.main, { kind: 'automaticStopped', stop });
  }

  /** From the end of the session on: none is made or accepted for so long, unless a person starts it or the limits change. */
  holdOff(seconds: number): void {
    this.heldUntil = this.host.clock.now() + seconds * 1000;
    if (this.second === undefined) return;
    this.endQuietly(this.second, { kind: 'collisionLost' });
    this.second = undefined;
  }

  /** Drops every connection without a NOTIFICATION. */
  abandon(): void {
    for (const link of [this.main, this.second]) link?.destroyConnection();
  }

  /** Takes over what changed and needs no new session. */
  update(neighbor: NeighborSettings): void {
    const mayDialNow = this.neighbor.passive && !neighbor.passive;
    const keyChanged = this.neighbor.password !== neighbor.password;
    if (this.lastError === this.neighbor.heldDown) this.lastError = undefined;
    const limitsChanged = !sameValue(this.neighbor.limits, neighbor.limits);
    this.neighbor = neighbor;
    if (limitsChanged) this.holdNoLonger();
    if (keyChanged) for (const link of [this.main, this.second]) if (link !== undefined) this.changeKey(link);
    this.sessionOptions.passive = neighbor.passive;
    this.sessionOptions.connectRetrySeconds = neighbor.connectRetrySeconds;
    if (this.state !== 'active') return;
    if (mayDialNow) this.session.timers.connectRetry = this.host.clock.now();
    else if (neighbor.passive) this.session.timers.connectRetry = Infinity;
    this.host.deadlineChanged(this);
  }

  /** A connection came from the peer's address. */
  accept(connection: Connection): void {
    const now = this.host.clock.now();
    const mainIsFree = this.state === 'idle' || this.state === 'active';
    const link = mainIsFree ? this.main : new Link(this, new Session(this.sessionOptions));
    if (!mainIsFree) {
      // A third connection: the peer has given the second up.
      this.second?.destroyConnection();
      this.second = link;
      link.session.handle({ kind: 'automaticStartedPassively' }, now);
    }
    link.attach(connection);
    link.begunAt = now;
    connection.setHandler(link);
    this.handle(link, { kind: 'tcpAccepted' });
  }

  timeReached(now: number): void {
    for (const link of [this.main, this.second]) {
      if (link === undefined) continue;
      // What has come in counts before the time it took us to read it.
      if (link.hasInput && link.session.timers.hold <= now) link.session.timers.hold = now + unreadGraceMilliseconds;
      if (link.session.timers.sendHold <= now) link.checkSendProgress(now, this.sendHoldMilliseconds);
      for (;;) {
        const actions = link.session.timeReached(now);
        if (actions === undefined) break;
        this.perform(link, actions);
      }
    }
    this.settle();
  }

  read(link: Link): boolean {
    if (link.waiting !== undefined) return false;
    const chunk = link.takeInput();
    if (chunk === undefined) return false;
    link.session.push(chunk);
    this.readMessages(link);
    this.settle();
    return link.hasInput && link.waiting === undefined;
  }

  /** Of what the session was given. */
  private readMessages(link: Link): void {
    while (link.waiting === undefined) {
      const actions = link.session.advance(this.host.clock.now(), link.deliver);
      if (actions.length === 0) {
        link.inputRead();
        return;
      }
      this.perform(link, actions);
    }
  }

  /** UPDATEs of the established session were written, and the markers of a refresh (RFC 7313), each of them alone. */
  updatesWritten(messages: readonly Uint8Array[], now: number): void {
    for (const { 18: type } of messages)
      if (type === MessageType.routeRefresh) this.sessionOptions.counters.messagesSent++;
    this.main.session.updatesSent(now);
    this.main.written(now, this.sendHoldMilliseconds);
  }

  sendRouteRefresh(message: RouteRefresh): void {
    this.sessionOptions.counters.messagesSent++;
    this.main.write([encodeRouteRefresh(message)], this.host.clock.now(), this.sendHoldMilliseconds);
  }

  connectionConnected(link: Link): void {
    link.begunAt = this.host.clock.now();
    this.handle(link, { kind: 'tcpConnected' });
  }

  connectionDrained(link: Link): void {
    link.session.timers.sendHold = Infinity;
    if (link === this.main) this.host.outputDrained(this);
  }

  connectionClosed(link: Link, reason: string): void {
    // What the peer sent before it closed is read first: it may be the NOTIFICATION that says why.
    while (link.hasInput && link.waiting === undefined) this.read(link);
    link.forgetConnection();
    this.handle(link, { kind: 'tcpFailed', reason });
  }

  inputArrived(link: Link, bytes: number): void {
    this.host.inputArrived(link, bytes);
  }

  inputTaken(bytes: number): void {
    this.host.inputTaken(bytes);
  }

  deliverUpdate(body: Uint8Array): void {
    this.host.deliverUpdate(this, body);
  }

  /** What our next OPEN would say. */
  localOffer(): LocalOffer {
    return localOffer(this.neighbor, this.host.speaker(), this.hasBeenEstablished);
  }

  private holdNoLonger(): void {
    const now = this.host.clock.now();
    if (now >= this.heldUntil) return;
    this.heldUntil = -Infinity;
    if (this.session.timers.idleHold !== Infinity) this.session.timers.idleHold = now;
    this.host.deadlineChanged(this);
  }

  private get sendHoldMilliseconds(): number {
    return sendHoldTimeSeconds(this.session.negotiated?.holdTimeSeconds ?? 0) * 1000;
  }

  private handle(link: Link, event: SessionEvent): void {
    this.perform(link, link.session.handle(event, this.host.clock.now()));
    this.settle();
  }

  private perform(link: Link, actions: readonly SessionAction[]): void {
    for (const action of actions) this.performOne(link, action);
  }

  private performOne(link: Link, action: SessionAction): void {
    switch (action.kind) {
      case 'connectTcp':
        this.dropsBefore = this.host.signatureDrops();
        link.attach(this.host.connect(this, link));
        return;
      case 'closeTcp':
        link.closeConnection();
        return;
      case 'send':
        link.write([action.message], this.host.clock.now(), this.sendHoldMilliseconds);
        return;
      case 'resolveCollision':
        this.resolveCollision(link, action.open, action.negotiated);
        return;
      case 'enterEstablished':
        this.hasBeenEstablished = true;
        this.endOfRibReceived.clear();
        this.lastError = undefined;
        this.lastNotification = undefined;
        this.host.sessionEstablished(this, action.negotiated);
        return;
      case 'leaveEstablished':
        this.flaps++;
        this.host.sessionLeft(this, action.negotiated, action.cause);
        return;
      case 'deliverUpdate':
        try {
          this.host.deliverUpdate(this, action.body);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          this.handle(link, { kind: 'updateErrorFound', error });
        }
        return;
      case 'deliverRouteRefresh':
        this.host.deliverRouteRefresh(this, action.message);
        return;
      case 'reportReason':
        if (link.quiet || (link !== this.main && isOpen(this.state))) return;
        this.lastError = action.reason + this.signatureHint(action.reason);
        if (action.notified) this.lastNotification = action.reason;
        if (!this.hasOther(link)) this.reportAttempt(link, action.reason, action.notified);
        return;
      default:
        unreachable(action);
    }
  }

  /** What an attempt says of whether the peer is to be expected. */
  private reportAttempt(link: Link, reason: string, notified: boolean): void {
    if (reason === connectionRefused) this.host.attemptRefused(this);
    // Nobody has answered for the time of one attempt, which may be short: who waits for the peer has a time of its own for that.
    else if (reason === attemptTimedOut) return;
    // Who takes a connection and closes it without a word is there: GoBGP and FRR do so while they hold a lost session back.
    else if (notified || link.begunAt === Infinity) this.host.attemptFailed(this);
  }

  /** Segments on their way are signed with the old key; they are sent again until both sides have the new one. */
  private changeKey(link: Link): void {
    const { connection } = link;
    if (connection === undefined) return;
    try {
      connection.setKey(this.neighbor.password);
    } catch (error) {
      connection.destroy();
      this.connectionClosed(link, `the TCP MD5 key cannot be changed: ${(error as Error).message}`);
    }
  }

  /** A segment with another key is dropped without a word: all that is ever seen of it is that nobody answers. */
  private signatureHint(reason: string): string {
    if (this.dropsBefore === undefined || (reason !== attemptTimedOut && reason !== connectionTimedOut)) return '';
    return signatureHint(this.neighbor.password !== undefined, this.dropsBefore, this.host.signatureDrops());
  }

  private resolveCollision(link: Link, open: Open, negotiated: Negotiated, waitedUntil?: number): void {
    const other = link === this.main ? this.second : this.main;
    if (other !== undefined) {
      const now = this.host.clock.now();
      const until = waitedUntil ?? now + longestWaitMilliseconds;
      const verdict = resolveCollision(collisionOf(link, other, { open, negotiated, hasWaited: now >= until, now }));
      switch (verdict) {
        case 'wait':
          link.waiting = { open, negotiated, until };
          return;
        case 'keepOther':
          this.main = other;
          this.second = link;
          this.endQuietly(link, { kind: 'collisionLost' });
          return;
        case 'keepThis':
          this.endQuietly(other, { kind: 'collisionLost' });
          break;
        case 'replaceOther':
          this.endQuietly(other, { kind: 'connectionReplaced' });
          break;
        default:
          unreachable(verdict);
      }
      this.main = link;
      this.second = undefined;
    }
    this.handle(link, { kind: 'openReceived', negotiated });
  }

  /** An OPEN waits for what becomes of the other connection: perhaps there is nothing to wait for any more. */
  private decideWaiting(): void {
    for (const link of [this.main, this.second]) {
      if (link?.waiting === undefined) continue;
      const { open, negotiated, until } = link.waiting;
      link.waiting = undefined;
      this.resolveCollision(link, open, negotiated, until);
      if (link.waiting !== undefined) continue;
      this.readMessages(link);
      if (link.hasInput) this.host.inputArrived(link, 0);
    }
  }

  /** Ends a session that another one takes the place of: nothing went wrong that a person should read of. */
  private endQuietly(link: Link, event: SessionEvent): void {
    const { counters } = this.sessionOptions;
    const { connectRetry, oscillations } = counters;
    link.quiet = true;
    this.perform(link, link.session.handle(event, this.host.clock.now()));
    link.session.timers.stopAll();
    Object.assign(counters, { connectRetry, oscillations });
  }

  /** Whether another connection than this link's may still become the session. */
  private hasOther(link: Link): boolean {
    return [this.main, this.second].some(
      (other) => other !== link && other !== undefined && isOpen(other.session.state),
    );
  }

  /** Keeps the invariants after whatever has happened. */
  private settle(): void {
    const { second } = this;
    if (second !== undefined && !isOpen(second.session.state)) {
      second.session.timers.stopAll();
      this.second = undefined;
    } else if (second !== undefined && (this.state === 'idle' || this.state === 'active')) {
      this.main.session.timers.stopAll();
      this.main = second;
      this.second = undefined;
    }
    this.decideWaiting();
    const { timers } = this.session;
    if (this.state === 'idle' && timers.idleHold < this.heldUntil) timers.idleHold = this.heldUntil;
    if (this.state !== this.lastState) {
      this.lastState = this.state;
      this.since = this.host.clock.epoch();
    }
    if (this.range !== undefined) {
      const lingers = this.host.clock.now() + memberLingerMilliseconds;
      this.expiresAt = isOpen(this.state)
        ? Infinity
        : Math.min(this.expiresAt, Math.max(lingers, this.restart.lastsUntil, this.heldUntil));
    }
    this.host.deadlineChanged(this);
  }
}

/** How long the hold timer waits for input that has come and is not yet read. */
const unreadGraceMilliseconds = 1000;

/** How long a member of a range is shown, and its routes' numbers kept, once its session has ended. */
const memberLingerMilliseconds = 60_000;

function isOpen(state: SessionState): boolean {
  return state === 'openSent' || state === 'openConfirm' || state === 'established';
}
