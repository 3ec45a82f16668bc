/**
 * What each peer is to be told: its place in an update group for each family, and whether it waits for something new.
 * Implements: RFC 4271 §9.2 (by update groups), RFC 4724 §4.1 (nothing is told while a restart is waited for), RFC 2918 §4.
 * Leaves out: what is told and how it is packed: the groups.
 */

import { families } from '../ip.ts';
import type { Family } from '../ip.ts';
import { AddPathGroup, AddPathMember } from './add-path-group.ts';
import type { LocalNumbers } from './adj-rib-in.ts';
import { BestPathGroup } from './best-path-group.ts';
import type { ChangeLog } from './change-log.ts';
import type { FamilyTable } from './family-table.ts';
import type { PeerEntry } from './peer-table.ts';
import type { RibPeer } from './rib-types.ts';
import { ToldPrefixes } from './told.ts';
import { groupKey } from './group-key.ts';
import { GroupMember } from './update-group.ts';
import type { ToldPath, UpdateGroup } from './update-group.ts';
import { pathLogWalk } from './walks.ts';
import type { Walks } from './walks.ts';

interface Membership {
  group: UpdateGroup;
  readonly member: GroupMember;
  /** The peers of its kind that were told everything. */
  readonly quiet: Set<number>;
}

export class AdjRibOut {
  /** See Rib. */
  onOutput?: (peerId: number) => void;

  #tables: Record<Family, FamilyTable>;
  #local: LocalNumbers;
  #groups = new Map<string, UpdateGroup>();
  #memberships = new Map<number, Partial<Record<Family, Membership>>>();
  #walks: Walks;
  /** Peers that were told everything; of those that hear several paths of a prefix, and of the others. */
  #quiet: Record<Family, Set<number>> = { ipv4: new Set(), ipv6: new Set() };
  #quietOfPaths: Record<Family, Set<number>> = { ipv4: new Set(), ipv6: new Set() };
  #deferred = false;

  constructor(tables: Record<Family, FamilyTable>, local: LocalNumbers, walks: Walks) {
    this.#tables = tables;
    this.#local = local;
    this.#walks = walks;
  }

