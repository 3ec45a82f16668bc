/** The real clocks, for everything below that gets time as an argument. */

import type { Clock as SpeakerClock } from '../../bgp/index.ts';
import type { Clock as DataplaneClock } from '../../dataplane/index.ts';

export const speakerClock: SpeakerClock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
};

export const dataplaneClock: DataplaneClock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};
