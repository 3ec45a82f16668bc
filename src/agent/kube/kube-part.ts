/**
 * All that an agent does with an API server: the source that it reads, and what it writes.
 *
 *     KubeSource ──changes──► the agent ──facts──► NodeReporter ──► NodeNetworkStatus of this node
 *                                  └──session events, pods without a network──► EventRecorder ──► Events
 *     LeaderElection ──leading──► ConditionKeeper: NodeNetworkStatus of all nodes ──► conditions of BGPPeers and IPPools
 *     CniPart ──a pod's addresses──► PodAddressPublisher ──► the Pod's annotation
 *
 * Holds: nothing waits for a write; while the server is away writes wait, and the agent does not notice.
 */

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { SpeakerEvent } from '../../../bgp/index.ts';
import { KubeClient } from '../../kube/client.ts';
import type { KubeClock } from '../../kube/clock.ts';
import { loadNamespace } from '../../kube/credentials.ts';
import type { KubeError } from '../../kube/errors.ts';
import { EventRecorder } from '../../kube/event-recorder.ts';
import { LeaderElection, type LeaseTimes } from '../../kube/lease.ts';
import { PacedWriter } from '../../kube/paced-writer.ts';
import type { ClusterState } from '../../resources/cluster-state.ts';
import type { NodeFacts } from '../../reports/node-report.ts';
import { KubeSource, type KubeTimes } from '../../source/kube.ts';
import type { AddFailure } from '../cni/attacher.ts';
import type { PodAddressPublisher } from '../cni/publisher.ts';
import { KubeBlocks, type BlockRegistry } from '../ipam/kube-blocks.ts';
import type { Log } from '../log.ts';
import { ConditionKeeper } from './condition-keeper.ts';
import { NodeReporter } from './node-reporter.ts';
import { podPublisher } from './pod-publisher.ts';
import { nodeObject, SessionEvents } from './session-events.ts';

export interface KubePartOptions {
  readonly nodeName: string;
  readonly kubeconfig: string | undefined;
  readonly stateFolder: string;
  readonly clock: KubeClock;
  readonly log: Log;
  readonly state: () => ClusterState;
}

export interface KubePartParts extends Omit<KubePartOptions, 'kubeconfig'> {
  readonly client: KubeClient;
  /** The agents' own: of their Secrets and their Lease. */
  readonly namespace: string;
  /** For tests. */
  readonly times?: { readonly source?: Partial<KubeTimes>; readonly lease?: LeaseTimes; readonly poll?: number };
}

/** Milliseconds; in a cluster of 5,000 nodes 50 s, so that what befalls all of them is 100 writes a second. */
const reportInterval = 10_000;
const reportIntervalPerNode = 10;
/** How often one who does not lead looks whether anyone does; with many nodes less often. */
const leasePoll = 15_000;
const leasePollPerNode = 30;
/** Over how long events of one cause are spread. */
const eventSpreadPerNode = 5;

const leaseName = 'godwit-conditions';

export class KubePart {
  readonly source: KubeSource;
  readonly publisher: PodAddressPublisher;
  /** Where blocks of addresses are claimed. */
  readonly registry: BlockRegistry;
  readonly #options: KubePartParts;
  /** Pods' addresses wait for nothing else. */
  readonly #podWriter: PacedWriter;
  readonly #writer: PacedWriter;
  readonly #events: EventRecorder;
  #election: LeaderElection | undefined;
  #reporter: NodeReporter | undefined;
  #keeper: ConditionKeeper | undefined;
  #sessions: SessionEvents | undefined;

  /** @throws an Error for the user where there is no way to the API server. */
  static async open({ kubeconfig, ...options }: KubePartOptions): Promise<KubePart> {
    const client = await KubeClient.open({ kubeconfig });
    return new KubePart({ ...options, client, namespace: await loadNamespace() });
  }

