/**
 * What failed, since when, and when to try again: exponential backoff per key, one timer for all.
 * Holds: `since` is the first failure's time until the key succeeds or is given up.
 */

import type { Clock } from './clock.ts';
import { Coalesced } from './coalesced.ts';

const firstDelayMilliseconds = 1000;
const longestDelayMilliseconds = 60_000;
/** A link that comes up brings several notifications. */
const changeDelayMilliseconds = 5;

export interface Failure<K> {
  readonly key: K;
  readonly errno: string;
  readonly message: string;
  readonly since: number;
  readonly attempts: number;
  readonly retryAt: number;
}

export class Backoff<K> {
  readonly #clock: Clock;
  readonly #retry: (keys: K[]) => void;
  readonly #failures = new Map<K, Failure<K>>();
  readonly #soon: Coalesced;
  #timer: { readonly at: number; readonly cancel: () => void } | undefined;

  /** @param retry called with the keys whose time has come. */
  constructor(clock: Clock, retry: (keys: K[]) => void) {
    this.#clock = clock;
    this.#retry = retry;
    this.#soon = new Coalesced(clock, changeDelayMilliseconds, () => {
      if (this.#failures.size > 0) this.#retry([...this.#failures.keys()]);
    });
  }

  get size(): number {
    return this.#failures.size;
  }

  get(key: K): Failure<K> | undefined {
    return this.#failures.get(key);
  }

  list(): Failure<K>[] {
    return [...this.#failures.values()].sort((a, b) => a.since - b.since);
  }

  /** The key failed (again): it is tried after twice the time of last time. */
  add(key: K, reason: { errno: string; message: string }): void {
    const now = this.#clock.now();
    const before = this.#failures.get(key);
    const attempts = (before?.attempts ?? 0) + 1;
    const delay = Math.min(longestDelayMilliseconds, firstDelayMilliseconds * 2 ** (attempts - 1));
    this.#failures.set(key, { key, ...reason, since: before?.since ?? now, attempts, retryAt: now + delay });
    this.#wakeAt(now + delay);
  }

  /** The key succeeded, or nobody wants it any more. */
  delete(key: K): void {
    this.#failures.delete(key);
  }

  /** The world has changed: everything is tried in a moment, whatever its time. */
  retrySoon(): void {
    if (this.#failures.size > 0) this.#soon.request();
  }

  clear(): void {
    this.#failures.clear();
    this.#soon.cancel();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wakeAt(at: number): void {
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#timer = undefined;
      this.#wake();
    });
    this.#timer = { at, cancel };
  }

  #wake(): void {
    const now = this.#clock.now();
    const due = [...this.#failures.values()].filter((failure) => failure.retryAt <= now).map(({ key }) => key);
    if (due.length > 0) this.#retry(due);
    // What failed again has its new time already; the rest waits on.
    const waiting = [...this.#failures.values()].map((failure) => failure.retryAt).filter((at) => at > now);
    if (waiting.length > 0) this.#wakeAt(waiting.reduce((a, b) => Math.min(a, b)));
  }
}
