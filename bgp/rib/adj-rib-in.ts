/**
 * From an UPDATE to rows: decode, judge (loops, next hop, import filter), announce and withdraw.
 * Implements: RFC 4271 §9 (order: withdrawn first), §9.1.2 (AS loop), RFC 4456 §8 (own ORIGINATOR_ID, CLUSTER_LIST),
 *   RFC 7606 §2 (treat-as-withdraw), §5.2 (no prefix to withdraw), RFC 7911 §5 (paths by prefix and identifier), RFC 8326 §4
 *   (LOCAL_PREF 0), RFC 9234 §5 (ingress), RFC 9494 §4.2 (LLGR_STALE is attached).
 * Holds: a refused route keeps its row and its reason, so that it can be shown and judged again without asking the peer.
 */

import { addressLength, isLinkLocal } from '../ip.ts';
import type { Family } from '../ip.ts';
import type { LimitStatus } from '../status.ts';
import type { RouteFilter } from '../filter/filter.ts';
import { asOccurrences } from '../wire/attributes/as-path.ts';
import { AttributeCursor, applyRouteChanges } from '../wire/attributes/attribute-set.ts';
import type { AttributeChanges } from '../wire/attributes/attribute-set.ts';
import { AttributeDecoder } from '../wire/attributes/decode.ts';
import { AttributeCode } from '../wire/attributes/table.ts';
import { readU32 } from '../wire/byte-reader.ts';
import type { ByteWriter } from '../wire/byte-writer.ts';
import { newPrefixKey, pathIdSize, readPrefix } from '../wire/nlri.ts';
import type { PrefixKey } from '../wire/nlri.ts';
import { newUpdateFields, readUpdateFields } from '../wire/update.ts';
import { updateError } from '../wire/update-error.ts';
import { AttributeTrait } from './attribute-pool.ts';
import type { AttributePool } from './attribute-pool.ts';
import { Rung } from './best-path.ts';
import type { FamilyTable, Judgement } from './family-table.ts';
import type { PeerEntry } from './peer-table.ts';
import type { PrefixTable } from './prefix-table.ts';
import type { RibPeer, UpdateResult } from './rib-types.ts';
import { RouteView } from './route-view.ts';
import { rowMask } from './rows.ts';

const nothingSpecial: UpdateResult = {};
const none: readonly LimitStatus[] = [];
const longLivedMark = { addCommunities: ['65535:6'] };

/** The speaker's identity, as numbers. */
export interface LocalNumbers {
  asNumber: number;
  routerId: number;
  clusterId: number;
  clientsMesh: boolean;
}

/** Everything of a peer that its received routes are judged by: equal keys, equal judgements. */
export function importKey(peer: RibPeer): string {
  const { localAs, allowedOwnAs, importFilter, role, remoteAs, localAsMode, lowers, limits } = peer;
  return JSON.stringify([
    localAs,
    allowedOwnAs,
    importFilter?.key,
    role,
    remoteAs,
    localAsMode === 'prepend',
    lowers,
    limits,
  ]);
}

export class AdjRibIn {
  #tables: Record<Family, FamilyTable>;
  #pool: AttributePool;
  #local: LocalNumbers;
  #decoder = new AttributeDecoder();
  #fields = newUpdateFields();
  #key: PrefixKey = newPrefixKey();
  #cursor = new AttributeCursor();
  #hashes = new Int32Array(64);
  #judgement: Judgement = { exclusion: 0, changed: 0, rule: '', fibMetric: 0 };

  constructor(tables: Record<Family, FamilyTable>, pool: AttributePool, local: LocalNumbers) {
    this.#tables = tables;
    this.#pool = pool;
    this.#local = local;
  }

