/**
 * One kind of objects of an API server, followed for ever: listed once, then watched; what happens is told as events.
 * The way of client-go's reflector: a WatchList (`sendInitialEvents`) where the server knows it, else a paged list;
 * bookmarks keep the place current; a place that is too old (410) means listing again.
 * Holds: nothing that is known is forgotten by a fault: a delete is told only by the server's word, in a watch or by its
 * absence from a complete listing. Objects are cut down by `read` as they come, so that a big cluster is never held whole.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { breath } from './breath.ts';
import type { KubeClient, KubeStream } from './client.ts';
import { parseJson } from './client.ts';
import { errorOfConnection, errorOfStatus, KubeError } from './errors.ts';
import { ItemCutter, LineCutter } from './json-stream.ts';

/** What every object of an API server has. */
export interface KubeObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string };
}

export type ReflectorEvent<T> =
  | { readonly kind: 'upsert'; readonly key: string; readonly object: T }
  | { readonly kind: 'delete'; readonly key: string };

/** Why the objects may be out of date now. */
export interface Fault {
  readonly error: KubeError;
  /** Milliseconds since the epoch at which it began. */
  readonly since: number;
  /** How many attempts in a row have failed. */
  readonly attempts: number;
}

/** Milliseconds. */
export interface ReflectorTimes {
  /** First and longest rest after a failed attempt; each is half or one and a half times as long, by chance. */
  readonly firstRest: number;
  readonly longestRest: number;
  /** Between the least and the most, by chance: how long a watch is asked to last. */
  readonly leastWatch: number;
  readonly mostWatch: number;
  /** How much longer than it was asked to last a watch may be silent. */
  readonly watchGrace: number;
  /** How long a listing may be silent. */
  readonly listIdle: number;
  /** A watch that lasted this long is no failure, however it ends and be it quiet. */
  readonly soundWatch: number;
}

const defaultTimes: ReflectorTimes = {
  firstRest: 500,
  longestRest: 30_000,
  leastWatch: 300_000,
  mostWatch: 600_000,
  watchGrace: 15_000,
  listIdle: 60_000,
  soundWatch: 10_000,
};

/** Objects on a page of a list. A server may answer from its cache with everything at once. */
const pageSize = 500;

export interface ReflectorOptions<T> {
  readonly client: KubeClient;
  /** Of the collection: `/api/v1/pods`. */
  readonly path: string;
  /** Which of its objects: `{ fieldSelector: 'metadata.name=a' }`. */
  readonly query?: Readonly<Record<string, string>>;
  /** Cuts the object down to what is used. */
  read(object: KubeObject): T;
  onEvents(events: readonly ReflectorEvent<T>[]): void;
  /** Everything that the server has was told. */
  onListed(): void;
  /** undefined: the watch runs. */
  onFault(fault: Fault | undefined): void;
  readonly times?: Partial<ReflectorTimes>;
  /** Between 0 and 1. */
  random?(): number;
}

