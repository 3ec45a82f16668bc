/**
 * Work asked for in bursts, done once: many requests within the delay become one run.
 * Holds: a run that takes long is followed by a rest of a multiple of its time, so that a storm of requests costs a bounded
 * part of the thread.
 */

import type { Clock } from './clock.ts';

/** A run of 10 ms is followed by a rest of at least 40 ms: a fifth of the time at most. */
const restPerRun = 4;

export class Coalesced {
  readonly #clock: Clock;
  readonly #delay: number;
  readonly #run: () => void;
  #cancel: (() => void) | undefined;
  #restUntil = 0;

  /** @param delay milliseconds between the first request and the run. */
  constructor(clock: Clock, delay: number, run: () => void) {
    this.#clock = clock;
    this.#delay = delay;
    this.#run = run;
  }

  request(): void {
    if (this.#cancel) return;
    const rest = this.#restUntil - this.#clock.now();
    this.#cancel = this.#clock.after(Math.max(this.#delay, rest), () => {
      this.#cancel = undefined;
      const started = this.#clock.now();
      this.#run();
      const ended = this.#clock.now();
      this.#restUntil = ended + (ended - started) * restPerRun;
    });
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