  /** @throws ProtocolError where RFC 7606 wants a session reset; then nothing was changed. */
  receive(peer: PeerEntry, body: Uint8Array): UpdateResult {
    const fields = this.#fields;
    const decoder = this.#decoder;
    readUpdateFields(body, fields, peer.session.pathIds.ipv4);
    const { withdrawnEnd, attributesStart, attributesEnd } = fields;
    decoder.scan(body, attributesStart, attributesEnd, peer.session);
    const { mpReach, mpUnreach } = decoder;
    if (body.length === 4) return { endOfRib: 'ipv4' };
    // RFC 4724 §2: of another family than IPv4, an MP_UNREACH_NLRI without prefixes and nothing else.
    const unreachEmpty = mpUnreach.family !== undefined && mpUnreach.nlriStart === mpUnreach.nlriEnd;
    if (unreachEmpty && decoder.othersThanUnreach === 0 && withdrawnEnd === 2 && attributesEnd === body.length) {
      return { endOfRib: mpUnreach.family };
    }
    const hasClassic = attributesEnd < body.length;
    const hasMp = mpReach.family !== undefined && mpReach.nlriStart < mpReach.nlriEnd;
    const reason = decoder.treatAsWithdraw ?? (hasClassic || hasMp ? decoder.missing(hasClassic) : undefined);
    if (reason !== undefined && !hasClassic && !hasMp) {
      // RFC 7606 §5.2: whatever it was to announce, it cannot be found to be withdrawn.
      throw updateError('malformedAttributeList', `${reason}, and there are no prefixes to withdraw`);
    }

    this.#withdraw(peer, 'ipv4', body, 2, withdrawnEnd);
    if (mpUnreach.family !== undefined) {
      this.#withdraw(peer, mpUnreach.family, body, mpUnreach.nlriStart, mpUnreach.nlriEnd);
    }
    if (reason !== undefined) {
      this.#withdraw(peer, 'ipv4', body, attributesEnd, body.length);
      if (hasMp) this.#withdraw(peer, mpReach.family!, body, mpReach.nlriStart, mpReach.nlriEnd);
    } else {
      if (hasClassic) this.#announce(peer, 'ipv4', decoder.classicSet(), body, attributesEnd, body.length);
      if (hasMp) {
        const family = mpReach.family!;
        this.#announce(peer, family, decoder.mpReachSet(), body, mpReach.nlriStart, mpReach.nlriEnd);
      }
    }
    const limits = peer.limits?.changes(peer.families) ?? none;
    if (reason === undefined && decoder.discarded === undefined && limits.length === 0) return nothingSpecial;
    return {
      ...(reason === undefined ? {} : { treatedAsWithdraw: reason }),
      ...(decoder.discarded === undefined ? {} : { discarded: decoder.discarded }),
      ...(limits.length === 0 ? {} : { limits }),
    };
  }

