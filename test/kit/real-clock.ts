/** The world's own time for tests against the kernel. */

import type { Clock } from '../../dataplane/clock.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};
