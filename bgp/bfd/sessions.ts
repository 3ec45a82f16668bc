/**
 * Every BFD session of the speaker: which packet is whose, when each is woken, and its socket.
 * Implements: RFC 5881 §3 and §4 (single hop), RFC 5883 §3 and §5 (multihop), RFC 5880 §6.3 (demultiplexing), §6.8.16 (a session that is not wanted any
 * more says AdminDown for a detection time); RFC 5882 §3.2 and §4.3.2 with the speaker (see below).
 * Leaves out: several sessions with one address (over several interfaces), unsolicited sessions (RFC 9468).
 * Holds: one alarm for all. What lies unread in the sockets counts before the time it took us to read it.
 *
 * With BGP: a failure (from Up to Down, neither side having switched BFD off) ends an established BGP session, and nothing of its routes is
 * kept: RFC 5882 §4.3.2.2 wants a topology change where BFD runs out before a graceful restart has begun. A graceful restart that has
 * begun (the peer's TCP connection has ended) goes on: our C bit is 0, and by §4.3.2 the failure is then most likely the restart itself.
 * A neighbour that never was Up holds nothing down.
 */

import type { Clock, DatagramDriver, DatagramSender } from '../driver.ts';
import { WakeQueue } from '../session/wake-queue.ts';
import type { BfdSettings } from '../settings.ts';
import type { BfdStatus } from '../status.ts';
import { unreachable } from '../unreachable.ts';
import { formatDiagnostic } from './fsm.ts';
import type { DiscardReason } from './packet.ts';
import { decodeControlPacket, discardReasons } from './packet.ts';
import type { BfdAction } from './session.ts';
import { BfdSession, slowMilliseconds } from './session.ts';

/** A session as the settings want it. */
export interface BfdTarget {
  readonly settings: BfdSettings;
  readonly localAddress: string | undefined;
}

export interface BfdHost {
  readonly clock: Clock;
  readonly driver: DatagramDriver;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** The path to the address failed. @param lastReceivedAt when its last packet came, on the clock. */
  failed(address: string, lastReceivedAt: number): void;
  /** In words: the ports could not be had. Said once for each reason, while it is tried again. */
  listenFailed(reason: string): void;
}

const ports = { singleHop: 3784, multihop: 4784 } as const;
type Hops = keyof typeof ports;

/** RFC 5881 §5, RFC 5082: who sends with this TTL and is received with it is on the link. */
const linkTtl = 255;
const listenRetryMilliseconds = 5000;
/** An alarm that rings so much too late found us busy: what came meanwhile may still be unread. */
const stallMilliseconds = 20;
const unreadGraceMilliseconds = 100;
const restBeforeEndMilliseconds = 200;

interface Entry {
  readonly address: string;
  target: BfdTarget;
  readonly hops: Hops;
  readonly session: BfdSession;
  sender: DatagramSender | undefined;
  /** Milliseconds since the epoch. */
  since: number;
  packetsReceived: number;
  packetsSent: number;
  lastError: string | undefined;
  wakeAt: number;
  /** Not wanted any more: says AdminDown until then, on the clock. */
  endsAt: number;
}

export class BfdSessions {
  readonly discarded = Object.fromEntries(discardReasons.map((reason) => [reason, 0])) as Record<DiscardReason, number>;

  private readonly host: BfdHost;
  private readonly byAddress = new Map<string, Entry>();
  private readonly byDiscriminator = new Map<number, Entry>();
  private readonly sleepers = new WakeQueue<Entry>();
  private readonly listening = new Set<Hops>();
  private listenAt = Infinity;
  private lastListenError: string | undefined;
  private alarmAt = Infinity;

  constructor(host: BfdHost) {
    this.host = host;
  }

  /** Idempotent. @param target undefined: no session with the address. */
  set(address: string, target: BfdTarget | undefined): void {
    const entry = this.byAddress.get(address);
    if (target === undefined) {
      if (entry !== undefined && entry.endsAt === Infinity) this.retire(entry);
      return;
    }
    if (entry !== undefined && entry.endsAt === Infinity && sameSockets(entry.target, target)) {
      if (!sameTimers(entry.target.settings, target.settings)) this.changeTimers(entry, target);
      return;
    }
    if (entry !== undefined) this.remove(entry);
    this.add(address, target);
  }

