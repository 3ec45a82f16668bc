/**
 * How several next hops of a prefix share its traffic.
 * Implements: draft-ietf-idr-link-bandwidth §3: by bandwidth, where every path says one.
 */

import type { BestPath } from '../../bgp/index.ts';

/** Percent of the largest, at least 1; undefined: all share alike. */
export function weightsOf(paths: readonly BestPath[]): readonly number[] | undefined {
  const bandwidths = paths.map(({ linkBandwidth = 0 }) => linkBandwidth);
  const largest = Math.max(...bandwidths);
  if (Math.min(...bandwidths) <= 0 || bandwidths.every((bandwidth) => bandwidth === largest)) return undefined;
  return bandwidths.map((bandwidth) => Math.max(1, Math.round((100 * bandwidth) / largest)));
}
