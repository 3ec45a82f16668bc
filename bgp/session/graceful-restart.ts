/**
 * The receiving speaker of graceful restart, for one peer: which of its routes are kept without a session, and how long.
 * Implements: RFC 4724 §4.2.
 * Leaves out: the rows themselves (rib/); our own restart (deferral.ts); RFC 8538 (a NOTIFICATION ends it).
 * Holds: nothing is kept beyond the peer's restart time without a session, nor beyond the stale path time without End-of-RIB.
 */

import type { Family } from '../ip.ts';
import type { Negotiated } from './negotiate.ts';
import type { LeaveCause } from './session.ts';

/** How long a peer that is back may take to send its table: seconds. */
export const stalePathSeconds = 360;

export class PeerRestart {
  /** When what is kept has to go, on the speaker's clock. */
  deadline = Infinity;

  private readonly kept = new Set<Family>();

  /** Families of which stale routes are kept. */
  get families(): readonly Family[] {
    return [...this.kept];
  }

  get active(): boolean {
    return this.kept.size > 0;
  }

  /** The session ended. @returns the families to keep; everything else goes at once. */
  sessionLeft(negotiated: Negotiated, cause: LeaveCause, now: number): readonly Family[] {
    this.kept.clear();
    this.deadline = Infinity;
    const { gracefulRestart } = negotiated;
    if (gracefulRestart === undefined || cause === 'notification') return [];
    // A replaced session is followed by the new one at once, whatever the restart time.
    if (gracefulRestart.restartTimeSeconds === 0 && cause !== 'connectionReplaced') return [];
    for (const { family } of gracefulRestart.families) if (negotiated.families.includes(family)) this.kept.add(family);
    if (this.kept.size > 0) this.deadline = now + Math.max(1, gracefulRestart.restartTimeSeconds) * 1000;
    return this.families;
  }

  /**
   * The peer is back.
   * @returns families whose kept routes go at once: forwarding was not preserved, or the family is not offered any more.
   */
  sessionReturned(negotiated: Negotiated, now: number): readonly Family[] {
    const preserved = (negotiated.gracefulRestart?.families ?? [])
      .filter(({ family, forwardingPreserved }) => forwardingPreserved && negotiated.families.includes(family))
      .map(({ family }) => family);
    const gone = this.families.filter((family) => !preserved.includes(family));
    for (const family of gone) this.kept.delete(family);
    this.deadline = this.kept.size > 0 ? now + stalePathSeconds * 1000 : Infinity;
    return gone;
  }

  endOfRibReceived(family: Family): void {
    this.kept.delete(family);
    if (this.kept.size === 0) this.deadline = Infinity;
  }

  /** @returns the families whose time is over. */
  timeReached(now: number): readonly Family[] {
    if (now < this.deadline) return [];
    return this.forget();
  }

  /** @returns the families that were kept, and keeps none any more. */
  forget(): readonly Family[] {
    const families = this.families;
    this.kept.clear();
    this.deadline = Infinity;
    return families;
  }
}
