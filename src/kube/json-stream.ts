/**
 * JSON that comes in chunks, cut into texts that are parsed one by one: the lines of a watch, the items of a list.
 * A list of 50,000 pods is 150 MB: parsed whole it would hold up everything for a second.
 * Holds: a text is cut only between values; no more than one text is kept.
 */

import { KubeError } from './errors.ts';

/** An object in etcd has at most 1.5 MiB. */
const longestText = 16 * 1024 * 1024;

/** Bytes gathered across chunks. */
class Gathered {
  #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#length += bytes.length;
    if (this.#length > longestText) {
      throw new KubeError('garbage', `the API server sends a value of more than ${longestText} bytes`);
    }
    this.#parts.push(bytes);
  }

  take(): string {
    const text =
      this.#parts.length === 1
        ? Buffer.from(this.#parts[0].buffer, this.#parts[0].byteOffset, this.#length).toString('utf8')
        : Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#length = 0;
    return text;
  }
}

const newline = 0x0a;

export class LineCutter {
  readonly #gathered = new Gathered();

  /** @returns the lines that are complete now, without empty ones. */
  *push(chunk: Uint8Array): Generator<string, void> {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#gathered.add(chunk.subarray(start, end));
      start = end + 1;
      if (this.#gathered.length > 0) yield this.#gathered.take();
    }
    this.#gathered.add(chunk.subarray(start));
  }

  /** What came after the last line's end. */
  rest(): string {
    return this.#gathered.take();
  }
}

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const comma = 0x2c;

/** The text `"items":[` of a list, whose elements are cut out one by one; what is around them stays as the frame. */
export class ItemCutter {
  readonly #frame = new Gathered();
  readonly #item = new Gathered();
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The last string at depth 1, as far as it was read: a key, perhaps `items`. */
  #lastString: number[] = [];
  /** Between the bracket that opens the items and the one that closes them. */
  #inItems = false;

  /** @returns the items that are complete now. */
  *push(chunk: Uint8Array): Generator<string, void> {
    // Bytes before `start` have their place already.
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.#inString) {
        this.#readInString(byte);
        continue;
      }
      switch (byte) {
        case quote:
          this.#inString = true;
          if (this.#depth === 1) this.#lastString = [];
          break;
        case openBracket:
        case openBrace:
          this.#depth++;
          if (byte === openBracket && this.#depth === 2 && !this.#inItems && isItems(this.#lastString)) {
            this.#frame.add(chunk.subarray(start, i + 1));
            start = i + 1;
            this.#inItems = true;
          }
          break;
        case closeBracket:
        case closeBrace:
          this.#depth--;
          if (this.#inItems && this.#depth === 1) {
            this.#item.add(chunk.subarray(start, i));
            start = i;
            this.#inItems = false;
            this.#lastString = [];
            const last = this.#item.take();
            if (last.trim() !== '') yield last;
          }
          break;
        case comma:
          if (this.#inItems && this.#depth === 2) {
            this.#item.add(chunk.subarray(start, i));
            start = i + 1;
            yield this.#item.take();
          }
          break;
        default:
      }
    }
    (this.#inItems ? this.#item : this.#frame).add(chunk.subarray(start));
  }

  /** The list without its items, once everything was pushed. */
  rest(): string {
    return this.#frame.take();
  }

  #readInString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === backslash) this.#escaped = true;
    else if (byte === quote) this.#inString = false;
    // One byte more than the word is enough to know that it is another.
    else if (this.#depth === 1 && this.#lastString.length <= itemsWord.length) this.#lastString.push(byte);
  }
}

const itemsWord = [...Buffer.from('items')];

function isItems(bytes: readonly number[]): boolean {
  return bytes.length === itemsWord.length && itemsWord.every((byte, i) => byte === bytes[i]);
}
