/**
 * One table of ours in the kernel: desired against applied, one transaction a change.
 * Leaves out: when to retry (the caller's backoff) and how nft is reached (run.ts).
 * Holds: other tables are never read or written; a refused transaction leaves the last good ruleset in force; there is no
 * moment without rules, also at the first apply over the table of an earlier process (a stand-in judges meanwhile).
 */

import { findDifference } from './compare.ts';
import { type NftCounters, readCounters } from './counters.ts';
import { diffRulesets } from './diff.ts';
import { printCommands, printRemoval, printReplacement } from './print.ts';
import type { Ruleset } from './ruleset.ts';
import { NftError } from './nft-error.ts';
import type { NftRunner } from './run.ts';

export interface NftTableOptions {
  readonly run: NftRunner;
  /** Name in family inet; `godwit` unless told. */
  readonly table?: string;
  /** Someone changed our table: told in words before it is repaired. */
  readonly onDrift?: (difference: string) => void;
}

export type NftApplyResult =
  /** Nothing to change. */
  | { readonly kind: 'unchanged' }
  /** So many commands in one transaction. */
  | { readonly kind: 'changed'; readonly commands: number }
  /** The whole table made anew. */
  | { readonly kind: 'replaced' };

export class NftTable {
  readonly #run: NftRunner;
  readonly #table: string;
  /** Judges while the table is made anew. */
  readonly #standIn: string;
  readonly #onDrift: (difference: string) => void;
  /** What the kernel holds by our doing; undefined before the first apply. */
  #applied: Ruleset | undefined;
  /** Calls are done one after the other, in the order they came. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: NftTableOptions) {
    this.#run = options.run;
    this.#table = options.table ?? 'godwit';
    this.#standIn = `${this.#table}-stand-in`;
    this.#onDrift = options.onDrift ?? (() => {});
  }

  /**
   * Makes the kernel hold the ruleset.
   * @throws NftError with nft's words; the ruleset before stays in force, and the next apply starts from it
   */
  apply(ruleset: Ruleset): Promise<NftApplyResult> {
    return this.#inTurn(async () => {
      if (this.#applied === undefined) return this.#replace(ruleset);
      const commands = diffRulesets(this.#applied, ruleset);
      if (commands.length === 0) {
        this.#applied = ruleset;
        return { kind: 'unchanged' };
      }
      try {
        await this.#run.load(printCommands(this.#table, commands));
      } catch (error) {
        if (!(error instanceof NftError)) throw error;
        // The table may no longer be as we left it: then a difference cannot be applied, but the whole can.
        const difference = await this.#difference(this.#applied);
        if (difference === undefined) throw error;
        this.#onDrift(difference);
        return this.#replace(ruleset);
      }
      this.#applied = ruleset;
      return { kind: 'changed', commands: commands.length };
    });
  }

  /**
   * Compares the kernel's table with what was applied, and makes it anew where others have changed it. Costs a listing of the
   * table: for a slow timer. Before the first apply there is nothing to compare.
   * @throws NftError
   */
  verify(): Promise<'intact' | 'repaired'> {
    return this.#inTurn(async () => {
      if (this.#applied === undefined) return 'intact';
      const difference = await this.#difference(this.#applied);
      if (difference === undefined) return 'intact';
      this.#onDrift(difference);
      await this.#replace(this.#applied);
      return 'repaired';
    });
  }

  /** Packets and bytes by rule comment and by counting element, as the kernel has them now. @throws NftError */
  counters(): Promise<NftCounters> {
    return this.#inTurn(async () => readCounters(await this.#run.list(this.#table)));
  }

  /** Takes the table away. @throws NftError */
  remove(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#run.load(printRemoval(this.#table) + printRemoval(this.#standIn));
      this.#applied = undefined;
    });
  }

  /**
   * A packet looks at the kernel's generation of rules once a chain and once a set, so one that is on its way while a whole table
   * changes may see neither the old one nor the new one. While our table is made anew, a second one with the same rules judges too.
   */
  async #replace(ruleset: Ruleset): Promise<NftApplyResult> {
    await this.#run.load(printReplacement(this.#standIn, ruleset));
    const before = this.#applied;
    // As long as the stand-in judges too, no difference is enough: the next apply must come through here again.
    this.#applied = undefined;
    let now = before;
    try {
      await this.#run.load(printReplacement(this.#table, ruleset));
      now = ruleset;
    } finally {
      await this.#run.load(printRemoval(this.#standIn));
      this.#applied = now;
    }
    return { kind: 'replaced' };
  }

  async #difference(ruleset: Ruleset): Promise<string | undefined> {
    const listing = await this.#run.list(this.#table);
    return listing === undefined ? 'the table is gone' : findDifference(listing, ruleset);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
