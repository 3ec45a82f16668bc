/**
 * From hash to row: open addressing with linear probing, in 256 parts by the hash's high bits.
 * An entry is six bytes: sixteen more bits of the hash, then the row. A search visits the row's columns (a cache miss each) only
 * where these bits are the same, and growing visits none of them: they say where an entry belongs in a part of any size.
 *
 *     for (let slot = index.first(hash); index.holds(slot); slot = index.next(slot))
 *       if (index.mayBe(slot, hash) && …equal(index.row(slot))) …
 *
 * Holds: a part grows and shrinks alone, so that a million rows never cost a pause: about 4,000 of them move at once. Slots are
 * of the part that `first` was asked for last.
 */

const partBits = 8;
const partShift = 32 - partBits;
const smallest = 12;
/** Words of an entry: the tag (0: the slot is empty), the row's low 16 bits, its high ones. */
const width = 3;
/** A part whose slots are more than its tags can tell apart has several slots for each. */
const tags = 0x10000;

class Part {
  entries = new Uint16Array(smallest * width);
  slots = smallest;
  count = 0;
  /** An entry belongs at `tag * factor >>> shift`: in the order of the tags, spread over the part. */
  #factor = smallest;
  #shift = 16;

  home(tag: number): number {
    return (Math.imul(tag, this.#factor) >>> this.#shift) * width;
  }

  next(slot: number): number {
    return slot + width === this.entries.length ? 0 : slot + width;
  }

  /** Moves everything into at least as many slots as said. */
  resize(slots: number): void {
    const before = this.entries;
    this.#factor = slots;
    this.#shift = 16;
    for (; this.#factor > tags; this.#shift--) this.#factor = (this.#factor + 1) >>> 1;
    this.slots = this.#factor << (16 - this.#shift);
    const entries = new Uint16Array(this.slots * width);
    this.entries = entries;
    for (let from = 0; from < before.length; from += width) {
      if (before[from] === 0) continue;
      let slot = this.home(before[from]);
      while (entries[slot] !== 0) slot = this.next(slot);
      entries[slot] = before[from];
      entries[slot + 1] = before[from + 1];
      entries[slot + 2] = before[from + 2];
    }
  }
}

export class HashIndex {
  /** What `touch` saw: a number without a meaning, lest the look be left out. */
  touched = 0;
  #parts = Array.from({ length: 1 << partBits }, () => new Part());
  /** The part that is searched, and its entries. */
  #part = this.#parts[0];
  #entries = this.#part.entries;

  first(hash: number): number {
    const part = this.#parts[hash >>> partShift];
    this.#part = part;
    this.#entries = part.entries;
    return part.home(tagOf(hash));
  }

  /** Has the processor fetch where a search for each of the hashes begins, all at once: of a large index no cache has it. */
  touch(hashes: Int32Array, count: number): void {
    let seen = 0;
    for (let i = 0; i < count; i++) {
      const part = this.#parts[hashes[i] >>> partShift];
      seen ^= part.entries[part.home(tagOf(hashes[i]))];
    }
    this.touched = seen;
  }

  next(slot: number): number {
    return slot + width === this.#entries.length ? 0 : slot + width;
  }

  holds(slot: number): boolean {
    return this.#entries[slot] !== 0;
  }

  mayBe(slot: number, hash: number): boolean {
    return this.#entries[slot] === tagOf(hash);
  }

  row(slot: number): number {
    return rowAt(this.#entries, slot);
  }

  /** @param slot empty, where the search for `hash` ended; nothing else was searched since */
  add(slot: number, hash: number, row: number): void {
    const part = this.#part;
    const { entries } = part;
    entries[slot] = tagOf(hash);
    entries[slot + 1] = row;
    entries[slot + 2] = row >>> 16;
    if (++part.count * 4 > part.slots * 3) part.resize(part.slots * 2);
  }

  /** @param hash what the row was added with */
  remove(row: number, hash: number): void {
    const part = this.#parts[hash >>> partShift];
    const { entries } = part;
    let hole = part.home(tagOf(hash));
    while (rowAt(entries, hole) !== row) hole = part.next(hole);
    // Entries after the hole move up where their own place is not between the hole and them.
    for (let slot = part.next(hole); entries[slot] !== 0; slot = part.next(slot)) {
      if (distance(part, part.home(entries[slot]), slot) < distance(part, hole, slot)) continue;
      entries[hole] = entries[slot];
      entries[hole + 1] = entries[slot + 1];
      entries[hole + 2] = entries[slot + 2];
      hole = slot;
    }
    entries[hole] = 0;
    entries[hole + 1] = 0;
    entries[hole + 2] = 0;
    if (--part.count * 4 < part.slots && part.slots > smallest) {
      part.resize(Math.max(smallest, Math.ceil(part.slots / 2)));
    }
  }
}

function tagOf(hash: number): number {
  return hash & 0xffff || 1;
}

function rowAt(entries: Uint16Array, slot: number): number {
  return entries[slot + 1] + entries[slot + 2] * 0x10000;
}

/** How far it is from one slot on to another. */
function distance(part: Part, from: number, to: number): number {
  return to >= from ? to - from : to - from + part.entries.length;
}
