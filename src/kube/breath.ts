/** Long work in slices: everything else has its turn in between. */

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Milliseconds of work after which other things have their turn. */
const longestSlice = 4;

/** @returns a pause, to be awaited between two small pieces of work; it waits only once the slice is used up. */
export function breath(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < longestSlice) return undefined;
    return nextTurn().then(() => {
      since = performance.now();
    });
  };
}
