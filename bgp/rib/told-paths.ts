/**
 * What one peer that hears several paths of a prefix (RFC 7911) was told and not withdrawn since: for each prefix, a list of path
 * identifiers. Lists lie in chunks made on first use.
 */

import { chunkBits, ChunkedRows, column32, rowMask } from './rows.ts';

class ToldChunk {
  readonly pathId = column32();
  readonly next = column32();
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

  /** @param pathId that is not in the prefix's list */
  add(prefix: number, pathId: number): void {
    const first = (this.#first[prefix >>> chunkBits] ??= column32());
    const row = this.#rows.allocate();
    const chunk = this.#chunk(row);
    chunk.pathId[row & rowMask] = pathId;
    chunk.next[row & rowMask] = first[prefix & rowMask];
    first[prefix & rowMask] = row;
  }

  /** Takes a row out of its prefix's list. @param before the row before it, 0: it is the first. @returns the one after it */
  remove(prefix: number, before: number, row: number): number {
    const next = this.next(row);
    if (before === 0) this.#first[prefix >>> chunkBits]![prefix & rowMask] = next;
    else this.#chunk(before).next[before & rowMask] = next;
    this.#rows.release(row);
    return next;
  }

  /** @param pathId that is in the prefix's list */
  delete(prefix: number, pathId: number): void {
    let before = 0;
    let row = this.first(prefix);
    while (this.pathId(row) !== pathId) [before, row] = [row, this.next(row)];
    this.remove(prefix, before, row);
  }

  #chunk(row: number): ToldChunk {
    return this.#rows.chunks[row >>> chunkBits]!;
  }
}

/** A mark on paths, by row, that is taken from all of them at once: two sets are compared with one look at each of their paths. */
export class PathMarks {
  #chunks: (Uint32Array | undefined)[] = [];
  #mark = 0;

  /** No path has the mark any more. @returns it; the number after it is a second mark. */
  clear(): number {
    if (this.#mark >= 0xffff_fffc) {
      this.#chunks = [];
      this.#mark = 0;
    }
    return (this.#mark += 2);
  }

  get(path: number): number {
    const chunk = this.#chunks[path >>> chunkBits];
    return chunk === undefined ? 0 : chunk[path & rowMask];
  }

  set(path: number, mark: number): void {
    (this.#chunks[path >>> chunkBits] ??= column32())[path & rowMask] = mark;
  }
}
