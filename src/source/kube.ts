/**
 * A Kubernetes API server as a source: a reflector a kind, the same validation and admission as of a folder, and the
 * last known state on disk for a start without the server.
 * Holds: whatever the API server does, what is in force stays until the server, asked and answering in full, says
 * otherwise; an object that became invalid keeps its last good form; a CRD that is not installed stops nothing.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { breath } from '../kube/breath.ts';
import type { KubeClient } from '../kube/client.ts';
import { LastKnown, type LastKnownTimes, type Recollection } from '../kube/last-known.ts';
import { Reflector, type Fault, type ReflectorEvent, type ReflectorTimes } from '../kube/reflector.ts';
import {
  objectName,
  resourceKey,
  validateManifest,
  type Resource,
  type ResourceChange,
} from '../resources/resource.ts';
import { unreachable } from '../unreachable.ts';
import type { BgpConfiguration } from '../resources/bgp-configuration.ts';
import type { BgpPeer } from '../resources/bgp-peer.ts';
import { admit, changesBetween, type Candidate, type Refusal } from './admission.ts';
import { dated, type UndatedProblem } from './dated.ts';
import { faultProblems, isSettled, passingKinds, type KindState } from './kube-faults.ts';
import { kubeKinds, trimmed, type FollowedKind } from './kube-kinds.ts';
import { KubeSecrets } from './kube-secrets.ts';
import type { Source, SourceProblem } from './source.ts';

/** Milliseconds. */
export interface KubeTimes extends ReflectorTimes, LastKnownTimes {
  /** How long start() waits for the API server before it turns to the last known state. */
  readonly patience: number;
}

const defaultPatience = 5000;

export interface KubeSourceOptions {
  readonly client: KubeClient;
  /** Where Secrets are looked for; undefined: nowhere. */
  readonly secretNamespace?: string;
  /** Where the last known state lies. */
  readonly lastKnownFolder: string;
  /** For tests. */
  readonly times?: Partial<KubeTimes>;
  random?(): number;
}

/** Everything about one kind. */
interface Followed extends KindState {
  readonly reflector: Reflector<object>;
  /** Last good form, by objectName. Of pools also those that admission refuses. */
  readonly objects: Map<string, Resource>;
  /** As the server gave them, of our own kinds: their last good form on disk is a manifest, not what we made of it. */
  readonly manifests: Map<string, object>;
  /** What is wrong with an object as it is now. */
  readonly problems: Map<string, readonly UndatedProblem[]>;
  fault: Fault | undefined;
  recalledOf: number | undefined;
  unknownThen: boolean;
}

type Recollected = Recollection & { readonly kind: 'objects' };

export class KubeSource implements Source {
  readonly #server: string;
  readonly #patience: number;
  readonly #lastKnown: LastKnown;
  readonly #followed: ReadonlyMap<FollowedKind, Followed>;
  readonly #changeListeners: ((changes: readonly ResourceChange[]) => void)[] = [];
  readonly #problemListeners: ((problems: readonly SourceProblem[]) => void)[] = [];
  readonly #abort = new AbortController();
  readonly #secrets: KubeSecrets | undefined;
  #patienceIsOver = false;
  #pools: ReadonlyMap<string, Candidate> = new Map();
  #refusals: readonly Refusal[] = [];
  /** About the state on disk, by what failed. */
  readonly #diskProblems = new Map<string, string>();
  #problems: readonly SourceProblem[] = [];
  #onProgress: (() => void) | undefined;

  constructor({ client, secretNamespace, lastKnownFolder, times = {}, random }: KubeSourceOptions) {
    this.#server = client.server;
    this.#patience = times.patience ?? defaultPatience;
    this.#followed = new Map(
      (Object.keys(kubeKinds) as FollowedKind[]).map((kind) => [kind, this.#follow(kind, client, times, random)]),
    );
    this.#secrets =
      secretNamespace === undefined
        ? undefined
        : new KubeSecrets({
            client,
            namespace: secretNamespace,
            onChanges: (changes) => this.#takeSecrets(changes),
            onNews: () => {
              this.#publishProblems();
              this.#onProgress?.();
            },
            times,
            random,
          });
    this.#lastKnown = new LastKnown({
      folder: lastKnownFolder,
      server: client.server,
      kinds: [...Object.keys(kubeKinds), 'Secret'],
      snapshot: (kind) => (kind === 'Secret' ? (this.#secrets?.objects() ?? []) : this.#snapshot(kind as FollowedKind)),
      secretKinds: ['Secret'],
      onProblem: (reason) => this.#setDiskProblem('write', reason),
      times,
    });
  }

  #follow(
    kind: FollowedKind,
    client: KubeClient,
    times: Partial<ReflectorTimes>,
    random: (() => number) | undefined,
  ): Followed {
    const followed: Followed = {
      kind,
      get synced() {
        return this.reflector.synced;
      },
      reflector: new Reflector<object>({
        client,
        path: kubeKinds[kind].path,
        read: (object) => trimmed(kind, object),
        onEvents: (events) => this.#take(followed, events),
        onListed: () => this.#listed(followed),
        onFault: (fault) => {
          followed.fault = fault;
          if (fault === undefined) this.#serverIsBack();
          this.#publishProblems();
          this.#onProgress?.();
        },
        times,
        random,
      }),
      objects: new Map(),
      manifests: new Map(),
      problems: new Map(),
      fault: undefined,
      recalledOf: undefined,
      unknownThen: false,
    };
    return followed;
  }

