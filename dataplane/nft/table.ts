/**
 * One table of ours in the kernel: desired against applied, up to three transactions a change.
 * Leaves out: when to retry (the caller's backoff) and how the kernel is reached (kernel.ts).
 * Holds: other tables are never read or written; a refused transaction leaves the last good ruleset in force; there is no
 * moment without rules, also at the first apply over the table of an earlier process (a stand-in judges meanwhile).
 */

import { noPause, type Pause } from '../clock.ts';
import { findDifference } from './compare.ts';
import { type NftCounters, readCounters } from './counters.ts';
import { diffRulesets, waypoints } from './diff.ts';
import type { HeldTable } from './held.ts';
import type { NftKernel } from './kernel.ts';
import { emptyRuleset, type Ruleset } from './ruleset.ts';
import { NftError } from './nft-error.ts';

export interface NftTableOptions {
  readonly kernel: NftKernel;
  /** Name in family inet; `godwit` unless told. */
  readonly table?: string;
  /** Where long work may pause; never, unless told. */
  readonly breath?: () => Pause;
  /** Someone changed our table: told in words before it is repaired. */
  readonly onDrift?: (difference: string) => void;
}

export type NftApplyResult =
  /** Nothing to change. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed'; readonly commands: number; readonly transactions: number }
  /** The whole table made anew. */
  | { readonly kind: 'replaced' };

export class NftTable {
  readonly #kernel: NftKernel;
  readonly #table: string;
  /** Judges while the table is made anew. */
  readonly #standIn: string;
  readonly #breath: () => Pause;
  readonly #onDrift: (difference: string) => void;
  /** What the kernel holds by our doing; undefined before the first apply. */
  #applied: Ruleset | undefined;
  /** Calls are done one after the other, in the order they came. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: NftTableOptions) {
    this.#kernel = options.kernel;
    this.#table = options.table ?? 'godwit';
    this.#standIn = `${this.#table}-stand-in`;
    this.#breath = options.breath ?? (() => noPause);
    this.#onDrift = options.onDrift ?? (() => {});
  }

  /**
   * Makes the kernel hold the ruleset.
   * @throws NftError with what the kernel refused. Then the ruleset before is in force, or one on the way from it; the next apply
   * starts from there
   */
  apply(ruleset: Ruleset): Promise<NftApplyResult> {
    return this.#inTurn(async () => {
      const before = this.#applied;
      if (before === undefined) return this.#replace(ruleset);
      try {
        return await this.#change(before, ruleset);
      } catch (error) {
        if (!(error instanceof NftError)) throw error;
        // The table may no longer be as we left it: then a difference cannot be applied, but the whole can.
        const difference = await this.#difference(this.#applied ?? before);
        if (difference === undefined) throw error;
        this.#onDrift(difference);
        return this.#replace(ruleset);
      }
    });
  }

  /**
   * Compares the kernel's table with what was applied, and makes it anew where others have changed it. Costs a reading of the
   * table: for a slow timer. Before the first apply there is nothing to compare.
   * @throws NftError
   */
  async verify(): Promise<'intact' | 'repaired'> {
    const seen = await this.#inTurn(async () => {
      const ruleset = this.#applied;
      return ruleset && { ruleset, held: await this.#kernel.read(this.#table) };
    });
    // Changes need not wait while what was read is compared.
    const found = seen && (await this.#differenceFrom(seen.held, seen.ruleset));
    if (found === undefined) return 'intact';
    return this.#inTurn(async () => {
      const ruleset = this.#applied;
      if (ruleset === undefined) return 'intact';
      const difference = ruleset === seen!.ruleset ? found : await this.#difference(ruleset);
      if (difference === undefined) return 'intact';
      this.#onDrift(difference);
      await this.#replace(ruleset);
      return 'repaired' as const;
    });
  }

  /** Packets and bytes by rule comment and by counting element, as the kernel has them now. @throws NftError */
  counters(): Promise<NftCounters> {
    return this.#inTurn(async () => readCounters(await this.#kernel.read(this.#table)));
  }

  /** Takes the table away. @throws NftError */
  remove(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#kernel.commit(this.#table, [{ kind: 'removeTable' }]);
      await this.#kernel.commit(this.#standIn, [{ kind: 'removeTable' }]);
      this.#applied = undefined;
    });
  }

  async #change(before: Ruleset, ruleset: Ruleset): Promise<NftApplyResult> {
    let held = before;
    let commands = 0;
    let transactions = 0;
    for (const next of waypoints(before, ruleset)) {
      const difference = diffRulesets(held, next);
      if (difference.length > 0) {
        await this.#kernel.commit(this.#table, difference);
        commands += difference.length;
        transactions++;
      }
      held = this.#applied = next;
    }
    return commands === 0 ? { kind: 'unchanged' } : { kind: 'changed', commands, transactions };
  }

  /**
   * A packet looks at the kernel's generation of rules once a chain and once a set, so one that is on its way while a whole table
   * changes may see neither the old one nor the new one. While our table is made anew, a second one with the same rules judges too.
   */
  async #replace(ruleset: Ruleset): Promise<NftApplyResult> {
    const commands = [{ kind: 'renewTable' as const }, ...diffRulesets(emptyRuleset, ruleset)];
    await this.#kernel.commit(this.#standIn, commands);
    const before = this.#applied;
    // As long as the stand-in judges too, no difference is enough: the next apply must come through here again.
    this.#applied = undefined;
    let now = before;
    try {
      await this.#kernel.commit(this.#table, commands);
      now = ruleset;
    } finally {
      await this.#kernel.commit(this.#standIn, [{ kind: 'removeTable' }]);
      this.#applied = now;
    }
    return { kind: 'replaced' };
  }

  async #difference(ruleset: Ruleset): Promise<string | undefined> {
    return this.#differenceFrom(await this.#kernel.read(this.#table), ruleset);
  }

  async #differenceFrom(held: HeldTable | undefined, ruleset: Ruleset): Promise<string | undefined> {
    return held === undefined ? 'the table is gone' : findDifference(held, ruleset, this.#breath());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
