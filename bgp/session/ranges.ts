/**
 * Dynamic neighbours: ranges of addresses whose members are accepted when they come.
 * Holds: the narrowest range that holds an address decides; of equal ones, that of the member's interface.
 */

import type { Prefix } from '../ip.ts';
import { parseAddress, parsePrefix, prefixContains, splitScope } from '../ip.ts';
import type { NeighborSettings } from '../settings.ts';

interface Range {
  readonly neighbor: NeighborSettings;
  readonly prefix: Prefix;
  /** Name of the only interface; undefined: any. */
  readonly scope: string | undefined;
}

export class Ranges {
  private readonly narrowestFirst: readonly Range[];

  /** @throws RangeError where a range is no prefix. */
  constructor(neighbors: readonly NeighborSettings[]) {
    this.narrowestFirst = neighbors
      .flatMap(rangeOf)
      .sort(
        (a, b) => b.prefix.length - a.prefix.length || Number(a.scope === undefined) - Number(b.scope === undefined),
      );
  }

  get isEmpty(): boolean {
    return this.narrowestFirst.length === 0;
  }

  /** Settings of the range that the address belongs to. */
  find(address: string): NeighborSettings | undefined {
    const { address: plain, scope } = splitScope(address);
    const bytes = parseAddress(plain);
    const holds = (range: Range) => range.scope === undefined || range.scope === scope;
    return bytes && this.narrowestFirst.find((range) => holds(range) && prefixContains(range.prefix, bytes))?.neighbor;
  }
}

/** What a member of a range is configured as. */
export function memberOf(range: NeighborSettings, address: string): NeighborSettings {
  const name = `${range.name}_${address.replace('%', '_')}`;
  return { ...range, name, remote: { kind: 'address', address, port: 0 }, passive: true };
}

function rangeOf(neighbor: NeighborSettings): Range[] {
  const { name, remote } = neighbor;
  if (remote.kind !== 'range') return [];
  const prefix = parsePrefix(remote.prefix);
  if (prefix === undefined) throw new RangeError(`neighbour ${name}: ${remote.prefix} is not a prefix`);
  return [{ neighbor, prefix, scope: remote.interfaceName }];
}
