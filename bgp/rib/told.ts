/**
 * What one peer was told and not withdrawn since: one bit a prefix, in chunks made on first use that grow: thousands of peers may hear
 * of a few prefixes each.
 */

import { chunkBits, chunkRows, rowMask } from './rows.ts';

/** 32 bits each. */
const wordsOfChunk = chunkRows >>> 5;
const fewestWords = 32;

export class ToldPrefixes {
  #chunks: (Uint32Array | undefined)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  has(prefix: number): boolean {
    const chunk = this.#chunks[prefix >>> chunkBits];
    const word = (prefix & rowMask) >>> 5;
    if (chunk === undefined || word >= chunk.length) return false;
    return ((chunk[word] >>> (prefix & 31)) & 1) !== 0;
  }

  add(prefixes: Uint32Array, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      const prefix = prefixes[i];
      const word = (prefix & rowMask) >>> 5;
      let chunk = this.#chunks[prefix >>> chunkBits];
      if (chunk === undefined || word >= chunk.length) chunk = this.#grow(prefix >>> chunkBits, word);
      const bit = 1 << (prefix & 31);
      if ((chunk[word] & bit) === 0) {
        chunk[word] |= bit;
        this.#count++;
      }
    }
  }

  /** @returns whether it was there */
  delete(prefix: number): boolean {
    if (!this.has(prefix)) return false;
    this.#chunks[prefix >>> chunkBits]![(prefix & rowMask) >>> 5] &= ~(1 << (prefix & 31));
    this.#count--;
    return true;
  }

  #grow(index: number, word: number): Uint32Array {
    const before = this.#chunks[index];
    let words = before === undefined ? fewestWords : before.length * 2;
    while (words <= word) words *= 2;
    const chunk = new Uint32Array(Math.min(words, wordsOfChunk));
    if (before !== undefined) chunk.set(before);
    this.#chunks[index] = chunk;
    return chunk;
  }
}
