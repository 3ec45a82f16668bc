/**
 * Every distinct attribute set once: canonical bytes, counted references, and what the decision needs as numbers.
 * Holds: equal sets have equal numbers; deciding never decodes.
 */

import { readU32 } from '../wire/byte-reader.ts';
import { AttributeCursor, AttributeView, WellKnownCommunity } from '../wire/attributes/attribute-set.ts';
import { asPathLength, neighborAs } from '../wire/attributes/as-path.ts';
import { AttributeCode } from '../wire/attributes/table.ts';
import { defaultLocalPref } from '../wire/attributes/outgoing.ts';
import { ByteStore } from './byte-store.ts';
import { HashIndex } from './hash-index.ts';
import { chunkBits, ChunkedRows, clear, column16, column32, column8, rowMask } from './rows.ts';

/** Bits of the traits column. */
export const AttributeTrait = {
  noExport: 1,
  noAdvertise: 2,
  emptyAsPath: 4,
  gracefulShutdown: 8,
  onlyToCustomer: 16,
  /** RFC 9494 §3.2, LLGR_STALE. */
  longLivedStale: 32,
  /** RFC 9494 §3.3, NO_LLGR. */
  noLongLived: 64,
} as const;

class AttributeChunk {
  readonly address = column32();
  readonly length = column32();
  readonly references = column32();
  readonly localPref = column32();
  readonly med = column32();
  readonly neighborAs = column32();
  /** 0: the set has none. */
  readonly originatorId = column32();
  readonly asPathLength = column16();
  readonly clusterListLength = column16();
  readonly origin = column8();
  readonly traits = column8();
}

export class AttributePool {
  #rows = new ChunkedRows(() => new AttributeChunk());
  #bytes = new ByteStore();
  #seed: number;
  #index = new HashIndex();
  #cursor = new AttributeCursor();

  /** Sets with LLGR_STALE: mostly there is none, and no decision asks for it. */
  longLivedStale = 0;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  get count(): number {
    return this.#rows.count;
  }

  /** Bytes held for the sets themselves. */
  get byteSize(): number {
    return this.#bytes.size;
  }

  /** The columns that hold the row; index them with `row & rowMask`. */
  chunk(id: number): AttributeChunk {
    return this.#rows.chunks[id >>> chunkBits]!;
  }

  /** The number of the canonical set in `bytes`, with one reference more, which the caller owes a release. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.#hash(bytes, start, end);
    const index = this.#index;
    let slot = index.first(hash);
    for (; index.holds(slot); slot = index.next(slot)) {
      if (!index.mayBe(slot, hash)) continue;
      const id = index.row(slot);
      const chunk = this.chunk(id);
      const row = id & rowMask;
      if (this.#equal(chunk, row, bytes, start, end)) {
        chunk.references[row]++;
        return id;
      }
    }
    const id = this.#rows.allocate();
    const chunk = this.chunk(id);
    const row = id & rowMask;
    chunk.address[row] = this.#bytes.add(bytes, start, end);
    chunk.length[row] = end - start;
    chunk.references[row] = 1;
    this.#summarize(chunk, row, bytes, start, end);
    if ((chunk.traits[row] & AttributeTrait.longLivedStale) !== 0) this.longLivedStale++;
    index.add(slot, hash, id);
    return id;
  }

  retain(id: number): void {
    this.chunk(id).references[id & rowMask]++;
  }

  /** Gives a reference back; 0 is allowed and means none. */
  release(id: number): void {
    if (id === 0) return;
    const chunk = this.chunk(id);
    const row = id & rowMask;
    if (--chunk.references[row] > 0) return;
    if ((chunk.traits[row] & AttributeTrait.longLivedStale) !== 0) this.longLivedStale--;
    const start = this.startOf(id);
    this.#index.remove(id, this.#hash(this.bufferOf(id), start, start + chunk.length[row]));
    this.#bytes.remove(chunk.address[row]);
    this.#rows.release(id);
  }

  /** The buffer that holds the set, from startOf(id), for lengthOf(id) bytes. */
  bufferOf(id: number): Uint8Array {
    return this.#bytes.bufferOf(this.chunk(id).address[id & rowMask]);
  }

