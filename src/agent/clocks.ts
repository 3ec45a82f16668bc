/** The real clocks, for everything below that gets time as an argument. */

import type { Clock as SpeakerClock } from '../../bgp/index.ts';
import type { Clock as DataplaneClock } from '../../dataplane/index.ts';
import type { KubeClock } from '../kube/clock.ts';

export const speakerClock: SpeakerClock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
};

export const kubeClock: KubeClock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  after: timer,
};

export const dataplaneClock: DataplaneClock = {
  now: () => Date.now(),
  after: timer,
};

function timer(milliseconds: number, callback: () => void): () => void {
  const timeout = setTimeout(callback, milliseconds);
  return () => clearTimeout(timeout);
}