export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #times: ReflectorTimes;
  readonly #abort = new AbortController();
  readonly #pause = breath();
  /** Cuts a rest short. */
  #restAbort = new AbortController();
  /** Keys of what was told and not taken back. */
  #known = new Set<string>();
  /** Where to go on watching; undefined: list first. */
  #resourceVersion: string | undefined;
  /** What to ask a list for. 0: whatever the server has in its cache; '': what is in etcd. */
  #listVersion = '0';
  #pending: ReflectorEvent<T>[] = [];
  #synced = false;
  #attempts = 0;
  /** How often in a row a watch could not go on from where a listing was. */
  #expirations = 0;
  #fault: Fault | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#times = { ...defaultTimes, ...options.times };
  }

  /** Whether a listing was completed once. */
  get synced(): boolean {
    return this.#synced;
  }

  has(key: string): boolean {
    return this.#known.has(key);
  }

  /** Objects known from elsewhere: the first listing that is complete takes back those that it lacks. */
  seed(keys: Iterable<string>): void {
    for (const key of keys) this.#known.add(key);
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#abort.abort();
    this.#restAbort.abort();
  }

  /** There is reason to think that the next attempt will not fail: a long rest becomes a first one. */
  retrySoon(): void {
    if (this.#attempts < 2) return;
    this.#attempts = 0;
    this.#restAbort.abort();
  }

  get #stopped(): boolean {
    return this.#abort.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let wish: number | undefined;
      try {
        await this.#follow();
      } catch (error) {
        if (this.#stopped) return;
        wish = this.#failed(errorOfConnection(error));
      }
      this.#flush();
      await this.#rest(wish);
    }
  }

  /** @returns how long the server wants us to wait. */
  #failed(error: KubeError): number | undefined {
    if (error.kind === 'expired' && this.#resourceVersion !== undefined) {
      // The server works, and tells us to list: no fault, as long as what it lists is not expired again and again.
      this.#resourceVersion = undefined;
      this.#attempts = this.#expirations++;
      if (this.#expirations < 3) return undefined;
    }
    this.#fault = { error, since: this.#fault?.since ?? Date.now(), attempts: (this.#fault?.attempts ?? 0) + 1 };
    this.#options.onFault(this.#fault);
    return error.retryAfter;
  }

  /** After a watch that ended in order too: if it ended at once, asking again at once would be a storm. */
  async #rest(wish = 0): Promise<void> {
    const { firstRest, longestRest } = this.#times;
    const even = Math.min(longestRest, firstRest * 2 ** Math.min(this.#attempts, 16));
    this.#attempts++;
    this.#restAbort = new AbortController();
    try {
      await delay(Math.max(wish, even * (0.5 + this.#random())), undefined, { signal: this.#restAbort.signal });
    } catch (error) {
      if (!this.#restAbort.signal.aborted) throw error;
      if (!this.#stopped) await this.#rest();
    }
  }

  #random(): number {
    return (this.#options.random ?? Math.random)();
  }

  /** Lists where that is needed, and watches until the server ends the watch. */
  async #follow(): Promise<void> {
    if (this.#resourceVersion === undefined) {
      if (await this.#watchList()) return;
      await this.#list();
    }
    if (this.#resourceVersion !== undefined) await this.#watch(this.#resourceVersion);
  }

  /** @returns whether the server knows this way; if so the watch that follows the listing has ended too. */
  async #watchList(): Promise<boolean> {
    let stream: KubeStream;
    try {
      // Servers before 1.27 refuse resourceVersionMatch in a watch, those without the feature sendInitialEvents.
      stream = await this.#openWatch({ sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' });
    } catch (error) {
      if (error instanceof KubeError && error.kind === 'invalid') return false;
      throw error;
    }
    await this.#readWatch(stream, new Set());
    return true;
  }

  async #watch(resourceVersion: string): Promise<void> {
    await this.#readWatch(await this.#openWatch({ resourceVersion }), undefined);
  }

  async #openWatch(query: Readonly<Record<string, string>>): Promise<KubeStream> {
    const { leastWatch, mostWatch, watchGrace, listIdle } = this.#times;
    const lasts = leastWatch + (mostWatch - leastWatch) * this.#random();
    const stream = await this.#options.client.stream('GET', this.#options.path, {
      query: {
        ...this.#options.query,
        watch: 'true',
        allowWatchBookmarks: 'true',
        timeoutSeconds: String(Math.ceil(lasts / 1000)),
        ...query,
      },
      signal: this.#abort.signal,
      idle: listIdle,
    });
    if (!('sendInitialEvents' in query)) stream.setIdle(lasts + watchGrace);
    return stream;
  }

  /** @param listed gathers the keys of a listing, until the bookmark that ends it. */
  async #readWatch(stream: KubeStream, listed: Set<string> | undefined): Promise<void> {
    // A portal's page is opened too: a watch is sound once it has told something, or was quiet for a while.
    const sound = listed === undefined ? setTimeout(() => this.#watchIsSound(), this.#times.soundWatch) : undefined;
    try {
      await this.#readEvents(stream, listed);
    } finally {
      clearTimeout(sound);
    }
  }

  async #readEvents(stream: KubeStream, listed: Set<string> | undefined): Promise<void> {
    const lines = new LineCutter();
    for await (const chunk of stream.body) {
      for (const line of lines.push(chunk as Buffer)) {
        const ended = this.#take(parseJson(line), listed);
        if (ended && listed !== undefined) {
          await this.#complete(listed);
          listed = undefined;
          stream.setIdle(this.#times.mostWatch + this.#times.watchGrace);
        }
        const turn = this.#pause();
        if (turn === undefined) continue;
        this.#flush();
        await turn;
      }
      this.#flush();
    }
    if (lines.rest() !== '') throw new KubeError('garbage', 'the API server ended a watch in the middle of an event');
    if (listed !== undefined) throw new KubeError('garbage', 'the API server ended a listing in the middle');
  }

  /** @returns whether this was the bookmark that ends a listing. */
  #take(event: unknown, listed: Set<string> | undefined): boolean {
    const { type, object } = (typeof event === 'object' && event !== null ? event : {}) as {
      readonly type?: unknown;
      readonly object?: unknown;
    };
    switch (type) {
      case 'ADDED':
      case 'MODIFIED': {
        const read = toKubeObject(object);
        const key = this.#upsert(read);
        listed?.add(key);
        this.#passed(read, listed);
        return false;
      }
      case 'DELETED': {
        const read = toKubeObject(object);
        const key = keyOf(read);
        listed?.delete(key);
        this.#delete(key);
        this.#passed(read, listed);
        return false;
      }
      case 'BOOKMARK': {
        const { metadata } = (object ?? {}) as {
          readonly metadata?: { readonly resourceVersion?: unknown; readonly annotations?: Record<string, unknown> };
        };
        const ends = metadata?.annotations?.['k8s.io/initial-events-end'] === 'true';
        if (typeof metadata?.resourceVersion !== 'string')
          throw new KubeError('garbage', 'the API server sends a bookmark without resourceVersion');
        if (listed === undefined || ends) this.#resourceVersion = metadata.resourceVersion;
        if (listed === undefined) this.#watchIsSound();
        return ends;
      }
      case 'ERROR': {
        const { code } = (object ?? {}) as { readonly code?: unknown };
        throw errorOfStatus(typeof code === 'number' ? code : 500, object);
      }
      default:
        throw new KubeError('garbage', `the API server sends an event of type ${JSON.stringify(type)}`);
    }
  }

  /** The watch has come to here. In a listing the order is not that of the versions. */
  #passed({ metadata }: KubeObject, listed: Set<string> | undefined): void {
    if (listed !== undefined) return;
    this.#resourceVersion = metadata.resourceVersion;
    this.#watchIsSound();
  }

  async #list(): Promise<void> {
    const listed = new Set<string>();
    const match = this.#listVersion === '' || this.#listVersion === '0' ? undefined : 'NotOlderThan';
    const asked = this.#listVersion;
    // Should the cache not help (it is behind, after a restore of etcd), etcd itself is asked.
    this.#listVersion = '';
    let resourceVersion = await this.#page(listed, {
      limit: String(pageSize),
      resourceVersion: asked,
      resourceVersionMatch: match,
    });
    while (resourceVersion.next !== undefined) {
      try {
        resourceVersion = await this.#page(listed, { limit: String(pageSize), continue: resourceVersion.next });
      } catch (error) {
        if (!(error instanceof KubeError) || error.kind !== 'expired') throw error;
        // The pages took longer than etcd keeps the past: everything at once cannot.
        listed.clear();
        resourceVersion = await this.#page(listed, { resourceVersion: '' });
      }
    }
    this.#resourceVersion = resourceVersion.version;
    await this.#complete(listed);
  }

  async #page(listed: Set<string>, query: Readonly<Record<string, string | undefined>>) {
    const { body } = await this.#options.client.stream('GET', this.#options.path, {
      query: { ...this.#options.query, ...query },
      signal: this.#abort.signal,
      idle: this.#times.listIdle,
    });
    const items = new ItemCutter();
    for await (const chunk of body) {
      for (const item of items.push(chunk as Buffer)) {
        listed.add(this.#upsert(toKubeObject(parseJson(item))));
        const turn = this.#pause();
        if (turn === undefined) continue;
        this.#flush();
        await turn;
      }
      const turn = this.#pause();
      if (turn !== undefined) await turn;
    }
    this.#flush();
    const list = parseJson(items.rest()) as {
      readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
    };
    const version = list?.metadata?.resourceVersion;
    if (typeof version !== 'string')
      throw new KubeError('garbage', 'the API server sends a list without resourceVersion');
    return { version, next: list.metadata?.continue === '' ? undefined : list.metadata?.continue };
  }

  async #complete(listed: ReadonlySet<string>): Promise<void> {
    for (const key of this.#known) {
      if (!listed.has(key)) this.#delete(key);
      const turn = this.#pause();
      if (turn !== undefined) await turn;
    }
    this.#flush();
    this.#synced = true;
    if (this.#resourceVersion !== undefined) this.#listVersion = this.#resourceVersion;
    this.#sound();
    this.#options.onListed();
  }

  #watchIsSound(): void {
    this.#expirations = 0;
    this.#sound();
  }

  #sound(): void {
    this.#attempts = 0;
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#options.onFault(undefined);
  }

  #upsert(object: KubeObject): string {
    const key = keyOf(object);
    this.#known.add(key);
    this.#pending.push({ kind: 'upsert', key, object: this.#options.read(object) });
    return key;
  }

  #delete(key: string): void {
    this.#known.delete(key);
    this.#pending.push({ kind: 'delete', key });
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    const events = this.#pending;
    this.#pending = [];
    this.#options.onEvents(events);
  }
}

function toKubeObject(value: unknown): KubeObject {
  const object = value as { readonly metadata?: { readonly name?: unknown } } | null;
  if (typeof object?.metadata?.name === 'string') return object as KubeObject;
  throw new KubeError('garbage', 'the API server sends an object without a name');
}

function keyOf({ metadata: { name, namespace } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
