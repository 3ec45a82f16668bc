/**
 * Which routes of a peer are let in, where a limit on them discards the others.
 * Holds: a route that was let in stays while the peer tells it, whatever comes after, through restarts and refreshes too; one that
 *   is beyond the limit is kept, shown, and let in once others have made room.
 */

import { Rung } from './best-path.ts';
import type { Admission, PeerFamily } from './peer-family.ts';

export function isBeyondLimit(rung: number): boolean {
  return rung === Rung.beyondReceiveLimit || rung === Rung.beyondImportLimit;
}

/**
 * The exclusion of a route with the limits, whose counts do not have the change yet.
 * @param before its rung; undefined: it is new
 * @param exclusion why it takes no part for other reasons; 0: it does
 */
export function admit(counts: PeerFamily, limits: Admission, before: number | undefined, exclusion: number): number {
  const wasReceived = before !== undefined && before !== Rung.beyondReceiveLimit;
  if (receivedOf(counts) - Number(wasReceived) >= limits.receive) return Rung.beyondReceiveLimit;
  if (exclusion !== 0) return exclusion;
  const tookPart = before !== undefined && before < Rung.filtered;
  return importedOf(counts) - Number(tookPart) >= limits.import ? Rung.beyondImportLimit : 0;
}

/** Whether a route that is beyond a limit could be let in. */
export function hasRoom(counts: PeerFamily): boolean {
  const { admission, beyondReceive, beyondImport } = counts;
  if (admission === undefined) return false;
  if (beyondReceive > 0 && receivedOf(counts) < admission.receive) return true;
  return beyondImport > 0 && importedOf(counts) < admission.import;
}

/** Those that no receive limit keeps out. */
function receivedOf({ paths, beyondReceive }: PeerFamily): number {
  return paths - beyondReceive;
}

function importedOf({ paths, filtered }: PeerFamily): number {
  return paths - filtered;
}

/** Counts a path that took no part, or takes none now. @param before, after: rungs; a path that is not there has rung 0 */
export function recount(counts: PeerFamily, before: number, wasFresh: boolean, after: number, isFresh: boolean): void {
  const was = Number(before >= Rung.filtered);
  const is = Number(after >= Rung.filtered);
  counts.filtered += is - was;
  counts.staleFiltered += (isFresh ? 0 : is) - (wasFresh ? 0 : was);
  const difference = (rung: number) => Number(after === rung) - Number(before === rung);
  counts.beyondReceive += difference(Rung.beyondReceiveLimit);
  counts.beyondImport += difference(Rung.beyondImportLimit);
}
