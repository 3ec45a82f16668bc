/**
 * Values by prefix, found by the most specific prefix that covers a given one.
 * Leaves out: a trie. A cluster has few different prefix lengths, so a table for each length is both smaller and faster.
 * Holds: looking up costs one step for each length in use, whatever the number of prefixes.
 */

import { familyOf, maskAddress, type Family, type Prefix } from '../../bgp/ip.ts';

/** The network bits of an address: a number for IPv4, which is what most look-ups are for. */
type Key = number | string;

interface LengthTable<T> {
  readonly length: number;
  readonly values: Map<Key, T>;
}

export class PrefixMap<T> {
  /** For each family the tables in use, the longest prefix length first. */
  readonly #tables: Record<Family, LengthTable<T>[]> = { ipv4: [], ipv6: [] };

  get(prefix: Prefix): T | undefined {
    return this.#tables[prefix.family]
      .find((table) => table.length === prefix.length)
      ?.values.get(keyOf(prefix.bytes, prefix.length));
  }

  set(prefix: Prefix, value: T): void {
    const tables = this.#tables[prefix.family];
    let table = tables.find((each) => each.length === prefix.length);
    if (table === undefined) {
      table = { length: prefix.length, values: new Map() };
      tables.push(table);
      tables.sort((a, b) => b.length - a.length);
    }
    table.values.set(keyOf(prefix.bytes, prefix.length), value);
  }

  /** @returns the value of the most specific prefix that covers `bytes/length` whole, or undefined. */
  covering(bytes: Uint8Array, length: number): T | undefined {
    for (const table of this.#tables[familyOf(bytes)]) {
      if (table.length > length) continue;
      const value = table.values.get(keyOf(bytes, table.length));
      if (value !== undefined) return value;
    }
    return undefined;
  }
}

function keyOf(bytes: Uint8Array, length: number): Key {
  if (bytes.length > 4) return String.fromCharCode(...maskAddress(bytes, length));
  // A shift by 32 is none in JavaScript; hence the length 0 by itself.
  const address = (bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
  return length === 0 ? 0 : address & (-1 << (32 - length));
}