  get synced(): boolean {
    return [...this.#followed.values()].every(isSettled);
  }

  problems(): readonly SourceProblem[] {
    return this.#problems;
  }

  onChanges(listener: (changes: readonly ResourceChange[]) => void): void {
    this.#changeListeners.push(listener);
  }

  onProblems(listener: (problems: readonly SourceProblem[]) => void): void {
    this.#problemListeners.push(listener);
  }

  /**
   * Resolves once every kind was listed, or, where the API server keeps us waiting, was read from the last known state.
   * Without either it waits: an agent that knows nothing must not act.
   */
  async start(): Promise<void> {
    const all = [...this.#followed.values()];
    const usable = this.#until(
      () =>
        all.every((one) => isSettled(one) || one.recalledOf !== undefined) &&
        // A Secret that cannot be had holds its own sessions down, and nothing else.
        (this.#patienceIsOver || (this.#secrets?.settled ?? true)),
    );
    for (const { reflector } of all) reflector.start();
    const waited = delay(this.#patience, 'waited' as const, { signal: this.#abort.signal }).catch(() => undefined);
    if ((await Promise.race([usable, waited])) === 'waited') {
      await this.#recallAll(all.filter((one) => !isSettled(one)));
      await this.#recallSecrets();
      this.#patienceIsOver = true;
      this.#publishProblems();
      this.#onProgress?.();
    }
    await usable;
    this.#onProgress = undefined;
  }

  /** A watch is never behind by more than its connection. */
  async reread(): Promise<void> {}

  stop(): void {
    this.#abort.abort();
    for (const { reflector } of this.#followed.values()) reflector.stop();
    this.#secrets?.stop();
    this.#lastKnown.close();
    this.#onProgress?.();
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onProgress = () => {
        if (condition() || this.#abort.signal.aborted) resolve();
      };
    });
  }

  /** Resolves when what the server has told of the kind is on disk, or cannot be written there, which is said. */
  keep(kind: FollowedKind): Promise<void> {
    return this.#lastKnown.keep(kind);
  }

  /** A kind without a file is waited for, but for one that the version did not know which wrote the others: there were none. */
  async #recallAll(all: readonly Followed[]): Promise<void> {
    const absent: Followed[] = [];
    const found: Recollected[] = [];
    for (const followed of all) {
      const recollection = await this.#recall(followed);
      if (recollection.kind === 'none') absent.push(followed);
      else if (recollection.kind === 'objects') found.push(recollection);
    }
    for (const followed of absent) {
      const then = found.find(({ kinds }) => kinds !== undefined && !kinds.includes(followed.kind));
      if (then === undefined || isSettled(followed)) continue;
      followed.recalledOf = then.savedAt;
      followed.unknownThen = true;
      this.#tell(followed.kind, []);
    }
  }

  /** Takes a kind from the disk; what the server has told meanwhile is newer. */
  async #recall(followed: Followed): Promise<Recollection> {
    const { kind, reflector, objects, manifests } = followed;
    const recollection = await this.#lastKnown.read(kind);
    if (isSettled(followed)) return recollection;
    switch (recollection.kind) {
      case 'none':
        break;
      case 'unusable':
        this.#diskProblems.set(
          kind,
          `the last known state of ${kubeKinds[kind].plural} is not used: ${recollection.reason}`,
        );
        break;
      case 'objects': {
        const pause = breath();
        const changes: ResourceChange[] = [];
        for (const manifest of recollection.objects) {
          const validation = validateManifest(manifest);
          await pause();
          if (reflector.synced) return recollection;
          if (validation.kind !== 'valid' || validation.resource.kind !== kind) continue;
          const name = objectName(validation.resource);
          if (reflector.has(name)) continue;
          reflector.seed([name]);
          objects.set(name, validation.resource);
          if (kubeKinds[kind].custom) manifests.set(name, manifest as object);
          changes.push({ kind: 'upsert', object: validation.resource });
        }
        followed.recalledOf = recollection.savedAt;
        this.#tell(kind, changes);
        break;
      }
      default:
        unreachable(recollection);
    }
    return recollection;
  }

  async #recallSecrets(): Promise<void> {
    if (this.#secrets === undefined || this.#secrets.settled) return;
    const recollection = await this.#lastKnown.read('Secret');
    if (recollection.kind === 'objects') this.#secrets.recall(recollection.objects);
  }

  #takeSecrets(changes: readonly ResourceChange[]): void {
    this.#lastKnown.changed('Secret');
    for (const listener of this.#changeListeners) listener(changes);
  }

