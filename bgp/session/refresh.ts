/**
 * Enhanced route refresh as the receiver, for one peer: in which families it tells its table again, and how long it may take.
 * Implements: RFC 7313 §4 (BoRR, EoRR, and the upper bound between them).
 * Leaves out: the rows themselves (rib/); telling our own table again (rib/update-group.ts).
 */

import type { Family } from '../ip.ts';
import { stalePathSeconds } from './graceful-restart.ts';

export class PeerRefresh {
  /** When the time of a refresh is over, on the speaker's clock. */
  deadline = Infinity;

  private readonly until = new Map<Family, number>();

  isUnderWay(family: Family): boolean {
    return this.until.has(family);
  }

  /** BoRR; one that comes before the EoRR of another begins anew. */
  begins(family: Family, now: number): void {
    this.until.set(family, now + stalePathSeconds * 1000);
    this.setDeadline();
  }

  /** EoRR, or the end of the session. @returns whether a refresh was under way: an EoRR without BoRR means nothing. */
  ended(family: Family): boolean {
    const wasUnderWay = this.until.delete(family);
    this.setDeadline();
    return wasUnderWay;
  }

  /** @returns the families that are waited for no longer. */
  timeReached(now: number): readonly Family[] {
    if (now < this.deadline) return [];
    const over = [...this.until].filter(([, until]) => now >= until).map(([family]) => family);
    for (const family of over) this.ended(family);
    return over;
  }

  private setDeadline(): void {
    this.deadline = Math.min(Infinity, ...this.until.values());
  }
}
