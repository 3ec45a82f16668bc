/**
 * Peers that hear the same bytes: the changes are packed once, and each member is handed the same buffers, less its own routes.
 * Implements: RFC 4271 §9.2, §5.1.3 (next hop), RFC 4456 §8, RFC 4724 §2 (End-of-RIB), RFC 7313 §4 (BoRR, EoRR), RFC 8326 §4 (what is told before a
 *   shutdown), RFC 9234 §5 (egress), RFC 9494 §4.3, §4.6 (who is told long-lived stale routes).
 * Holds: a member that is slower than the others is only a lower position in the change log; what is past is not kept for it:
 *   it is packed for alone, from the present state, until it stands where a retained segment begins. A withdraw is sent only
 *   where an announcement was.
 */

import { addressLength, isLinkLocal, parseAddress } from '../ip.ts';
import type { Family } from '../ip.ts';
import { roles } from '../role.ts';
import type { RoleEntry } from '../role.ts';
import { AttributeView, WellKnownCommunity, applyRouteChanges } from '../wire/attributes/attribute-set.ts';
import { writeOutgoing } from '../wire/attributes/outgoing.ts';
import type { OutgoingForm } from '../wire/attributes/outgoing.ts';
import { ByteWriter } from '../wire/byte-writer.ts';
import { newPrefixKey } from '../wire/nlri.ts';
import { encodeRouteRefresh } from '../wire/route-refresh.ts';
import { endOfRibMessage, isInNextHopAttribute } from '../wire/update.ts';
import type { LocalNumbers } from './adj-rib-in.ts';
import { AttributeTrait } from './attribute-pool.ts';
import type { ChangeLog, Position } from './change-log.ts';
import { EditedPaths, pathEditsOf } from './edited-paths.ts';
import type { FamilyTable } from './family-table.ts';
import { ownNextHop } from './group-key.ts';
import { localPeer } from './peer-table.ts';
import type { PeerEntry } from './peer-table.ts';
import { isReflected, mayBeTold } from './reflection.ts';
import type { PeerClass } from './reflection.ts';
import type { RibPeer } from './rib-types.ts';
import { RouteView } from './route-view.ts';
import type { ToldRoute } from './route-view.ts';
import { rowMask } from './rows.ts';
import type { Packed } from './update-packer.ts';

/** Packed segments kept for members that lag a little, in bytes. */
const retainedBytes = 1024 * 1024;

const endOfRib = ofEachFamily(endOfRibMessage);

const refreshMarkers = {
  begins: ofEachFamily((family) => encodeRouteRefresh({ kind: 'begins', family })),
  ended: ofEachFamily((family) => encodeRouteRefresh({ kind: 'ended', family })),
};

function ofEachFamily(message: (family: Family) => Uint8Array): Record<Family, Uint8Array> {
  return { ipv4: message('ipv4'), ipv6: message('ipv6') };
}

function concatenate(texts: readonly string[]): Uint8Array {
  return Uint8Array.from(texts.flatMap((text) => [...(parseAddress(text) ?? [])]));
}

/** A stretch of the change log, packed. */
export interface Segment {
  /** Version after which it begins. */
  readonly from: number;
  readonly to: Position;
  /** Counts up over all segments and members: who came later than the segment may not use it. */
  readonly sequence: number;
  /** Rewrites of the log when it was packed. */
  readonly rewrites: number;
  /** Prefixes that it says something of. */
  readonly prefixCount: number;
  readonly packed: Packed;
}

/** What a member was told and not withdrawn since. */
interface Told {
  readonly count: number;
  has(prefix: number): boolean;
}

/** @property path its row */
export interface ToldPath extends ToldRoute {
  readonly path: number;
}

export class GroupMember<T extends Told = Told> {
  readonly peer: PeerEntry;
  readonly position: Position;
  /** End-of-RIB is due once this was passed; undefined: it was sent. */
  endOfRibAfter: Position | undefined;
  readonly told: T;
  sequence = 0;
  /** It shall hear everything again; once its End-of-RIB was sent, if it has the markers of RFC 7313. */
  refreshDue = false;
  /** BoRR was sent; EoRR is due when everything was. */
  refreshing = false;

