/**
 * Between sessions and the RIB: what a session, its messages and its end do to the routes of its peer.
 * Implements: RFC 4724 §4.2 and RFC 9494 §4.2 in their outline (with session/graceful-restart.ts), RFC 2918 §4,
 * RFC 7313 §4 (with session/refresh.ts).
 * Leaves out: the routes themselves (rib/), when the speaker itself decides (session/deferral.ts).
 * Holds: a peer has a number in the RIB just while it has a session or routes that are kept.
 */

import type { Clock } from './driver.ts';
import type { Family } from './ip.ts';
import type { PeerRoutesStatus } from './peer-status.ts';
import { Cease, ErrorCode } from './registry.ts';
import { toRibPeer } from './rib-peer.ts';
import { formatLimit, limitData } from './rib/prefix-limits.ts';
import type { Rib } from './rib/rib.ts';
import type { RestartDeferral } from './session/deferral.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { Peer } from './session/peer.ts';
import type { LeaveCause, StopReason } from './session/ending.ts';
import type { PrefixLimit, SpeakerSettings } from './settings.ts';
import { unreachable } from './unreachable.ts';
import type { RouteRefresh } from './wire/route-refresh.ts';
import type { SpeakerEvent } from './speaker-types.ts';
import type { LimitStatus } from './status.ts';
import { ProtocolError } from './wire/protocol-error.ts';

/** What it needs of the speaker. */
export interface PeerRoutesHost {
  readonly clock: Clock;
  settings(): SpeakerSettings;
  /** Undefined: the speaker is not in a restart. */
  deferral(): RestartDeferral | undefined;
  /** Something that the deferral waits for may have come. */
  checkDeferral(): void;
  emit(event: SpeakerEvent): void;
  outputArrived(peer: Peer): void;
  requestTurn(): void;
}

export class PeerRoutes {
  private readonly host: PeerRoutesHost;
  private ribInForce: Rib;
  private readonly peersByRibId = new Map<number, Peer>();

  constructor(host: PeerRoutesHost, rib: Rib) {
    this.host = host;
    this.ribInForce = rib;
  }

  get rib(): Rib {
    return this.ribInForce;
  }

  /** Every peer's routes were judged by what no longer holds: nothing of the RIB before is kept. */
  replaceRib(rib: Rib): void {
    for (const peer of this.peersByRibId.values()) {
      peer.restart.forget();
      peer.ribId = undefined;
    }
    this.peersByRibId.clear();
    this.ribInForce = rib;
  }

  peerOf(ribId: number): Peer | undefined {
    return this.peersByRibId.get(ribId);
  }

  status({ ribId }: Peer): PeerRoutesStatus | undefined {
    if (ribId === undefined) return undefined;
    const { rib } = this;
    return { counters: (family) => rib.counters(ribId, family), updatesSent: rib.updatesSent(ribId) };
  }

  sessionEstablished(peer: Peer, negotiated: Negotiated): void {
    const now = this.host.clock.now();
    const id = this.rib.openPeer(toRibPeer(peer, negotiated, this.host.settings()));
    if (peer.ribId !== undefined) this.peersByRibId.delete(peer.ribId);
    peer.ribId = id;
    this.peersByRibId.set(id, peer);
    for (const family of peer.restart.sessionReturned(negotiated)) this.rib.dropStale(id, family);
    this.host.deferral()?.sessionEstablished(peer.name, negotiated, now);
    this.host.emit({ kind: 'peerEstablished', peer: peer.name });
    if (this.rib.hasOutput(id)) this.host.outputArrived(peer);
    this.host.checkDeferral();
  }

  sessionLeft(peer: Peer, negotiated: Negotiated, cause: LeaveCause): void {
    const now = this.host.clock.now();
    const id = peer.ribId;
    // Undefined: the RIB that it was in is gone.
    if (id !== undefined) {
      const { kept, keptAgain, longLived } = peer.restart.sessionLeft(negotiated, cause, now);
      peer.updatesSentBefore += this.rib.updatesSent(id);
      // What a refresh had not come to yet is no staler than the rest.
      const refreshed = kept.filter((family) => peer.refresh.isUnderWay(family));
      this.rib.closePeer(id, kept, [...keptAgain, ...refreshed]);
      for (const family of negotiated.families) peer.refresh.ended(family);
      for (const family of longLived) this.rib.beginLongLived(id, family);
      if (kept.length === 0) this.forgetRibId(peer);
    }
    // It was there a moment ago and may be back at once: it is waited for once more.
    this.host.deferral()?.peerExpected(peer.name, peer.neighbor.passive, now);
    const reason =
      cause === 'connectionReplaced' ? 'replaced by a new connection of the peer' : (peer.lastError ?? cause);
    this.host.emit({ kind: 'peerDown', peer: peer.name, reason });
    this.host.requestTurn();
  }

  /** @throws ProtocolError */
  deliverUpdate(peer: Peer, body: Uint8Array): void {
    const result = this.rib.receiveUpdate(ribIdOf(peer), body);
    if (result.treatedAsWithdraw !== undefined) {
      peer.treatedAsWithdrawn++;
      peer.lastTreatedAsWithdrawn = result.treatedAsWithdraw;
    }
    if (result.endOfRib !== undefined) this.endOfRibReceived(peer, result.endOfRib);
    if (result.limits === undefined) return;
    const exceeded = this.tellLimits(peer, result.limits);
    if (exceeded === undefined) return;
    const { subcode, text, data } = holdOff(peer, exceeded);
    throw new ProtocolError(ErrorCode.cease, subcode, text, data);
  }

