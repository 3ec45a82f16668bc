/**
 * What we offer a neighbour: its settings, where it has any, else the speaker's.
 * Implements: RFC 4724 §4.1 and §4.2 (the R and F bits from the first OPEN on), RFC 9234 §4 (roles).
 */

import { familyOfText, parseAddress } from '../ip.ts';
import type { Role } from '../role.ts';
import type { NeighborSettings } from '../settings.ts';
import { maximumLongLivedStaleSeconds, maximumRestartTimeSeconds } from '../wire/capabilities.ts';
import type { LocalOffer } from './negotiate.ts';

/** Our AS number and identifier, the time we ask for, and whether we are in a restart. */
export interface OfferingSpeaker {
  readonly asNumber: number;
  /** IPv4 form. */
  readonly routerId: string;
  readonly restartTimeSeconds: number;
  readonly longLivedStaleSeconds: number | undefined;
  readonly restarting: boolean;
  readonly forwardingPreserved: boolean;
}

export function localAsOf(neighbor: NeighborSettings, speaker: OfferingSpeaker): number {
  return neighbor.localAs ?? speaker.asNumber;
}

/** @param hasBeenEstablished since we started: a session that is lost while we run on loses no forwarding state. */
export function localOffer(
  neighbor: NeighborSettings,
  speaker: OfferingSpeaker,
  hasBeenEstablished: boolean,
): LocalOffer {
  const localAs = localAsOf(neighbor, speaker);
  return {
    localAs,
    bgpIdentifier: identifierBytes(speaker.routerId),
    remoteAs: neighbor.remoteAs,
    families: neighbor.families,
    extendedNextHop: offersExtendedNextHop(neighbor),
    holdTimeSeconds: neighbor.holdTimeSeconds,
    keepaliveTimeSeconds: neighbor.keepaliveTimeSeconds,
    restartTimeSeconds: Math.min(
      maximumRestartTimeSeconds,
      neighbor.gracefulRestartSeconds ?? speaker.restartTimeSeconds,
    ),
    longLivedStaleSeconds: Math.min(
      maximumLongLivedStaleSeconds,
      neighbor.longLivedStaleSeconds ?? speaker.longLivedStaleSeconds ?? 0,
    ),
    restarting: speaker.restarting,
    forwardingPreserved: speaker.forwardingPreserved || hasBeenEstablished,
    addPaths: neighbor.addPaths,
    ...offeredRole(neighbor, localAs),
  };
}

/** RFC 9234 §4: what we are to the neighbour; roles are for sessions between ASes. */
export function roleOf({ role, remoteAs }: NeighborSettings, localAs: number): Role | undefined {
  return localAs === remoteAs ? undefined : role;
}

function offeredRole(neighbor: NeighborSettings, localAs: number): Pick<LocalOffer, 'role'> {
  const role = roleOf(neighbor, localAs);
  return role === undefined ? {} : { role: { role, strict: neighbor.roleStrict ?? false } };
}

/** Between IPv4 addresses, an IPv6 next hop would be a surprise. */
function offersExtendedNextHop({ extendedNextHop, remote }: NeighborSettings): boolean {
  if (extendedNextHop !== undefined) return extendedNextHop === 'always';
  return familyOfText(remote.kind === 'address' ? remote.address : remote.prefix) === 'ipv6';
}

function identifierBytes(routerId: string): Uint8Array {
  const bytes = parseAddress(routerId);
  if (bytes?.length !== 4) throw new Error(`router id ${routerId}: not an IPv4 address`);
  return bytes;
}
