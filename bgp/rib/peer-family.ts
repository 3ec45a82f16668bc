/**
 * Generations of one peer's paths in one family: every path carries the epoch in which it was last announced.
 *
 *     oldest …… keptFrom …… longLivedEnd …… epoch
 *       swept   │ long-lived │   stale    │ fresh          (RFC 9494; RFC 4724, RFC 7313)
 *
 * Implements: RFC 4724 §4.2 (what is stale, and kept), RFC 7313 §4 (what is stale in a refresh), RFC 9494 §4.2.
 * Holds: an epoch begins with one assignment, however many paths there are. Epochs are 8 bits, counted modulo 256.
 */

/** So many epochs at once are told apart with room to spare. */
const mostEpochs = 250;

/** The most that is let in; Infinity: any number. */
export interface Admission {
  readonly receive: number;
  readonly import: number;
}

export class PeerFamily {
  /** Paths with another epoch are stale. */
  epoch = 0;
  paths = 0;
  /** Of these, paths of the present epoch. */
  fresh = 0;
  /** Of these, paths that take no part: an import filter rejected them, or a rule of the protocol, or a limit. */
  filtered = 0;
  /** Of the filtered, those that are not fresh. */
  staleFiltered = 0;
  /** Of the filtered, those beyond a limit, fresh or stale. */
  beyondReceive = 0;
  beyondImport = 0;
  /** Undefined: no route is discarded because of a limit. */
  admission: Admission | undefined;
  /** No path is older. */
  oldest = 0;
  /** Stale paths from this epoch on are kept; undefined: none is. */
  #keptFrom: number | undefined;
  /** Of the kept ones, those before this epoch are long-lived stale; undefined: none is. */
  #longLivedEnd: number | undefined;

  /** Of the fresh paths, those that take part. */
  get accepted(): number {
    return this.fresh - this.filtered + this.staleFiltered;
  }

  /** Whether a path may stay. */
  stays(epoch: number): boolean {
    const age = this.#age(epoch);
    return age === 0 || (this.#keptFrom !== undefined && age <= this.#age(this.#keptFrom));
  }

  isLongLived(epoch: number): boolean {
    return this.#longLivedEnd !== undefined && this.#age(epoch) > this.#age(this.#longLivedEnd) && this.stays(epoch);
  }

  /** Whether there are so many epochs that the paths have to be renumbered before the next one. */
  get isCrowded(): boolean {
    return this.#age(this.oldest) >= mostEpochs;
  }

  /**
   * Every path is stale from now on.
   * @param keep what was fresh until now stays
   * @param keepAgain so does what was stale, and kept, before
   */
  beginEpoch(keep: boolean, keepAgain: boolean): void {
    if (this.paths === this.fresh) this.oldest = this.epoch;
    if (!keep) this.dropStale();
    else if (this.#keptFrom === undefined || !keepAgain) {
      this.#keptFrom = this.epoch;
      this.#longLivedEnd = undefined;
    }
    this.epoch = (this.epoch + 1) & 0xff;
    this.fresh = 0;
    this.staleFiltered = this.filtered;
  }

  /** RFC 9494: what is stale now is long-lived stale. */
  beginLongLived(): void {
    this.#longLivedEnd = this.epoch;
  }

  /** Nothing stale stays. */
  dropStale(): void {
    this.#keptFrom = undefined;
    this.#longLivedEnd = undefined;
  }

  /** A sweep that began now will leave nothing older. */
  get oldestAfterSweep(): number {
    return this.#keptFrom ?? this.epoch;
  }

  /** Gives three epochs anew. @param each calls its argument for the epoch of every path, all of which stay, and writes the answer */
  renumber(each: (toNew: (epoch: number) => number) => void): void {
    each((epoch) => (this.isLongLived(epoch) ? 0 : this.#age(epoch) > 0 ? 1 : 2));
    if (this.#keptFrom !== undefined) this.#keptFrom = 0;
    if (this.#longLivedEnd !== undefined) this.#longLivedEnd = 1;
    this.oldest = 0;
    this.epoch = 2;
  }

  #age(epoch: number): number {
    return (this.epoch - epoch) & 0xff;
  }
}
