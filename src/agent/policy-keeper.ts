/**
 * Keeps the kernel's policy table as the policies say: one transaction a change, retried where nft refuses, mended where others broke it.
 * Holds: a refused ruleset leaves the last good one in force; nothing here removes rules when the agent ends.
 */

import { NftError, type Clock, type NftTable } from '../../dataplane/index.ts';
import type { PolicyStatus } from '../control/model.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { ResourceChange } from '../resources/resource.ts';
import type { Log } from './log.ts';

const firstRetryMilliseconds = 500;
const longestRetryMilliseconds = 30_000;
/** Someone may have flushed our table: `nft flush ruleset`, a firewall's reload. */
const verifyEveryMilliseconds = 10_000;
/** Listing a large table takes a while: of all time at most a hundredth goes into looking. */
const verifyRest = 100;

export interface PolicyKeeperOptions {
  readonly engine: PolicyEngine;
  readonly table: NftTable;
  readonly clock: Clock;
  readonly log: Log;
  /** The kernel holds what has changed since the first change that it did not hold: so long that took. */
  readonly onProgrammed?: (milliseconds: number) => void;
}

export class PolicyKeeper {
  readonly #engine: PolicyEngine;
  readonly #table: NftTable;
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
  #appliedAt: number | undefined;
  #retryMilliseconds = firstRetryMilliseconds;
  #cancelTimer: (() => void) | undefined;
  #verifyTook = 0;
  #closed = false;

  constructor(options: PolicyKeeperOptions) {
    this.#engine = options.engine;
    this.#table = options.table;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onProgrammed = options.onProgrammed ?? (() => {});
  }

  onChanges(changes: readonly ResourceChange[]): void {
    this.#engine.onChanges(changes);
    if (changes.length > 0) this.#changedAt ??= this.#clock.now();
  }

  /**
   * Puts what the engine knows into the kernel; calls during a transaction are one more transaction.
   * @returns when the kernel holds it, or has refused it (see status)
   */
  flush(): Promise<void> {
    this.#dirty = true;
    this.#applying ??= this.#applyWhileDirty().finally(() => (this.#applying = undefined));
    return this.#applying;
  }

  status(counts: { policies: number; pods: number }): PolicyStatus {
    const state =
      this.#lastError !== undefined
        ? 'failed'
        : this.#applying !== undefined || this.#appliedAt === undefined
          ? 'pending'
          : 'inForce';
    return { state, ...counts, lastError: this.#lastError, appliedAt: this.#appliedAt };
  }

  /** Why the kernel does not hold the policies as told; undefined: it does, or is about to. */
  problem(): string | undefined {
    if (this.#lastError !== undefined) return this.#lastError;
    return this.#appliedAt === undefined ? 'nothing has been applied yet' : undefined;
  }

  /** @returns undefined: no such pod. */
  async explain(pod: string) {
    return this.#engine.explain(pod, this.#appliedAt === undefined ? undefined : await this.#table.counters());
  }

  /** Since when nft has not answered; undefined: it is not asked. */
  get waitingSince(): number | undefined {
    return this.#transactionSince;
  }

  /** Whether the kernel holds a policy of ours, be it an earlier one. */
  get everApplied(): boolean {
    return this.#appliedAt !== undefined;
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
        const result = await this.#table.apply(this.#engine.render());
        if (result.kind !== 'unchanged') this.#log.debug({ result }, 'policy table changed');
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

  #succeeded(): void {
    this.#lastError = undefined;
    this.#retryMilliseconds = firstRetryMilliseconds;
    this.#appliedAt = this.#clock.now();
    this.#schedule(Math.max(verifyEveryMilliseconds, this.#verifyTook * verifyRest), () => this.#verify());
  }

  /** Only nft's refusals are the world's; anything else is our own fault and ends the agent. */
  #failed(error: unknown): void {
    if (!(error instanceof NftError)) throw error;
    this.#lastError = error.message;
    this.#log.error(
      { error: error.message, retryInMilliseconds: this.#retryMilliseconds },
      'policy could not be put in force; the last good one stays',
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