  /** Those that an object in force names. */
  #followSecrets(): void {
    const configurations = [...this.#followed.get('BGPConfiguration')!.objects.values()] as BgpConfiguration[];
    const peers = [...this.#followed.get('BGPPeer')!.objects.values()] as BgpPeer[];
    const passwords = [
      ...configurations.map(({ spec }) => spec.nodeMeshPassword),
      ...peers.map(({ spec }) => spec.password),
    ];
    this.#secrets?.follow(passwords.flatMap((password) => (password === undefined ? [] : [password.secretKeyRef])));
  }

  #take(followed: Followed, events: readonly ReflectorEvent<object>[]): void {
    const { kind, objects, manifests, problems } = followed;
    const changes: ResourceChange[] = [];
    let problemsChanged = false;
    for (const event of events) {
      if (event.kind === 'delete') {
        const object = objects.get(event.key);
        objects.delete(event.key);
        manifests.delete(event.key);
        problemsChanged = problems.delete(event.key) || problemsChanged;
        if (object !== undefined) changes.push({ kind: 'delete', object });
        continue;
      }
      const validation = validateManifest(event.object);
      if (validation.kind === 'valid') {
        problemsChanged = problems.delete(event.key) || problemsChanged;
        // Most updates are about what we do not read: a node's heartbeat, a pod's conditions.
        if (isDeepStrictEqual(objects.get(event.key), validation.resource)) continue;
        objects.set(event.key, validation.resource);
        if (kubeKinds[kind].custom) manifests.set(event.key, event.object);
        changes.push({ kind: 'upsert', object: validation.resource });
      } else {
        const found =
          validation.kind === 'notUsed'
            ? [{ kind, name: event.key, reason: validation.reason }]
            : validation.problems.map(({ field, reason }) => ({
                kind,
                name: event.key,
                ...(field !== '' && { field }),
                reason,
              }));
        problems.set(event.key, found);
        problemsChanged = true;
      }
    }
    if (changes.length > 0 && followed.reflector.synced) this.#lastKnown.changed(kind);
    this.#tell(kind, changes);
    if (problemsChanged) this.#publishProblems();
  }

  /** Where one kind can be had again the others need not wait until their patience is over. */
  #serverIsBack(): void {
    for (const { fault, reflector } of this.#followed.values()) {
      if (fault !== undefined && passingKinds.includes(fault.error.kind)) reflector.retrySoon();
    }
    this.#secrets?.retrySoon();
  }

  #listed(followed: Followed): void {
    followed.recalledOf = undefined;
    followed.unknownThen = false;
    this.#diskProblems.delete(followed.kind);
    this.#lastKnown.changed(followed.kind);
    this.#tell(followed.kind, []);
    this.#publishProblems();
    this.#onProgress?.();
  }

  /** Pools go through admission; that waits for the first listing, whose order means nothing. */
  #tell(kind: FollowedKind, changes: readonly ResourceChange[]): void {
    const told = kind === 'IPPool' ? this.#admitPools() : changes;
    if (told.length === 0) return;
    // Before the objects that name them, where they are known.
    if (kind === 'BGPPeer' || kind === 'BGPConfiguration') this.#followSecrets();
    for (const listener of this.#changeListeners) listener(told);
  }

  #admitPools(): readonly ResourceChange[] {
    const { objects, reflector, recalledOf } = this.#followed.get('IPPool')!;
    if (!reflector.synced && recalledOf === undefined) return [];
    const before = this.#pools;
    const candidates = [...objects.values()].sort(byKey).map((resource) => ({ resource }));
    const { inForce, refusals } = admit(candidates, before);
    this.#pools = inForce;
    if (!isDeepStrictEqual(refusals, this.#refusals)) {
      this.#refusals = refusals;
      this.#publishProblems();
    }
    return changesBetween(before, inForce);
  }

  *#snapshot(kind: FollowedKind): Generator<object, void> {
    const { objects, manifests } = this.#followed.get(kind)!;
    for (const [name, object] of objects) yield manifests.get(name) ?? object;
  }

  #setDiskProblem(what: string, reason: string | undefined): void {
    if (reason === undefined) this.#diskProblems.delete(what);
    else this.#diskProblems.set(what, `the last known state is not kept: ${reason}`);
    this.#publishProblems();
  }

  #publishProblems(): void {
    const all = [...this.#followed.values()];
    const undated: UndatedProblem[] = [
      ...faultProblems(all, this.#server),
      ...(this.#secrets?.problems() ?? []),
      ...[...this.#diskProblems.values()].map((reason) => ({ reason })),
      ...all.flatMap(({ problems }) => [...problems.values()].flat()),
      ...this.#refusals.map(({ candidate: { resource }, field, reason }) => ({
        kind: resource.kind,
        name: objectName(resource),
        ...(field !== undefined && { field }),
        reason,
      })),
    ];
    const problems = dated(undated, this.#problems);
    if (isDeepStrictEqual(problems, this.#problems)) return;
    this.#problems = problems;
    for (const listener of this.#problemListeners) listener(problems);
  }
}

function byKey(a: Resource, b: Resource): number {
  return resourceKey(a) < resourceKey(b) ? -1 : 1;
}
