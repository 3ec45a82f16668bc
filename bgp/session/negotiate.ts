/**
 * Two OPENs make a session: what we offer, what the peer's OPEN must be, and what both can do.
 * Implements: RFC 4271 §6.2; RFC 6286 §2.2 (identifiers); RFC 6793 §4 (4-octet AS); RFC 5492 §5 and RFC 4760 §8 (families);
 * RFC 7607 (AS 0); RFC 4724 §3; RFC 7911 §4, §5 (each direction and family by itself); RFC 8538 §2; RFC 8950 §4; RFC 9234 §4.2
 * (roles); RFC 9494 §4.1, §4.5.
 */

import type { Family } from '../ip.ts';
import { compareBytes, formatAddress } from '../ip.ts';
import { formatRole, roles } from '../role.ts';
import type { Role } from '../role.ts';
import { addressFamilyNumber, CapabilityCode, ErrorCode, OpenError, unicast } from '../registry.ts';
import type { AddPathSettings } from '../settings.ts';
import type { AddPathEntry, Capabilities, GracefulRestartCapability, LongLivedEntry } from '../wire/capabilities.ts';
import type { Open } from '../wire/open.ts';
import { asNumberField } from '../wire/open.ts';
import { ProtocolError } from '../wire/protocol-error.ts';

export interface OfferedRole {
  /** Ours. */
  readonly role: Role;
  /** §4.2: a peer that tells no role is refused. */
  readonly strict: boolean;
}

/** Our side of a session. */
export interface LocalOffer {
  readonly localAs: number;
  /** 4 bytes. */
  readonly bgpIdentifier: Uint8Array;
  /** external: any but ours. */
  readonly remoteAs: number | 'external';
  readonly families: readonly Family[];
  /** RFC 8950: whether IPv4 routes may have an IPv6 next hop on the session. */
  readonly extendedNextHop: boolean;
  readonly holdTimeSeconds: number;
  /** Undefined: a third of the negotiated hold time. */
  readonly keepaliveTimeSeconds: number | undefined;
  /** 0: graceful restart is not offered, or only as far as RFC 9494 needs it. */
  readonly restartTimeSeconds: number;
  /** RFC 9494, of every family; 0 or undefined: long-lived graceful restart is not offered. */
  readonly longLivedStaleSeconds?: number;
  /** The R bit. */
  readonly restarting: boolean;
  /** The F bit of every family. */
  readonly forwardingPreserved: boolean;
  readonly addPaths?: AddPathSettings;
  /** RFC 9234; undefined: none is offered, and the peer's means nothing. */
  readonly role?: OfferedRole;
}

export interface Negotiated {
  readonly remoteAs: number;
  /** IPv4 form. */
  readonly remoteRouterId: string;
  readonly families: readonly Family[];
  readonly fourOctetAs: boolean;
  /** Both sides offered it. */
  readonly extendedNextHop: boolean;
  readonly extendedMessage: boolean;
  /** The peer understands ROUTE-REFRESH. */
  readonly routeRefresh: boolean;
  /** RFC 7313: BoRR and EoRR mean something on the session. */
  readonly enhancedRouteRefresh: boolean;
  /** The peer's capability, where we offered ours. */
  readonly gracefulRestart: GracefulRestartCapability | undefined;
  /** RFC 9494: the peer's, where we offered ours; no time is longer than our own. */
  readonly longLivedRestart: readonly LongLivedEntry[];
  readonly addPath: AddPathFamilies;
  /** 0: no keepalives, no hold timer. */
  readonly holdTimeSeconds: number;
  readonly keepaliveTimeSeconds: number;
  readonly remoteCapabilities: Capabilities;
}

/** RFC 7911: in which families the NLRI of UPDATEs has path identifiers. */
export interface AddPathFamilies {
  /** Of the peer's. */
  readonly receive: readonly Family[];
  /** Of ours. */
  readonly send: readonly Family[];
}

export function toOpen(offer: LocalOffer): Open {
  const { families, forwardingPreserved, longLivedStaleSeconds: staleSeconds = 0 } = offer;
  return {
    asNumberField: asNumberField(offer.localAs),
    holdTimeSeconds: offer.holdTimeSeconds,
    bgpIdentifier: offer.bgpIdentifier,
    capabilities: {
      families,
      routeRefresh: true,
      extendedNextHop: offersExtendedNextHop(offer),
      extendedMessage: true,
      fourOctetAs: offer.localAs,
      enhancedRouteRefresh: true,
      gracefulRestart: offeredGracefulRestart(offer),
      longLivedRestart:
        staleSeconds === 0 ? undefined : families.map((family) => ({ family, forwardingPreserved, staleSeconds })),
      addPath: offeredAddPath(offer),
      roles: offer.role === undefined ? [] : [roles[offer.role.role].code],
      others: [],
    },
  };
}

