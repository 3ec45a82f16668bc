/**
 * What changed, in order: the prefixes of a family as one list by version. A change moves its prefix to the end, so that each
 * stands in it once; a reader is a position in it. Prefixes without paths stay as tombstones until every reader has passed them.
 * Holds: a reader that comes late sees the present state, never a backlog.
 */

import { PrefixState } from './prefix-table.ts';
import { rowMask } from './rows.ts';

/** Where a log keeps its order: columns beside those of the prefixes. */
export interface LogColumns {
  readonly version: Uint32Array;
  readonly newer: Uint32Array;
  readonly older: Uint32Array;
  /** Bits of PrefixState. */
  readonly states: Uint8Array;
}

export interface LogRows {
  /** The columns that hold the row; index them with `row & rowMask`. */
  chunk(id: number): LogColumns;
  /** The log needs the row no more: it is a tombstone that every reader has passed. */
  forget(id: number): void;
}

/** Everything up to `version` was read. `row`: the last prefix at or before it, 0 at the start. Owned by the log. */
export class Position {
  row = 0;
  version = 0;
  /** Tombstones after it must stay. */
  readonly holdsTombstones: boolean;
  /** Of these, the ones whose prefix it was told; undefined: all. */
  needs: ((prefix: number) => boolean) | undefined;

  constructor(holdsTombstones: boolean) {
    this.holdsTombstones = holdsTombstones;
  }
}

const lastVersion = 0xffffffff;

/** Tombstones that are kept for a slow reader without asking whether it needs them. */
const defaultSlack = 65_536;

export class ChangeLog {
  #prefixes: LogRows;
  #oldest = 0;
  #newest = 0;
  #version: number;
  #positions = new Set<Position>();
  /** Rows that became tombstones, each once, in the order in which they first did; those that live again are skipped. */
  #tombstones: number[] = [];
  #tombstonesStart = 0;
  /** The next that is asked for whether anyone needs it; -1: no such sweep is under way. */
  #sweepAt = -1;
  /** So many tombstones bring the next sweep: twice what the last one left. */
  #sweepFrom: number;
  #slack: number;
  /** How often a prefix that was in the log changed again. */
  rewrites = 0;
  /** Versions were counted anew, or tombstones went before their time: what was packed before is void. */
  onVoid?: () => void;

  /**
   * @param version where counting starts
   * @param slack so many tombstones wait for a slow reader, whether it needs them or not
   */
  constructor(prefixes: LogRows, version = 0, slack = defaultSlack) {
    this.#prefixes = prefixes;
    this.#version = version;
    this.#slack = slack;
    this.#sweepFrom = slack;
  }

  /** Version of the newest change. */
  get version(): number {
    return this.#version;
  }

  /** @param holdsTombstones what is deleted after the position stays visible to it */
  open(holdsTombstones = true): Position {
    const position = new Position(holdsTombstones);
    this.#positions.add(position);
    return position;
  }

  close(position: Position): void {
    this.#positions.delete(position);
  }

  /** The prefix of the next change, or 0. */
  next(position: Position): number {
    return position.row === 0 ? this.#oldest : this.newer(position.row);
  }

  newer(id: number): number {
    return this.#prefixes.chunk(id).newer[id & rowMask];
  }

  versionOf(id: number): number {
    return this.#prefixes.chunk(id).version[id & rowMask];
  }

  moveTo(position: Position, row: number, version: number): void {
    position.row = row;
    position.version = version;
    if (row !== 0) this.#prefixes.chunk(row).states[row & rowMask] |= PrefixState.readerHere;
  }

  moveToStart(position: Position): void {
    this.moveTo(position, 0, 0);
  }

