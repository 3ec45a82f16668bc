/**
 * The receiving speaker of graceful restart, for one peer: which of its routes are kept without a session, and how long.
 *
 *     session ends ── restart time ──► long-lived stale time ──► gone
 *                          └── session returns ── until End-of-RIB ──► what is still stale goes
 *
 * Implements: RFC 4724 §4.2; RFC 8538 §4 (a NOTIFICATION, consecutive restarts); RFC 9494 §4.2 (the long-lived stale time).
 * Leaves out: the rows themselves (rib/); our own restart (deferral.ts).
 * Holds: nothing is kept beyond the peer's times without a session, nor beyond the stale path time without End-of-RIB.
 */

import type { Family } from '../ip.ts';
import { unreachable } from '../unreachable.ts';
import type { GracefulRestartCapability } from '../wire/capabilities.ts';
import type { LeaveCause } from './ending.ts';
import type { Negotiated } from './negotiate.ts';

/** How long a peer that is back may take to send its table: seconds. RFC 8538 §4.1 calls it the stale timer. */
export const stalePathSeconds = 360;

/** What becomes of routes; families in none of the lists are as before. */
export interface StaleVerdict {
  /** Families whose routes stay, as stale; at the end of a session, those of every other family go. */
  readonly kept: readonly Family[];
  /** Of these, families in which even what was stale before stays. */
  readonly keptAgain: readonly Family[];
  /** Families whose stale routes are long-lived stale from now on (RFC 9494). */
  readonly longLived: readonly Family[];
}

/** Times on the speaker's clock. */
interface Kept {
  readonly longLivedSeconds: number;
  /** The restart time, while the session is down; then that of the peer's End-of-RIB. Infinity: it is over. */
  until: number;
  /** The long-lived stale time, once it has begun (Infinity before): it runs on until End-of-RIB, whatever sessions come and go. */
  longLivedUntil: number;
  /** Nothing that became stale first is kept for longer without an End-of-RIB. */
  readonly staleUntil: number;
}

export class PeerRestart {
  /** When something that is kept has to change or go, on the speaker's clock. */
  deadline = Infinity;

  private readonly kept = new Map<Family, Kept>();
  /** Families whose long-lived stale time ended while the peer sent its table. */
  private readonly overdue = new Set<Family>();
  private sessionIsUp = false;

  get active(): boolean {
    return this.kept.size > 0;
  }

  /** The restart time is over, and something is still kept. */
  get isLongGone(): boolean {
    return this.active && [...this.kept.values()].every(({ until }) => until === Infinity);
  }

  /** When nothing will be kept any more, if the peer does not come back. */
  get lastsUntil(): number {
    let last = -Infinity;
    for (const { until, longLivedUntil, longLivedSeconds } of this.kept.values()) {
      last = Math.max(last, longLivedUntil < Infinity ? longLivedUntil : until + longLivedSeconds * 1000);
    }
    return last;
  }

  /** The session ended. */
  sessionLeft(negotiated: Negotiated, cause: LeaveCause, now: number): StaleVerdict {
    const before = new Map(this.kept);
    const overdue = new Set(this.overdue);
    this.forget();
    const { gracefulRestart } = negotiated;
    const keptAgain: Family[] = [];
    const longLived: Family[] = [];
    if (gracefulRestart !== undefined && mayKeep(cause, gracefulRestart)) {
      for (const family of negotiated.families) {
        const restartSeconds = restartSecondsOf(gracefulRestart, family, cause);
        const longLivedSeconds = longLivedSecondsOf(negotiated, family);
        // RFC 9494 §4.2: what has outlived its time is not given another one.
        if (overdue.has(family) || restartSeconds + longLivedSeconds === 0) continue;
        const earlier = before.get(family);
        const restartUntil = now + restartSeconds * 1000;
        // RFC 4724 §4.2 deletes what was stale before; RFC 8538 §4.1 and RFC 9494 §4.2 keep it until its own time is over, and a
        // connection that another one took the place of is no restart.
        const patient = gracefulRestart.notification || longLivedSeconds > 0 || cause === 'connectionReplaced';
        const again = earlier !== undefined && patient && (longLivedSeconds > 0 || earlier.staleUntil > restartUntil);
        if (again) keptAgain.push(family);
        if (restartSeconds === 0) longLived.push(family);
        this.kept.set(family, {
          longLivedSeconds,
          until: restartSeconds === 0 ? Infinity : restartUntil,
          longLivedUntil: Math.min(
            earlier?.longLivedUntil ?? Infinity,
            restartSeconds === 0 ? now + longLivedSeconds * 1000 : Infinity,
          ),
          staleUntil: again && longLivedSeconds === 0 ? earlier.staleUntil : restartUntil + stalePathSeconds * 1000,
        });
      }
    }
    this.setDeadline();
    return { kept: [...this.kept.keys()], keptAgain, longLived };
  }

