/**
 * Which peers hear the same bytes, and what they are given as next hop where that is ourselves.
 * Implements: RFC 2545 §3 (our link-local address beside the global one), RFC 8950 §4 (an IPv6 next hop for IPv4).
 */

import { families, familyOfText, splitScope } from '../ip.ts';
import type { Family } from '../ip.ts';
import { pathEditsOf } from './edited-paths.ts';
import type { RibPeer } from './rib-types.ts';

/** Everything that changes what the members hear, in one place: equal keys, equal bytes. */
export function groupKey(peer: RibPeer): string {
  return JSON.stringify([
    peer.peerType,
    peer.reflectorClient,
    peer.localAs,
    peer.fourOctetAs,
    peer.extendedNextHop,
    peer.maximumMessageSize,
    peer.nextHopMode,
    ...families.map((family) => ownNextHop(peer, family)),
    peer.exportFilter?.key ?? '',
    peer.role,
    peer.localAsMode,
    peer.marksGracefulShutdown,
    peer.longLivedStale,
    pathEditsOf(peer),
  ]);
}

/** What we give as next hop where we give ourselves: one address, or a global and a link-local one; none: we have none that the peer could use. */
export function ownNextHop(peer: RibPeer, family: Family): readonly string[] {
  if (family === 'ipv6') return ownIpv6NextHop(peer);
  const ipv4 = ownAddress(peer, 'ipv4');
  const ipv6 = peer.extendedNextHop ? ownIpv6NextHop(peer) : [];
  const useIpv6 = ipv6.length > 0 && (peer.ipv6NextHopForIpv4 || ipv4 === undefined);
  return useIpv6 ? ipv6 : ipv4 === undefined ? [] : [ipv4];
}

/** RFC 2545 §3: the link-local address where the peer and the global one are on one link; it is all there is where we have no other. */
function ownIpv6NextHop(peer: RibPeer): readonly string[] {
  const { address, scope } = splitScope(peer.localAddress);
  const global = ownAddress(peer, 'ipv6');
  const linkLocal = scope !== undefined ? address : global === address ? peer.link?.linkLocalAddress : undefined;
  return [global, linkLocal].filter((text) => text !== undefined);
}

function ownAddress({ nextHopSelf, localAddress }: RibPeer, family: Family): string | undefined {
  const given = nextHopSelf?.[family];
  if (given !== undefined) return given;
  return familyOfText(localAddress) === family && splitScope(localAddress).scope === undefined
    ? localAddress
    : undefined;
}
