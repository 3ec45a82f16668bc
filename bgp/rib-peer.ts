/** An established session as the RIB wants to know it. */

import { policyInForce } from './filter/filter.ts';
import { splitScope } from './ip.ts';
import type { RibPeer, RibPolicy } from './rib/rib-types.ts';
import { roleOf } from './session/local-offer.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { Peer } from './session/peer.ts';
import type { SpeakerSettings } from './settings.ts';
import { extendedMessageLength, maximumMessageLength } from './wire/message.ts';

export function toRibPeer(peer: Peer, negotiated: Negotiated, speaker: SpeakerSettings): RibPeer {
  const { neighbor, connection } = peer;
  return {
    name: peer.name,
    address: peer.address,
    localAddress: connection?.localAddress ?? neighbor.localAddress ?? '',
    remoteAs: negotiated.remoteAs,
    localAs: peer.localAs,
    peerType: peer.peerType,
    remoteRouterId: negotiated.remoteRouterId,
    reflectorClient: neighbor.reflectorClient,
    families: negotiated.families,
    fourOctetAs: negotiated.fourOctetAs,
    extendedNextHop: negotiated.extendedNextHop,
    ipv6NextHopForIpv4: neighbor.extendedNextHop === 'always' || splitScope(peer.address).scope !== undefined,
    link: connection?.link,
    maximumMessageSize: negotiated.extendedMessage ? extendedMessageLength : maximumMessageLength,
    enhancedRouteRefresh: negotiated.enhancedRouteRefresh,
    longLivedStale: knowsLongLivedStale(negotiated),
    addPath: { ...negotiated.addPath, sendMaximum: neighbor.addPaths?.sendMaximum ?? 0 },
    nextHopMode: neighbor.nextHopMode,
    nextHopSelf: neighbor.nextHopSelf,
    role: roleOf(neighbor, peer.localAs),
    ...toRibPolicy(peer, speaker),
  };
}

/** RFC 9494 §4.3, §4.5; whatever we offered ourselves. */
function knowsLongLivedStale({ remoteCapabilities: remote }: Negotiated): boolean {
  return remote.gracefulRestart !== undefined && remote.longLivedRestart !== undefined;
}

/** What may change while the session goes on. */
export function toRibPolicy({ neighbor, peerType }: Peer, speaker: SpeakerSettings): RibPolicy {
  const { gracefulShutdown = false, obeysGracefulShutdown = peerType === 'eBGP' } = neighbor;
  return {
    allowedOwnAs: neighbor.allowedOwnAs,
    importFilter: policyInForce('import', peerType, neighbor.importFilter),
    exportFilter: policyInForce('export', peerType, neighbor.exportFilter),
    localAsMode: neighbor.localAsMode,
    removePrivateAs: neighbor.removePrivateAs,
    asOverride: neighbor.asOverride,
    marksGracefulShutdown: gracefulShutdown || speaker.gracefulShutdown,
    limits: neighbor.limits,
    lowers: gracefulShutdown ? 'all' : obeysGracefulShutdown ? 'marked' : undefined,
  };
}
