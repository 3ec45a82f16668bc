/**
 * Packs prefixes into UPDATE messages: as many to a message as fit, those with equal attributes and equal source together.
 * Implements: RFC 4271 §9.2 (packing; a route too long for a message is not told), RFC 8654 (longer messages), RFC 7911 §3.
 * Holds: every message has one source, so that it can be left out for exactly that peer.
 */

import { ByteWriter, writeU32 } from '../wire/byte-writer.ts';
import { pathIdSize, wirePrefixSize, writePrefix } from '../wire/nlri.ts';
import {
  announceOverhead,
  beginUpdate,
  endMessage,
  withdrawOverhead,
  writeAnnounceHead,
  writeAnnounceTail,
  writeWithdrawHead,
  writeWithdrawTail,
} from '../wire/update.ts';
import type { PrefixTable } from './prefix-table.ts';
import { rowMask } from './rows.ts';

/** Prefixes in one run of the packer. */
export const packRun = 4096;
/** Bytes at which a run ends, about. */
const runBytes = 128 * 1024;
const slotMask = 2 * packRun - 1;

/** Whole messages back to back, and whose routes they carry. */
export interface Packed {
  readonly bytes: Uint8Array;
  /** Prefixes announced, in the order of the messages. */
  readonly prefixes: Uint32Array;
  /** RFC 7911: of each of these; undefined: they have none. */
  readonly pathIds: Uint32Array | undefined;
  readonly messages: number;
  readonly runs: readonly SourceRun[];
  /** Numbers of runs by the peer whose routes they carry; made when first asked for. */
  bySource: Map<number, number[]> | undefined;
}

/** Messages in a row that carry routes of one peer. Each run begins in `bytes` and `prefixes` where the one before ends. */
export interface SourceRun {
  readonly source: number;
  messages: number;
  bytesEnd: number;
  prefixesEnd: number;
}

/** Collects prefixes, then packs them. One is enough: a run begins and ends within one call of its user. */
export class UpdatePacker {
  #count = 0;
  #size = 0;
  #prefixes = new Uint32Array(packRun);
  /** RFC 7911; undefined: the peers hear none. */
  #pathIds: Uint32Array | undefined;
  #nextInBucket = new Int16Array(packRun);
  #bucketAttributes = new Uint32Array(packRun);
  /** Source peer and, above it, the variant bit. */
  #bucketSources = new Uint32Array(packRun);
  #bucketFirst = new Int16Array(packRun);
  #bucketLast = new Int16Array(packRun);
  #buckets = 0;
  /** Bucket number + 1 by hash. */
  #slots = new Int16Array(2 * packRun);
  #slotsUsed = new Uint16Array(packRun);
  #out = new ByteWriter(2 * runBytes);
  #attributes = new ByteWriter(4096);
  #order = new Uint32Array(packRun);
  #orderedIds: Uint32Array | undefined;

  /** @param withPathIds a path identifier stands before each prefix (RFC 7911) */
  constructor(withPathIds = false) {
    if (!withPathIds) return;
    this.#pathIds = new Uint32Array(packRun);
    this.#orderedIds = new Uint32Array(packRun);
  }