  /**
   * The peer is back.
   * @returns families whose kept routes go at once: their state was not preserved, or the family is not offered any more.
   */
  sessionReturned(negotiated: Negotiated): readonly Family[] {
    this.sessionIsUp = true;
    const gone = [...this.kept]
      .filter(([family, kept]) => !isPreserved(negotiated, family, kept))
      .map(([name]) => name);
    for (const family of gone) this.kept.delete(family);
    for (const kept of this.kept.values()) if (kept.until < Infinity) kept.until = kept.staleUntil;
    this.setDeadline();
    return gone;
  }

  endOfRibReceived(family: Family): void {
    this.kept.delete(family);
    this.overdue.delete(family);
    this.setDeadline();
  }

  /** @returns the families whose time is over, and those that enter the long-lived stale time. */
  timeReached(now: number): { readonly gone: readonly Family[]; readonly longLived: readonly Family[] } {
    const gone: Family[] = [];
    const longLived: Family[] = [];
    if (now < this.deadline) return { gone, longLived };
    for (const [family, kept] of this.kept) {
      if (now >= kept.longLivedUntil) {
        gone.push(family);
        if (this.sessionIsUp) this.overdue.add(family);
      } else if (now < kept.until) continue;
      else if (this.sessionIsUp || kept.longLivedSeconds === 0) gone.push(family);
      else {
        longLived.push(family);
        kept.until = Infinity;
        kept.longLivedUntil = Math.min(kept.longLivedUntil, now + kept.longLivedSeconds * 1000);
      }
    }
    for (const family of gone) this.kept.delete(family);
    this.setDeadline();
    return { gone, longLived };
  }

  /** @returns the families that were kept, and keeps none any more. */
  forget(): readonly Family[] {
    const families = [...this.kept.keys()];
    this.kept.clear();
    this.overdue.clear();
    this.sessionIsUp = false;
    this.setDeadline();
    return families;
  }

  private setDeadline(): void {
    this.deadline = Infinity;
    for (const { until, longLivedUntil } of this.kept.values()) {
      this.deadline = Math.min(this.deadline, until, longLivedUntil);
    }
  }
}

/** RFC 4724 §4: a NOTIFICATION ends everything, and the hold timer sends one; RFC 8538 §4: not with the N bit. */
function mayKeep(cause: LeaveCause, { notification }: GracefulRestartCapability): boolean {
  switch (cause) {
    case 'connectionLost':
    case 'connectionReplaced':
      return true;
    case 'holdTimerExpired':
    case 'notification':
      return notification;
    case 'hardReset':
      return false;
    default:
      return unreachable(cause);
  }
}

function restartSecondsOf(capability: GracefulRestartCapability, family: Family, cause: LeaveCause): number {
  if (!capability.families.some((entry) => entry.family === family)) return 0;
  // A session that was replaced is followed by the new one at once, whatever the restart time.
  return cause === 'connectionReplaced' ? Math.max(1, capability.restartTimeSeconds) : capability.restartTimeSeconds;
}

function longLivedSecondsOf({ longLivedRestart }: Negotiated, family: Family): number {
  return longLivedRestart.find((entry) => entry.family === family)?.staleSeconds ?? 0;
}

/** RFC 4724 §4.2 and, once the long-lived stale time has begun, RFC 9494 §4.2: whether the new OPEN lets stale routes stay. */
function isPreserved({ families, gracefulRestart, longLivedRestart }: Negotiated, family: Family, kept: Kept): boolean {
  if (!families.includes(family)) return false;
  const restart = gracefulRestart?.families.find((entry) => entry.family === family);
  const longLived = longLivedRestart.find((entry) => entry.family === family);
  const inLongLived = kept.longLivedUntil < Infinity;
  if (inLongLived && longLived?.forwardingPreserved !== true) return false;
  // RFC 9494 §4.1: a family may be left out of the other capability, to skip the restart time.
  return restart === undefined ? longLived?.forwardingPreserved === true : restart.forwardingPreserved;
}