  moveToEnd(position: Position): void {
    this.moveTo(position, this.#newest, this.#version);
  }

  /** The prefix changed. */
  append(id: number): void {
    const chunk = this.#prefixes.chunk(id);
    const row = id & rowMask;
    if (id === this.#newest && (chunk.states[row] & PrefixState.readerHere) === 0) return;
    if (this.#version === lastVersion) this.#renumber();
    if (chunk.version[row] !== 0) {
      this.#unlink(id);
      this.rewrites++;
    }
    chunk.version[row] = ++this.#version;
    chunk.older[row] = this.#newest;
    chunk.newer[row] = 0;
    if (this.#newest === 0) this.#oldest = id;
    else this.#prefixes.chunk(this.#newest).newer[this.#newest & rowMask] = id;
    this.#newest = id;
  }

  /** The prefix lost its last path: it goes once every reader has passed. */
  bury(id: number): void {
    this.append(id);
    const { states } = this.#prefixes.chunk(id);
    if ((states[id & rowMask] & PrefixState.buried) === 0) this.#tombstones.push(id);
    states[id & rowMask] |= PrefixState.tombstone | PrefixState.buried;
  }

  /** A prefix that was buried has paths again. */
  revive(id: number): void {
    this.#prefixes.chunk(id).states[id & rowMask] &= ~PrefixState.tombstone;
  }

  get hasTombstones(): boolean {
    return this.#tombstonesStart < this.#tombstones.length;
  }

  /**
   * Removes tombstones that every reader has passed, at most `max`; where a slow reader holds up many of them, also those that
   * nobody needs: what a reader was never told it need not be told the end of.
   * @returns whether more of them could go
   */
  removeTombstones(max: number): boolean {
    if (!this.hasTombstones) return false;
    if (this.#sweepAt >= 0) return this.#sweep(max);
    const passed = this.#passed();
    for (let i = 0; i < max && this.hasTombstones; i++) {
      const id = this.#tombstones[this.#tombstonesStart];
      if (this.#isTombstone(id) && this.versionOf(id) > passed) {
        this.#compact();
        if (this.#tombstones.length - this.#tombstonesStart <= this.#sweepFrom) return false;
        this.#sweepAt = this.#tombstonesStart;
        return true;
      }
      this.#tombstonesStart++;
      this.#exhume(id);
    }
    this.#compact();
    return this.hasTombstones;
  }

  #sweep(max: number): boolean {
    const tombstones = this.#tombstones;
    let removed = false;
    for (const end = Math.min(this.#sweepAt + max, tombstones.length); this.#sweepAt < end; this.#sweepAt++) {
      const id = tombstones[this.#sweepAt];
      if (this.#isTombstone(id) && this.#isNeeded(id)) continue;
      removed = true;
      tombstones[this.#sweepAt] = 0;
      this.#exhume(id);
    }
    if (removed) this.onVoid?.();
    if (this.#sweepAt < tombstones.length) return true;
    this.#tombstones = tombstones.slice(this.#tombstonesStart).filter((id) => id !== 0);
    this.#tombstonesStart = 0;
    this.#sweepAt = -1;
    this.#sweepFrom = this.#slack + 2 * this.#tombstones.length;
    return false;
  }

  /** The version that every reader has passed. */
  #passed(): number {
    let passed = lastVersion;
    for (const position of this.#positions) {
      if (position.holdsTombstones && position.version < passed) passed = position.version;
    }
    return passed;
  }

  #isNeeded(id: number): boolean {
    const version = this.versionOf(id);
    for (const { holdsTombstones, version: read, needs } of this.#positions) {
      if (holdsTombstones && read < version && (needs === undefined || needs(id))) return true;
    }
    return false;
  }

  /** An entry of the list of tombstones is done with: the prefix goes, where it does not live again. */
  #exhume(id: number): void {
    const isTombstone = this.#isTombstone(id);
    this.#prefixes.chunk(id).states[id & rowMask] &= ~PrefixState.buried;
    if (!isTombstone) return;
    this.#unlink(id);
    this.#prefixes.forget(id);
  }

  #isTombstone(id: number): boolean {
    return (this.#stateOf(id) & PrefixState.tombstone) !== 0;
  }

  #stateOf(id: number): number {
    return this.#prefixes.chunk(id).states[id & rowMask];
  }

  #compact(): void {
    const passed = this.#tombstonesStart;
    if (passed < this.#tombstones.length && (passed < 65_536 || passed * 2 < this.#tombstones.length)) return;
    this.#tombstones = this.#tombstones.slice(passed);
    this.#tombstonesStart = 0;
  }

  #unlink(id: number): void {
    const chunk = this.#prefixes.chunk(id);
    const row = id & rowMask;
    const older = chunk.older[row];
    const newer = chunk.newer[row];
    if ((chunk.states[row] & PrefixState.readerHere) !== 0) {
      for (const position of this.#positions) {
        if (position.row === id) this.moveTo(position, older, position.version);
      }
      chunk.states[row] &= ~PrefixState.readerHere;
    }
    if (older === 0) this.#oldest = newer;
    else this.#prefixes.chunk(older).newer[older & rowMask] = newer;
    if (newer === 0) this.#newest = older;
    else this.#prefixes.chunk(newer).older[newer & rowMask] = older;
    chunk.version[row] = 0;
  }

  /** Versions are 32-bit: after four thousand million changes they are counted anew, order and positions kept. */
  #renumber(): void {
    const positions = [...this.#positions].sort((a, b) => a.version - b.version);
    let waiting = 0;
    let version = 0;
    for (let id = this.#oldest; id !== 0; id = this.newer(id)) {
      const chunk = this.#prefixes.chunk(id);
      const row = id & rowMask;
      while (waiting < positions.length && positions[waiting].version < chunk.version[row]) {
        positions[waiting++].version = version;
      }
      chunk.version[row] = ++version;
    }
    while (waiting < positions.length) positions[waiting++].version = version;
    this.#version = version;
    this.onVoid?.();
  }
}
