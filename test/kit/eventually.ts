/** Waits for the world to become so; tests never sleep. */

import { setTimeout as rest } from 'node:timers/promises';

export interface EventuallyOptions {
  /** What is awaited, for the error. */
  readonly reason: string;
  /** Milliseconds; 20,000 unless told. */
  readonly within?: number;
}

/**
 * Asks until the question no longer throws and does not answer false; rests twice as long as the question took.
 * @throws the last error, with the reason, once the deadline has passed.
 */
export async function eventually<T>(question: () => T | Promise<T>, options: EventuallyOptions): Promise<T> {
  const deadline = Date.now() + (options.within ?? 20_000);
  for (;;) {
    const asked = Date.now();
    let last: unknown;
    try {
      const answer = await question();
      if (answer !== false) return answer;
      last = 'the answer is still false';
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`not in time: ${options.reason}: ${last instanceof Error ? last.message : String(last)}`, {
        cause: last,
      });
    }
    await rest(Math.max(20, (Date.now() - asked) * 2));
  }
}
