/**
 * The routing information base as the speaker sees it: UPDATE bodies go in, UPDATE messages and best paths come out.
 *
 *     receiveUpdate ─► adj-rib-in (decode, judge) ─► family-table (rows, decision) ─► change-log
 *                                                                                        │ read by position
 *                       takeOutput ◄─ update-group (pack once, hand to each member) ◄────┤
 *                       bestPathReader ◄─────────────────────────────────────────────────┘
 *
 * Implements: RFC 4271 §9 (decision, dissemination), RFC 4456, RFC 4724 §4 (stale routes, deferral), RFC 2918 (refresh).
 * Leaves out: sessions, timers and sockets: the speaker's.
 * Holds: everything here is synchronous; nothing takes longer than its argument allows but one UPDATE or one packed run.
 */

import { families, parseAddress, parsePrefix } from '../ip.ts';
import type { Family, Prefix } from '../ip.ts';
import type { OriginatedRoute } from '../settings.ts';
import type { BestPathChange, LimitStatus, RouteStatus } from '../status.ts';
import { originatedAttributes } from '../wire/attributes/attribute-set.ts';
import { newPrefixKey, setPrefixKey } from '../wire/nlri.ts';
import { AdjRibIn, importKey } from './adj-rib-in.ts';
import type { LocalNumbers } from './adj-rib-in.ts';
import { AdjRibOut } from './adj-rib-out.ts';
import { AttributePool } from './attribute-pool.ts';
import { Rung, decisionKey } from './best-path.ts';
import { countBestPaths } from './best-path-counts.ts';
import type { BestPathCounts } from './best-path-counts.ts';
import type { Position } from './change-log.ts';
import { FamilyTable } from './family-table.ts';
import { PeerTable, identifier, localPeer, ourselves } from './peer-table.ts';
import type { PeerEntry } from './peer-table.ts';
import type {
  BestPathReader,
  RibFamilyCounters,
  RibLocal,
  RibPeer,
  RibPolicy,
  RibTotals,
  RouteQuery,
  UpdateResult,
} from './rib-types.ts';
import { bestPathValue, routeStatus } from './route-view.ts';
import { rowMask } from './rows.ts';
import { groupKey } from './group-key.ts';
import { Walks, admitKey, admitWalk, decideWalk, judgeWalk, renumberEpochs, sweepKey, sweepWalk } from './walks.ts';

interface Reader {
  readonly positions: Record<Family, Position>;
  /** It was read to its end and has not been told of anything since. */
  quiet: boolean;
}

const nothingCounted: RibFamilyCounters = {
  imported: 0,
  filtered: 0,
  exported: 0,
  stale: 0,
  limits: [],
  endOfRibSent: false,
};

export class Rib {
  /** Hint: the peer has something to be told. Once until its output was taken to the end; not for what openPeer itself causes. */
  onOutput?: (peerId: number) => void;
  /** Hint: a best path reader has something to read. Once until that reader was read to its end. */
  onBestPaths?: () => void;
  /** Hint: work() has something to do. */
  onWork?: () => void;

  #local: RibLocal;
  #numbers: LocalNumbers;
  #pool: AttributePool;
  #peers: PeerTable;
  #tables: Record<Family, FamilyTable>;
  #adjRibIn: AdjRibIn;
  #adjRibOut: AdjRibOut;
  #readers = new Set<Reader>();
  #walks = new Walks();
  #originated = new Map<string, OriginatedRoute>();
  #deferred = false;
  #key = newPrefixKey();

