/**
 * Keeps a table of ours in the kernel as it is wanted: retried where the kernel refuses, mended where others broke it.
 * Holds: a refused ruleset leaves the last good one in force; nothing here removes rules when the agent ends.
 */

import { NftError, NftMissing, type Clock, type NftTable, type Ruleset } from '../../dataplane/index.ts';
import type { Log } from './log.ts';

const firstRetryMilliseconds = 500;
const longestRetryMilliseconds = 30_000;
/** Someone may have flushed our table: `nft flush ruleset`, a firewall's reload. */
const verifyEveryMilliseconds = 10_000;
/** Reading a large table takes a while: of all time at most a hundredth goes into looking. */
const verifyRest = 100;

export interface TableKeeperOptions {
  /** What the table is for, in the log. */
  readonly subject: string;
  readonly table: NftTable;
  /** What the kernel shall hold now; undefined: no table. */
  readonly wanted: () => Ruleset | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The kernel holds what has changed since the first change that it did not hold: so long that took. */
  readonly onProgrammed?: (milliseconds: number) => void;
}

export class TableKeeper {
  readonly #subject: string;
  readonly #table: NftTable;
  readonly #wanted: () => Ruleset | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onProgrammed: (milliseconds: number) => void;
  #dirty = false;
  /** When the first change came that the kernel does not hold. */
  #changedAt: number | undefined;
  /** When the transaction began that is under way. */
  #transactionSince: number | undefined;
  #applying: Promise<void> | undefined;
  #lastError: string | undefined;
  #failingSince: number | undefined;
  #appliedAt: number | undefined;
  /** There is no table of ours; before the first transaction one of an earlier run may be there. */
  #removed = false;
  #retryMilliseconds = firstRetryMilliseconds;
  #cancelTimer: (() => void) | undefined;
  #verifyTook = 0;
  #closed = false;

  constructor(options: TableKeeperOptions) {
    this.#subject = options.subject;
    this.#table = options.table;
    this.#wanted = options.wanted;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onProgrammed = options.onProgrammed ?? (() => {});
  }

  /** What is wanted has changed: the time until the kernel holds it begins. */
  noteChange(): void {
    this.#changedAt ??= this.#clock.now();
  }

  /**
   * Puts what is wanted into the kernel; calls during a transaction are one more transaction.
   * @returns when the kernel holds it, or has refused it (see failure)
   */
  flush(): Promise<void> {
    this.#dirty = true;
    this.#applying ??= this.#applyWhileDirty().finally(() => (this.#applying = undefined));
    return this.#applying;
  }

  get isApplying(): boolean {
    return this.#applying !== undefined;
  }

  /** Why the kernel does not hold what is wanted, and since when; undefined: it does, or is about to. */
  get failure(): { readonly message: string; readonly since: number } | undefined {
    if (this.#lastError === undefined || this.#failingSince === undefined) return undefined;
    return { message: this.#lastError, since: this.#failingSince };
  }

  /** When the kernel was last known to hold what is wanted; undefined: never, so far. */
  get appliedAt(): number | undefined {
    return this.#appliedAt;
  }

  /** Since when the kernel has not answered; undefined: it is not asked. */
  get waitingSince(): number | undefined {
    return this.#transactionSince;
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  async #applyWhileDirty(): Promise<void> {
    while (this.#dirty && !this.#closed) {
      this.#dirty = false;
      const changedAt = this.#changedAt;
      this.#changedAt = undefined;
      this.#transactionSince = this.#clock.now();
      try {
        await this.#apply(this.#wanted());
        if (changedAt !== undefined) this.#onProgrammed(this.#clock.now() - changedAt);
        this.#succeeded();
      } catch (error) {
        this.#changedAt = changedAt;
        this.#failed(error);
      } finally {
        this.#transactionSince = undefined;
      }
    }
  }

  async #apply(ruleset: Ruleset | undefined): Promise<void> {
    if (ruleset === undefined) {
      if (!this.#removed) await this.#remove();
      this.#removed = true;
      return;
    }
    this.#removed = false;
    const result = await this.#table.apply(ruleset);
    if (result.kind !== 'unchanged') this.#log.debug({ result }, `${this.#subject} table changed`);
  }

  /** Where there is no nf_tables, no run of ours has made a table. */
  async #remove(): Promise<void> {
    try {
      await this.#table.remove();
    } catch (error) {
      if (!(error instanceof NftMissing)) throw error;
    }
  }

  #succeeded(): void {
    this.#lastError = undefined;
    this.#failingSince = undefined;
    this.#retryMilliseconds = firstRetryMilliseconds;
    this.#appliedAt = this.#clock.now();
    // A table that is not there cannot be broken.
    if (this.#removed) this.#cancelTimer?.();
    else this.#schedule(Math.max(verifyEveryMilliseconds, this.#verifyTook * verifyRest), () => this.#verify());
  }

  /** Only the kernel's refusals are the world's; anything else is our own fault and ends the agent. */
  #failed(error: unknown): void {
    if (!(error instanceof NftError)) throw error;
    this.#lastError = error.message;
    this.#failingSince ??= this.#clock.now();
    this.#log.error(
      { error: error.message, retryInMilliseconds: this.#retryMilliseconds },
      `${this.#subject} could not be put in force; the last good one stays`,
    );
    this.#schedule(this.#retryMilliseconds, () => this.flush());
    this.#retryMilliseconds = Math.min(this.#retryMilliseconds * 2, longestRetryMilliseconds);
  }

  async #verify(): Promise<void> {
    const asked = this.#clock.now();
    try {
      await this.#table.verify();
      this.#verifyTook = this.#clock.now() - asked;
      this.#succeeded();
    } catch (error) {
      this.#failed(error);
    }
  }

  #schedule(milliseconds: number, task: () => Promise<void>): void {
    this.#cancelTimer?.();
    if (this.#closed) return;
    this.#cancelTimer = this.#clock.after(milliseconds, () => void task());
  }
}
