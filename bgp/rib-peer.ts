/** An established session as the RIB wants to know it. */

import { policyInForce } from './filter/filter.ts';
import { splitScope } from './ip.ts';
import type { RibPeer, RibPolicy } from './rib/rib-types.ts';
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
    extendedNextHop: negotiated.extendedNextHop,
    ipv6NextHopForIpv4: neighbor.extendedNextHop === 'always' || splitScope(peer.address).scope !== undefined,
    link: connection?.link,
    maximumMessageSize: negotiated.extendedMessage ? extendedMessageLength : maximumMessageLength,
    addPath: { ...negotiated.addPath, sendMaximum: neighbor.addPaths?.sendMaximum ?? 0 },
    nextHopMode: neighbor.nextHopMode,
    nextHopSelf: neighbor.nextHopSelf,
    ...toRibPolicy(peer),
  };
}

/** What may change while the session goes on. */
export function toRibPolicy({ neighbor, peerType }: Peer): RibPolicy {
  return {
    allowedOwnAs: neighbor.allowedOwnAs,
    importFilter: policyInForce('import', peerType, neighbor.importFilter),
    exportFilter: policyInForce('export', peerType, neighbor.exportFilter),
  };
}
