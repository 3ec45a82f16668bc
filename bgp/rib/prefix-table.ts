/**
 * The prefixes of one family: columns in chunks, and a hash from prefix to row.
 * Holds: a prefix keeps its row while anything refers to it; walking by row number survives growth.
 */

import { addressOfWords } from '../wire/nlri.ts';
import type { PrefixKey } from '../wire/nlri.ts';
import { formatAddress } from '../ip.ts';
import type { Family } from '../ip.ts';
import type { LogColumns, LogRows } from './change-log.ts';
import { HashIndex } from './hash-index.ts';
import { chunkBits, ChunkedRows, chunkRows, clear, column32, column8, rowMask } from './rows.ts';

/** Bits of the state column. */
export const PrefixState = {
  used: 1,
  /** Without paths, kept until every reader has passed it. */
  tombstone: 2,
  /** A reader of the change log may stand here. */
  readerHere: 4,
  /** It stands in the list of tombstones, though it may live again. */
  buried: 8,
} as const;

/** Columns of the log of paths, where there is one. */
class PathLogColumns implements LogColumns {
  readonly version = column32();
  readonly newer = column32();
  readonly older = column32();
  readonly states = column8();
}

class PrefixChunk implements LogColumns {
  readonly words: Uint32Array;
  readonly lengths = column8();
  readonly states = column8();
  /** Head of the list of paths; the best path where there is one. */
  readonly firstPath = column32();
  /** The change log: version and neighbours in its order. */
  readonly version = column32();
  readonly newer = column32();
  readonly older = column32();
  /** Made when a log of paths first writes; it goes with the chunk. */
  pathLog: PathLogColumns | undefined;

  constructor(wordCount: number) {
    this.words = column32(chunkRows * wordCount);
  }
}

export class PrefixTable implements LogRows {
  readonly family: Family;
  readonly wordCount: number;
  #rows: ChunkedRows<PrefixChunk>;
  #seed: number;
  #index = new HashIndex();

  /** @param seed makes collisions unpredictable for who chooses the prefixes */
  constructor(family: Family, seed: number) {
    this.family = family;
    this.wordCount = family === 'ipv4' ? 1 : 4;
    this.#seed = seed | 0;
    this.#rows = new ChunkedRows(() => new PrefixChunk(this.wordCount));
  }

  /** Prefixes present, tombstones among them. */
  get count(): number {
    return this.#rows.count;
  }

  /** Every row in use lies below. */
  get limit(): number {
    return this.#rows.limit;
  }

  /** The columns that hold the row; index them with `row & rowMask`. */
  chunk(id: number): PrefixChunk {
    return this.#rows.chunks[id >>> chunkBits]!;
  }

  isUsed(id: number): boolean {
    const chunk = this.#rows.chunks[id >>> chunkBits];
    return chunk !== undefined && chunk.states[id & rowMask] !== 0;
  }

  hash(key: PrefixKey): number {
    return this.#hash(key.words, 0, key.length);
  }

  /** @param hashes of prefixes that are to be found next; see HashIndex.touch */
  touch(hashes: Int32Array, count: number): void {
    this.#index.touch(hashes, count);
  }

  /** @returns the row, or 0 */
  find(key: PrefixKey): number {
    const index = this.#index;
    const hash = this.hash(key);
    for (let slot = index.first(hash); index.holds(slot); slot = index.next(slot)) {
      if (index.mayBe(slot, hash) && this.#equal(index.row(slot), key)) return index.row(slot);
    }
    return 0;
  }

  /** @param hash of the key */
  findOrAdd(key: PrefixKey, hash: number = this.hash(key)): number {
    const index = this.#index;
    let slot = index.first(hash);
    for (; index.holds(slot); slot = index.next(slot)) {
      if (index.mayBe(slot, hash) && this.#equal(index.row(slot), key)) return index.row(slot);
    }
    const id = this.#rows.allocate();
    const chunk = this.chunk(id);
    const row = id & rowMask;
    for (let i = 0; i < this.wordCount; i++) chunk.words[row * this.wordCount + i] = key.words[i];
    chunk.lengths[row] = key.length;
    chunk.states[row] = PrefixState.used;
    clear(chunk.firstPath, row);
    clear(chunk.version, row);
    index.add(slot, hash, id);
    return id;
  }

  remove(id: number): void {
    this.#index.remove(id, this.#hashOf(id));
    this.chunk(id).states[id & rowMask] = 0;
    this.#rows.release(id);
  }

  /** For the change log. The row stays while the log of paths has it. */
  forget(id: number): void {
    const { pathLog } = this.chunk(id);
    if (pathLog === undefined || pathLog.version[id & rowMask] === 0) this.remove(id);
  }

  /** The rows as the log of paths sees them. */
  pathLogRows(): LogRows {
    return {
      chunk: (id) => (this.chunk(id).pathLog ??= new PathLogColumns()),
      forget: (id) => {
        const chunk = this.chunk(id);
        const row = id & rowMask;
        chunk.pathLog!.states[row] = 0;
        if (chunk.version[row] === 0 && (chunk.states[row] & PrefixState.tombstone) !== 0) this.remove(id);
      },
    };
  }

  readKey(id: number, into: PrefixKey): void {
    const chunk = this.chunk(id);
    const row = id & rowMask;
    for (let i = 0; i < this.wordCount; i++) into.words[i] = chunk.words[row * this.wordCount + i];
    into.length = chunk.lengths[row];
  }

  length(id: number): number {
    return this.chunk(id).lengths[id & rowMask];
  }

  addressBytes(id: number): Uint8Array {
    return addressOfWords(this.chunk(id).words, (id & rowMask) * this.wordCount, this.family);
  }

  /** Canonical text. */
  text(id: number): string {
    return `${formatAddress(this.addressBytes(id))}/${this.length(id)}`;
  }

  #equal(id: number, key: PrefixKey): boolean {
    const chunk = this.chunk(id);
    const row = id & rowMask;
    if (chunk.lengths[row] !== key.length) return false;
    if (this.wordCount === 1) return chunk.words[row] === key.words[0];
    const at = row * 4;
    const { words } = key;
    return (
      chunk.words[at] === words[0] &&
      chunk.words[at + 1] === words[1] &&
      chunk.words[at + 2] === words[2] &&
      chunk.words[at + 3] === words[3]
    );
  }

  #hashOf(id: number): number {
    const chunk = this.chunk(id);
    const row = id & rowMask;
    return this.#hash(chunk.words, row * this.wordCount, chunk.lengths[row]);
  }

  #hash(words: Uint32Array, at: number, length: number): number {
    let hash = Math.imul(words[at] ^ this.#seed, 0x9e3779b1);
    for (let i = 1; i < this.wordCount; i++) hash = Math.imul((hash ^ (hash >>> 15)) + words[at + i], 0x9e3779b1);
    hash = Math.imul((hash ^ (hash >>> 15)) + length, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }
}
