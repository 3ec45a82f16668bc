/** An established session as the RIB wants to know it. */

import type { RibPeer } from './rib/rib-types.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { Peer } from './session/peer.ts';
import { extendedMessageLength, maximumMessageLength } from './wire/message.ts';

export function toRibPeer(peer: Peer, negotiated: Negotiated): RibPeer {
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
    maximumMessageSize: negotiated.extendedMessage ? extendedMessageLength : maximumMessageLength,
    nextHopMode: neighbor.nextHopMode,
    nextHopSelf: neighbor.nextHopSelf,
    allowedOwnAs: neighbor.allowedOwnAs,
    importFilter: neighbor.importFilter,
    exportFilter: neighbor.exportFilter,
  };
}
