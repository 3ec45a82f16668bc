/**
 * Desired against actual: what has to be written, and what has to go. Pure.
 * Holds: applying a delta and computing it again gives an empty one.
 */

export interface Delta<D, A> {
  /** Desired and not there, or there with another value. */
  readonly writes: readonly D[];
  /** There and not desired. */
  readonly removals: readonly A[];
}

/**
 * @param key of either side; two of one key are the same object.
 * @param equal whether what is there is already as desired.
 */
export function difference<D, A>(
  desired: Iterable<D>,
  actual: Iterable<A>,
  key: { desired: (value: D) => string; actual: (value: A) => string },
  equal: (desired: D, actual: A) => boolean,
): Delta<D, A> {
  const left = new Map<string, A>();
  for (const value of actual) left.set(key.actual(value), value);
  const writes: D[] = [];
  for (const value of desired) {
    const name = key.desired(value);
    const there = left.get(name);
    left.delete(name);
    if (there === undefined || !equal(value, there)) writes.push(value);
  }
  return { writes, removals: [...left.values()] };
}
