/**
 * What the leader among the agents does: the conditions of every BGPPeer and IPPool, from the reports of all nodes.
 * Holds: a status is written only where a condition of ours changed; conditions of others stay, also those that come in the same
 * moment: what is written is the list as it was read, with ours in it, and its resourceVersion is the precondition. (Server-side
 * apply would be shorter, but Kubernetes 1.20 takes the list of a custom resource for one value.) Nothing is written before everything was
 * read.
 */

import { isDeepStrictEqual } from 'node:util';
import { breath } from '../../kube/breath.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeClock } from '../../kube/clock.ts';
import type { PacedWriter } from '../../kube/paced-writer.ts';
import { Reflector, type KubeObject, type ReflectorTimes } from '../../kube/reflector.ts';
import { mergePatch, objectPath } from '../../kube/writes.ts';
import {
  readConditions,
  readNodeReport,
  type NodeReport,
  type StatusCondition,
} from '../../resources/node-network-status.ts';
import { peerFindings, poolFindings, type ReportOfNode } from '../../reports/object-conditions.ts';
import { datedConditions, type Finding } from '../../reports/status-conditions.ts';
import { nodeReportsPath } from './node-reporter.ts';

export interface ConditionKeeperOptions {
  readonly client: KubeClient;
  readonly clock: KubeClock;
  readonly writer: PacedWriter;
  /** Why the object as it is now is not in force; undefined: it is, or is not known. */
  readonly invalid: (kind: Kind, name: string) => string | undefined;
  /** For tests. */
  readonly times?: Partial<ReflectorTimes>;
}

type Kind = 'BGPPeer' | 'IPPool';

const paths = {
  BGPPeer: '/apis/godwit.dev/v1/bgppeers',
  IPPool: '/apis/godwit.dev/v1/ippools',
} as const satisfies Record<Kind, string>;

/** An object as far as its conditions need it. */
interface Described {
  readonly tunnel: 'ipip' | 'vxlan' | undefined;
  readonly conditions: readonly StatusCondition[];
  /** `.status.conditions` as they are, those of others among them. */
  readonly list: readonly unknown[];
  readonly resourceVersion: string | undefined;
  /** Counts the changes of its spec; undefined: the server does not say. */
  readonly generation: number | undefined;
}

/** Milliseconds from news until the conditions are looked at. */
const settleTime = 1000;
/** Between two patches of one object. */
const objectInterval = 5000;

export class ConditionKeeper {
  readonly #options: ConditionKeeperOptions;
  readonly #reports = new Map<string, NodeReport>();
  /** Whether Kubernetes hears from the node. */
  readonly #silent = new Map<string, boolean>();
  readonly #objects: Readonly<Record<Kind, Map<string, Described>>> = { BGPPeer: new Map(), IPPool: new Map() };
  readonly #reflectors: readonly Pick<Reflector<unknown>, 'start' | 'stop' | 'synced'>[];
  #cancel: (() => void) | undefined;
  #working = false;
  #stopped = false;

