/** The world's own time for tests against the kernel. */

import type { Clock } from '../../dataplane/clock.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Retries and slow resyncs never come: what happens nevertheless, a notification brought about. */
export const clockWithoutRetries: Clock = {
  now: realClock.now,
  after: (milliseconds, callback) => (milliseconds < 1000 ? realClock.after(milliseconds, callback) : () => {}),
};
