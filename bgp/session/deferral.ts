/**
 * The restarting speaker of graceful restart: how long it holds its own decisions back.
 * Implements: RFC 4724 §4.1 (deferral of route selection).
 * Holds: a peer that will not come holds nothing up: one that cannot be reached, an OPEN error, one without graceful restart, one
 * that is removed; one that does not answer, or refuses, or restarts itself, only for seconds. One minute is the longest in any case.
 */

import type { Family } from '../ip.ts';
import type { Negotiated } from './negotiate.ts';

/** In seconds, from our start. */
export const longestDeferralSeconds = 60;
/** No answer to anything for so long, whatever the time of one attempt: the peer is not there. */
export const silentAttemptSeconds = 10;
/** A peer that has to come by itself (we are passive, or it refuses ours) has not come for so long; also the quiet after the last member of a range. */
export const passiveWaitSeconds = 20;
/**
 * A peer with the R bit may wait for our End-of-RIB as we for its own, so RFC 4724 §4.1 does not wait at all. But FRR sets the
 * bit for two minutes after any start, and sends its table none the later: deciding before it came would lose its routes.
 */
export const restartingPeerWaitSeconds = 5;

interface Waiting {
  readonly since: number;
  readonly until: number;
  /** Where its session is up: what has not had its End-of-RIB. */
  readonly families?: Set<Family>;
}

export class RestartDeferral {
  private readonly waiting = new Map<string, Waiting>();
  private readonly end: number;
  private rangesUntil = -Infinity;

  constructor(now: number) {
    this.end = now + longestDeferralSeconds * 1000;
  }

  /** When `isOver` should be asked again, though nothing has happened. */
  get deadline(): number {
    let next = this.rangesUntil > -Infinity ? Math.min(this.end, this.rangesUntil) : this.end;
    for (const { until } of this.waiting.values()) next = Math.min(next, until);
    return next;
  }

  /** A configured peer; said again when its session ends before its End-of-RIB. */
  peerExpected(name: string, passive: boolean, now: number): void {
    const seconds = passive ? passiveWaitSeconds : silentAttemptSeconds;
    this.waiting.set(name, { since: now, until: now + seconds * 1000 });
  }

  /** There is a range, or a member of it has just come: more may follow. */
  memberExpected(now: number): void {
    this.rangesUntil = now + passiveWaitSeconds * 1000;
  }

  /** The last range is gone. */
  noMemberExpected(): void {
    this.rangesUntil = -Infinity;
  }

  /** It does not listen: it may be gone, or come by itself, as ExaBGP does. */
  peerRefused(name: string): void {
    const waiting = this.waiting.get(name);
    if (waiting === undefined || waiting.families !== undefined) return;
    const { since } = waiting;
    this.waiting.set(name, { since, until: since + passiveWaitSeconds * 1000 });
  }

  /** Evidence that the peer will not come soon, or it is not to come any more. */
  peerUnavailable(name: string): void {
    this.waiting.delete(name);
  }

  sessionEstablished(name: string, negotiated: Negotiated, now: number): void {
    const { gracefulRestart, families } = negotiated;
    // Without graceful restart nothing promises an End-of-RIB. A capability without families (FRR's, unless told otherwise) does
    // promise it: §3, the peer keeps no forwarding state of its own, but marks the end of all that was negotiated.
    if (gracefulRestart === undefined) {
      this.waiting.delete(name);
      return;
    }
    const until = gracefulRestart.restarting ? now + restartingPeerWaitSeconds * 1000 : Infinity;
    this.waiting.set(name, { since: now, until, families: new Set(families) });
  }

  endOfRibReceived(name: string, family: Family): void {
    const families = this.waiting.get(name)?.families;
    families?.delete(family);
    if (families?.size === 0) this.waiting.delete(name);
  }

  isOver(now: number): boolean {
    if (now >= this.end) return true;
    if (now >= this.rangesUntil) this.rangesUntil = -Infinity;
    for (const [name, { until }] of this.waiting) if (now >= until) this.waiting.delete(name);
    return this.waiting.size === 0 && this.rangesUntil === -Infinity;
  }
}
