/**
 * Keeps the NodeNetworkStatus of this node.
 * Holds: at most one write in 10 s, in a big cluster fewer; none without news; what is there of the run before is continued,
 * so that times of states that lasted over a restart of the agent stay.
 */

import type { KubeClient } from '../../kube/client.ts';
import type { KubeClock } from '../../kube/clock.ts';
import { KubeError } from '../../kube/errors.ts';
import type { PacedWriter } from '../../kube/paced-writer.ts';
import { apply, objectPath } from '../../kube/writes.ts';
import { nodeNetworkStatusDefinition, readNodeReport, type NodeReport } from '../../resources/node-network-status.ts';
import type { Node } from '../../resources/node.ts';
import { newsOf, toNodeReport, type NodeFacts } from '../../reports/node-report.ts';

export const nodeReportsPath = `/apis/godwit.dev/v1/${nodeNetworkStatusDefinition.plural}`;

export interface NodeReporterOptions {
  readonly client: KubeClient;
  readonly clock: KubeClock;
  readonly writer: PacedWriter;
  readonly nodeName: string;
  /** The own Node, once it is known: the report is gone with it. */
  readonly node: () => Node | undefined;
  readonly facts: () => NodeFacts;
  /** Milliseconds between two writes. */
  readonly interval: () => number;
}

/** Milliseconds: from news to the first look, so that what comes together is written together. */
const settleTime = 1000;
/** From the start: sessions that the run before had are to be up again, not to be told as down for a moment. */
const startTime = 5000;
/** Other words for the same state: two errors that take turns are no news each time. */
const wordsInterval = 300_000;
/** Someone may have deleted the object: it is said again, which changes nothing where it is there. */
const repeatInterval = 3_600_000;

export class NodeReporter {
  readonly #options: NodeReporterOptions;
  readonly #abort = new AbortController();
  #last: { readonly report: NodeReport; readonly uid: string; readonly at: number } | undefined;
  /** undefined: the run before was not asked for yet. */
  #before: { readonly report: NodeReport | undefined } | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #wordsAt = Number.NEGATIVE_INFINITY;
  #dueAt = 0;
  #startsAt = 0;
  #cancel: (() => void) | undefined;

  constructor(options: NodeReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#startsAt = this.#options.clock.now() + startTime;
    this.#later(startTime);
  }

  /** Something may have changed. */
  nudge(): void {
    const { clock, interval } = this.#options;
    const soon = Math.max(settleTime, this.#startsAt - clock.now(), this.#checkedAt + interval() - clock.now());
    // News that keep coming put nothing off.
    if (this.#cancel !== undefined && clock.now() + soon < this.#dueAt) this.#later(soon);
  }

  stop(): void {
    this.#abort.abort();
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #later(milliseconds: number): void {
    this.#cancel?.();
    this.#dueAt = this.#options.clock.now() + milliseconds;
    this.#cancel = this.#options.clock.after(milliseconds, () => void this.#check());
  }

  async #check(): Promise<void> {
    // While it is asked what is there, news wait.
    this.#cancel = undefined;
    if (this.#before === undefined) await this.#recall();
    if (this.#abort.signal.aborted) return;
    if (this.#before !== undefined) this.#write(this.#before.report);
    this.#checkedAt = this.#options.clock.now();
    this.#later(this.#options.interval());
  }

  #write(ofRunBefore: NodeReport | undefined): void {
    const { client, clock, writer, nodeName, node, facts, interval } = this.#options;
    const { name, uid } = node()?.metadata ?? {};
    if (name === undefined || uid === undefined) return;
    const now = clock.now();
    const before = this.#last?.report ?? ofRunBefore;
    const report = toNodeReport(facts(), before, clock.epoch());
    let news = newsOf(before, report);
    if (this.#last?.uid !== uid || now - this.#last.at >= repeatInterval) news = 'state';
    if (news === 'none' || (news === 'words' && now - this.#wordsAt < wordsInterval)) return;
    if (news === 'words') this.#wordsAt = now;
    this.#last = { report, uid, at: now };
    const manifest = {
      apiVersion: 'godwit.dev/v1',
      kind: nodeNetworkStatusDefinition.kind,
      metadata: { name: nodeName, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }] },
      status: report,
    };
    writer.put(`${manifest.kind} ${nodeName}`, {
      interval: interval(),
      // The CustomResourceDefinition may come later.
      whenNotFound: 'retry',
      send: (signal) => apply(client, objectPath(nodeReportsPath, nodeName), manifest, signal),
    });
  }

  async #recall(): Promise<void> {
    const { client, nodeName } = this.#options;
    try {
      const path = objectPath(nodeReportsPath, nodeName);
      this.#before = { report: readNodeReport(await client.request('GET', path, { signal: this.#abort.signal })) };
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      // Where it may be read later, nothing could be written now either.
      if (error.kind === 'notFound' || error.kind === 'forbidden') this.#before = { report: undefined };
    }
  }
}