  constructor(peer: PeerEntry, position: Position, endOfRibAfter: Position, told: T) {
    this.peer = peer;
    this.position = position;
    // However slow it is: nothing waits for it that it was never told of.
    position.needs = (prefix) => told.has(prefix);
    this.told = told;
    this.endOfRibAfter = endOfRibAfter;
  }
}

let lastSequence = 0;

/** What the kinds of groups have in common; what is packed of a stretch and how it is handed out is each kind's own. */
export abstract class UpdateGroup<S extends Segment = Segment, M extends GroupMember = GroupMember> {
  readonly table: FamilyTable;
  readonly members = new Set<M>();
  protected readonly log: ChangeLog;
  protected readonly peer: RibPeer;
  #local: LocalNumbers;
  #class: Exclude<PeerClass, 'local'>;
  #role: RoleEntry | undefined;
  #edits: EditedPaths | undefined;
  #ownNextHop: Uint8Array | undefined;
  /** The next hop of the set looked at last, by its length. */
  #nextHops = { 4: new Uint8Array(4), 16: new Uint8Array(16) };
  #segments: S[] = [];

  /**
   * @param log what the members read
   * @param peer any that will be a member: they are equal where it matters (groupKey)
   */
  constructor(table: FamilyTable, log: ChangeLog, local: LocalNumbers, peer: RibPeer) {
    this.table = table;
    this.log = log;
    this.#local = local;
    this.peer = peer;
    this.#class = peer.peerType === 'eBGP' ? 'external' : peer.reflectorClient ? 'client' : 'nonClient';
    this.#role = peer.role && roles[peer.role];
    const edits = pathEditsOf(peer);
    this.#edits = edits && new EditedPaths(table.pool, edits);
    const own = ownNextHop(peer, table.family);
    this.#ownNextHop = own.length === 0 ? undefined : concatenate(own);
  }

  add(member: M): void {
    member.sequence = ++lastSequence;
    this.members.add(member);
  }

  remove(member: M): void {
    this.members.delete(member);
    this.tidy();
  }

  /** The member shall hear everything again. */
  restart(member: M): void {
    if (member.peer.peer.enhancedRouteRefresh) member.refreshDue = true;
    else this.moveToStart(member);
  }