  status(address: string): BfdStatus | undefined {
    const entry = this.byAddress.get(address);
    if (entry === undefined || entry.endsAt !== Infinity) return undefined;
    const { session } = entry;
    const { remote } = session;
    const heard = session.lastReceivedAt !== -Infinity;
    return {
      state: session.state,
      since: entry.since,
      multihop: entry.hops === 'multihop',
      localDiscriminator: session.discriminator,
      remoteDiscriminator: remote.discriminator,
      diagnostic: formatDiagnostic(session.localDiagnostic),
      remoteDiagnostic: formatDiagnostic(remote.diagnostic),
      ...(session.transmitInterval !== Infinity && { transmitIntervalMilliseconds: session.transmitInterval }),
      detectionTimeMilliseconds: session.detectionTime,
      ...(heard && {
        remoteMinimumTransmitMilliseconds: remote.minimumTransmit,
        remoteMinimumReceiveMilliseconds: remote.minimumReceive,
        remoteDetectMultiplier: remote.detectMultiplier,
      }),
      packetsReceived: entry.packetsReceived,
      packetsSent: entry.packetsSent,
      ...(entry.lastError !== undefined && { lastError: entry.lastError }),
    };
  }

  /**
   * Every neighbour is told AdminDown, so that none takes our end for a failure. Some do all the same (BIRD 2.0, FRR 8.4), and
   * are given time to see the end of the BGP connection first, with which a graceful restart begins.
   */
  async stop(): Promise<void> {
    if (this.byAddress.size > 0) await this.host.driver.rest(restBeforeEndMilliseconds);
    for (const entry of this.byAddress.values()) {
      if (entry.endsAt === Infinity) this.perform(entry, entry.session.handle({ kind: 'disabled' }, this.now()));
      this.remove(entry);
    }
    this.host.driver.stopListening();
    this.listening.clear();
    this.listenAt = Infinity;
    this.setAlarm();
  }

  private now(): number {
    return this.host.clock.now();
  }

  private add(address: string, target: BfdTarget): void {
    const { random, clock } = this.host;
    const discriminator = this.freeDiscriminator();
    const entry: Entry = {
      address,
      target,
      hops: target.settings.multihop ? 'multihop' : 'singleHop',
      session: new BfdSession({ parameters: target.settings, discriminator, random }),
      sender: undefined,
      since: clock.epoch(),
      packetsReceived: 0,
      packetsSent: 0,
      lastError: undefined,
      wakeAt: Infinity,
      endsAt: Infinity,
    };
    this.byAddress.set(address, entry);
    this.byDiscriminator.set(discriminator, entry);
    this.listen();
    this.perform(entry, entry.session.handle({ kind: 'enabled' }, this.now()));
  }

  private changeTimers(entry: Entry, target: BfdTarget): void {
    entry.target = target;
    this.perform(entry, entry.session.handle({ kind: 'parametersChanged', parameters: target.settings }, this.now()));
  }

  private retire(entry: Entry): void {
    entry.endsAt = this.now() + slowMilliseconds * entry.target.settings.detectMultiplier;
    this.perform(entry, entry.session.handle({ kind: 'disabled' }, this.now()));
  }

  private remove(entry: Entry): void {
    entry.sender?.close();
    this.sleepers.forget(entry);
    this.byAddress.delete(entry.address);
    this.byDiscriminator.delete(entry.session.discriminator);
  }

  /** §6.8.1: random, non-zero, unique. */
  private freeDiscriminator(): number {
    let discriminator = 1 + Math.floor(this.host.random() * 0xffff_ffff);
    while (this.byDiscriminator.has(discriminator)) discriminator = 1 + (discriminator % 0xffff_ffff);
    return discriminator;
  }