  constructor(options: KubePartParts) {
    this.#options = options;
    const { client, clock, nodeName, namespace, stateFolder, state, times } = options;
    this.source = new KubeSource({
      client,
      secretNamespace: namespace,
      lastKnownFolder: join(stateFolder, 'last-known'),
      times: times?.source,
    });
    const onRefused = tellOnce(options.log);
    this.#podWriter = new PacedWriter({ clock, perSecond: 20, burst: 100, onRefused });
    this.#writer = new PacedWriter({ clock, perSecond: 5, burst: 20, onRefused });
    const spread = () => this.#nodes * eventSpreadPerNode;
    this.#events = new EventRecorder({ client, clock, host: nodeName, spread, onRefused });
    this.registry = new KubeBlocks(client);
    this.publisher = podPublisher({ client, writer: this.#podWriter, pods: () => state().pods });
  }

  get #nodes(): number {
    return this.#options.state().nodes.size;
  }

  /** The agent runs. */
  start(facts: () => NodeFacts, ownerOf: (session: string) => string | undefined): void {
    const { client, clock, nodeName, namespace, state, times, log } = this.#options;
    this.#reporter = new NodeReporter({
      client,
      clock,
      writer: this.#writer,
      nodeName,
      node: () => state().nodes.get(nodeName),
      facts,
      interval: () => Math.max(reportInterval, this.#nodes * reportIntervalPerNode),
    });
    this.#sessions = new SessionEvents({
      record: (event) => this.#events.record(event),
      nodeName,
      state,
      ownerOf,
    });
    this.#election = new LeaderElection({
      client,
      clock,
      namespace,
      name: leaseName,
      identity: `${nodeName}_${randomUUID()}`,
      poll: () => times?.poll ?? Math.max(leasePoll, this.#nodes * leasePollPerNode),
      times: times?.lease,
      onChange: (leading) => {
        log.info(
          leading
            ? 'this agent writes the conditions of objects'
            : 'this agent writes the conditions of objects no longer',
        );
        this.#lead(leading);
      },
    });
    this.source.onProblems(() => this.#keeper?.nudge());
    this.#reporter.start();
    this.#election.start();
  }

  onSpeakerEvent(event: SpeakerEvent): void {
    this.#sessions?.onSpeakerEvent(event);
    this.#reporter?.nudge();
  }

  /** Objects have changed, and what this node makes of them. */
  onConfigured(): void {
    this.#reporter?.nudge();
  }

  /** About the Pod, and about the Node where no pod can have an address. */
  onAddFailure({ pod, kind, reason, nodeProblem }: AddFailure): void {
    const type = 'Warning';
    if (nodeProblem !== undefined) {
      const about = nodeObject(this.#options.nodeName);
      this.#events.record({ about, type, reason: 'NoPodAddresses', message: nodeProblem });
    }
    if (pod === undefined) return;
    const { namespace, name } = pod;
    const uid = this.#options.state().pods.get(`${namespace}/${name}`)?.metadata.uid;
    const about = { apiVersion: 'v1', kind: 'Pod', namespace, name, ...(uid !== undefined && { uid }) };
    const event =
      kind === 'noAddress'
        ? { reason: 'NoPodAddress', message: `no address for the pod: ${reason}` }
        : { reason: 'PodNetworkFailed', message: reason };
    this.#events.record({ about, type, ...event });
  }

  /** What was not written yet is not written any more; another leader need not wait. */
  async stop(): Promise<void> {
    this.#reporter?.stop();
    this.#lead(false);
    this.#events.stop();
    this.#writer.stop();
    this.#podWriter.stop();
    await this.#election?.stop();
  }

  #lead(leading: boolean): void {
    this.#keeper?.stop();
    const { client, clock, times } = this.#options;
    const invalid = (kind: string, name: string) => {
      const problem = this.source.problems().find((one) => one.kind === kind && one.name === name);
      return problem && (problem.field === undefined ? problem.reason : `${problem.field}: ${problem.reason}`);
    };
    this.#keeper = leading
      ? new ConditionKeeper({ client, clock, writer: this.#writer, invalid, times: times?.source })
      : undefined;
    this.#keeper?.start();
  }
}

/** A write that is refused again and again is one line. */
function tellOnce(log: Log): (key: string, error: KubeError) => void {
  const told = new Set<string>();
  return (key, error) => {
    const [kind] = key.split(' ');
    if (told.has(`${kind} ${error.kind}`)) return;
    told.add(`${kind} ${error.kind}`);
    log.warn({ object: key, error: error.message }, 'the API server refuses what is written; said once');
  };
}
