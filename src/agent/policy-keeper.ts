/** Keeps the kernel's policy table as the policies say; how, table-keeper.ts says. */

import type { Clock, NftTable } from '../../dataplane/index.ts';
import type { PolicyStatus } from '../control/model.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { ResourceChange } from '../resources/resource.ts';
import type { Log } from './log.ts';
import { TableKeeper } from './table-keeper.ts';

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
  readonly #keeper: TableKeeper;

  constructor({ engine, table, ...rest }: PolicyKeeperOptions) {
    this.#engine = engine;
    this.#table = table;
    this.#keeper = new TableKeeper({ ...rest, subject: 'policy', table, wanted: () => engine.render() });
  }

  onChanges(changes: readonly ResourceChange[]): void {
    this.#engine.onChanges(changes);
    if (changes.length > 0) this.#keeper.noteChange();
  }

  /** @returns when the kernel holds what the engine knows, or has refused it (see status) */
  flush(): Promise<void> {
    return this.#keeper.flush();
  }

  status(counts: { policies: number; pods: number }): PolicyStatus {
    const { failure, isApplying, appliedAt } = this.#keeper;
    const state = failure !== undefined ? 'failed' : isApplying || appliedAt === undefined ? 'pending' : 'inForce';
    return { state, ...counts, lastError: failure?.message, appliedAt };
  }

  /** Why the kernel does not hold the policies as told; undefined: it does, or is about to. */
  problem(): string | undefined {
    const { failure, appliedAt } = this.#keeper;
    return failure?.message ?? (appliedAt === undefined ? 'nothing has been applied yet' : undefined);
  }

  /** @returns undefined: no such pod. */
  async explain(pod: string) {
    return this.#engine.explain(pod, this.everApplied ? await this.#table.counters() : undefined);
  }

  /** Since when the kernel has not answered; undefined: it is not asked. */
  get waitingSince(): number | undefined {
    return this.#keeper.waitingSince;
  }

  /** Whether the kernel holds a policy of ours, be it an earlier one. */
  get everApplied(): boolean {
    return this.#keeper.appliedAt !== undefined;
  }

  close(): void {
    this.#keeper.close();
  }
}
