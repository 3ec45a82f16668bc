/** Waits until something is so, with a deadline and a reason. */

import { setTimeout as rest } from 'node:timers/promises';
import { LabError } from './errors.ts';

/** The deadline passed: names what was awaited and what was last seen. */
export class NotInTimeError extends LabError {}

export interface EventuallyOptions {
  /** What is awaited, for the error. */
  readonly reason: string;
  /** Milliseconds. */
  readonly within: number;
  readonly signal?: AbortSignal;
}

/**
 * Asks until the question no longer throws; rests at least 50 ms between two questions.
 * @throws NotInTimeError with the last error's text; the signal's reason when that ends it.
 */
export async function eventually<T>(question: () => Promise<T>, options: EventuallyOptions): Promise<T> {
  const deadline = Date.now() + options.within;
  for (;;) {
    options.signal?.throwIfAborted();
    const asked = Date.now();
    try {
      return await question();
    } catch (error) {
      if (Date.now() > deadline) {
        const last = error instanceof Error ? error.message : String(error);
        throw new NotInTimeError(`not within ${options.within / 1000} s: ${options.reason}: ${last}`, { cause: error });
      }
    }
    await rest(Math.max(50, Date.now() - asked), undefined, { signal: options.signal });
  }
}
