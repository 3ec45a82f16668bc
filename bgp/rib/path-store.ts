/**
 * Paths as rows of numbers. Columns that only some need (filters, several paths of one peer) are made when first written.
 * Holds: the paths of a prefix are a list that starts with its best path.
 */

import { chunkBits, ChunkedRows, clear, column16, column32, column8, rowMask } from './rows.ts';

class PathChunk {
  readonly prefix = column32();
  readonly peer = column16();
  /** As received, in the pool. */
  readonly attributes = column32();
  readonly next = column32();
  /** See best-path.ts: where the path lost, or why it takes no part. */
  readonly rung = column8();
  /** The path is stale where this is not its peer's present epoch. */
  readonly epoch = column8();
  /** RFC 7911: the path identifier as received; 0 also where the peer writes none. */
  pathId: Uint32Array | undefined;
  /** Where there is a log of paths: the version of the path's last change in it. */
  changedAt: Uint32Array | undefined;
  /** After the import filter, where that changed them; else 0. */
  changed: Uint32Array | undefined;
  /** The import filter's rule that decided, by number; 0: none. */
  rule: Uint16Array | undefined;
  /** What that rule says of the route in the forwarding table; 0: nothing. Only where there is a rule. */
  fibMetric: Uint32Array | undefined;
}

export class PathStore {
  #rows = new ChunkedRows(() => new PathChunk());
  /** Names of filter rules, by number. */
  #rules: string[] = [''];
  #ruleNumbers = new Map<string, number>([['', 0]]);

  get count(): number {
    return this.#rows.count;
  }

  get limit(): number {
    return this.#rows.limit;
  }

  /** The columns that hold the row; index them with `row & rowMask`. */
  chunk(id: number): PathChunk {
    return this.#rows.chunks[id >>> chunkBits]!;
  }

  /** Whether any row of the row's chunk is in use. */
  hasChunk(id: number): boolean {
    return this.#rows.chunks[id >>> chunkBits] !== undefined;
  }

  isUsed(id: number): boolean {
    const chunk = this.#rows.chunks[id >>> chunkBits];
    return chunk !== undefined && chunk.prefix[id & rowMask] !== 0;
  }

  add(prefix: number, peer: number, pathId: number, attributes: number, epoch: number): number {
    const id = this.#rows.allocate();
    const chunk = this.chunk(id);
    const row = id & rowMask;
    chunk.prefix[row] = prefix;
    chunk.peer[row] = peer;
    chunk.attributes[row] = attributes;
    if (chunk.epoch[row] !== epoch) chunk.epoch[row] = epoch;
    clear(chunk.rung, row);
    clear(chunk.next, row);
    if (pathId !== 0) (chunk.pathId ??= column32())[row] = pathId;
    else if (chunk.pathId !== undefined) clear(chunk.pathId, row);
    if (chunk.changedAt !== undefined) clear(chunk.changedAt, row);
    if (chunk.changed !== undefined) clear(chunk.changed, row);
    if (chunk.rule !== undefined) clear(chunk.rule, row);
    if (chunk.fibMetric !== undefined) clear(chunk.fibMetric, row);
    return id;
  }

  remove(id: number): void {
    this.chunk(id).prefix[id & rowMask] = 0;
    this.#rows.release(id);
  }

  /** The attributes that count: after the import filter. */
  attributesOf(id: number): number {
    const chunk = this.chunk(id);
    const row = id & rowMask;
    return (chunk.changed !== undefined && chunk.changed[row]) || chunk.attributes[row];
  }

  /** RFC 7911: as received. */
  pathIdOf(id: number): number {
    return this.chunk(id).pathId?.[id & rowMask] ?? 0;
  }

  changedAt(id: number): number {
    return this.chunk(id).changedAt?.[id & rowMask] ?? 0;
  }

  setChangedAt(id: number, version: number): void {
    (this.chunk(id).changedAt ??= column32())[id & rowMask] = version;
  }

  changedOf(id: number): number {
    return this.chunk(id).changed?.[id & rowMask] ?? 0;
  }

  setChanged(id: number, attributes: number): void {
    const chunk = this.chunk(id);
    if (chunk.changed === undefined && attributes === 0) return;
    chunk.changed ??= column32();
    chunk.changed[id & rowMask] = attributes;
  }

  ruleOf(id: number): string {
    return this.#rules[this.chunk(id).rule?.[id & rowMask] ?? 0];
  }

  /** See RouteChanges; 0: the import filter says nothing of it. */
  fibMetricOf(id: number): number {
    return this.chunk(id).fibMetric?.[id & rowMask] ?? 0;
  }

  /**
   * What the import filter says of the path, beside its attributes.
   * @param fibMetric 0 where it says none, and where there is no rule
   * @returns whether that is another metric than before.
   */
  setRule(id: number, name: string, fibMetric: number): boolean {
    const chunk = this.chunk(id);
    if (chunk.rule === undefined && name === '') return false;
    chunk.rule ??= column16();
    chunk.rule[id & rowMask] = this.#ruleNumber(name);
    if (chunk.fibMetric === undefined && fibMetric === 0) return false;
    chunk.fibMetric ??= column32();
    const isOther = chunk.fibMetric[id & rowMask] !== fibMetric;
    if (isOther) chunk.fibMetric[id & rowMask] = fibMetric;
    return isOther;
  }

  #ruleNumber(name: string): number {
    const known = this.#ruleNumbers.get(name);
    if (known !== undefined) return known;
    // The column has 16 bits; past them, names are shared by one number that says so.
    if (this.#rules.length > 0xfffe) return this.#ruleNumber('(one of more than 65,534 rules)');
    this.#ruleNumbers.set(name, this.#rules.push(name) - 1);
    return this.#rules.length - 1;
  }
}
