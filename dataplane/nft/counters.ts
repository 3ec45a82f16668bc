/** Packets and bytes that a table's rules and elements have counted, read from `nft -j list table`. */

import { asArray, asObject, elementKey, type JsonObject } from './listing.ts';

export interface NftCount {
  readonly packets: number;
  readonly bytes: number;
}

export interface NftCounters {
  /** By the rule's comment; rules with equal comments are added up. */
  readonly rules: ReadonlyMap<string, NftCount>;
  /** By set name, then by the element's key; counting sets only. */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, NftCount>>;
}

/** @param listing undefined where there is no table: nothing was counted */
export function readCounters(listing: unknown): NftCounters {
  const rules = new Map<string, NftCount>();
  const elements = new Map<string, Map<string, NftCount>>();
  for (const entry of listing === undefined ? [] : asArray(asObject(listing).nftables)) {
    const { rule, set } = asObject(entry);
    if (rule !== undefined) {
      const { comment, expr } = asObject(rule);
      const statement = asArray(expr)
        .map(asObject)
        .find((part) => part.counter !== undefined);
      if (typeof comment !== 'string' || statement === undefined) continue;
      const count = readCount(statement);
      const before = rules.get(comment) ?? { packets: 0, bytes: 0 };
      rules.set(comment, { packets: before.packets + count.packets, bytes: before.bytes + count.bytes });
    } else if (set !== undefined) {
      const { name, elem } = asObject(set);
      for (const element of asArray(elem ?? [])) {
        const counted = typeof element === 'object' ? asObject(element).elem : undefined;
        if (counted === undefined || asObject(counted).counter === undefined) continue;
        const ofSet = elements.get(String(name)) ?? new Map<string, NftCount>();
        elements.set(String(name), ofSet.set(elementKey(element), readCount(asObject(counted))));
      }
    }
  }
  return { rules, elements };
}

function readCount(statement: JsonObject): NftCount {
  const { packets, bytes } = asObject(statement.counter);
  return { packets: Number(packets), bytes: Number(bytes) };
}
