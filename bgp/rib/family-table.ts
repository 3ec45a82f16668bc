/**
 * Prefixes, paths and changes of one family: adding and removing paths, and the decision that follows each.
 * Holds: a prefix stands in the change log whenever what is selected for it changed, and only then; where there is a log of paths,
 *   in that one whenever any path that takes part changed.
 */

import type { Family } from '../ip.ts';
import type { PrefixKey } from '../wire/nlri.ts';
import { admit, hasRoom, recount } from './admission.ts';
import type { AttributePool } from './attribute-pool.ts';
import { Rung, challenge, decide } from './best-path.ts';
import { ChangeLog } from './change-log.ts';
import { PathStore } from './path-store.ts';
import type { PeerEntry, PeerTable } from './peer-table.ts';

import { PrefixState, PrefixTable } from './prefix-table.ts';
import { clear, rowMask } from './rows.ts';

/** What the import side made of a route. */
export interface Judgement {
  /** A value from Rung.filtered on where the route takes no part; else 0. */
  exclusion: number;
  /** The set after the filter's changes, with a reference that passes to the path; 0: unchanged. */
  changed: number;
  /** The filter's rule that decided, '' where there is no filter. */
  rule: string;
  /** See RouteChanges; 0: the filter gave none. */
  fibMetric: number;
}

export class FamilyTable {
  readonly family: Family;
  readonly prefixes: PrefixTable;
  readonly paths = new PathStore();
  readonly pool: AttributePool;
  readonly peers: PeerTable;
  readonly log: ChangeLog;
  /** For peers that hear several paths of a prefix (RFC 7911); undefined: there has never been one. */
  pathLog: ChangeLog | undefined;
  /** Whether what was there before it is in it, too. */
  pathLogIsWhole = false;
  maximumPaths = 1;
  /** Prefixes that have a path. */
  livePrefixes = 0;
  /** A prefix entered the change log. */
  onChange: () => void = () => {};
  /** Routes of the peer that are beyond a limit may be let in. */
  onRoom: (peer: PeerEntry) => void = () => {};
  /** A prefix entered the log of paths. */
  onPathChange: () => void = () => {};
  #tombstoneSlack: number | undefined;
  /** Of the prefix decided on; reused. */
  #candidates: number[] = [];
  #selectedBefore: number[] = [];

  /** @param tombstoneSlack see ChangeLog */
  constructor(family: Family, seed: number, pool: AttributePool, peers: PeerTable, tombstoneSlack?: number) {
    this.family = family;
    this.pool = pool;
    this.peers = peers;
    this.prefixes = new PrefixTable(family, seed);
    this.log = new ChangeLog(this.prefixes, 0, tombstoneSlack);
    this.#tombstoneSlack = tombstoneSlack;
  }

