/**
 * Writes big-endian numbers and byte strings into a buffer that grows.
 * Holds: the buffer is reused after `reset`; what leaves is a copy.
 */

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** The buffer itself, valid until the next write; for those who patch or read back. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** Forgets everything from `length` on. */
  reset(length = 0): void {
    this.#length = length;
  }

  u8(value: number): void {
    const at = this.grow(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.grow(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  u32(value: number): void {
    const at = this.grow(4);
    writeU32(this.#bytes, at, value);
  }

  bytes(source: Uint8Array, start = 0, end: number = source.length): void {
    const at = this.grow(end - start);
    // Short runs are the rule; a loop beats the call of set() and its view up to about this length.
    if (end - start <= 48) for (let i = start, to = at; i < end; i++, to++) this.#bytes[to] = source[i];
    else this.#bytes.set(source.subarray(start, end), at);
  }

  /** Overwrites two bytes written before. */
  patchU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Overwrites one byte written before. */
  patchU8(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  /** A copy of what was written. */
  copy(start = 0, end: number = this.#length): Uint8Array {
    return this.#bytes.slice(start, end);
  }

  /** Makes room for `count` bytes whose content is still undefined. @returns where they start */
  grow(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    this.#length = needed;
    return at;
  }
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
