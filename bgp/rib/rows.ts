/**
 * Row numbers for tables whose columns lie in chunks of 65,536 rows: growth copies nothing, an empty chunk gives its memory back.
 * Holds: row 0 is never given out; 0 in a column means "none".
 */

export const chunkBits = 16;
export const chunkRows = 1 << chunkBits;
export const rowMask = chunkRows - 1;

/**
 * Columns are shared memory, though nobody shares them: V8 counts all other buffers as if they were garbage of its own heap, and
 * would mark that heap from end to end for every few MiB of routes. Zeros; pages that are never written take no memory.
 */
export function column32(rows = chunkRows): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(rows * 4));
}

export function column16(rows = chunkRows): Uint16Array {
  return new Uint16Array(new SharedArrayBuffer(rows * 2));
}

export function column8(rows = chunkRows): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(rows));
}

interface ChunkRows {
  /** Rows from here on were never used. */
  unused: number;
  used: number;
  /** Rows given back; made on first need. */
  free: Uint16Array | undefined;
  freeCount: number;
}

/** Columns of one chunk, made and dropped by the allocator. */
export class ChunkedRows<Chunk> {
  /** Columns by chunk; a dropped chunk is a hole. */
  readonly chunks: (Chunk | undefined)[] = [];
  #rows: (ChunkRows | undefined)[] = [];
  #make: () => Chunk;
  #current = 0;
  #count = 0;

  constructor(make: () => Chunk) {
    this.#make = make;
  }

  /** Rows in use. */
  get count(): number {
    return this.#count;
  }

  /** Every row in use lies below. */
  get limit(): number {
    const last = this.#rows.length - 1;
    return last < 0 ? 0 : (last << chunkBits) + (this.#rows[last]?.unused ?? 0);
  }

  allocate(): number {
    let chunk = this.#rows[this.#current];
    if (chunk === undefined || (chunk.unused === chunkRows && chunk.freeCount === 0)) chunk = this.#findRoom();
    chunk.used++;
    this.#count++;
    const row = chunk.freeCount > 0 ? chunk.free![--chunk.freeCount] : chunk.unused++;
    return (this.#current << chunkBits) | row;
  }

  /** The columns keep what they hold until the row is given out again. */
  release(id: number): void {
    const index = id >>> chunkBits;
    const chunk = this.#rows[index]!;
    this.#count--;
    if (--chunk.used === 0) {
      this.#rows[index] = undefined;
      this.chunks[index] = undefined;
      return;
    }
    chunk.free ??= column16();
    chunk.free[chunk.freeCount++] = id & rowMask;
    if (index < this.#current) this.#current = index;
  }

  #findRoom(): ChunkRows {
    let index = 0;
    for (; index < this.#rows.length; index++) {
      const chunk = this.#rows[index];
      if (chunk === undefined || chunk.unused < chunkRows || chunk.freeCount > 0) break;
    }
    this.#current = index;
    const present = this.#rows[index];
    if (present !== undefined) return present;
    const made: ChunkRows = { unused: index === 0 ? 1 : 0, used: 0, free: undefined, freeCount: 0 };
    this.#rows[index] = made;
    this.chunks[index] = this.#make();
    return made;
  }
}

/** Sets a number of a column to 0 without touching memory that is so already: pages of zeros cost nothing until written. */
export function clear(column: Uint8Array | Uint16Array | Uint32Array, row: number): void {
  if (column[row] !== 0) column[row] = 0;
}