  /** The limits are others, or what counts against them is: ends the session where one wants that. */
  limitsChanged(peer: Peer): void {
    if (peer.ribId === undefined || peer.state !== 'established') return;
    const exceeded = this.tellLimits(peer, this.rib.limitChanges(peer.ribId));
    if (exceeded !== undefined) peer.end(holdOff(peer, exceeded));
  }

  /** @returns the limit for which the session is to end */
  private tellLimits(peer: Peer, limits: readonly LimitStatus[]): LimitStatus | undefined {
    for (const limit of limits) {
      this.host.emit({ kind: 'prefixLimit', peer: peer.name, limit, text: formatLimit(limit) });
    }
    return limits.find(({ action, state }) => action === 'restart' && state === 'exceeded');
  }

  deliverRouteRefresh(peer: Peer, { kind, family }: RouteRefresh): void {
    const { families, remoteCapabilities } = negotiatedOf(peer);
    if (!families.includes(family)) return;
    const id = ribIdOf(peer);
    switch (kind) {
      case 'request':
        this.rib.requestRefresh(id, family);
        this.host.outputArrived(peer);
        return;
      case 'begins':
        // RFC 7313 §4: else what a graceful restart has left stale would be taken for what the refresh has.
        if (remoteCapabilities.gracefulRestart !== undefined && !peer.endOfRibReceived.has(family)) return;
        peer.refresh.begins(family, this.host.clock.now());
        this.rib.beginRefresh(id, family);
        return;
      case 'ended':
        if (peer.refresh.ended(family)) this.rib.dropStale(id, family);
        return;
      default:
        unreachable(kind);
    }
  }

  /** @throws an Error where the peer is not established or knows no route refresh. */
  refreshIn(peer: Peer): void {
    const negotiated = negotiatedOf(peer);
    if (!negotiated.routeRefresh) throw new Error(`${peer.name} does not support route refresh`);
    for (const family of negotiated.families) peer.sendRouteRefresh({ kind: 'request', family });
  }

  /** @throws an Error where the peer is not established. */
  refreshOut(peer: Peer): void {
    for (const family of negotiatedOf(peer).families) this.rib.requestRefresh(ribIdOf(peer), family);
  }

  /** The times of what is kept of the peer, where they have come. */
  timeReached(peer: Peer, now: number): void {
    const { gone, longLived } = peer.restart.timeReached(now);
    if (peer.ribId !== undefined) for (const family of longLived) this.rib.beginLongLived(peer.ribId, family);
    this.dropStale(peer, [...gone, ...peer.refresh.timeReached(now)]);
  }

  /** The peer is not to come back, or not as it was. */
  forgetStale(peer: Peer): void {
    this.dropStale(peer, peer.restart.forget());
  }

  private endOfRibReceived(peer: Peer, family: Family): void {
    peer.endOfRibReceived.add(family);
    // RFC 7313 §4: a second one in the middle of a refresh is not its end.
    if (!peer.refresh.isUnderWay(family)) this.rib.endOfRib(ribIdOf(peer), family);
    peer.restart.endOfRibReceived(family);
    this.host.emit({ kind: 'endOfRib', peer: peer.name, family });
    this.host.deferral()?.endOfRibReceived(peer.name, family);
    this.host.checkDeferral();
  }

  private dropStale(peer: Peer, families: readonly Family[]): void {
    const id = peer.ribId;
    if (id === undefined || families.length === 0) return;
    for (const family of families) this.rib.dropStale(id, family);
    if (peer.state !== 'established' && !peer.restart.active) this.forgetRibId(peer);
    this.host.requestTurn();
  }

  private forgetRibId(peer: Peer): void {
    if (peer.ribId !== undefined) this.peersByRibId.delete(peer.ribId);
    peer.ribId = undefined;
  }
}

function negotiatedOf(peer: Peer): Negotiated {
  const { negotiated } = peer.session;
  if (peer.state !== 'established' || negotiated === undefined) throw new Error(`${peer.name} is not established`);
  return negotiated;
}

function ribIdOf(peer: Peer): number {
  if (peer.ribId === undefined) throw new Error(`${peer.name} has no place in the RIB`);
  return peer.ribId;
}

/** No session for the limit's time. @returns the Cease that ends this one */
function holdOff(peer: Peer, limit: LimitStatus): StopReason {
  const seconds = Math.max(
    0,
    ...(peer.neighbor.limits ?? []).filter(isFor(limit)).map((entry) => entry.restartSeconds),
  );
  peer.holdOff(seconds);
  const text = `${formatLimit(limit)}; the next session is made in ${seconds} s`;
  return { subcode: Cease.maximumPrefixes, text, data: limitData(limit) };
}

function isFor({ kind, family }: LimitStatus): (limit: PrefixLimit) => boolean {
  return (limit) => limit.kind === kind && limit.family === family;
}