  startOf(id: number): number {
    return this.#bytes.offsetOf(this.chunk(id).address[id & rowMask]);
  }

  lengthOf(id: number): number {
    return this.chunk(id).length[id & rowMask];
  }

  /** Bits of AttributeTrait. */
  traitsOf(id: number): number {
    return this.chunk(id).traits[id & rowMask];
  }

  /** The set for reading as text; a view that dies with the set. */
  view(id: number): AttributeView {
    const start = this.startOf(id);
    return new AttributeView(this.bufferOf(id).subarray(start, start + this.lengthOf(id)));
  }

  sameNextHop(a: number, b: number): boolean {
    const [bytesA, bytesB] = [this.bufferOf(a), this.bufferOf(b)];
    const [startA, startB] = [this.startOf(a), this.startOf(b)];
    for (let i = 0; i <= bytesA[startA]; i++) if (bytesA[startA + i] !== bytesB[startB + i]) return false;
    return true;
  }

  #summarize(chunk: AttributeChunk, row: number, bytes: Uint8Array, start: number, end: number): void {
    chunk.localPref[row] = defaultLocalPref;
    clear(chunk.med, row);
    clear(chunk.neighborAs, row);
    clear(chunk.originatorId, row);
    clear(chunk.asPathLength, row);
    clear(chunk.clusterListLength, row);
    clear(chunk.traits, row);
    chunk.origin[row] = 2;
    const cursor = this.#cursor;
    cursor.start(bytes, start, end);
    while (cursor.next()) {
      const { code, valueStart, valueEnd } = cursor;
      if (code === AttributeCode.origin) chunk.origin[row] = bytes[valueStart];
      else if (code === AttributeCode.asPath) {
        chunk.asPathLength[row] = asPathLength(bytes, valueStart, valueEnd, 4);
        chunk.neighborAs[row] = neighborAs(bytes, valueStart, valueEnd);
        if (valueStart === valueEnd) chunk.traits[row] |= AttributeTrait.emptyAsPath;
      } else if (code === AttributeCode.multiExitDisc) chunk.med[row] = readU32(bytes, valueStart);
      else if (code === AttributeCode.localPref) chunk.localPref[row] = readU32(bytes, valueStart);
      else if (code === AttributeCode.originatorId) chunk.originatorId[row] = readU32(bytes, valueStart);
      else if (code === AttributeCode.clusterList) chunk.clusterListLength[row] = (valueEnd - valueStart) >> 2;
      else if (code === AttributeCode.communities) {
        for (let at = valueStart; at < valueEnd; at += 4) chunk.traits[row] |= communityTrait(readU32(bytes, at));
      } else if (code === AttributeCode.onlyToCustomer) chunk.traits[row] |= AttributeTrait.onlyToCustomer;
    }
  }

  #equal(chunk: AttributeChunk, row: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (chunk.length[row] !== end - start) return false;
    const held = this.#bytes.bufferOf(chunk.address[row]);
    for (let i = start, at = this.#bytes.offsetOf(chunk.address[row]); i < end; i++, at++) {
      if (held[at] !== bytes[i]) return false;
    }
    return true;
  }

  #hash(bytes: Uint8Array, start: number, end: number): number {
    let hash = this.#seed;
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (; at < end; at++) hash = Math.imul(hash ^ bytes[at], 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }
}

function communityTrait(community: number): number {
  if (community === WellKnownCommunity.noAdvertise) return AttributeTrait.noAdvertise;
  if (community === WellKnownCommunity.gracefulShutdown) return AttributeTrait.gracefulShutdown;
  if (community === WellKnownCommunity.longLivedStale) return AttributeTrait.longLivedStale;
  if (community === WellKnownCommunity.noLongLived) return AttributeTrait.noLongLived;
  // Without confederations, NO_EXPORT_SUBCONFED reaches exactly as far as NO_EXPORT: not past our AS.
  const stays = community === WellKnownCommunity.noExport || community === WellKnownCommunity.noExportSubconfed;
  return stays ? AttributeTrait.noExport : 0;
}