  /**
   * @param options.seed of the hashes: a random number makes them unpredictable for the peers
   * @param options.tombstoneSlack see ChangeLog
   */
  constructor(options: { local: RibLocal; seed?: number; tombstoneSlack?: number }) {
    const { local, seed = 0, tombstoneSlack } = options;
    this.#local = local;
    this.#numbers = localNumbers(local);
    this.#pool = new AttributePool(seed);
    this.#peers = new PeerTable(ourselves(local));
    const table = (family: Family) => new FamilyTable(family, seed, this.#pool, this.#peers, tombstoneSlack);
    this.#tables = { ipv4: table('ipv4'), ipv6: table('ipv6') };
    for (const family of families) {
      this.#tables[family].maximumPaths = local.maximumPaths;
      this.#tables[family].onChange = () => this.#changed(family);
      this.#tables[family].onRoom = (entry) => this.#letIn(this.#tables[family], entry);
      this.#tables[family].log.onVoid = () => this.#adjRibOut.forgetSegments();
    }
    this.#adjRibIn = new AdjRibIn(this.#tables, this.#pool, this.#numbers);
    this.#adjRibOut = new AdjRibOut(this.#tables, this.#numbers, this.#walks);
    this.#adjRibOut.onOutput = (id) => this.onOutput?.(id);
  }

  /** Cluster id, clientsMesh and maximumPaths take effect at once; another AS number or router id needs a new Rib. */
  setLocal(local: RibLocal): void {
    const before = this.#local;
    this.#local = local;
    Object.assign(this.#numbers, localNumbers(local));
    for (const family of families) {
      const table = this.#tables[family];
      if (local.maximumPaths !== before.maximumPaths) {
        table.maximumPaths = local.maximumPaths;
        this.#walks.start(decideWalk(table));
      }
      if (local.clusterId !== before.clusterId) this.#walks.start(judgeWalk(table, this.#adjRibIn, undefined));
    }
    if (local.clusterId !== before.clusterId || local.clientsMesh !== before.clientsMesh) this.#adjRibOut.refreshAll();
    this.#hintWork();
  }

  /**
   * A session is established. The peer's first output (End-of-RIB at least) waits from now on, without a hint.
   * @returns the peer's number; a peer whose routes were kept has its old one
   * @throws RangeError where a peer of this name is open
   */
  openPeer(peer: RibPeer): number {
    const before = this.#peers.byName(peer.name)?.peer;
    const judgedOtherwise = before !== undefined && importKey(before) !== importKey(peer);
    const decidedOtherwise = before !== undefined && decisionKey(before) !== decisionKey(peer);
    const entry = this.#peers.open(peer);
    for (const family of families) {
      // RFC 4724 §4.2: a family that is not negotiated anew keeps nothing.
      if (!peer.families.includes(family)) this.dropStale(entry.id, family);
      else if (entry.families[family].paths > 0) {
        if (judgedOtherwise) this.#walks.start(judgeWalk(this.#tables[family], this.#adjRibIn, entry));
        if (decidedOtherwise) this.#walks.start(decideWalk(this.#tables[family]));
      }
    }
    this.#adjRibOut.open(entry);
    this.#hintWork();
    return entry.id;
  }

  /**
   * The session ended.
   * @param keep families whose routes stay, as stale (RFC 4724 §4.2); the rest goes, in slices of work()
   * @param keepAgain of these, families in which what was stale before stays, too
   */
  closePeer(id: number, keep: readonly Family[], keepAgain: readonly Family[] = []): void {
    const entry = this.#peers.get(id);
    if (!entry.open) return;
    entry.open = false;
    this.#adjRibOut.close(id);
    for (const family of families) {
      const table = this.#tables[family];
      this.#beginEpoch(table, entry, keep.includes(family), keepAgain.includes(family));
      if (entry.families[family].paths > 0) this.#sweep(table, entry);
    }
    this.#forgetIfIdle(entry);
  }

  /**
   * @param body of an UPDATE, without the header
   * @throws ProtocolError only where RFC 7606 wants the session reset
   */
  receiveUpdate(id: number, body: Uint8Array): UpdateResult {
    return this.#adjRibIn.receive(this.#peers.get(id), body);
  }

  /** The peer's table is complete: what is still stale goes. */
  endOfRib(id: number, family: Family): void {
    this.dropStale(id, family);
  }

  /** The time of a restart or of a refresh ended, or the peer did not keep its routes: what is still stale goes. */
  dropStale(id: number, family: Family): void {
    const entry = this.#peers.find(id);
    if (entry === undefined) return;
    const counts = entry.families[family];
    counts.dropStale();
    if (counts.paths > counts.fresh) this.#sweep(this.#tables[family], entry);
  }

  /** RFC 7313 §4: every route of the peer is stale, and kept, until it says it again. */
  beginRefresh(id: number, family: Family): void {
    this.#beginEpoch(this.#tables[family], this.#peers.get(id), true, true);
  }

  /** RFC 9494 §4.2: the peer's stale routes are long-lived stale from now on, in slices of work(). */
  beginLongLived(id: number, family: Family): void {
    const entry = this.#peers.find(id);
    if (entry === undefined) return;
    entry.families[family].beginLongLived();
    const walk = judgeWalk(this.#tables[family], this.#adjRibIn, entry);
    this.#walks.start({ ...walk, onEnd: () => this.#forgetIfIdle(entry) });
    this.#hintWork();
  }

  /** What changed is applied to what the peer sent and to what it was told, in slices of work(); the rest changes nothing. */
  setPolicy(id: number, policy: RibPolicy): void {
    const entry = this.#peers.find(id);
    // Nothing of it was there to be kept.
    if (entry === undefined) return;
    const before = entry.peer;
    entry.setPolicy(policy);
    if (importKey(before) !== importKey(entry.peer)) {
      for (const family of families) this.#walks.start(judgeWalk(this.#tables[family], this.#adjRibIn, entry));
      this.#hintWork();
    }
    if (groupKey(before) !== groupKey(entry.peer)) this.#adjRibOut.regroup(entry);
  }

  /** @throws RangeError where a prefix or community is malformed; then nothing was changed. */
  setOriginated(routes: readonly OriginatedRoute[]): void {
    const wanted = new Map(routes.map((route) => [route.prefix, toPrefix(route.prefix)]));
    const sets = routes.map((route) => originatedAttributes(route.communities ?? []));
    const local = this.#peers.local;
    for (const text of this.#originated.keys()) {
      if (!wanted.has(text)) this.#tables[this.#setKey(toPrefix(text))].withdraw(local, this.#key, 0);
    }
    this.#originated = new Map(routes.map((route) => [route.prefix, route]));
    for (const [i, route] of routes.entries()) {
      const family = this.#setKey(wanted.get(route.prefix)!);
      const set = this.#pool.intern(sets[i], 0, sets[i].length);
      const table = this.#tables[family];
      table.announce(local, table.prefixes.findOrAdd(this.#key), 0, set, {
        exclusion: 0,
        changed: 0,
        rule: '',
        fibMetric: 0,
      });
      this.#pool.release(set);
    }
    this.#hintWork();
  }

  /** RFC 4724 §4.1: while true, neither peers nor best path readers are told anything; End-of-RIB follows what is there after. */
  setDeferral(deferred: boolean): void {
    if (this.#deferred === deferred) return;
    this.#deferred = deferred;
    this.#adjRibOut.setDeferral(deferred);
    if (deferred) return;
    for (const reader of this.#readers) reader.quiet = false;
    this.onBestPaths?.();
  }

  /** RFC 2918: tells the peer everything again. */
  requestRefresh(id: number, family: Family): void {
    this.#adjRibOut.refresh(id, family);
  }

  hasOutput(id: number): boolean {
    return this.#adjRibOut.hasOutput(id);
  }

  /**
   * What the peer is to be told next, from the present state, until it is about `maximumBytes`. Each element holds one or more
   * whole UPDATE messages, headers included, back to back. They are shared between peers: do not write into them.
   */
  takeOutput(id: number, maximumBytes: number): Uint8Array[] {
    const out = this.#adjRibOut.take(id, maximumBytes);
    this.#hintWork();
    return out;
  }

  /** Background work until `deadline()` answers true. @returns whether more is waiting */
  work(deadline: () => boolean): boolean {
    if (this.#walks.work(deadline)) return true;
    for (const family of families) {
      while (this.#tables[family].removeTombstones(256)) if (deadline()) return true;
    }
    this.#adjRibOut.tidy();
    return false;
  }

  /** Best paths, beginning with everything there is. */
  bestPathReader(): BestPathReader {
    const { ipv4, ipv6 } = this.#tables;
    const reader: Reader = { positions: { ipv4: ipv4.log.open(), ipv6: ipv6.log.open() }, quiet: false };
    this.#readers.add(reader);
    return {
      read: (max) => this.#readBestPaths(reader, max),
      close: () => {
        this.#readers.delete(reader);
        for (const family of families) this.#tables[family].log.close(reader.positions[family]);
        this.#hintWork();
      },
    };
  }

  /** Paths, prefix by prefix. The table may change while the iterator is open: each prefix is shown as it is when reached. */
  *routes(query: RouteQuery): IterableIterator<RouteStatus> {
    for (const family of families) {
      if (query.family !== undefined && query.family !== family) continue;
      const table = this.#tables[family];
      for (const prefix of this.#prefixesOf(table, query)) yield* this.#pathsOf(table, prefix, query);
    }
  }

  /** Zeroes for a peer that is not known. */
  counters(id: number, family: Family): RibFamilyCounters {
    const entry = this.#peers.find(id);
    if (entry === undefined) return nothingCounted;
    const counts = entry.families[family];
    return {
      imported: counts.paths - counts.filtered,
      filtered: counts.filtered,
      stale: counts.paths - counts.fresh,
      limits: entry.limits?.statuses(family, counts) ?? [],
      ...this.#adjRibOut.counters(id, family),
    };
  }

  /** Limits of the peer whose state has changed since this was asked, or since the last UPDATE. */
  limitChanges(id: number): LimitStatus[] {
    const entry = this.#peers.get(id);
    return entry.limits?.changes(entry.families) ?? [];
  }

  /** UPDATE messages handed out by takeOutput since the peer was opened. */
  updatesSent(id: number): number {
    return this.#peers.find(id)?.updatesSent ?? 0;
  }

  totals(family: Family): RibTotals {
    const table = this.#tables[family];
    const { count: rows } = table.prefixes;
    return { prefixes: table.livePrefixes, paths: table.paths.count, attributes: this.#pool.count, rows };
  }

  /** To be gone through bit by bit while the RIB changes. */
  countBestPaths(): Generator<void, BestPathCounts> {
    return countBestPaths(this.#tables);
  }

  /** Something about the family's prefixes changed: those who were told everything are told so. */
  #changed(family: Family): void {
    if (this.#deferred) return;
    this.#adjRibOut.changed(family);
    for (const reader of this.#readers) {
      if (!reader.quiet) continue;
      reader.quiet = false;
      this.onBestPaths?.();
    }
  }

  #hintWork(): void {
    const { ipv4, ipv6 } = this.#tables;
    if (this.#walks.waiting || ipv4.hasTombstones || ipv6.hasTombstones) this.onWork?.();
  }

  #letIn(table: FamilyTable, entry: PeerEntry): void {
    if (this.#walks.isUnderWay(admitKey(entry, table.family))) return;
    this.#walks.start(admitWalk(table, this.#adjRibIn, entry));
    this.onWork?.();
  }

  /** @param keep what was fresh @param keepAgain what was stale before */
  #beginEpoch(table: FamilyTable, entry: PeerEntry, keep: boolean, keepAgain: boolean): void {
    const counts = entry.families[table.family];
    if (counts.isCrowded) {
      this.#walks.finish(sweepKey(entry, table.family));
      renumberEpochs(table, entry);
    }
    counts.beginEpoch(keep, keepAgain);
  }

  #sweep(table: FamilyTable, entry: PeerEntry): void {
    this.#walks.start(sweepWalk(table, entry, () => this.#forgetIfIdle(entry)));
    this.#hintWork();
  }

  #forgetIfIdle(entry: PeerEntry): void {
    if (entry.idle && this.#peers.find(entry.id) === entry) this.#peers.forget(entry);
  }

  #readBestPaths(reader: Reader, max: number): BestPathChange[] {
    const changes: BestPathChange[] = [];
    if (this.#deferred) return changes;
    for (const family of families) {
      const table = this.#tables[family];
      const { log } = table;
      const position = reader.positions[family];
      for (let prefix = log.next(position); prefix !== 0 && changes.length < max; prefix = log.next(position)) {
        changes.push(this.#bestPathChange(table, prefix));
        log.moveTo(position, prefix, log.versionOf(prefix));
      }
      if (log.hasTombstones) this.#hintWork();
    }
    reader.quiet = families.every((family) => this.#tables[family].log.next(reader.positions[family]) === 0);
    return changes;
  }

  #bestPathChange(table: FamilyTable, prefix: number): BestPathChange {
    const text = table.prefixes.text(prefix);
    const source = this.#originated.get(text)?.source ?? '';
    const paths: number[] = [];
    for (let path = table.firstPath(prefix); path !== 0; path = table.nextPath(path)) {
      if (table.rung(path) < Rung.firstOfLadder) paths.push(path);
    }
    const shares = paths.length > 1;
    return {
      family: table.family,
      prefix: text,
      paths: paths.map((path) => bestPathValue(table, path, source, shares)),
    };
  }

  *#prefixesOf(table: FamilyTable, query: RouteQuery): IterableIterator<number> {
    if (query.prefix !== undefined) {
      const prefix = parsePrefix(query.prefix);
      if (prefix?.family !== table.family) return;
      this.#setKey(prefix);
      const id = table.prefixes.find(this.#key);
      if (id !== 0) yield id;
    } else if (query.for !== undefined) {
      const id = this.#longestMatch(table, query.for);
      if (id !== 0) yield id;
    } else {
      for (let id = 1; id < table.prefixes.limit; id++) if (table.prefixes.isUsed(id)) yield id;
    }
  }

  #longestMatch(table: FamilyTable, address: string): number {
    const bytes = parseAddress(address);
    if (bytes === undefined || bytes.length !== table.prefixes.wordCount * 4) return 0;
    for (let length = bytes.length * 8; length >= 0; length--) {
      setPrefixKey(this.#key, bytes, length);
      for (let i = 0; i < table.prefixes.wordCount; i++) {
        const bits = length - i * 32;
        if (bits < 32) this.#key.words[i] &= bits <= 0 ? 0 : -1 << (32 - bits);
      }
      const id = table.prefixes.find(this.#key);
      if (id !== 0 && table.bestPath(id) !== 0) return id;
    }
    return 0;
  }

  /** The statuses of a prefix's paths that the query asks for, made at once: between two of them the table may change. */
  #pathsOf(table: FamilyTable, prefix: number, query: RouteQuery): RouteStatus[] {
    const { exportedTo } = query;
    const source = this.#originated.get(table.prefixes.text(prefix))?.source ?? '';
    if (exportedTo !== undefined) return this.#toldOf(table, prefix, exportedTo, source);
    const statuses: RouteStatus[] = [];
    for (let path = table.firstPath(prefix); path !== 0; path = table.nextPath(path)) {
      if (table.rung(path) >= Rung.filtered !== (query.filtered === true)) continue;
      const peer = this.#peers.get(table.paths.chunk(path).peer[path & rowMask]);
      const name = peer.id === localPeer ? source : peer.peer.name;
      if (query.peer === undefined || query.peer === name) statuses.push(routeStatus(table, path, source));
    }
    return statuses;
  }

  #toldOf(table: FamilyTable, prefix: number, peerName: string, source: string): RouteStatus[] {
    const entry = this.#peers.byName(peerName);
    if (entry === undefined) return [];
    const told = this.#adjRibOut.toldOf(entry.id, table.family, prefix);
    return told.map((route) => routeStatus(table, route.path, source, route));
  }

  #setKey(prefix: Prefix): Family {
    setPrefixKey(this.#key, prefix.bytes, prefix.length);
    return prefix.family;
  }
}

function toPrefix(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`'${text}' is not a prefix`);
  return prefix;
}

function localNumbers(local: RibLocal): LocalNumbers {
  return {
    asNumber: local.asNumber,
    routerId: identifier(local.routerId),
    clusterId: identifier(local.clusterId ?? local.routerId),
    clientsMesh: local.clientsMesh ?? false,
  };
}
