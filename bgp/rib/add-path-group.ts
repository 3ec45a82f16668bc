/**
 * The peers of a group hear several paths of a prefix: all that they may be told, or the best few of these.
 * Implements: RFC 7911 §3 (local path identifiers), §5 (what is announced, replaced and withdrawn is one path).
 * Holds: a path's identifier is its row, which stays while the path lives and whatever its rank. A row that is given out anew
 *   either belongs to another prefix, or replaces what was told of the path before: a receiver never takes one for the other.
 *   The best path is among what is told, but to the peer that it is from (§5). Of a prefix that changed, only what changed is
 *   sent: paths that are new or other to everyone, beside them to a member what it was not told before.
 */

import { bringBestForward } from './best-path.ts';
import type { ChangeLog, Position } from './change-log.ts';
import type { FamilyTable } from './family-table.ts';
import type { LocalNumbers } from './adj-rib-in.ts';
import type { PeerEntry } from './peer-table.ts';
import type { RibPeer } from './rib-types.ts';
import { rowMask } from './rows.ts';
import { PathMarks, ToldPaths } from './told-paths.ts';
import { GroupMember, UpdateGroup, ownRuns } from './update-group.ts';
import type { Segment, ToldPath } from './update-group.ts';
import { UpdatePacker, packRun, packWithdraws } from './update-packer.ts';
import type { Packed } from './update-packer.ts';

/** What is to be done with a path that members are told. */
const PathState = {
  /** Told already to who hears what changed, and only to others. */
  unchanged: 0,
  /** In the segment's messages. */
  packed: 1,
  /** No message can carry it. */
  untold: 2,
  /** Changed, and the packer had no room for it: sent to each member by itself. */
  unpacked: 3,
} as const;

interface AddPathSegment extends Segment {
  /** Its messages have every path of its prefixes, not only those that changed since `from`. */
  readonly isWhole: boolean;
  readonly prefixes: Uint32Array;
  /** By prefix: where in the columns below the paths of the next one begin. */
  readonly pathsEnd: Uint32Array;
  /** Everything to be told, prefix by prefix: rows of paths. */
  readonly paths: Uint32Array;
  readonly sources: Uint16Array;
  readonly states: Uint8Array;
  /** What a member was sent beside the messages, for the next one of whom the same is true. */
  withdraws: Withdraws | undefined;
  additions: { readonly indexes: readonly number[]; readonly packed: readonly Packed[] } | undefined;
}

/** Messages that withdraw these paths. */
interface Withdraws {
  readonly prefixes: Uint32Array;
  readonly pathIds: Uint32Array;
  readonly bytes: Uint8Array;
  readonly messages: number;
}

export class AddPathMember extends GroupMember<ToldPaths> {
  /** Up to here it is told whole prefixes, not what changed; undefined: it has passed it. */
  wholeUntil: Position | undefined;

  constructor(peer: PeerEntry, position: Position, endOfRibAfter: Position) {
    super(peer, position, endOfRibAfter, new ToldPaths());
  }
}

const packer = new UpdatePacker(true);
const marks = new PathMarks();

export class AddPathGroup extends UpdateGroup<AddPathSegment, AddPathMember> {
  #maximum: number;
  /** Of the prefix looked at. */
  #candidates: number[] = [];
  // Of the segment that is being packed.
  #prefixes: number[] = [];
  #pathsEnd: number[] = [];
  #paths: number[] = [];
  #sources: number[] = [];
  #states: number[] = [];

  /** @param maximum paths of a prefix that are told; Infinity: all */
  constructor(table: FamilyTable, log: ChangeLog, local: LocalNumbers, peer: RibPeer, maximum: number) {
    super(table, log, local, peer);
    this.#maximum = maximum;
  }

  override add(member: AddPathMember): void {
    super.add(member);
    this.#tellWhole(member);
  }

  override endAtPresent(member: AddPathMember): void {
    super.endAtPresent(member);
    this.#tellWhole(member);
  }

  override leave(member: AddPathMember): void {
    super.leave(member);
    if (member.wholeUntil !== undefined) this.log.close(member.wholeUntil);
  }

