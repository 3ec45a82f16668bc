/** Packets and bytes that a table's rules and elements have counted. */

import type { HeldTable } from './held.ts';
import { formatKey } from './keys.ts';

export interface NftCount {
  readonly packets: number;
  readonly bytes: number;
}

export interface NftCounters {
  /** By the rule's comment; rules with equal comments are added up. */
  readonly rules: ReadonlyMap<string, NftCount>;
  /** By set name, then by the element's key in text; counting sets only. */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, NftCount>>;
}

/** @param held undefined where there is no table: nothing was counted */
export function readCounters(held: HeldTable | undefined): NftCounters {
  const rules = new Map<string, NftCount>();
  for (const { comment, count } of [...(held?.chains.values() ?? [])].flatMap((chain) => chain.rules)) {
    if (comment === undefined || count === undefined) continue;
    const before = rules.get(comment) ?? { packets: 0, bytes: 0 };
    rules.set(comment, { packets: before.packets + count.packets, bytes: before.bytes + count.bytes });
  }
  const elements = new Map<string, Map<string, NftCount>>();
  for (const [name, { keyTypes, elements: list }] of held?.sets ?? []) {
    const counts = new Map<string, NftCount>();
    for (const { key, count } of list) {
      if (keyTypes !== undefined && count !== undefined) counts.set(formatKey(keyTypes, key), count);
    }
    if (counts.size > 0) elements.set(name, counts);
  }
  return { rules, elements };
}