/** @throws ProtocolError 2/x where the peer's OPEN does not suit us. */
export function negotiate(offer: LocalOffer, open: Open): Negotiated {
  const { capabilities } = open;
  const remoteAs = capabilities.fourOctetAs ?? open.asNumberField;
  checkAsNumber(offer, remoteAs);
  checkIdentifier(offer, open, remoteAs);
  checkRole(offer, capabilities);
  if (open.holdTimeSeconds === 1 || open.holdTimeSeconds === 2) {
    throw openError(OpenError.unacceptableHoldTime, `a hold time of ${open.holdTimeSeconds} s; 0 or at least 3`);
  }
  const families = commonFamilies(offer, capabilities);
  const holdTimeSeconds = Math.min(offer.holdTimeSeconds, open.holdTimeSeconds);
  return {
    remoteAs,
    remoteRouterId: formatAddress(open.bgpIdentifier),
    families,
    fourOctetAs: capabilities.fourOctetAs !== undefined,
    extendedNextHop: offersExtendedNextHop(offer) && capabilities.extendedNextHop,
    extendedMessage: capabilities.extendedMessage,
    routeRefresh: capabilities.routeRefresh,
    enhancedRouteRefresh: capabilities.enhancedRouteRefresh,
    gracefulRestart: offeredGracefulRestart(offer) && capabilities.gracefulRestart,
    longLivedRestart: commonLongLivedRestart(offer, capabilities),
    addPath: commonAddPath(offer, families, capabilities),
    holdTimeSeconds,
    keepaliveTimeSeconds: keepaliveTime(offer, holdTimeSeconds),
    remoteCapabilities: capabilities,
  };
}

/** RFC 9494 §4.1: whoever offers the long one offers the other, too. */
function offeredGracefulRestart(offer: LocalOffer): GracefulRestartCapability | undefined {
  const { families, restarting, restartTimeSeconds, longLivedStaleSeconds = 0, forwardingPreserved } = offer;
  if (restartTimeSeconds === 0 && longLivedStaleSeconds === 0) return undefined;
  return {
    restarting,
    notification: true,
    restartTimeSeconds,
    families: families.map((family) => ({ family, forwardingPreserved })),
  };
}

/** RFC 9494 §4.5: without the other capability it means nothing. §4.2: a received time may be reduced. */
function commonLongLivedRestart(offer: LocalOffer, remote: Capabilities): LongLivedEntry[] {
  const { longLivedStaleSeconds: most = 0, families } = offer;
  if (most === 0 || remote.gracefulRestart === undefined) return [];
  return (remote.longLivedRestart ?? [])
    .filter(({ family }) => families.includes(family))
    .map((entry) => ({ ...entry, staleSeconds: Math.min(entry.staleSeconds, most) }));
}

function offersExtendedNextHop({ extendedNextHop, families }: LocalOffer): boolean {
  return extendedNextHop && families.includes('ipv4');
}

function checkAsNumber(offer: LocalOffer, remoteAs: number): void {
  const isRight = offer.remoteAs === 'external' ? remoteAs !== offer.localAs : remoteAs === offer.remoteAs;
  if (isRight && remoteAs !== 0) return;
  const expected = offer.remoteAs === 'external' ? `any but our own ${offer.localAs}` : offer.remoteAs;
  throw openError(OpenError.badPeerAs, `expected ${expected}, got ${remoteAs}`);
}

function checkIdentifier(offer: LocalOffer, open: Open, remoteAs: number): void {
  const zero = open.bgpIdentifier.every((byte) => byte === 0);
  // RFC 6286 §2.2: the identifier is unique within an AS only.
  const ours = remoteAs === offer.localAs && compareBytes(open.bgpIdentifier, offer.bgpIdentifier) === 0;
  if (!zero && !ours) return;
  const identifier = formatAddress(open.bgpIdentifier);
  throw openError(OpenError.badBgpIdentifier, ours ? `${identifier} is our own` : identifier);
}

/** RFC 9234 §4.2. */
function checkRole({ role: ours }: LocalOffer, { roles: theirs }: Capabilities): void {
  if (ours === undefined || (theirs.length === 0 && !ours.strict)) return;
  const wanted = roles[ours.role].counterpart;
  if (theirs.length === 1 && theirs[0] === roles[wanted].code) return;
  const told = theirs.length === 0 ? 'none is told' : `got ${theirs.map(formatRole).join(' and ')}`;
  throw openError(OpenError.roleMismatch, `we are ${roles[ours.role].name} and expect ${roles[wanted].name}, ${told}`);
}

function commonFamilies(offer: LocalOffer, remote: Capabilities): Family[] {
  const offered = remote.families ?? ['ipv4'];
  const common = offer.families.filter((family) => offered.includes(family));
  if (common.length > 0) return common;
  // RFC 5492 §5: the data names the capabilities that we miss.
  const data = offer.families.flatMap((family) => [
    CapabilityCode.multiprotocol,
    4,
    0,
    addressFamilyNumber[family],
    0,
    unicast,
  ]);
  const message = `none of our address families (${offer.families.join(', ')}) is offered`;
  throw openError(OpenError.unsupportedCapability, message, Uint8Array.from(data));
}

function offeredAddPath({ addPaths, families }: LocalOffer): AddPathEntry[] {
  const receive = addPaths?.receive ?? false;
  const send = (addPaths?.sendMaximum ?? 0) > 0;
  return receive || send ? families.map((family) => ({ family, receive, send })) : [];
}

function commonAddPath(offer: LocalOffer, families: readonly Family[], remote: Capabilities): AddPathFamilies {
  const ours = offeredAddPath(offer);
  const both = (we: 'receive' | 'send', they: 'receive' | 'send') =>
    families.filter(
      (family) =>
        ours.some((entry) => entry.family === family && entry[we]) &&
        remote.addPath.some((entry) => entry.family === family && entry[they]),
    );
  return { receive: both('receive', 'send'), send: both('send', 'receive') };
}

/** Never longer than a third of the hold time: RFC 4271 §4.4. */
function keepaliveTime(offer: LocalOffer, holdTimeSeconds: number): number {
  return Math.min(offer.keepaliveTimeSeconds ?? Infinity, holdTimeSeconds / 3);
}

function openError(subcode: number, message: string, data?: Uint8Array): ProtocolError {
  return new ProtocolError(ErrorCode.open, subcode, message, data);
}