  /** From now on; what is there already is entered by a walk: see walks.ts. */
  openPathLog(): ChangeLog {
    return (this.pathLog = new ChangeLog(this.prefixes.pathLogRows(), 0, this.#tombstoneSlack));
  }

  get hasTombstones(): boolean {
    return this.log.hasTombstones || (this.pathLog?.hasTombstones ?? false);
  }

  /** See ChangeLog. */
  removeTombstones(max: number): boolean {
    return this.log.removeTombstones(max) || (this.pathLog?.removeTombstones(max) ?? false);
  }

  /** Whether the path may be used, selected or not. */
  takesPart(path: number): boolean {
    return this.rung(path) < Rung.filtered;
  }

  firstPath(prefix: number): number {
    return this.prefixes.chunk(prefix).firstPath[prefix & rowMask];
  }

  nextPath(path: number): number {
    return this.paths.chunk(path).next[path & rowMask];
  }

  rung(path: number): number {
    return this.paths.chunk(path).rung[path & rowMask];
  }

  /** The best path, or 0. */
  bestPath(prefix: number): number {
    const first = this.firstPath(prefix);
    return first !== 0 && this.rung(first) === Rung.best ? first : 0;
  }

  /** Fills `into` with the paths of the prefix that may be used. */
  readUsablePaths(prefix: number, into: number[]): void {
    into.length = 0;
    for (let path = this.firstPath(prefix); path !== 0; path = this.nextPath(path)) {
      if (this.takesPart(path)) into.push(path);
    }
  }

  isStale(path: number): boolean {
    const chunk = this.paths.chunk(path);
    const row = path & rowMask;
    const peer = this.peers.get(chunk.peer[row]);
    return chunk.epoch[row] !== peer.families[this.family].epoch;
  }

  /**
   * The peer announced a prefix of the table. A route equal to the one held only becomes fresh.
   * @param pathId RFC 7911; 0 where the peer writes none
   * @param attributes the received set; the path takes a reference of its own
   */
  announce(peer: PeerEntry, prefix: number, pathId: number, attributes: number, judgement: Judgement): void {
    const counts = peer.families[this.family];
    let path = this.#pathOf(prefix, peer.id, pathId);
    if (path === 0) {
      if (counts.admission !== undefined) {
        judgement.exclusion = admit(counts, counts.admission, undefined, judgement.exclusion);
      }
      path = this.paths.add(prefix, peer.id, pathId, attributes, counts.epoch);
      this.pool.retain(attributes);
      counts.paths++;
      counts.fresh++;
      if (judgement.exclusion !== 0) recount(counts, 0, true, judgement.exclusion, true);
      this.#applyJudgement(path, judgement);
      this.#link(prefix, path);
      if (!this.#isSettledByBest(prefix, path)) this.#decide(prefix, path, false);
      if (judgement.exclusion === 0) this.#pathChanged(prefix, path);
      return;
    }
    const chunk = this.paths.chunk(path);
    const row = path & rowMask;
    const wasFresh = chunk.epoch[row] === counts.epoch;
    if (counts.admission !== undefined) {
      judgement.exclusion = admit(counts, counts.admission, chunk.rung[row], judgement.exclusion);
    }
    if (!wasFresh) {
      chunk.epoch[row] = counts.epoch;
      counts.fresh++;
    }
    if (chunk.attributes[row] !== attributes) {
      this.pool.retain(attributes);
      this.pool.release(chunk.attributes[row]);
      chunk.attributes[row] = attributes;
      this.#rejudge(path, judgement, true, wasFresh);
    } else this.#rejudge(path, judgement, false, wasFresh);
  }

  /** Puts a new judgement on a path that is there, and decides where it makes a difference. */
  judge(path: number, judgement: Judgement): void {
    const chunk = this.paths.chunk(path);
    const row = path & rowMask;
    const counts = this.peers.get(chunk.peer[row]).families[this.family];
    if (counts.admission !== undefined) {
      judgement.exclusion = admit(counts, counts.admission, chunk.rung[row], judgement.exclusion);
    }
    this.#rejudge(path, judgement, false, chunk.epoch[row] === counts.epoch);
  }

  withdraw(peer: PeerEntry, key: PrefixKey, pathId: number): void {
    const prefix = this.prefixes.find(key);
    if (prefix === 0) return;
    const path = this.#pathOf(prefix, peer.id, pathId);
    if (path !== 0) this.removePath(path);
  }

  removePath(path: number): void {
    const chunk = this.paths.chunk(path);
    const row = path & rowMask;
    const prefix = chunk.prefix[row];
    const peer = this.peers.get(chunk.peer[row]);
    const counts = peer.families[this.family];
    const rung = chunk.rung[row];
    counts.paths--;
    const isFresh = chunk.epoch[row] === counts.epoch;
    if (isFresh) counts.fresh--;
    if (rung >= Rung.filtered) recount(counts, rung, isFresh, 0, isFresh);
    this.#unlink(prefix, path);
    this.pool.release(chunk.attributes[row]);
    this.pool.release(this.paths.changedOf(path));
    this.paths.remove(path);
    if (this.firstPath(prefix) === 0) this.#bury(prefix);
    else if (rung < Rung.filtered) {
      this.#decide(prefix, 0, rung < Rung.firstOfLadder);
      this.#pathChanged(prefix, 0);
    }
    if (hasRoom(counts)) this.onRoom(peer);
  }

  /** Decides again with nothing known to have changed (a setting did). */
  redecide(prefix: number): void {
    if (this.firstPath(prefix) !== 0) this.#decide(prefix, 0, false);
  }

  /** The readers shall read this prefix again. */
  touch(prefix: number): void {
    this.log.append(prefix);
    this.onChange();
  }

  #pathOf(prefix: number, peer: number, pathId: number): number {
    let path = this.firstPath(prefix);
    while (path !== 0) {
      const chunk = this.paths.chunk(path);
      const row = path & rowMask;
      if (chunk.peer[row] === peer && (chunk.pathId === undefined ? 0 : chunk.pathId[row]) === pathId) return path;
      path = chunk.next[row];
    }
    return 0;
  }

  #applyJudgement(path: number, judgement: Judgement): void {
    const chunk = this.paths.chunk(path);
    if (judgement.exclusion !== 0) chunk.rung[path & rowMask] = judgement.exclusion;
    else clear(chunk.rung, path & rowMask);
    this.paths.setChanged(path, judgement.changed);
    this.paths.setRule(path, judgement.rule, judgement.fibMetric);
  }

  #rejudge(path: number, judgement: Judgement, attributesChanged: boolean, wasFresh: boolean): void {
    const chunk = this.paths.chunk(path);
    const row = path & rowMask;
    const before = chunk.rung[row];
    const changedBefore = this.paths.changedOf(path);
    this.pool.release(changedBefore);
    this.paths.setChanged(path, judgement.changed);
    const metricChanged = this.paths.setRule(path, judgement.rule, judgement.fibMetric);
    const excluded = judgement.exclusion !== 0;
    const wasExcluded = before >= Rung.filtered;
    if (excluded || wasExcluded) {
      const peer = this.peers.get(chunk.peer[row]);
      const counts = peer.families[this.family];
      recount(counts, before, wasFresh, judgement.exclusion, chunk.epoch[row] === counts.epoch);
      if (excluded && hasRoom(counts)) this.onRoom(peer);
    }
    if (excluded) chunk.rung[row] = judgement.exclusion;
    else if (wasExcluded) chunk.rung[row] = 0;
    if (excluded && wasExcluded) return;
    const setChanged = attributesChanged || changedBefore !== judgement.changed;
    if (!setChanged && !metricChanged && excluded === wasExcluded) return;
    const prefix = chunk.prefix[row];
    if (excluded) this.#decide(prefix, 0, before < Rung.firstOfLadder);
    else this.#decide(prefix, path, !wasExcluded && before < Rung.firstOfLadder);
    this.#pathChanged(prefix, excluded ? 0 : path);
  }