  constructor(options: ConditionKeeperOptions) {
    this.#options = options;
    this.#reflectors = [
      this.#follow(nodeReportsPath, readNodeReport, this.#reports),
      this.#follow('/api/v1/nodes', isSilent, this.#silent),
      ...(['BGPPeer', 'IPPool'] as const).map((kind) => this.#follow(paths[kind], describe, this.#objects[kind])),
    ];
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  /** Something else that conditions depend on may have changed. */
  nudge(): void {
    if (this.#stopped) return;
    this.#cancel ??= this.#options.clock.after(settleTime, () => {
      this.#cancel = undefined;
      void this.#judgeAll();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    for (const reflector of this.#reflectors) reflector.stop();
    for (const kind of ['BGPPeer', 'IPPool'] as const) {
      for (const name of this.#objects[kind].keys()) this.#options.writer.cancel(`${kind} ${name}`);
    }
  }

  #follow<T>(path: string, read: (object: KubeObject) => T | undefined, map: Map<string, T>): Reflector<T | undefined> {
    return new Reflector<T | undefined>({
      client: this.#options.client,
      path,
      read,
      onEvents: (events) => {
        let news = false;
        for (const event of events) {
          const before = map.get(event.key);
          const after = event.kind === 'delete' ? undefined : event.object;
          if (isDeepStrictEqual(before, after)) continue;
          news = true;
          if (after === undefined) map.delete(event.key);
          else map.set(event.key, after);
        }
        if (news) this.nudge();
      },
      onListed: () => this.nudge(),
      // The source follows the same server, and says what is wrong with it.
      onFault: () => undefined,
      times: this.#options.times,
    });
  }

  async #judgeAll(): Promise<void> {
    if (this.#working) return this.nudge();
    if (!this.#reflectors.every(({ synced }) => synced)) return;
    this.#working = true;
    const pause = breath();
    const reports = [...this.#reports]
      .map(([node, report]): ReportOfNode => ({ node, report, silent: this.#silent.get(node) ?? true }))
      .sort((a, b) => (a.node < b.node ? -1 : 1));
    for (const kind of ['BGPPeer', 'IPPool'] as const) {
      for (const [name, object] of this.#objects[kind]) {
        if (this.#stopped) return;
        const invalid = this.#options.invalid(kind, name);
        const findings =
          kind === 'BGPPeer'
            ? peerFindings(name, invalid, reports)
            : poolFindings(name, object.tunnel, invalid, reports);
        this.#keep(kind, name, object, findings);
        const turn = pause();
        if (turn !== undefined) await turn;
      }
    }
    this.#working = false;
  }

  #keep(kind: Kind, name: string, { conditions: before, generation }: Described, findings: readonly Finding[]): void {
    const { client, clock, writer } = this.#options;
    const key = `${kind} ${name}`;
    const conditions = datedConditions(findings, before, clock.epoch()).map((condition) => ({
      ...condition,
      ...(generation !== undefined && { observedGeneration: generation }),
    }));
    const isThere = (wanted: StatusCondition) => before.some((condition) => isDeepStrictEqual(condition, wanted));
    if (conditions.every(isThere)) return writer.cancel(key);
    const path = `${objectPath(paths[kind], name)}/status`;
    const send = (signal: AbortSignal) => {
      // As the watch has told by now: after a conflict it is another one than before.
      const { list, resourceVersion } = this.#objects[kind].get(name) ?? { list: [] };
      const others = list.filter((one) => !conditions.some(({ type }) => type === (one as StatusCondition).type));
      const patch = { metadata: { resourceVersion }, status: { conditions: [...others, ...conditions] } };
      return mergePatch(client, path, patch, signal);
    };
    writer.put(key, { interval: objectInterval, send });
  }
}

/** @param object a Node. Ready is Unknown when its kubelet has not been heard from for a while. */
function isSilent(object: KubeObject): boolean {
  const { status } = object as { readonly status?: { readonly conditions?: unknown } };
  const conditions = Array.isArray(status?.conditions)
    ? (status.conditions as { type?: unknown; status?: unknown }[])
    : [];
  return conditions.some(({ type, status: ready }) => type === 'Ready' && ready === 'Unknown');
}

/** A pool may be one that the validator refuses. */
function describe(object: KubeObject): Described {
  const { metadata, spec, status } = object as {
    readonly metadata: { readonly generation?: unknown; readonly resourceVersion?: string };
    readonly spec?: { readonly ipipMode?: unknown; readonly vxlanMode?: unknown };
    readonly status?: { readonly conditions?: unknown };
  };
  const { generation, resourceVersion } = metadata;
  const asked = (mode: unknown) => mode === 'Always' || mode === 'CrossSubnet';
  return {
    tunnel: asked(spec?.ipipMode) ? 'ipip' : asked(spec?.vxlanMode) ? 'vxlan' : undefined,
    conditions: readConditions(object),
    list: Array.isArray(status?.conditions) ? (status.conditions as unknown[]) : [],
    resourceVersion,
    generation: typeof generation === 'number' ? generation : undefined,
  };
}
