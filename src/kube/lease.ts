/**
 * One leader among the agents, by a Lease (coordination.k8s.io/v1).
 * Implements: the way of client-go's leader election: take what is free or was not renewed, keep it by renewing, give it back.
 * Holds: no clock of another host is believed: a lease is over when it has not changed for its duration by our own clock;
 * a leader that cannot renew stops well before anyone may take over; each change is made on the version that was read, so
 * two that want it at one time are never both given it.
 */

import type { KubeClient } from './client.ts';
import { microTimeText, type KubeClock } from './clock.ts';
import { KubeError } from './errors.ts';
import { create, objectPath, replace, type Manifest } from './writes.ts';

/** Milliseconds. */
export interface LeaseTimes {
  /** What others wait after the last renewal; whole seconds. */
  readonly duration: number;
  /** After this long without a renewal the leader no longer is one; shorter than the duration. */
  readonly deadline: number;
  readonly renew: number;
}

const defaultTimes: LeaseTimes = { duration: 30_000, deadline: 20_000, renew: 8000 };

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly clock: KubeClock;
  readonly namespace: string;
  readonly name: string;
  /** Of this process; nobody else's ever. */
  readonly identity: string;
  /** Milliseconds between looks of one who does not lead. The more agents there are, the longer. */
  poll(): number;
  onChange(leading: boolean): void;
  readonly times?: LeaseTimes;
  /** 0 <= x < 1 */
  random?(): number;
}

interface Lease extends Manifest {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly leaseTransitions?: number;
  };
}

export class LeaderElection {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #collection: string;
  readonly #abort = new AbortController();
  /** What was seen last, and when it was seen first so. */
  #seen: { readonly version: unknown; readonly at: number } | undefined;
  #leading = false;
  #cancelStep: (() => void) | undefined;
  #cancelDeadline: (() => void) | undefined;
  #step: Promise<void> = Promise.resolve();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#times = options.times ?? defaultTimes;
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  get leading(): boolean {
    return this.#leading;
  }

  start(): void {
    this.#later(this.#random() * Math.min(5000, this.#options.poll()));
  }

  /** Gives it back, so that the next one need not wait. */
  async stop(): Promise<void> {
    this.#cancelStep?.();
    const led = this.#leading;
    this.#setLeading(false);
    this.#abort.abort();
    await this.#step;
    if (led) await this.#release();
  }

  #random(): number {
    return (this.#options.random ?? Math.random)();
  }

  #later(milliseconds: number): void {
    if (this.#abort.signal.aborted) return;
    this.#cancelStep = this.#options.clock.after(milliseconds, () => {
      this.#step = this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      await this.#try();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      // The server is away, or someone was faster; the deadline says how long we lead without it.
      if (!(error instanceof KubeError)) throw error;
    }
    this.#later(this.#leading ? this.#times.renew : this.#options.poll() * (0.75 + 0.5 * this.#random()));
  }

  async #try(): Promise<void> {
    const { client, clock, identity } = this.#options;
    const began = clock.now();
    const lease = await this.#read();
    if (lease === undefined) {
      await create(client, this.#collection, this.#claimed(undefined), this.#abort.signal);
      return this.#renewed(began);
    }
    const version = lease.metadata.resourceVersion;
    const seen = this.#seen !== undefined && this.#seen.version === version ? this.#seen : { version, at: clock.now() };
    this.#seen = seen;
    const { holderIdentity, leaseDurationSeconds = this.#times.duration / 1000 } = lease.spec ?? {};
    const mine = holderIdentity === identity;
    const free = holderIdentity === undefined || holderIdentity === null || holderIdentity === '';
    if (!mine && !free && clock.now() - seen.at < leaseDurationSeconds * 1000) return this.#setLeading(false);
    await replace(client, this.#collection, this.#claimed(lease), this.#abort.signal);
    this.#renewed(began);
  }

  async #read(): Promise<Lease | undefined> {
    const { client, name } = this.#options;
    try {
      const path = objectPath(this.#collection, name);
      return (await client.request('GET', path, { signal: this.#abort.signal, idle: this.#times.deadline })) as Lease;
    } catch (error) {
      if (error instanceof KubeError && error.kind === 'notFound') return undefined;
      throw error;
    }
  }

  #claimed(before: Lease | undefined): Manifest {
    const { clock, namespace, name, identity } = this.#options;
    const { holderIdentity, acquireTime, leaseTransitions = -1 } = before?.spec ?? {};
    const mine = holderIdentity === identity;
    const now = microTimeText(clock.epoch());
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: before?.metadata ?? { name, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: this.#times.duration / 1000,
        acquireTime: (mine ? acquireTime : undefined) ?? now,
        renewTime: now,
        leaseTransitions: leaseTransitions + (mine ? 0 : 1),
      },
    };
  }

  /** @param began before the request: the server may have had it at once, and the answer late. */
  #renewed(began: number): void {
    const { clock } = this.#options;
    const left = began + this.#times.deadline - clock.now();
    this.#cancelDeadline?.();
    if (left <= 0) return this.#setLeading(false);
    this.#cancelDeadline = clock.after(left, () => this.#setLeading(false));
    this.#setLeading(true);
  }

  #setLeading(leading: boolean): void {
    if (!leading) this.#cancelDeadline?.();
    if (this.#leading === leading || this.#abort.signal.aborted) return;
    this.#leading = leading;
    this.#options.onChange(leading);
  }

  async #release(): Promise<void> {
    const { client, identity } = this.#options;
    const signal = AbortSignal.timeout(2000);
    try {
      const path = objectPath(this.#collection, this.#options.name);
      const lease = (await client.request('GET', path, { signal })) as Lease;
      if (lease.spec?.holderIdentity !== identity) return;
      await replace(client, this.#collection, { ...lease, spec: { ...lease.spec, holderIdentity: '' } }, signal);
    } catch (error) {
      // It runs out by itself.
      if (!(error instanceof KubeError) && !signal.aborted) throw error;
    }
  }
}
