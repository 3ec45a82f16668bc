/**
 * From hash to row: open addressing with linear probing, in 64 parts by the hash's high bits.
 * Beside each row lies its whole hash: a search visits the row's columns (a cache miss each) only where it is nearly sure to be
 * right, and growing visits none of them.
 *
 *     for (let slot = index.first(hash); index.holds(slot); slot = index.next(slot))
 *       if (index.mayBe(slot, hash) && …equal(index.row(slot))) …
 *
 * Holds: a part grows and shrinks alone, so that a million rows never cost a pause: about 16,000 of them move at once. Slots are
 * of the part that `first` was asked for last.
 */

const partBits = 6;
const partShift = 32 - partBits;
const smallest = 16;

class Part {
  /** Pairs: hash, then row; row 0: the slot is empty. */
  entries = new Uint32Array(smallest * 2);
  mask = smallest - 1;
  count = 0;

  /** Moves everything into as many slots as said, a power of two. */
  resize(slots: number): void {
    const before = this.entries;
    const entries = new Uint32Array(slots * 2);
    const mask = slots - 1;
    for (let from = 0; from < before.length; from += 2) {
      if (before[from + 1] === 0) continue;
      let slot = before[from] & mask;
      while (entries[slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
      entries[slot * 2] = before[from];
      entries[slot * 2 + 1] = before[from + 1];
    }
    this.entries = entries;
    this.mask = mask;
  }
}

export class HashIndex {
  #parts = Array.from({ length: 1 << partBits }, () => new Part());
  /** Of the part that is searched. */
  #entries = this.#parts[0].entries;
  #mask = 0;

  first(hash: number): number {
    const part = this.#parts[hash >>> partShift];
    this.#entries = part.entries;
    this.#mask = part.mask;
    return hash & part.mask;
  }

  next(slot: number): number {
    return (slot + 1) & this.#mask;
  }

  holds(slot: number): boolean {
    return this.#entries[slot * 2 + 1] !== 0;
  }

  mayBe(slot: number, hash: number): boolean {
    return this.#entries[slot * 2] === hash >>> 0;
  }

  row(slot: number): number {
    return this.#entries[slot * 2 + 1];
  }

  /** @param slot empty, where the search for `hash` ended; nothing else was searched since */
  add(slot: number, hash: number, row: number): void {
    const part = this.#parts[hash >>> partShift];
    part.entries[slot * 2] = hash;
    part.entries[slot * 2 + 1] = row;
    const slots = part.mask + 1;
    if (++part.count * 10 > slots * 7) part.resize(slots * 2);
  }

  /** @param hash what the row was added with */
  remove(row: number, hash: number): void {
    const part = this.#parts[hash >>> partShift];
    const { entries, mask } = part;
    let hole = hash & mask;
    while (entries[hole * 2 + 1] !== row) hole = (hole + 1) & mask;
    // Entries after the hole move up where their own place is not between the hole and them.
    for (let slot = (hole + 1) & mask; entries[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      const home = entries[slot * 2] & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      entries[hole * 2] = entries[slot * 2];
      entries[hole * 2 + 1] = entries[slot * 2 + 1];
      hole = slot;
    }
    entries[hole * 2 + 1] = 0;
    const slots = mask + 1;
    if (--part.count * 8 < slots && slots > smallest) part.resize(slots / 2);
  }
}
