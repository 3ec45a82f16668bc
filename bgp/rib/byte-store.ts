/**
 * Many short byte strings in few buffers: slabs of 64 KiB, each for blocks of one size.
 * Holds: a slab whose last block is freed gives its memory back.
 */

import { column8 } from './rows.ts';

const slabBits = 16;
const slabSize = 1 << slabBits;
const granule = 8;

interface Slab {
  readonly bytes: Uint8Array;
  readonly blockSize: number;
  readonly capacity: number;
  used: number;
  unused: number;
  /** Offsets of freed blocks, in granules. */
  free: number[];
}

export class ByteStore {
  #slabs: (Slab | undefined)[] = [];
  #holes: number[] = [];
  /** Slab to allocate from, by block size in granules. */
  #current = new Map<number, number>();
  #roomy = new Map<number, Set<number>>();

  /** Copies the bytes. @returns their address, below 2^32; a block is at most 64 KiB */
  add(bytes: Uint8Array, start: number, end: number): number {
    const granules = Math.max(1, Math.ceil((end - start) / granule));
    const index = this.#slabWithRoom(granules);
    const slab = this.#slabs[index]!;
    slab.used++;
    const offset = slab.free.length > 0 ? slab.free.pop()! * granule : slab.unused++ * slab.blockSize;
    if (slab.used === slab.capacity) this.#full(granules, index);
    for (let i = start, to = offset; i < end; i++, to++) slab.bytes[to] = bytes[i];
    return index * slabSize + offset;
  }

  remove(address: number): void {
    const index = address >>> slabBits;
    const slab = this.#slabs[index]!;
    const granules = slab.blockSize / granule;
    if (--slab.used === 0) {
      this.#slabs[index] = undefined;
      this.#holes.push(index);
      this.#full(granules, index);
      return;
    }
    slab.free.push((address & (slabSize - 1)) / granule);
    let roomy = this.#roomy.get(granules);
    if (roomy === undefined) this.#roomy.set(granules, (roomy = new Set()));
    roomy.add(index);
  }

  /** The buffer that holds the block; it starts at offsetOf(address). */
  bufferOf(address: number): Uint8Array {
    return this.#slabs[address >>> slabBits]!.bytes;
  }

  offsetOf(address: number): number {
    return address & (slabSize - 1);
  }

  /** Bytes of memory held. */
  get size(): number {
    return this.#slabs.reduce((sum, slab) => sum + (slab?.bytes.length ?? 0), 0);
  }

  #full(granules: number, index: number): void {
    if (this.#current.get(granules) === index) this.#current.delete(granules);
    this.#roomy.get(granules)?.delete(index);
  }

  #slabWithRoom(granules: number): number {
    const current = this.#current.get(granules);
    if (current !== undefined) return current;
    for (const index of this.#roomy.get(granules) ?? []) {
      this.#current.set(granules, index);
      return index;
    }
    const blockSize = granules * granule;
    // Long blocks are rare: a slab of their own, no larger than they are.
    const capacity = blockSize > 4096 ? 1 : Math.floor(slabSize / blockSize);
    const slab = { bytes: column8(capacity * blockSize), blockSize, capacity, used: 0, unused: 0, free: [] };
    const index = this.#holes.pop() ?? this.#slabs.length;
    this.#slabs[index] = slab;
    this.#current.set(granules, index);
    return index;
  }
}