  toldOf(member: AddPathMember, prefix: number): ToldPath[] {
    const { table } = this;
    const routes: ToldPath[] = [];
    for (let row = member.told.first(prefix); row !== 0; row = member.told.next(row)) {
      const path = member.told.pathId(row);
      if (!this.#isPathOf(path, prefix) || !table.takesPart(path)) continue;
      const attributes = this.toldAttributes(path);
      if (attributes !== undefined) routes.push({ path, attributes, pathId: path });
    }
    return routes.sort((a, b) => a.path - b.path);
  }

  protected override get isTableWhole(): boolean {
    return this.table.pathLogIsWhole;
  }

  protected override moveToStart(member: AddPathMember): void {
    super.moveToStart(member);
    this.#tellWhole(member);
  }

  protected override mayUse(segment: AddPathSegment, member: AddPathMember): boolean {
    return segment.isWhole || !this.#hearsWhole(member);
  }

  protected pack(member: AddPathMember, boundary: number): AddPathSegment {
    const { table, log } = this;
    const { position: from } = member;
    const isWhole = this.#hearsWhole(member);
    const after = isWhole ? -1 : from.version;
    let last = from.row;
    let version = log.version;
    packer.begin();
    this.#clear();
    for (let prefix = log.next(from); prefix !== 0; prefix = log.newer(prefix)) {
      if (log.versionOf(prefix) > boundary) {
        version = boundary;
        break;
      }
      if (packer.full || this.#paths.length >= packRun || this.#prefixes.length >= packRun) {
        version = log.versionOf(last);
        break;
      }
      last = prefix;
      this.#packPrefix(prefix, after);
    }
    const untold = new Set<number>();
    const packed = packer.pack(table.prefixes, this.peer.maximumMessageSize, this.encode, (_, path) =>
      untold.add(path),
    );
    this.endRun();
    if (untold.size > 0) {
      for (let i = 0; i < this.#paths.length; i++) if (untold.has(this.#paths[i])) this.#states[i] = PathState.untold;
    }
    const to = log.open(false);
    log.moveTo(to, last, version);
    return {
      from: from.version,
      to,
      sequence: this.nextSequence(),
      rewrites: log.rewrites,
      prefixCount: this.#prefixes.length,
      packed,
      isWhole,
      prefixes: new Uint32Array(this.#prefixes),
      pathsEnd: new Uint32Array(this.#pathsEnd),
      paths: new Uint32Array(this.#paths),
      sources: new Uint16Array(this.#sources),
      states: new Uint8Array(this.#states),
      withdraws: undefined,
      additions: undefined,
    };
  }

  /** Withdraws of what the member was told and is to have no more, the messages but its own routes', then what else it lacks. */
  protected deliver(segment: AddPathSegment, member: AddPathMember, out: Uint8Array[]): void {
    const { prefixes, pathsEnd, paths, sources, states } = segment;
    const { told } = member;
    const self = member.peer.id;
    const gonePrefixes: number[] = [];
    const goneIds: number[] = [];
    const missing: number[] = [];
    const changed: number[] = [];
    for (let i = 0, start = 0; i < prefixes.length; i++) {
      const prefix = prefixes[i];
      const end = pathsEnd[i];
      const wanted = marks.clear();
      const has = wanted + 1;
      for (let at = start; at < end; at++) {
        if (sources[at] !== self && states[at] !== PathState.untold) marks.set(paths[at], wanted);
      }
      for (let before = 0, row = told.first(prefix); row !== 0;) {
        const pathId = told.pathId(row);
        if (marks.get(pathId) === wanted) {
          marks.set(pathId, has);
          before = row;
          row = told.next(row);
        } else {
          gonePrefixes.push(prefix);
          goneIds.push(pathId);
          row = told.remove(prefix, before, row);
        }
      }
      for (let at = start; at < end; at++) {
        const mark = marks.get(paths[at]);
        if (mark === wanted) {
          if (states[at] === PathState.packed) told.add(prefix, paths[at]);
          else missing.push(at);
        } else if (mark === has && states[at] === PathState.unpacked) changed.push(at);
      }
      start = end;
    }
    if (gonePrefixes.length > 0) this.#withdraw(segment, gonePrefixes, goneIds, member, out);
    this.#handOut(segment.packed, member.peer, out);
    if (missing.length > 0) this.#announce(segment, missing, member, out);
    if (changed.length > 0) this.#announceAgain(segment, changed, member, out);
    const { wholeUntil } = member;
    if (wholeUntil !== undefined && segment.to.version >= wholeUntil.version) {
      this.log.close(wholeUntil);
      member.wholeUntil = undefined;
    }
  }

  /** Everything that is in the log by now the member is told as a whole. */
  #tellWhole(member: AddPathMember): void {
    member.wholeUntil ??= this.log.open(false);
    this.log.moveToEnd(member.wholeUntil);
  }

  #hearsWhole({ wholeUntil, position }: AddPathMember): boolean {
    return !this.isTableWhole || (wholeUntil !== undefined && position.version < wholeUntil.version);
  }

  #clear(): void {
    for (const column of [this.#prefixes, this.#pathsEnd, this.#paths, this.#sources, this.#states]) column.length = 0;
  }

  /** @param after paths that changed after this version are packed */
  #packPrefix(prefix: number, after: number): void {
    const { table } = this;
    const { paths } = table;
    const candidates = this.#candidates;
    table.readUsablePaths(prefix, candidates);
    const ranked = candidates.length > this.#maximum;
    let told = 0;
    for (let i = 0; i < candidates.length && told < this.#maximum; i++) {
      if (ranked) bringBestForward(table, candidates, i);
      const path = candidates[i];
      const peer = table.peers.get(paths.chunk(path).peer[path & rowMask]);
      const attributes = this.exported(prefix, path, peer);
      if (attributes === 0) continue;
      told++;
      const hasChanged = paths.changedAt(path) > after;
      const isPacked = hasChanged && packer.hasRoom;
      if (isPacked) packer.add(prefix, attributes, peer.id, this.medWasSet, table.pool.lengthOf(attributes), path);
      this.#paths.push(path);
      this.#sources.push(peer.id);
      this.#states.push(isPacked ? PathState.packed : hasChanged ? PathState.unpacked : PathState.unchanged);
    }
    this.#prefixes.push(prefix);
    this.#pathsEnd.push(this.#paths.length);
  }

  #withdraw(
    segment: AddPathSegment,
    prefixes: readonly number[],
    pathIds: readonly number[],
    { peer }: AddPathMember,
    out: Uint8Array[],
  ): void {
    let { withdraws } = segment;
    if (withdraws === undefined || !equal(withdraws.prefixes, prefixes) || !equal(withdraws.pathIds, pathIds)) {
      const gone = { prefixes: new Uint32Array(prefixes), pathIds: new Uint32Array(pathIds) };
      const { maximumMessageSize } = this.peer;
      const rows = this.table.prefixes;
      const messages = packWithdraws(rows, gone.prefixes, gone.pathIds, prefixes.length, maximumMessageSize);
      withdraws = segment.withdraws = { ...gone, ...messages };
    }
    out.push(withdraws.bytes);
    peer.updatesSent += withdraws.messages;
  }

  #handOut(packed: Packed, peer: PeerEntry, out: Uint8Array[]): void {
    const { bytes, runs } = packed;
    let { messages } = packed;
    let start = 0;
    for (const index of ownRuns(packed, peer.id)) {
      const own = index === 0 ? 0 : runs[index - 1].bytesEnd;
      if (own > start) out.push(bytes.subarray(start, own));
      messages -= runs[index].messages;
      start = runs[index].bytesEnd;
    }
    if (start < bytes.length) out.push(start === 0 ? bytes : bytes.subarray(start));
    peer.updatesSent += messages;
  }

  /**
   * Paths that are in no message and that the member was not told, most often because others were better. They are told as they are now: what
   * became another since the segment was packed stands later in the log, too.
   * @param indexes into the segment's columns
   */
  #announce(
    segment: AddPathSegment,
    indexes: readonly number[],
    { told, peer }: AddPathMember,
    out: Uint8Array[],
  ): void {
    if (segment.additions === undefined || !equal(segment.additions.indexes, indexes)) {
      segment.additions = { indexes, packed: this.#packAlone(segment, indexes, () => {}) };
    }
    for (const { bytes, prefixes, pathIds, messages } of segment.additions.packed) {
      if (messages === 0) continue;
      out.push(bytes);
      for (let i = 0; i < prefixes.length; i++) told.add(prefixes[i], pathIds![i]);
      peer.updatesSent += messages;
    }
  }

  /** Paths that the member was told before they changed. */
  #announceAgain(segment: AddPathSegment, indexes: readonly number[], member: AddPathMember, out: Uint8Array[]): void {
    const gonePrefixes: number[] = [];
    const goneIds: number[] = [];
    const untold = (prefix: number, pathId: number) => {
      member.told.delete(prefix, pathId);
      gonePrefixes.push(prefix);
      goneIds.push(pathId);
    };
    for (const { bytes, messages } of this.#packAlone(segment, indexes, untold)) {
      if (messages === 0) continue;
      out.push(bytes);
      member.peer.updatesSent += messages;
    }
    if (gonePrefixes.length > 0) this.#withdraw(segment, gonePrefixes, goneIds, member, out);
  }

  /**
   * Packs paths as they are now, less those that are gone or take no part any more.
   * @param untold hears the paths that no message can carry
   */
  #packAlone(
    segment: AddPathSegment,
    indexes: readonly number[],
    untold: (prefix: number, pathId: number) => void,
  ): Packed[] {
    const { table } = this;
    const packed: Packed[] = [];
    const pack = () => {
      packed.push(packer.pack(table.prefixes, this.peer.maximumMessageSize, this.encode, untold));
      this.endRun();
      packer.begin();
    };
    packer.begin();
    let i = 0;
    for (const index of indexes) {
      while (segment.pathsEnd[i] <= index) i++;
      const prefix = segment.prefixes[i];
      const path = segment.paths[index];
      const source = segment.sources[index];
      if (!this.#isPathOf(path, prefix) || !table.takesPart(path)) continue;
      if (table.paths.chunk(path).peer[path & rowMask] !== source) continue;
      const attributes = this.exported(prefix, path, table.peers.get(source));
      if (attributes === 0) continue;
      packer.add(prefix, attributes, source, this.medWasSet, table.pool.lengthOf(attributes), path);
      if (packer.full) pack();
    }
    pack();
    return packed;
  }

  #isPathOf(path: number, prefix: number): boolean {
    const { paths } = this.table;
    return paths.isUsed(path) && paths.chunk(path).prefix[path & rowMask] === prefix;
  }
}

function equal(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
