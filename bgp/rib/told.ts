/**
 * What one peer was told and not withdrawn since: one bit a prefix, in chunks made on first use.
 */

import { chunkBits, chunkRows, rowMask } from './rows.ts';

export class ToldPrefixes {
  #chunks: (Uint32Array | undefined)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  has(prefix: number): boolean {
    const chunk = this.#chunks[prefix >>> chunkBits];
    if (chunk === undefined) return false;
    const row = prefix & rowMask;
    return ((chunk[row >>> 5] >>> (row & 31)) & 1) !== 0;
  }

  add(prefixes: Uint32Array, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      const prefix = prefixes[i];
      const chunk = (this.#chunks[prefix >>> chunkBits] ??= new Uint32Array(chunkRows >>> 5));
      const word = (prefix & rowMask) >>> 5;
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
}
