/** What is counted of one peer and family. */

export interface PeerFamily {
  /** Paths with another epoch are stale; counts up, modulo 256, when a session ends. */
  epoch: number;
  /** Paths of this epoch are kept though stale (RFC 4724); undefined: no stale path is. */
  keptEpoch: number | undefined;
  paths: number;
  /** Of these, paths of the present epoch. */
  fresh: number;
  /** Of these, paths that take no part: an import filter rejected them, or a rule of the protocol, or a limit. */
  filtered: number;
  /** Of the filtered, those that are not fresh. */
  staleFiltered: number;
  /** Of the filtered and fresh, those beyond a limit. */
  beyondReceive: number;
  beyondImport: number;
  /** Undefined: no route is discarded because of a limit. */
  admission: Admission | undefined;
}

/** The most that is let in; Infinity: any number. */
export interface Admission {
  readonly receive: number;
  readonly import: number;
}

export function newPeerFamily(): PeerFamily {
  return {
    epoch: 0,
    keptEpoch: undefined,
    paths: 0,
    fresh: 0,
    filtered: 0,
    staleFiltered: 0,
    beyondReceive: 0,
    beyondImport: 0,
    admission: undefined,
  };
}

/** Everything that the peer told becomes stale. */
export function beginEpoch(counts: PeerFamily): void {
  counts.epoch = (counts.epoch + 1) & 0xff;
  counts.fresh = 0;
  counts.staleFiltered = counts.filtered;
  counts.beyondReceive = 0;
  counts.beyondImport = 0;
}

/** Routes of the present session that take part. */
export function acceptedOf({ fresh, filtered, staleFiltered }: PeerFamily): number {
  return fresh - filtered + staleFiltered;
}

/** Routes of the present session that no receive limit keeps out. */
export function receivedOf({ fresh, beyondReceive }: PeerFamily): number {
  return fresh - beyondReceive;
}
