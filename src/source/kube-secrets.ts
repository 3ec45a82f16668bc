/**
 * The Secrets that BGPPeers and BGPConfigurations name, followed one by one in the agent's own namespace.
 * Holds: no other Secret is asked for, and of these no other key is kept; a Secret that cannot be had delays nothing but its
 * own sessions; one that is known stays known while the server is away.
 */

import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../kube/client.ts';
import { Reflector, type Fault, type ReflectorEvent, type ReflectorTimes } from '../kube/reflector.ts';
import type { Resource, ResourceChange } from '../resources/resource.ts';
import { validateManifest } from '../resources/resource.ts';
import type { Secret, SecretKeyRef } from '../resources/secret.ts';
import type { UndatedProblem } from './dated.ts';

export interface KubeSecretsOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  onChanges(changes: readonly ResourceChange[]): void;
  /** Something of settled, problems or objects is another. */
  onNews(): void;
  readonly times?: Partial<ReflectorTimes>;
  random?(): number;
}

interface FollowedSecret {
  readonly reflector: Reflector<object>;
  readonly keys: ReadonlySet<string>;
  fault: Fault | undefined;
  problems: readonly UndatedProblem[];
  object: Secret | undefined;
}

export class KubeSecrets {
  readonly #options: KubeSecretsOptions;
  /** By name. */
  readonly #followed = new Map<string, FollowedSecret>();

  constructor(options: KubeSecretsOptions) {
    this.#options = options;
  }

  /** Each that is named was looked for, or may not be. */
  get settled(): boolean {
    return [...this.#followed.values()].every(
      ({ reflector, fault }) => reflector.synced || fault?.error.kind === 'forbidden',
    );
  }

  problems(): readonly UndatedProblem[] {
    return [...this.#followed].flatMap(([name, { fault, problems }]) => {
      if (fault?.error.kind !== 'forbidden') return problems;
      const reason = `the agent's account may not list and watch it: ${fault.error.message}`;
      return [...problems, { kind: 'Secret', name: `${this.#options.namespace}/${name}`, reason, since: fault.since }];
    });
  }

  /** For the state on disk. */
  objects(): readonly Secret[] {
    return [...this.#followed.values()].flatMap(({ object }) => (object === undefined ? [] : [object]));
  }

  /** These are named now. */
  follow(references: readonly SecretKeyRef[]): void {
    const wanted = new Map(
      [...Map.groupBy(references, ({ name }) => name)].map(([name, group]) => [
        name,
        new Set(group.map(({ key }) => key)),
      ]),
    );
    const changes: ResourceChange[] = [];
    for (const [name, followed] of this.#followed) {
      const keys = wanted.get(name);
      if (keys !== undefined && isDeepStrictEqual(keys, followed.keys)) continue;
      followed.reflector.stop();
      this.#followed.delete(name);
      if (keys === undefined && followed.object !== undefined) {
        changes.push({ kind: 'delete', object: followed.object });
      } else if (keys !== undefined) {
        // Until it is read with the other keys, what is known of it counts.
        this.#start(name, keys, followed.object);
      }
    }
    for (const [name, keys] of wanted) if (!this.#followed.has(name)) this.#start(name, keys, undefined);
    if (changes.length > 0) this.#options.onChanges(changes);
  }

  /** What the state on disk knows of those that are named and were not looked for yet. */
  recall(manifests: readonly unknown[]): void {
    const changes: ResourceChange[] = [];
    for (const manifest of manifests) {
      const validation = validateManifest(manifest);
      if (validation.kind !== 'valid' || validation.resource.kind !== 'Secret') continue;
      const { name, namespace } = validation.resource.metadata;
      const followed = this.#followed.get(name);
      if (followed === undefined || followed.reflector.synced || namespace !== this.#options.namespace) continue;
      followed.object = validation.resource;
      followed.reflector.seed([`${namespace}/${name}`]);
      changes.push({ kind: 'upsert', object: validation.resource });
    }
    if (changes.length > 0) this.#options.onChanges(changes);
  }

  retrySoon(): void {
    for (const { reflector } of this.#followed.values()) reflector.retrySoon();
  }

  stop(): void {
    for (const { reflector } of this.#followed.values()) reflector.stop();
  }

  #start(name: string, keys: ReadonlySet<string>, object: Secret | undefined): void {
    const { client, namespace, times, random, onNews } = this.#options;
    const followed: FollowedSecret = {
      reflector: new Reflector<object>({
        client,
        path: `/api/v1/namespaces/${namespace}/secrets`,
        query: { fieldSelector: `metadata.name=${name}` },
        read: (secret) => withKeys(secret, keys),
        onEvents: (events) => this.#take(followed, events),
        onListed: onNews,
        onFault: (fault) => {
          followed.fault = fault;
          onNews();
        },
        times,
        random,
      }),
      keys,
      fault: undefined,
      problems: [],
      object,
    };
    if (object !== undefined) followed.reflector.seed([`${namespace}/${name}`]);
    this.#followed.set(name, followed);
    followed.reflector.start();
  }

  #take(followed: FollowedSecret, events: readonly ReflectorEvent<object>[]): void {
    const changes: ResourceChange[] = [];
    for (const event of events) {
      followed.problems = [];
      if (event.kind === 'delete') {
        if (followed.object !== undefined) changes.push({ kind: 'delete', object: followed.object });
        followed.object = undefined;
        continue;
      }
      const validation = validateManifest(event.object);
      if (validation.kind === 'valid') {
        followed.object = validation.resource as Extract<Resource, Secret>;
        changes.push({ kind: 'upsert', object: validation.resource });
      } else if (validation.kind === 'invalid') {
        followed.problems = validation.problems.map(({ field, reason }) => ({
          kind: 'Secret',
          name: event.key,
          ...(field !== '' && { field }),
          reason,
        }));
      }
    }
    if (changes.length > 0) this.#options.onChanges(changes);
    this.#options.onNews();
  }
}

function withKeys(secret: object, keys: ReadonlySet<string>): object {
  const { metadata, data } = secret as {
    readonly metadata: { readonly name: string; readonly namespace?: string };
    readonly data?: Readonly<Record<string, unknown>>;
  };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: metadata.name, namespace: metadata.namespace },
    data: Object.fromEntries(Object.entries(data ?? {}).filter(([key]) => keys.has(key))),
  };
}
