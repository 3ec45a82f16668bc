/**
 * Dynamic neighbours: ranges of addresses whose members are accepted when they come.
 * Holds: the narrowest range that holds an address decides.
 */

import type { Prefix } from '../ip.ts';
import { parseAddress, parsePrefix, prefixContains } from '../ip.ts';
import type { NeighborSettings } from '../settings.ts';

interface Range {
  readonly neighbor: NeighborSettings;
  readonly prefix: Prefix;
}

export class Ranges {
  private readonly narrowestFirst: readonly Range[];

  /** @throws RangeError where a range is no prefix. */
  constructor(neighbors: readonly NeighborSettings[]) {
    this.narrowestFirst = neighbors.flatMap(rangeOf).sort((a, b) => b.prefix.length - a.prefix.length);
  }

  get isEmpty(): boolean {
    return this.narrowestFirst.length === 0;
  }

  /** Settings of the range that the address belongs to. */
  find(address: string): NeighborSettings | undefined {
    const bytes = parseAddress(address);
    return bytes && this.narrowestFirst.find(({ prefix }) => prefixContains(prefix, bytes))?.neighbor;
  }
}

/** What a member of a range is configured as. */
export function memberOf(range: NeighborSettings, address: string): NeighborSettings {
  const name = `${range.name}-${address}`;
  return { ...range, name, remote: { kind: 'address', address, port: 0 }, passive: true };
}

function rangeOf(neighbor: NeighborSettings): Range[] {
  const { name, remote } = neighbor;
  if (remote.kind !== 'range') return [];
  const prefix = parsePrefix(remote.prefix);
  if (prefix === undefined) throw new RangeError(`neighbour ${name}: ${remote.prefix} is not a prefix`);
  return [{ neighbor, prefix }];
}