  /** Judges a path again, from what the peer sent. */
  judgeAgain(table: FamilyTable, path: number): void {
    const chunk = table.paths.chunk(path);
    const peer = table.peers.get(chunk.peer[path & rowMask]);
    const attributes = chunk.attributes[path & rowMask];
    table.prefixes.readKey(chunk.prefix[path & rowMask], this.#key);
    const exclusion = this.#exclusionOf(peer, attributes);
    const base = this.#baseOf(peer, attributes, exclusion);
    this.#judge(peer, table.family, attributes, base, exclusion);
    this.#releaseBase(base, attributes);
    const isLongLived = peer.families[table.family].isLongLived(chunk.epoch[path & rowMask]);
    if (isLongLived && !this.#markLongLived(attributes)) table.removePath(path);
    else table.judge(path, this.#judgement);
  }

  /** RFC 9494 §4.2: adds LLGR_STALE to the judgement. @returns false: NO_LLGR, the peer's or the filter's, is the end of the path */
  #markLongLived(attributes: number): boolean {
    const judgement = this.#judgement;
    const judged = judgement.changed || attributes;
    if (((this.#pool.traitsOf(attributes) | this.#pool.traitsOf(judged)) & AttributeTrait.noLongLived) !== 0) {
      this.#pool.release(judgement.changed);
      return false;
    }
    const marked = this.#changed(judged, longLivedMark);
    this.#pool.release(judgement.changed);
    judgement.changed = marked;
    if (marked === attributes) {
      this.#pool.release(marked);
      judgement.changed = 0;
    }
    return true;
  }

  #withdraw(peer: PeerEntry, family: Family, body: Uint8Array, start: number, end: number): void {
    const table = this.#tables[family];
    const withPathIds = peer.session.pathIds[family];
    for (let at = start; at < end;) {
      const pathId = withPathIds ? readU32(body, at) : 0;
      at = readPrefix(body, withPathIds ? at + pathIdSize : at, family, this.#key);
      table.withdraw(peer, this.#key, pathId);
    }
  }

  #announce(peer: PeerEntry, family: Family, set: ByteWriter, body: Uint8Array, start: number, end: number): void {
    if (!peer.peer.families.includes(family)) return;
    const table = this.#tables[family];
    const attributes = this.#pool.intern(set.buffer, 0, set.length);
    const exclusion = this.#exclusionOf(peer, attributes);
    const base = this.#baseOf(peer, attributes, exclusion);
    const withPathIds = peer.session.pathIds[family];
    const { prefixes } = table;
    for (let at = start; at < end;) {
      const count = this.#lookAhead(prefixes, body, at, end, withPathIds);
      for (let i = 0; i < count; i++) {
        const pathId = withPathIds ? readU32(body, at) : 0;
        at = readPrefix(body, withPathIds ? at + pathIdSize : at, family, this.#key);
        this.#judge(peer, family, attributes, base, exclusion);
        table.announce(peer, prefixes.findOrAdd(this.#key, this.#hashes[i]), pathId, attributes, this.#judgement);
      }
    }
    this.#releaseBase(base, attributes);
    this.#pool.release(attributes);
  }

  /** Hashes of the next prefixes, whose places are fetched meanwhile. @returns how many */
  #lookAhead(table: PrefixTable, body: Uint8Array, start: number, end: number, withPathIds: boolean): number {
    const hashes = this.#hashes;
    let count = 0;
    for (let at = start; at < end && count < hashes.length; count++) {
      at = readPrefix(body, withPathIds ? at + pathIdSize : at, table.family, this.#key);
      hashes[count] = table.hash(this.#key);
    }
    table.touch(hashes, count);
    return count;
  }

  /**
   * What filters see of a set, and what the route has where there is no filter: as received but for what the session's own settings
   * ask for. Where it is another set than the received one, releaseBase is owed.
   */
  #baseOf(peer: PeerEntry, attributes: number, exclusion: number): number {
    if (!peer.editsImports || exclusion !== 0) return attributes;
    const { localAs, localAsMode, remoteAs, importFilter } = peer.peer;
    const isMarked = (this.#pool.traitsOf(attributes) & AttributeTrait.onlyToCustomer) !== 0;
    const marks = peer.role?.marksReceived === true && !isMarked;
    const prepends = peer.external && localAsMode === 'prepend';
    const lowers = importFilter === undefined && this.#isLowered(peer, attributes);
    if (!marks && !prepends && !lowers) return attributes;
    const base = this.#changed(attributes, {
      ...(prepends && { prependAsPath: [localAs] }),
      ...(marks && { onlyToCustomer: remoteAs }),
      ...(lowers && { localPref: 0 }),
    });
    if (base === attributes) this.#pool.release(base);
    return base;
  }

  #releaseBase(base: number, attributes: number): void {
    if (base !== attributes) this.#pool.release(base);
  }

  /** Fills the judgement for the prefix in the key. */
  #judge(peer: PeerEntry, family: Family, attributes: number, base: number, exclusion: number): void {
    const judgement = this.#judgement;
    judgement.exclusion = exclusion;
    judgement.changed = 0;
    judgement.rule = '';
    judgement.fibMetric = 0;
    const filter = peer.peer.importFilter;
    if (filter !== undefined && exclusion === 0) this.#filter(filter, peer, family, attributes, base);
    else if (base !== attributes) {
      this.#pool.retain(base);
      judgement.changed = base;
    }
  }

  #filter(filter: RouteFilter, peer: PeerEntry, family: Family, attributes: number, base: number): void {
    const judgement = this.#judgement;
    const verdict = filter.evaluate(new RouteView(family, this.#key, this.#pool.view(base), peer));
    judgement.rule = verdict.rule;
    if (verdict.kind === 'reject') {
      judgement.exclusion = Rung.filtered;
      return;
    }
    let set = base;
    if (verdict.changes === undefined) this.#pool.retain(base);
    else {
      set = this.#changed(base, verdict.changes);
      judgement.fibMetric = verdict.changes.fibMetric ?? 0;
    }
    if (this.#isLowered(peer, set)) {
      const lowered = this.#changed(set, { localPref: 0 });
      this.#pool.release(set);
      set = lowered;
    }
    if (set === attributes) this.#pool.release(set);
    else judgement.changed = set;
  }

  /** RFC 8326 §4.2: after filters, so that none of them raises it again. */
  #isLowered(peer: PeerEntry, attributes: number): boolean {
    const { lowers } = peer.peer;
    if (lowers === undefined) return false;
    return lowers === 'all' || (this.#pool.traitsOf(attributes) & AttributeTrait.gracefulShutdown) !== 0;
  }

  /** The set with the changes, with a reference for the caller. */
  #changed(attributes: number, changes: AttributeChanges): number {
    const bytes = applyRouteChanges(this.#pool.view(attributes).bytes, changes);
    return this.#pool.intern(bytes, 0, bytes.length);
  }

  /** Why no route with these attributes from this peer may be used; 0: it may. */
  #exclusionOf(peer: PeerEntry, attributes: number): number {
    const bytes = this.#pool.bufferOf(attributes);
    const start = this.#pool.startOf(attributes);
    const cursor = this.#cursor;
    cursor.start(bytes, start, start + this.#pool.lengthOf(attributes));
    while (cursor.next()) {
      const { code, valueStart, valueEnd } = cursor;
      if (code === AttributeCode.asPath) {
        const { allowedOwnAs = 0, localAs } = peer.peer;
        if (asOccurrences(bytes, valueStart, valueEnd, localAs) > allowedOwnAs) return Rung.ownAsInPath;
        const { asNumber } = this.#local;
        if (asNumber !== localAs && asOccurrences(bytes, valueStart, valueEnd, asNumber) > allowedOwnAs) {
          return Rung.ownAsInPath;
        }
      } else if (code === AttributeCode.originatorId) {
        if (readU32(bytes, valueStart) === this.#local.routerId) return Rung.ownOriginatorId;
      } else if (code === AttributeCode.clusterList) {
        for (let at = valueStart; at < valueEnd; at += 4) {
          if (readU32(bytes, at) === this.#local.clusterId) return Rung.ownClusterId;
        }
      } else if (code === AttributeCode.onlyToCustomer && peer.role !== undefined) {
        const { leaked } = peer.role;
        const isOthers = readU32(bytes, valueStart) !== peer.peer.remoteAs;
        if (leaked === 'all' || (leaked === 'others' && isOthers)) return Rung.leaked;
      }
    }
    if (peer.isOurAddress(bytes, start)) return Rung.nextHopIsOurs;
    // RFC 2545 §3: a link-local next hop has a meaning only between neighbours on one link.
    const linkLocalOnly = bytes[start] === addressLength.ipv6 && isLinkLocal(bytes, start + 1);
    return linkLocalOnly && peer.peer.link === undefined ? Rung.nextHopOffLink : 0;
  }
}
