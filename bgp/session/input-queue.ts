/**
 * What has come on a connection and is not yet read: copied into blocks that all connections take from one pool and give back.
 * Holds: however much is read, it leaves nothing behind for the garbage collector; a connection without unread input has no block, and thousands
 * with a message each have small ones.
 */

interface BlockPool {
  /** Bytes. */
  readonly size: number;
  /** Blocks kept for reuse. */
  readonly mostKept: number;
  readonly kept: Uint8Array[];
}

const small: BlockPool = { size: 1024, mostKept: 1024, kept: [] };
/** Also what is read in one go: a few milliseconds of work where it is withdraws. */
const large: BlockPool = { size: 16 * 1024, mostKept: 64, kept: [] };

export class InputQueue {
  unreadBytes = 0;

  #blocks: Uint8Array[] = [];
  /** Bytes filled of the last block. */
  #end = 0;
  /** What was taken last: it may still be read. */
  #lent: Uint8Array | undefined;

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  /** Copies the bytes. */
  push(bytes: Uint8Array): void {
    this.unreadBytes += bytes.length;
    for (let from = 0; from < bytes.length;) {
      let block = this.#blocks.at(-1);
      if (block === undefined || this.#end === block.length) {
        const { kept, size } = block === undefined && bytes.length <= small.size ? small : large;
        block = kept.pop() ?? new Uint8Array(size);
        this.#blocks.push(block);
        this.#end = 0;
      }
      const count = Math.min(bytes.length - from, block.length - this.#end);
      block.set(bytes.subarray(from, from + count), this.#end);
      this.#end += count;
      from += count;
    }
  }

  /** The next bytes, 16 KiB of them at most; theirs is the block until `release` or the next `take`. */
  take(): Uint8Array | undefined {
    const block = this.#blocks.shift();
    if (block === undefined) return undefined;
    this.release();
    this.#lent = block;
    const chunk = this.isEmpty ? block.subarray(0, this.#end) : block;
    this.unreadBytes -= chunk.length;
    return chunk;
  }

  /** What was taken is read. */
  release(): void {
    const block = this.#lent;
    if (block === undefined) return;
    this.#lent = undefined;
    const { kept, mostKept } = block.length === small.size ? small : large;
    if (kept.length < mostKept) kept.push(block);
  }

  clear(): void {
    this.release();
    this.#blocks = [];
    this.unreadBytes = 0;
  }
}
