/**
 * Which routes of a peer are let in, where a limit on them discards the others.
 * Holds: a route that was let in stays while the peer tells it, whatever comes after; one that is beyond the limit is kept, shown,
 *   and let in once others have made room.
 */

import { Rung } from './best-path.ts';
import type { Admission, PeerFamily } from './peer-family.ts';

export function isBeyondLimit(rung: number): boolean {
  return rung === Rung.beyondReceiveLimit || rung === Rung.beyondImportLimit;
}

/**
 * @param before the rung of a route of the present session; undefined: it is new, or stale
 * @param exclusion why it takes no part for other reasons; 0: it does
 * @returns the exclusion with the limits, whose counts do not have the change yet
 */
export function admit(counts: PeerFamily, limits: Admission, before: number | undefined, exclusion: number): number {
  const wasReceived = before !== undefined && before !== Rung.beyondReceiveLimit;
  if (counts.received - Number(wasReceived) >= limits.receive) return Rung.beyondReceiveLimit;
  if (exclusion !== 0) return exclusion;
  const wasAccepted = before !== undefined && before < Rung.filtered;
  return counts.accepted - Number(wasAccepted) >= limits.import ? Rung.beyondImportLimit : 0;
}

/** Whether a route that is beyond a limit could be let in. */
export function hasRoom(counts: PeerFamily): boolean {
  const { admission, beyondReceive, beyondImport } = counts;
  if (admission === undefined) return false;
  if (beyondReceive > 0 && counts.received < admission.receive) return true;
  return beyondImport > 0 && counts.accepted < admission.import;
}

/** Counts a path that took no part, or takes none now. @param before, after: rungs; a path that is not there has rung 0 */
export function recount(counts: PeerFamily, before: number, wasFresh: boolean, after: number, isFresh: boolean): void {
  const was = Number(before >= Rung.filtered);
  const is = Number(after >= Rung.filtered);
  counts.filtered += is - was;
  counts.staleFiltered += (isFresh ? 0 : is) - (wasFresh ? 0 : was);
  const beyond = (rung: number) => Number(isFresh && after === rung) - Number(wasFresh && before === rung);
  counts.beyondReceive += beyond(Rung.beyondReceiveLimit);
  counts.beyondImport += beyond(Rung.beyondImportLimit);
}