  /** What was packed is void: versions were counted anew, or a setting changed. */
  forgetSegments(): void {
    for (const segment of this.#segments) this.log.close(segment.to);
    this.#segments = [];
  }

  /** Drops what every member has passed and what is old, then the first packed until no more than `retainedBytes` are kept. */
  tidy(): void {
    const segments = this.#segments;
    if (segments.length === 0) return;
    let lowest = Infinity;
    for (const member of this.members) lowest = Math.min(lowest, member.position.version);
    let kept = 0;
    for (let i = segments.length - 1; i >= 0; i--) {
      kept += segments[i].packed.bytes.length;
      if (segments[i].from >= lowest && kept <= retainedBytes && !this.#isOld(segments[i])) continue;
      this.log.close(segments[i].to);
      segments.splice(i, 1);
    }
  }

  /** The member goes for good; its group does not matter any more. */
  leave(member: M): void {
    this.log.close(member.position);
    if (member.endOfRibAfter !== undefined) this.log.close(member.endOfRibAfter);
  }

  /** End-of-RIB, where it is due, follows what is there by now. */
  endAtPresent(member: M): void {
    if (member.endOfRibAfter !== undefined) this.log.moveToEnd(member.endOfRibAfter);
  }

  hasOutput(member: M): boolean {
    const { refreshDue, endOfRibAfter } = member;
    if (this.log.next(member.position) !== 0 || this.#endsOnce(member)) return true;
    return refreshDue && endOfRibAfter === undefined;
  }

  /** Whether the marker of the table's end, End-of-RIB or EoRR, is due and may be. */
  #endsOnce({ endOfRibAfter, refreshing }: M): boolean {
    return (endOfRibAfter !== undefined || refreshing) && this.isTableWhole;
  }

  /** Whether everything there is stands in the log. */
  protected get isTableWhole(): boolean {
    return true;
  }

  /** Adds messages to `out` until they are about `maximumBytes`. @returns their length in bytes */
  take(member: M, maximumBytes: number, out: Uint8Array[]): number {
    const { log } = this;
    const first = out.length;
    let taken = 0;
    while (taken < maximumBytes) {
      // RFC 7313 §4: never before End-of-RIB.
      if (member.refreshDue && member.endOfRibAfter === undefined) {
        member.refreshDue = false;
        member.refreshing = true;
        this.moveToStart(member);
        out.push(refreshMarkers.begins[this.table.family]);
      }
      const next = log.next(member.position);
      if (member.endOfRibAfter !== undefined && this.isTableWhole) {
        if (next === 0 || log.versionOf(next) > member.endOfRibAfter.version) {
          log.close(member.endOfRibAfter);
          member.endOfRibAfter = undefined;
          member.peer.updatesSent++;
          out.push(endOfRib[this.table.family]);
          taken += endOfRib[this.table.family].length;
          continue;
        }
      }
      if (next === 0) {
        // What changed meanwhile stands behind what did not: the end of the log is the end of both.
        if (member.refreshing && this.isTableWhole) {
          member.refreshing = false;
          out.push(refreshMarkers.ended[this.table.family]);
        }
        break;
      }
      const segment = this.#segmentFor(member);
      const before = out.length;
      this.deliver(segment, member, out);
      for (let i = before; i < out.length; i++) taken += out[i].length;
      log.moveTo(member.position, segment.to.row, segment.to.version);
    }
    return out.length === first ? 0 : taken;
  }

  protected moveToStart(member: M): void {
    this.log.moveToStart(member.position);
    member.sequence = ++lastSequence;
  }

  /** What the member was told of the prefix, path by path, as it is told now. */
  abstract toldOf(member: M, prefix: number): ToldPath[];

  /** The attributes that members are told for a path, as they are told them; undefined: nothing. */
  protected toldAttributes(path: number): AttributeView | undefined {
    const { table } = this;
    const chunk = table.paths.chunk(path);
    const peer = table.peers.get(chunk.peer[path & rowMask]);
    const told = this.exported(chunk.prefix[path & rowMask], path, peer);
    if (told === 0) return undefined;
    const writer = new ByteWriter(256);
    const nextHop = this.#nextHopFor(told, peer);
    if (nextHop !== undefined) {
      writer.u8(nextHop.length);
      writer.bytes(nextHop);
      const form = { ...this.#formFor(peer, told, this.medWasSet), fourOctetAs: true };
      const { pool } = table;
      const start = pool.startOf(told);
      writeOutgoing(writer, pool.bufferOf(told), start, start + pool.lengthOf(told), undefined, form);
    }
    this.endRun();
    return nextHop === undefined ? undefined : new AttributeView(writer.copy());
  }

  /** A retained segment that begins where the member stands, or a new one. */
  #segmentFor(member: M): S {
    const from = member.position.version;
    for (const segment of this.#segments) {
      if (segment.from === from && segment.sequence > member.sequence && !this.#isOld(segment)) {
        if (this.mayUse(segment, member)) return segment;
      }
    }
    this.tidy();
    const segment = this.pack(member, this.#boundaryAfter(from));
    this.#segments.push(segment);
    return segment;
  }

  /** Whether so much of it changed since that packing anew is better than telling what is past. */
  #isOld(segment: Segment): boolean {
    return this.log.rewrites - segment.rewrites > 64 + segment.prefixCount / 2;
  }

  /** Where the next retained segment begins: a version. */
  #boundaryAfter(from: number): number {
    let boundary = Infinity;
    for (const segment of this.#segments) {
      if (segment.from > from && segment.from < boundary) boundary = segment.from;
    }
    return boundary;
  }

  /** Whether a retained segment that begins where the member stands is for it. */
  protected mayUse(_segment: S, _member: M): boolean {
    return true;
  }

  /** Packs what the member is to be told next, up to a version at most. */
  protected abstract pack(member: M, boundary: number): S;

  /** Hands the segment to the member. */
  protected abstract deliver(segment: S, member: M, out: Uint8Array[]): void;

  protected nextSequence(): number {
    return ++lastSequence;
  }

  /** Whether the export filter gave the route looked at last its MED: then it is sent even to another AS. */
  protected medWasSet: 0 | 1 = 0;

  /** Sets that the export filter made, held until what they are for is packed. */
  #made: number[] = [];

  /** The set that members are told for the path; 0: nothing. Valid until endRun. */
  protected exported(prefix: number, path: number, peer: PeerEntry): number {
    const { table } = this;
    let attributes = table.paths.attributesOf(path);
    const traits = table.pool.chunk(attributes).traits[attributes & rowMask];
    this.medWasSet = 0;
    if (!mayBeTold(classOf(peer), this.#class, traits, this.#local.clientsMesh)) return 0;
    // RFC 9234 §5, egress 2.
    if ((traits & AttributeTrait.onlyToCustomer) !== 0 && this.#role?.withholdsMarked) return 0;
    // RFC 9494 §4.3; within the AS §4.6 is followed instead: see #formFor.
    const isLastResort = (traits & AttributeTrait.longLivedStale) !== 0;
    if (isLastResort && !this.peer.longLivedStale && this.#class === 'external') return 0;
    if (this.#edits !== undefined) attributes = this.#edits.of(attributes);
    const filter = this.peer.exportFilter;
    if (filter === undefined) return attributes;
    const view = table.pool.view(attributes);
    table.prefixes.readKey(prefix, filterKey);
    const verdict = filter.evaluate(new RouteView(table.family, filterKey, view, peer, table.paths.fibMetricOf(path)));
    if (verdict.kind === 'reject') return 0;
    if (verdict.changes === undefined) return attributes;
    if (verdict.changes.med !== undefined) this.medWasSet = 1;
    const changed = applyRouteChanges(view.bytes, verdict.changes);
    const made = table.pool.intern(changed, 0, changed.length);
    this.#made.push(made);
    return made;
  }

  /** What was made for a run of the packer is of no more use. */
  protected endRun(): void {
    this.#form = undefined;
    this.#edits?.releaseMade();
    for (const attributes of this.#made) this.table.pool.release(attributes);
    this.#made.length = 0;
  }

  protected readonly encode = (
    attributes: number,
    source: number,
    variant: 0 | 1,
    into: ByteWriter,
  ): Uint8Array | undefined => {
    const { pool, peers } = this.table;
    const peer = peers.get(source);
    const nextHop = this.#nextHopFor(attributes, peer);
    if (nextHop === undefined) return undefined;
    const start = pool.startOf(attributes);
    const bytes = pool.bufferOf(attributes);
    const form = this.#formFor(peer, attributes, variant);
    const inAttribute = isInNextHopAttribute(nextHop) ? nextHop : undefined;
    writeOutgoing(into, bytes, start, start + pool.lengthOf(attributes), inAttribute, form);
    return nextHop;
  };

  /**
   * RFC 4271 §5.1.3: ourselves towards another AS and for what we originate; else unchanged; the mode overrides.
   * Valid until the next call.
   */
  #nextHopFor(attributes: number, source: PeerEntry): Uint8Array | undefined {
    const { pool } = this.table;
    const start = pool.startOf(attributes);
    const bytes = pool.bufferOf(attributes);
    const length = bytes[start];
    const { nextHopMode, peerType, extendedNextHop } = this.peer;
    const self = source.id === localPeer || nextHopMode === 'self' || (nextHopMode === 'auto' && peerType === 'eBGP');
    // Only neighbours on its link can use a link-local next hop: for all others it is us.
    const linkLocalOnly = length === addressLength.ipv6 && isLinkLocal(bytes, start + 1);
    if (self || length === 0 || linkLocalOnly) return this.#ownNextHop;
    if (length === addressLength.ipv4) return copyInto(this.#nextHops[4], bytes, start + 1);
    // RFC 8950 §4: not to a peer that would not understand it.
    if (this.table.family === 'ipv4' && !extendedNextHop) return undefined;
    // RFC 2545 §3: the link-local one beside it is for its own link.
    return copyInto(this.#nextHops[16], bytes, start + 1);
  }

  /** The form asked for last, and what for: hardly a run of the packer needs more than one. Kept for no longer than the run. */
  #form: OutgoingForm | undefined;
  #formSource: PeerEntry | undefined;
  #formTraits = 0;

  #formFor(source: PeerEntry, attributes: number, medWasSet: 0 | 1): OutgoingForm {
    const traits = this.table.pool.traitsOf(attributes) & traitsOfForm;
    const key = (traits << 1) | medWasSet;
    if (this.#form === undefined || source !== this.#formSource || key !== this.#formTraits) {
      this.#form = this.#makeForm(source, traits, medWasSet);
      this.#formSource = source;
      this.#formTraits = key;
    }
    return this.#form;
  }

  #makeForm(source: PeerEntry, traits: number, medWasSet: 0 | 1): OutgoingForm {
    const { fourOctetAs, localAs, localAsMode = 'replace', marksGracefulShutdown, longLivedStale } = this.peer;
    const { asNumber } = this.#local;
    const internal = this.#class !== 'external';
    // RFC 9494 §4.6: a neighbour that does not know LLGR_STALE is told to prefer anything else, and to keep it to itself.
    const lastResort = internal && !longLivedStale && (traits & AttributeTrait.longLivedStale) !== 0;
    // RFC 4271 §5.1.4: a MED from another AS does not go on to a third.
    const ownMed = medWasSet === 1 || (traits & AttributeTrait.emptyAsPath) !== 0;
    const reflected = isReflected(classOf(source), this.#class);
    return {
      prepend: internal ? [] : localAsMode === 'replace' || localAs === asNumber ? [localAs] : [localAs, asNumber],
      internal,
      fourOctetAs,
      originatorId: reflected ? source.routerId : undefined,
      clusterId: reflected ? this.#local.clusterId : undefined,
      keepMed: internal || ownMed,
      // RFC 8326 §4: a neighbour in another AS lowers it by itself.
      localPref: lastResort || (internal && marksGracefulShutdown) ? 0 : undefined,
      community: lastResort
        ? WellKnownCommunity.noExport
        : !internal && marksGracefulShutdown
          ? WellKnownCommunity.gracefulShutdown
          : undefined,
      // RFC 9234 §5, egress 1.
      onlyToCustomer: this.#role?.marksSent ? localAs : undefined,
    };
  }
}

/** Numbers of the runs that carry the peer's own routes. */
export function ownRuns(packed: Packed, peer: number): readonly number[] {
  const { runs } = packed;
  if (runs.length === 1) return runs[0].source === peer ? theFirst : none;
  if (packed.bySource === undefined) {
    packed.bySource = new Map();
    for (let i = 0; i < runs.length; i++) {
      const list = packed.bySource.get(runs[i].source);
      if (list === undefined) packed.bySource.set(runs[i].source, [i]);
      else list.push(i);
    }
  }
  return packed.bySource.get(peer) ?? none;
}

/** What of a set changes how it is written. */
const traitsOfForm = AttributeTrait.longLivedStale | AttributeTrait.emptyAsPath;

const theFirst: readonly number[] = [0];
const none: readonly number[] = [];
const filterKey = newPrefixKey();

function copyInto(to: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  for (let i = 0; i < to.length; i++) to[i] = bytes[at + i];
  return to;
}

function classOf(peer: PeerEntry): PeerClass {
  if (peer.id === localPeer) return 'local';
  if (peer.external) return 'external';
  return peer.peer.reflectorClient ? 'client' : 'nonClient';
}
