/**
 * What one peer that hears several paths of a prefix (RFC 7911) was told and not withdrawn since: for each prefix, a list of path
 * identifiers. Lists lie in chunks made on first use.
 */

import { ChunkedRows, chunkBits, chunkRows, rowMask } from './rows.ts';

class ToldChunk {
  readonly pathId = new Uint32Array(chunkRows);
  readonly next = new Uint32Array(chunkRows);
}

export class ToldPaths {
  #rows = new ChunkedRows(() => new ToldChunk());
  /** By prefix: the first row of its list. */
  #first: (Uint32Array | undefined)[] = [];

  /** Paths told. */
  get count(): number {
    return this.#rows.count;
  }

  /** Whether any path of the prefix was told. */
  has(prefix: number): boolean {
    return this.first(prefix) !== 0;
  }

  hasPath(prefix: number, pathId: number): boolean {
    let row = this.first(prefix);
    while (row !== 0 && this.pathId(row) !== pathId) row = this.next(row);
    return row !== 0;
  }

  /** The first row of a prefix's list, or 0. */
  first(prefix: number): number {
    const first = this.#first[prefix >>> chunkBits];
    return first === undefined ? 0 : first[prefix & rowMask];
  }

  next(row: number): number {
    return this.#chunk(row).next[row & rowMask];
  }

  pathId(row: number): number {
    return this.#chunk(row).pathId[row & rowMask];
  }

  /** Adds the pairs that are not there yet. */
  add(prefixes: Uint32Array, pathIds: Uint32Array, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      const prefix = prefixes[i];
      if (this.hasPath(prefix, pathIds[i])) continue;
      const first = (this.#first[prefix >>> chunkBits] ??= new Uint32Array(chunkRows));
      const row = this.#rows.allocate();
      const chunk = this.#chunk(row);
      chunk.pathId[row & rowMask] = pathIds[i];
      chunk.next[row & rowMask] = first[prefix & rowMask];
      first[prefix & rowMask] = row;
    }
  }

  /** Takes a row out of its prefix's list. @returns the one after it */
  remove(prefix: number, row: number): number {
    const next = this.next(row);
    const first = this.#first[prefix >>> chunkBits]!;
    if (first[prefix & rowMask] === row) first[prefix & rowMask] = next;
    else {
      let before = first[prefix & rowMask];
      while (this.next(before) !== row) before = this.next(before);
      this.#chunk(before).next[before & rowMask] = next;
    }
    this.#rows.release(row);
    return next;
  }

  #chunk(row: number): ToldChunk {
    return this.#rows.chunks[row >>> chunkBits]!;
  }
}