  #link(prefix: number, path: number): void {
    const chunk = this.prefixes.chunk(prefix);
    const row = prefix & rowMask;
    const first = chunk.firstPath[row];
    if (first === 0) {
      chunk.firstPath[row] = path;
      chunk.states[row] &= ~PrefixState.tombstone;
      if (chunk.pathLog !== undefined) this.pathLog!.revive(prefix);
      this.livePrefixes++;
      return;
    }
    // Behind the first, which may be the best.
    const firstChunk = this.paths.chunk(first);
    this.paths.chunk(path).next[path & rowMask] = firstChunk.next[first & rowMask];
    firstChunk.next[first & rowMask] = path;
  }

  #unlink(prefix: number, path: number): void {
    const chunk = this.prefixes.chunk(prefix);
    const row = prefix & rowMask;
    const next = this.nextPath(path);
    if (chunk.firstPath[row] === path) {
      chunk.firstPath[row] = next;
      return;
    }
    let before = chunk.firstPath[row];
    while (this.nextPath(before) !== path) before = this.nextPath(before);
    this.paths.chunk(before).next[before & rowMask] = next;
  }

  #bury(prefix: number): void {
    this.livePrefixes--;
    const { pathLog } = this;
    const inPathLog = pathLog !== undefined && pathLog.versionOf(prefix) !== 0;
    if (inPathLog) {
      pathLog.bury(prefix);
      this.onPathChange();
    }
    if (this.log.versionOf(prefix) !== 0) {
      this.log.bury(prefix);
      this.onChange();
    } else if (!inPathLog) this.prefixes.remove(prefix);
    else this.prefixes.chunk(prefix).states[prefix & rowMask] |= PrefixState.tombstone;
  }

  /** @param path that is new, is another or takes part again; 0: one is gone or takes no part any more */
  #pathChanged(prefix: number, path: number): void {
    const { pathLog } = this;
    if (pathLog === undefined) return;
    pathLog.append(prefix);
    if (path !== 0) this.paths.setChangedAt(path, pathLog.versionOf(prefix));
    this.onPathChange();
  }

  /**
   * Runs the decision and enters the prefix in the log where what is selected changed.
   * @param touched a path that is new or has new attributes, or 0
   * @param selectedChanged a path that was selected is gone, takes no part any more, or has new attributes
   */
  #decide(prefix: number, touched: number, selectedChanged: boolean): void {
    const { paths } = this;
    const first = this.firstPath(prefix);
    if (first === touched && this.nextPath(first) === 0) {
      // One path: nothing to compare, and it is new or different. Rung.best is 0.
      if (this.rung(first) < Rung.filtered) {
        clear(paths.chunk(first).rung, first & rowMask);
        this.touch(prefix);
      }
      return;
    }
    const candidates = this.#candidates;
    candidates.length = 0;
    let changed = selectedChanged;
    const selectedBefore = this.#selectedBefore;
    selectedBefore.length = 0;
    let bestBefore = 0;
    for (let path = first; path !== 0; path = this.nextPath(path)) {
      const rung = this.rung(path);
      if (rung >= Rung.filtered) continue;
      candidates.push(path);
      if (path !== touched && rung < Rung.firstOfLadder) {
        selectedBefore.push(path);
        if (rung === Rung.best) bestBefore = path;
      }
    }
    if (candidates.length > 0) decide(this, candidates, this.maximumPaths);
    let selected = 0;
    for (const path of candidates) {
      if (this.rung(path) >= Rung.firstOfLadder) continue;
      selected++;
      if (path === touched || !selectedBefore.includes(path)) changed = true;
    }
    if (selected !== selectedBefore.length) changed = true;
    if (candidates.length > 0) {
      if (candidates[0] !== bestBefore) changed = true;
      this.#moveToFront(prefix, candidates[0]);
    }
    if (changed) this.touch(prefix);
  }

  /** Most new paths of a prefix that has others need no look at those: see challenge. @returns whether that is so, and all is done */
  #isSettledByBest(prefix: number, path: number): boolean {
    const best = this.firstPath(prefix);
    if (best === path || this.maximumPaths > 1) return false;
    if (this.rung(best) !== Rung.best || this.rung(path) >= Rung.filtered) return false;
    const better = challenge(this, best, path, this.#next);
    if (better === 0) return false;
    if (better === path) {
      this.#moveToFront(prefix, path);
      this.touch(prefix);
    }
    return true;
  }

  readonly #next = (path: number): number => this.nextPath(path);

  #moveToFront(prefix: number, path: number): void {
    const chunk = this.prefixes.chunk(prefix);
    const row = prefix & rowMask;
    if (chunk.firstPath[row] === path) return;
    this.#unlink(prefix, path);
    this.paths.chunk(path).next[path & rowMask] = chunk.firstPath[row];
    chunk.firstPath[row] = path;
  }
}