  begin(): void {
    for (let i = 0; i < this.#buckets; i++) this.#slots[this.#slotsUsed[i]] = 0;
    this.#count = 0;
    this.#size = 0;
    this.#buckets = 0;
  }

  /** Whether one more can be added; `full` says so earlier. */
  get hasRoom(): boolean {
    return this.#count < packRun;
  }

  get full(): boolean {
    return this.#count === packRun || this.#size >= runBytes;
  }

  /**
   * @param variant one bit more that tells sets apart
   * @param attributesLength about how long the attributes are
   * @param pathId where the peers hear path identifiers
   */
  add(
    prefix: number,
    attributes: number,
    source: number,
    variant: 0 | 1,
    attributesLength: number,
    pathId: number,
  ): void {
    const entry = this.#count++;
    const key = source | (variant << 16);
    this.#prefixes[entry] = prefix;
    if (this.#pathIds !== undefined) this.#pathIds[entry] = pathId;
    this.#nextInBucket[entry] = -1;
    this.#size += 5;
    let slot = (Math.imul(attributes, 0x9e3779b1) ^ Math.imul(key, 0x85ebca6b)) & slotMask;
    for (; ; slot = (slot + 1) & slotMask) {
      const bucket = this.#slots[slot] - 1;
      if (bucket < 0) break;
      if (this.#bucketAttributes[bucket] === attributes && this.#bucketSources[bucket] === key) {
        this.#nextInBucket[this.#bucketLast[bucket]] = entry;
        this.#bucketLast[bucket] = entry;
        return;
      }
    }
    const bucket = this.#buckets++;
    this.#slots[slot] = bucket + 1;
    this.#slotsUsed[bucket] = slot;
    this.#bucketAttributes[bucket] = attributes;
    this.#bucketSources[bucket] = key;
    this.#bucketFirst[bucket] = entry;
    this.#bucketLast[bucket] = entry;
    this.#size += attributesLength + 40;
  }

  /**
   * @param encode writes the attributes of a set for these peers and answers the next hop (see writeAnnounceHead);
   *   undefined where the set cannot be told to them
   * @param untold hears the prefixes (with their path identifiers) that no message can carry
   */
  pack(
    table: PrefixTable,
    maximumMessageSize: number,
    encode: (attributes: number, source: number, variant: 0 | 1, into: ByteWriter) => Uint8Array | undefined,
    untold: (prefix: number, pathId: number) => void,
  ): Packed {
    const out = this.#out;
    const attributes = this.#attributes;
    const pathIds = this.#pathIds;
    const orderedIds = this.#orderedIds;
    const idSize = pathIds === undefined ? 0 : pathIdSize;
    const runs: SourceRun[] = [];
    let run: SourceRun | undefined;
    let messages = 0;
    let ordered = 0;
    out.reset();
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      const source = this.#bucketSources[bucket] & 0xffff;
      attributes.reset();
      const variant = this.#bucketSources[bucket] >>> 16 === 0 ? 0 : 1;
      const nextHop = encode(this.#bucketAttributes[bucket], source, variant, attributes);
      const overhead = nextHop === undefined ? 0 : announceOverhead(nextHop);
      const room = maximumMessageSize - overhead - attributes.length;
      let entry = this.#bucketFirst[bucket];
      while (entry >= 0) {
        const start = ordered;
        let length = 0;
        while (entry >= 0) {
          const prefix = this.#prefixes[entry];
          const size = idSize + wirePrefixSize(table.length(prefix));
          const pathId = pathIds === undefined ? 0 : pathIds[entry];
          if (nextHop === undefined || size > room) untold(prefix, pathId);
          else {
            if (length + size > room) break;
            length += size;
            if (orderedIds !== undefined) orderedIds[ordered] = pathId;
            this.#order[ordered++] = prefix;
          }
          entry = this.#nextInBucket[entry];
        }
        if (nextHop === undefined || ordered === start) continue;
        const at = beginUpdate(out);
        writeAnnounceHead(out, table.family, attributes, nextHop, length);
        writePrefixes(out, table, this.#order, orderedIds, start, ordered, length);
        writeAnnounceTail(out, nextHop, attributes);
        endMessage(out, at);
        messages++;
        if (run?.source !== source) {
          run = { source, messages: 0, bytesEnd: 0, prefixesEnd: 0 };
          runs.push(run);
        }
        run.messages++;
        run.bytesEnd = out.length;
        run.prefixesEnd = ordered;
      }
    }
    return {
      bytes: out.copy(),
      prefixes: this.#order.slice(0, ordered),
      pathIds: orderedIds?.slice(0, ordered),
      messages,
      runs,
      bySource: undefined,
    };
  }
}

const withdrawWriter = new ByteWriter(4096);

/**
 * @param pathIds of the prefixes, where the peers hear them (RFC 7911)
 * @returns whole messages back to back, and how many
 */
export function packWithdraws(
  table: PrefixTable,
  prefixes: Uint32Array,
  pathIds: Uint32Array | undefined,
  count: number,
  maximumMessageSize: number,
): { bytes: Uint8Array; messages: number } {
  const out = withdrawWriter;
  out.reset();
  const room = maximumMessageSize - withdrawOverhead(table.family);
  const idSize = pathIds === undefined ? 0 : pathIdSize;
  let messages = 0;
  for (let start = 0; start < count;) {
    let end = start;
    let length = 0;
    while (end < count) {
      const size = idSize + wirePrefixSize(table.length(prefixes[end]));
      if (length + size > room) break;
      length += size;
      end++;
    }
    const at = beginUpdate(out);
    writeWithdrawHead(out, table.family, length);
    writePrefixes(out, table, prefixes, pathIds, start, end, length);
    writeWithdrawTail(out, table.family);
    endMessage(out, at);
    messages++;
    start = end;
  }
  return { bytes: out.copy(), messages };
}

function writePrefixes(
  out: ByteWriter,
  table: PrefixTable,
  prefixes: Uint32Array,
  pathIds: Uint32Array | undefined,
  start: number,
  end: number,
  length: number,
): void {
  let to = out.grow(length);
  const { buffer } = out;
  const { wordCount } = table;
  for (let i = start; i < end; i++) {
    const id = prefixes[i];
    if (pathIds !== undefined) {
      writeU32(buffer, to, pathIds[i]);
      to += pathIdSize;
    }
    const chunk = table.chunk(id);
    const row = id & rowMask;
    to = writePrefix(buffer, to, chunk.words, row * wordCount, chunk.lengths[row]);
  }
}