  /** The ports that the sessions need; what fails is tried again. */
  private listen(): void {
    this.listenAt = Infinity;
    for (const { hops } of this.byAddress.values()) {
      if (this.listening.has(hops)) continue;
      try {
        this.host.driver.listen(
          { port: ports[hops], minimumTtl: hops === 'singleHop' ? linkTtl : undefined },
          (from, bytes) => this.receive(hops, from, bytes),
          (reason) => this.host.listenFailed(reason),
        );
        this.listening.add(hops);
        this.lastListenError = undefined;
      } catch (error) {
        this.listenAt = this.now() + listenRetryMilliseconds;
        const reason = reasonOf(error);
        if (reason !== this.lastListenError) this.host.listenFailed(reason);
        this.lastListenError = reason;
        break;
      }
    }
    this.setAlarm();
  }

  private receive(hops: Hops, from: string, bytes: Uint8Array): void {
    const packet = decodeControlPacket(bytes);
    if (typeof packet === 'string') {
      this.discarded[packet]++;
      return;
    }
    const entry =
      packet.yourDiscriminator === 0 ? this.byAddress.get(from) : this.byDiscriminator.get(packet.yourDiscriminator);
    // An address of ours that another one uses, or a port where the session is not: forged, or configured differently.
    if (entry === undefined || entry.address !== from || entry.hops !== hops) {
      this.discarded.unknownSession++;
      return;
    }
    entry.packetsReceived++;
    this.perform(entry, entry.session.handle({ kind: 'packetReceived', packet }, this.now()));
  }

  private perform(entry: Entry, actions: readonly BfdAction[]): void {
    const { session } = entry;
    let failedAfter: number | undefined;
    for (const action of actions) {
      switch (action.kind) {
        case 'send':
          this.send(entry, action.bytes);
          break;
        case 'stateChanged':
          entry.since = this.host.clock.epoch();
          break;
        case 'reportFailure':
          failedAfter = session.lastReceivedAt;
          break;
        default:
          unreachable(action);
      }
    }
    if (this.byAddress.get(entry.address) === entry) {
      this.sleepers.wake(entry, Math.min(session.nextDeadline(), entry.endsAt));
      this.setAlarm();
    }
    // Last: what it leads to may change the sessions.
    if (failedAfter !== undefined) this.host.failed(entry.address, failedAfter);
  }

  private send(entry: Entry, bytes: Uint8Array): void {
    const { address, target, hops } = entry;
    try {
      entry.sender ??= this.host.driver.open(
        { address, port: ports[hops], localAddress: target.localAddress, ttl: linkTtl },
        (reason) => (entry.lastError = reason),
      );
      entry.sender.send(bytes);
      entry.packetsSent++;
    } catch (error) {
      // The local address may come yet: the next packet tries again.
      entry.lastError = reasonOf(error);
    }
  }

  private ring(rungAt: number): void {
    const now = this.now();
    const stalled = now - rungAt > stallMilliseconds;
    if (this.listenAt <= now) this.listen();
    for (;;) {
      const entry = this.sleepers.take(now);
      if (entry === undefined) break;
      if (entry.endsAt <= now) {
        this.remove(entry);
        continue;
      }
      if (stalled) entry.session.postponeDetection(now + unreadGraceMilliseconds);
      this.perform(entry, entry.session.handle({ kind: 'timeReached' }, now));
    }
    this.setAlarm();
  }

  private setAlarm(): void {
    const at = Math.min(this.sleepers.next(), this.listenAt);
    if (at === this.alarmAt) return;
    this.alarmAt = at;
    const ring = () => {
      this.alarmAt = Infinity;
      this.ring(at);
    };
    this.host.driver.setAlarm(Math.max(0, at - this.now()), ring);
  }
}

function sameSockets(a: BfdTarget, b: BfdTarget): boolean {
  return a.localAddress === b.localAddress && a.settings.multihop === b.settings.multihop;
}

function sameTimers(a: BfdSettings, b: BfdSettings): boolean {
  return (
    a.minimumTransmitMilliseconds === b.minimumTransmitMilliseconds &&
    a.minimumReceiveMilliseconds === b.minimumReceiveMilliseconds &&
    a.detectMultiplier === b.detectMultiplier
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
