/**
 * Reads big-endian numbers and byte strings from a view of a buffer, in order.
 * Holds: never reads past its end; the caller says which error a short read is.
 */

export class ByteReader {
  #bytes: Uint8Array;
  #at: number;
  #end: number;
  #short: () => Error;

  /** @param short makes the error thrown where fewer bytes are left than asked for. */
  constructor(bytes: Uint8Array, short: () => Error, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#short = short;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)];
  }

  u16(): number {
    const at = this.#take(2);
    return (this.#bytes[at] << 8) | this.#bytes[at + 1];
  }

  u32(): number {
    return readU32(this.#bytes, this.#take(4));
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#end) throw this.#short();
    this.#at = at + length;
    return at;
  }
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
