/**
 * What each peer is to be told: its place in an update group for each family, and whether it waits for something new.
 * Implements: RFC 4271 §9.2 (by update groups), RFC 4724 §4.1 (nothing is told while a restart is waited for), RFC 2918 §4.
 * Leaves out: what is told and how it is packed: the groups.
 */

import { families } from '../ip.ts';
import type { Family } from '../ip.ts';
import type { LocalNumbers } from './adj-rib-in.ts';
import { BestPathGroup } from './best-path-group.ts';
import type { FamilyTable } from './family-table.ts';
import type { PeerEntry } from './peer-table.ts';
import type { RibPeer } from './rib-types.ts';
import { ToldPrefixes } from './told.ts';
import { GroupMember, groupKey } from './update-group.ts';
import type { ToldPath, UpdateGroup } from './update-group.ts';

interface Membership {
  group: UpdateGroup;
  readonly member: GroupMember;
}

export class AdjRibOut {
  /** See Rib. */
  onOutput?: (peerId: number) => void;

  #tables: Record<Family, FamilyTable>;
  #local: LocalNumbers;
  #groups = new Map<string, UpdateGroup>();
  #memberships = new Map<number, Partial<Record<Family, Membership>>>();
  /** Peers that were told everything. */
  #quiet: Record<Family, Set<number>> = { ipv4: new Set(), ipv6: new Set() };
  #deferred = false;

  constructor(tables: Record<Family, FamilyTable>, local: LocalNumbers) {
    this.#tables = tables;
    this.#local = local;
  }

  /** The peer's first output (End-of-RIB at least) waits from now on, without a hint. */
  open(entry: PeerEntry): void {
    const memberships: Partial<Record<Family, Membership>> = {};
    for (const family of entry.peer.families) {
      const table = this.#tables[family];
      const { log } = table;
      const endOfRibAfter = log.open(false);
      log.moveToEnd(endOfRibAfter);
      const member = new GroupMember(entry, log.open(), endOfRibAfter, new ToldPrefixes());
      memberships[family] = { group: this.#join(member, table, entry.peer), member };
      this.#quiet[family].add(entry.id);
    }
    this.#memberships.set(entry.id, memberships);
  }

  close(id: number): void {
    const memberships = this.#memberships.get(id) ?? {};
    for (const family of families) {
      const membership = memberships[family];
      this.#quiet[family].delete(id);
      if (membership === undefined) continue;
      this.#abandon(membership);
      const { log } = this.#tables[family];
      log.close(membership.member.position);
      if (membership.member.endOfRibAfter !== undefined) log.close(membership.member.endOfRibAfter);
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
    this.#quiet[family].delete(id);
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
        const after = memberships[family]?.member.endOfRibAfter;
        if (after !== undefined) this.#tables[family].log.moveToEnd(after);
        this.#quiet[family].delete(id);
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
    if (this.#deferred) return;
    const quiet = this.#quiet[family];
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
    const key = `${table.family} ${groupKey(peer)}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new BestPathGroup(table, table.log, this.#local, peer);
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
    this.#quiet[family].add(id);
    return false;
  }
}