  /** The peer's first output (End-of-RIB at least) waits from now on, without a hint. */
  open(entry: PeerEntry): void {
    const memberships: Partial<Record<Family, Membership>> = {};
    for (const family of entry.peer.families) {
      const table = this.#tables[family];
      const several = pathsToldTo(entry.peer, family) !== undefined;
      const log = several ? (table.pathLog ?? this.#openPathLog(table)) : table.log;
      const endOfRibAfter = log.open(false);
      log.moveToEnd(endOfRibAfter);
      const member = several
        ? new AddPathMember(entry, log.open(), endOfRibAfter)
        : new GroupMember(entry, log.open(), endOfRibAfter, new ToldPrefixes());
      const quiet = (several ? this.#quietOfPaths : this.#quiet)[family];
      memberships[family] = { group: this.#join(member, table, entry.peer), member, quiet };
      quiet.add(entry.id);
    }
    this.#memberships.set(entry.id, memberships);
  }

  close(id: number): void {
    const memberships = this.#memberships.get(id) ?? {};
    for (const family of families) {
      const membership = memberships[family];
      if (membership === undefined) continue;
      membership.quiet.delete(id);
      this.#abandon(membership);
      membership.group.leave(membership.member);
    }
    this.#memberships.delete(id);
  }

  /** The peer's policy is another: it moves to the group of those that hear the same, and hears everything again. */
  regroup(entry: PeerEntry): void {
    const memberships = this.#memberships.get(entry.id) ?? {};
    for (const family of families) {
      const membership = memberships[family];
      if (membership === undefined) continue;
      this.#abandon(membership);
      membership.group = this.#join(membership.member, this.#tables[family], entry.peer);
      this.refresh(entry.id, family);
    }
  }

  refresh(id: number, family: Family): void {
    const membership = this.#memberships.get(id)?.[family];
    if (membership === undefined) return;
    membership.group.restart(membership.member);
    membership.quiet.delete(id);
    if (!this.#deferred) this.onOutput?.(id);
  }

  /** A setting changed that is in what everyone is told. */
  refreshAll(): void {
    this.forgetSegments();
    for (const id of this.#memberships.keys()) for (const family of families) this.refresh(id, family);
  }

  setDeferral(deferred: boolean): void {
    this.#deferred = deferred;
    if (deferred) return;
    for (const [id, memberships] of this.#memberships) {
      for (const family of families) {
        const membership = memberships[family];
        if (membership === undefined) continue;
        membership.group.endAtPresent(membership.member);
        membership.quiet.delete(id);
      }
      this.onOutput?.(id);
    }
  }

  hasOutput(id: number): boolean {
    if (this.#deferred) return false;
    const memberships = this.#memberships.get(id);
    return memberships !== undefined && families.some((family) => this.#hasFamilyOutput(id, family, memberships));
  }

  take(id: number, maximumBytes: number): Uint8Array[] {
    const out: Uint8Array[] = [];
    const memberships = this.#memberships.get(id);
    if (memberships === undefined || this.#deferred) return out;
    let taken = 0;
    for (const family of families) {
      const membership = memberships[family];
      if (membership === undefined) continue;
      if (taken < maximumBytes) taken += membership.group.take(membership.member, maximumBytes - taken, out);
      this.#hasFamilyOutput(id, family, memberships);
    }
    return out;
  }

  /** Something about the family's prefixes changed: those who were told everything are told so. */
  changed(family: Family): void {
    this.#wake(this.#quiet[family]);
  }

  #wake(quiet: Set<number>): void {
    if (this.#deferred) return;
    if (quiet.size === 0) return;
    const ids = [...quiet];
    quiet.clear();
    for (const id of ids) this.onOutput?.(id);
  }

  toldOf(id: number, family: Family, prefix: number): ToldPath[] {
    const membership = this.#memberships.get(id)?.[family];
    return membership === undefined ? [] : membership.group.toldOf(membership.member, prefix);
  }

  counters(id: number, family: Family): { exported: number; endOfRibSent: boolean } {
    const member = this.#memberships.get(id)?.[family]?.member;
    return {
      exported: member?.told.count ?? 0,
      endOfRibSent: member !== undefined && member.endOfRibAfter === undefined,
    };
  }

  forgetSegments(): void {
    for (const group of this.#groups.values()) group.forgetSegments();
  }

  tidy(): void {
    for (const group of this.#groups.values()) group.tidy();
  }

  #join(member: GroupMember, table: FamilyTable, peer: RibPeer): UpdateGroup {
    const maximum = pathsToldTo(peer, table.family);
    const key = `${table.family} ${maximum ?? 'best path'} ${groupKey(peer)}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group =
        maximum === undefined
          ? new BestPathGroup(table, table.log, this.#local, peer)
          : new AddPathGroup(table, table.pathLog!, this.#local, peer, maximum);
      this.#groups.set(key, group);
    }
    group.add(member);
    return group;
  }

  #abandon({ group, member }: Membership): void {
    group.remove(member);
    if (group.members.size > 0) return;
    group.forgetSegments();
    for (const [key, other] of this.#groups) if (other === group) this.#groups.delete(key);
  }

  /** Also notes that the peer was told everything, where it was. */
  #hasFamilyOutput(id: number, family: Family, memberships: Partial<Record<Family, Membership>>): boolean {
    const membership = memberships[family];
    if (membership === undefined) return false;
    if (membership.group.hasOutput(membership.member)) return true;
    membership.quiet.add(id);
    return false;
  }

  /** The first peer of the family that hears several paths is there. */
  #openPathLog(table: FamilyTable): ChangeLog {
    const { family } = table;
    const log = table.openPathLog();
    log.onVoid = () => this.forgetSegments();
    table.onPathChange = () => this.#wake(this.#quietOfPaths[family]);
    if (table.prefixes.count === 0) table.pathLogIsWhole = true;
    else this.#walks.start(pathLogWalk(table, () => this.#pathLogBecameWhole(table)));
    return log;
  }

  #pathLogBecameWhole(table: FamilyTable): void {
    table.pathLogIsWhole = true;
    for (const [id, memberships] of this.#memberships) {
      const membership = memberships[table.family];
      if (membership === undefined || membership.quiet !== this.#quietOfPaths[table.family]) continue;
      membership.group.endAtPresent(membership.member);
      membership.quiet.delete(id);
      if (!this.#deferred) this.onOutput?.(id);
    }
  }
}

/** RFC 7911: how many paths of a prefix the peer is told at most; undefined: the best one, without a path identifier. */
function pathsToldTo({ addPath }: RibPeer, family: Family): number | undefined {
  return addPath?.send.includes(family) === true ? addPath.sendMaximum : undefined;
}
