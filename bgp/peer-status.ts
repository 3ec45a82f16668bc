/** What a person is shown of a peer. */

import type { Family } from './ip.ts';
import type { BfdStatus, FamilyStatus, PeerStatus } from './status.ts';
import type { RibFamilyCounters } from './rib/rib-types.ts';
import { formatCapabilities } from './wire/capabilities.ts';
import { toOpen } from './session/negotiate.ts';
import type { Peer } from './session/peer.ts';

/** What the RIB knows of the peer; undefined: it has nothing of it. */
export interface PeerRoutesStatus {
  counters(family: Family): RibFamilyCounters;
  readonly updatesSent: number;
}

const none: RibFamilyCounters = { imported: 0, filtered: 0, exported: 0, stale: 0, limits: [], endOfRibSent: false };

/** What of the speaker is a peer's, too. */
export interface SpeakerFacts {
  readonly weRestart: boolean;
  readonly shuttingDown: boolean;
  readonly bfd: BfdStatus | undefined;
}

export function toPeerStatus(
  peer: Peer,
  routes: PeerRoutesStatus | undefined,
  { weRestart, shuttingDown, bfd }: SpeakerFacts,
): PeerStatus {
  const { neighbor, session, counters, connection } = peer;
  const { negotiated } = session;
  const established = peer.state === 'established';
  const updatesSent = peer.updatesSentBefore + (established ? (routes?.updatesSent ?? 0) : 0);
  const remote = negotiated?.remoteCapabilities;
  return {
    name: peer.name,
    description: neighbor.description,
    address: peer.address,
    port: portOf(peer),
    localAddress: connection?.localAddress ?? neighbor.localAddress,
    peerType: peer.peerType,
    remoteAs: negotiated?.remoteAs ?? (neighbor.remoteAs === 'external' ? 0 : neighbor.remoteAs),
    localAs: peer.localAs,
    range: peer.range,
    passive: neighbor.passive,
    disabled: peer.disabled,
    reflectorClient: neighbor.reflectorClient,
    gracefulShutdown: (neighbor.gracefulShutdown ?? false) || shuttingDown,
    state: peer.state,
    since: peer.since,
    lastError: peer.lastError,
    lastNotification: peer.lastNotification,
    lastTreatedAsWithdrawn: peer.lastTreatedAsWithdrawn,
    remoteRouterId: negotiated?.remoteRouterId,
    holdTimeSeconds: negotiated?.holdTimeSeconds,
    offeredHoldTimeSeconds: neighbor.holdTimeSeconds,
    keepaliveTimeSeconds: negotiated?.keepaliveTimeSeconds,
    localCapabilities: formatCapabilities(toOpen(session.offer ?? peer.localOffer()).capabilities),
    remoteCapabilities: remote === undefined ? [] : formatCapabilities(remote),
    gracefulRestart: gracefulRestartState(peer, weRestart),
    families: neighbor.families.map((family) => familyStatus(peer, family, routes)),
    policyText: neighbor.policyText,
    counters: {
      messagesReceived: counters.messagesReceived,
      messagesSent: counters.messagesSent + updatesSent,
      updatesReceived: counters.updatesReceived,
      updatesSent,
      treatedAsWithdrawn: peer.treatedAsWithdrawn,
      flaps: peer.flaps,
    },
    ...(bfd !== undefined && { bfd }),
  };
}

function portOf(peer: Peer): number {
  const { remote } = peer.neighbor;
  if (peer.range !== undefined && peer.connection !== undefined) return peer.connection.remotePort;
  return remote.kind === 'address' ? remote.port : 0;
}

function gracefulRestartState(peer: Peer, weRestart: boolean): PeerStatus['gracefulRestart'] {
  const { restart } = peer;
  if (peer.state !== 'established')
    return restart.isLongGone ? 'peerLongGone' : restart.active ? 'peerRestarting' : 'none';
  if (peer.session.negotiated?.gracefulRestart === undefined) return 'none';
  return weRestart ? 'weRestart' : 'ready';
}

function familyStatus(peer: Peer, family: Family, routes: PeerRoutesStatus | undefined): FamilyStatus {
  const { imported, filtered, exported, stale, limits, endOfRibSent } = routes?.counters(family) ?? none;
  const established = peer.state === 'established';
  return {
    family,
    negotiated: established && (peer.session.negotiated?.families.includes(family) ?? false),
    imported,
    filtered,
    exported,
    stale,
    limits,
    endOfRibReceived: established && peer.endOfRibReceived.has(family),
    endOfRibSent: established && endOfRibSent,
    refreshing: peer.refresh.isUnderWay(family),
  };
}
