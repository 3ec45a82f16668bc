/**
 * From hash to row: open addressing with linear probing. Beside each row lies a byte of its hash, so that a search visits
 * the row's columns (a cache miss each) only where it is nearly sure to be right.
 *
 *     for (let slot = index.first(hash); index.holds(slot); slot = index.next(slot))
 *       if (index.mayBe(slot, hash) && …equal(index.row(slot))) …
 */

const smallest = 1024;
/** Up to here (5 MiB) it grows fourfold: that spares one of three visits to each row. */
const large = 1 << 20;

export class HashIndex {
  #rows = new Uint32Array(smallest);
  /** 0: the slot is empty. */
  #tags = new Uint8Array(smallest);
  #mask = smallest - 1;
  #count = 0;
  #hashOf: (row: number) => number;
  #eachRow: (visit: (row: number, hash: number) => void) => void;

  /**
   * @param hashOf the hash of a row that is in the index
   * @param eachRow visits all of these rows with their hashes, in the order that is cheapest
   */
  constructor(hashOf: (row: number) => number, eachRow: (visit: (row: number, hash: number) => void) => void) {
    this.#hashOf = hashOf;
    this.#eachRow = eachRow;
  }

  first(hash: number): number {
    return hash & this.#mask;
  }

  next(slot: number): number {
    return (slot + 1) & this.#mask;
  }

  holds(slot: number): boolean {
    return this.#tags[slot] !== 0;
  }

  mayBe(slot: number, hash: number): boolean {
    return this.#tags[slot] === tagOf(hash);
  }

  row(slot: number): number {
    return this.#rows[slot];
  }

  /** @param slot empty, where the search for `hash` ended; the row's columns must be filled already */
  add(slot: number, hash: number, row: number): void {
    this.#rows[slot] = row;
    this.#tags[slot] = tagOf(hash);
    if (++this.#count * 10 > this.#rows.length * 7)
      this.#resize(this.#rows.length * (this.#rows.length < large ? 4 : 2));
  }

  /** The row's columns must still be there. */
  remove(row: number): void {
    let hole = this.#hashOf(row) & this.#mask;
    while (this.#rows[hole] !== row || this.#tags[hole] === 0) hole = (hole + 1) & this.#mask;
    // Entries after the hole move up where their own place is not between the hole and them.
    for (let slot = (hole + 1) & this.#mask; this.#tags[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = this.#hashOf(this.#rows[slot]) & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      this.#rows[hole] = this.#rows[slot];
      this.#tags[hole] = this.#tags[slot];
      hole = slot;
    }
    this.#tags[hole] = 0;
    this.#count--;
  }

  /** Gives memory back where most of it is empty; for after a removal, when the row is gone from `eachRow`. */
  shrink(): void {
    if (this.#rows.length > smallest && this.#count * 8 < this.#rows.length) this.#resize(this.#rows.length / 2);
  }

  #resize(capacity: number): void {
    const rows = new Uint32Array(capacity);
    const tags = new Uint8Array(capacity);
    const mask = capacity - 1;
    this.#eachRow((row, hash) => {
      let slot = hash & mask;
      while (tags[slot] !== 0) slot = (slot + 1) & mask;
      rows[slot] = row;
      tags[slot] = tagOf(hash);
    });
    this.#rows = rows;
    this.#tags = tags;
    this.#mask = mask;
  }
}

/** The bits of a hash that choose the slot are its low ones. */
function tagOf(hash: number): number {
  return (hash >>> 24) | 1;
}
