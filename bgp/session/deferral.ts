/**
 * The restarting speaker of graceful restart: how long it holds its own decisions back.
 * Implements: RFC 4724 §4.1 (deferral of route selection).
 * Holds: a peer that will not come holds nothing up: a refused or unanswered connection, an OPEN error, a peer that restarts
 * itself, one without graceful restart, one that is removed. One minute is the longest in any case.
 */

import type { Family } from '../ip.ts';
import type { Negotiated } from './negotiate.ts';

/** In seconds, from our start. */
export const longestDeferralSeconds = 60;
/** A connection attempt without any answer for so long: the peer is not there. */
export const silentAttemptSeconds = 10;
/** A peer that has to come by itself has not come for so long; also the quiet after the last member of a range. */
export const passiveWaitSeconds = 20;

type Waiting =
  | { readonly kind: 'session'; readonly until: number }
  | { readonly kind: 'endOfRib'; readonly families: Set<Family> };

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
    for (const entry of this.waiting.values()) if (entry.kind === 'session') next = Math.min(next, entry.until);
    return next;
  }

  /** A configured peer; said again when its session ends before its End-of-RIB. */
  peerExpected(name: string, passive: boolean, now: number): void {
    const seconds = passive ? passiveWaitSeconds : silentAttemptSeconds;
    this.waiting.set(name, { kind: 'session', until: now + seconds * 1000 });
  }

  /** There is a range, or a member of it has just come: more may follow. */
  memberExpected(now: number): void {
    this.rangesUntil = now + passiveWaitSeconds * 1000;
  }

  /** The last range is gone. */
  noMemberExpected(): void {
    this.rangesUntil = -Infinity;
  }

  /** Evidence that the peer will not come soon, or it is not to come any more. */
  peerUnavailable(name: string): void {
    this.waiting.delete(name);
  }

  sessionEstablished(name: string, negotiated: Negotiated): void {
    const { gracefulRestart, families } = negotiated;
    // Without graceful restart nothing promises an End-of-RIB; and RFC 4724 §4.1 excludes those with the R bit.
    // §3: a capability without families (FRR's, unless told otherwise) says that the peer keeps no forwarding state of its own, but
    // it still sends End-of-RIB for all that was negotiated.
    const expected = gracefulRestart === undefined || gracefulRestart.restarting ? [] : families;
    if (expected.length === 0) this.waiting.delete(name);
    else this.waiting.set(name, { kind: 'endOfRib', families: new Set(expected) });
  }

  endOfRibReceived(name: string, family: Family): void {
    const entry = this.waiting.get(name);
    if (entry?.kind !== 'endOfRib') return;
    entry.families.delete(family);
    if (entry.families.size === 0) this.waiting.delete(name);
  }

  isOver(now: number): boolean {
    if (now >= this.end) return true;
    if (now >= this.rangesUntil) this.rangesUntil = -Infinity;
    for (const [name, entry] of this.waiting) {
      if (entry.kind === 'session' && now >= entry.until) this.waiting.delete(name);
    }
    return this.waiting.size === 0 && this.rangesUntil === -Infinity;
  }
}
