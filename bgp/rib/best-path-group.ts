/**
 * The peers of a group hear one path a prefix, the best one: what RFC 4271 §9.2 has every speaker do.
 * Holds: the best route of a prefix is not told to the peer that it is from; what that peer was told before is withdrawn from it.
 */

import { rowMask } from './rows.ts';
import type { ToldPrefixes } from './told.ts';
import { UpdateGroup, ownRuns } from './update-group.ts';
import type { GroupMember, Segment, ToldPath } from './update-group.ts';
import { UpdatePacker, packWithdraws } from './update-packer.ts';

export type BestPathMember = GroupMember<ToldPrefixes>;

interface BestPathSegment extends Segment {
  /** Prefixes with nothing to be told: withdrawn where they were told. */
  readonly withdrawn: Uint32Array;
  sharedWithdraws: { bytes: Uint8Array; messages: number } | undefined;
}

const packer = new UpdatePacker();
const packRunOfWithdraws = 16_384;

export class BestPathGroup extends UpdateGroup<BestPathSegment, BestPathMember> {
  #scratch = new Uint32Array(256);

  toldOf(member: BestPathMember, prefix: number): ToldPath[] {
    const path = this.table.bestPath(prefix);
    if (path === 0 || !member.told.has(prefix)) return [];
    const attributes = this.toldAttributes(path);
    return attributes === undefined ? [] : [{ path, attributes, pathId: undefined }];
  }

  protected pack({ position: from }: BestPathMember, boundary: number): BestPathSegment {
    const { table, log } = this;
    let withdrawn = 0;
    let last = from.row;
    let version = log.version;
    packer.begin();
    const withdraw = (prefix: number) => {
      if (withdrawn === this.#scratch.length) {
        const larger = new Uint32Array(withdrawn * 2);
        larger.set(this.#scratch);
        this.#scratch = larger;
      }
      this.#scratch[withdrawn++] = prefix;
    };
    for (let prefix = log.next(from); prefix !== 0; prefix = log.newer(prefix)) {
      if (log.versionOf(prefix) > boundary) {
        version = boundary;
        break;
      }
      if (packer.full || withdrawn >= packRunOfWithdraws) {
        version = log.versionOf(last);
        break;
      }
      last = prefix;
      const path = table.bestPath(prefix);
      const peer = path === 0 ? undefined : table.peers.get(table.paths.chunk(path).peer[path & rowMask]);
      const told = peer === undefined ? 0 : this.exported(prefix, path, peer);
      if (told === 0) withdraw(prefix);
      else {
        packer.add(prefix, told, peer!.id, this.medWasSet, table.pool.lengthOf(told), 0);
      }
    }
    const packed = packer.pack(table.prefixes, this.peer.maximumMessageSize, this.encode, withdraw);
    this.endRun();
    const to = log.open(false);
    log.moveTo(to, last, version);
    return {
      from: from.version,
      to,
      sequence: this.nextSequence(),
      rewrites: log.rewrites,
      prefixCount: packed.prefixes.length + withdrawn,
      packed,
      withdrawn: this.#scratch.slice(0, withdrawn),
      sharedWithdraws: undefined,
    };
  }

  /** Everything but the member's own routes, and withdraws only of what it was told. */
  protected deliver(segment: BestPathSegment, member: BestPathMember, out: Uint8Array[]): void {
    const { told } = member;
    const { withdrawn, packed } = segment;
    let gone = 0;
    if (this.#scratch.length < withdrawn.length + packed.prefixes.length) {
      this.#scratch = new Uint32Array(withdrawn.length + packed.prefixes.length);
    }
    const scratch = this.#scratch;
    for (let i = 0; i < withdrawn.length; i++) if (told.delete(withdrawn[i])) scratch[gone++] = withdrawn[i];
    const allWithdrawn = gone === withdrawn.length;
    if (gone > 0 && allWithdrawn) {
      segment.sharedWithdraws ??= packWithdraws(
        this.table.prefixes,
        withdrawn,
        undefined,
        gone,
        this.peer.maximumMessageSize,
      );
      out.push(segment.sharedWithdraws.bytes);
      member.peer.updatesSent += segment.sharedWithdraws.messages;
      gone = 0;
    }
    let messages = packed.messages;
    let bytesStart = 0;
    let prefixesStart = 0;
    for (const index of ownRuns(packed, member.peer.id)) {
      const run = packed.runs[index];
      const before = index === 0 ? undefined : packed.runs[index - 1];
      const ownBytes = before?.bytesEnd ?? 0;
      const ownPrefixes = before?.prefixesEnd ?? 0;
      if (ownBytes > bytesStart) out.push(packed.bytes.subarray(bytesStart, ownBytes));
      told.add(packed.prefixes, prefixesStart, ownPrefixes);
      // The best route is the member's own now: what it was told before is withdrawn from it.
      for (let i = ownPrefixes; i < run.prefixesEnd; i++) {
        if (told.delete(packed.prefixes[i])) scratch[gone++] = packed.prefixes[i];
      }
      messages -= run.messages;
      bytesStart = run.bytesEnd;
      prefixesStart = run.prefixesEnd;
    }
    if (bytesStart < packed.bytes.length) {
      out.push(bytesStart === 0 ? packed.bytes : packed.bytes.subarray(bytesStart));
      told.add(packed.prefixes, prefixesStart, packed.prefixes.length);
    }
    member.peer.updatesSent += messages;
    if (gone > 0) {
      const withdraws = packWithdraws(this.table.prefixes, scratch, undefined, gone, this.peer.maximumMessageSize);
      out.push(withdraws.bytes);
      member.peer.updatesSent += withdraws.messages;
    }
  }
}
