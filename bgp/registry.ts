/**
 * The numbers of BGP that a session knows, and their names: messages, capabilities, errors.
 * Implements: RFC 4271 §4.1 and §4.5, RFC 4486, RFC 8538 §3 and RFC 9384 (Cease), RFC 6608 (FSM errors), RFC 5492, RFC 7313 §5,
 * RFC 9687 (send hold timer), RFC 9234 §4.2 (role mismatch).
 * Leaves out: path attributes (wire/attributes/).
 */

import type { Family } from './ip.ts';

export const MessageType = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;

export const CapabilityCode = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  extendedMessage: 6,
  role: 9,
  gracefulRestart: 64,
  fourOctetAs: 65,
  addPath: 69,
  enhancedRouteRefresh: 70,
  longLivedRestart: 71,
} as const;

/** Names of capabilities; those that only the peer may have, too. */
export const capabilityNames: Readonly<Record<number, string>> = {
  1: 'multiprotocol',
  2: 'route refresh',
  3: 'outbound route filtering',
  5: 'extended next hop',
  6: 'extended message',
  7: 'BGPsec',
  8: 'multiple labels',
  9: 'BGP role',
  64: 'graceful restart',
  65: '4-octet AS number',
  67: 'dynamic capability',
  68: 'multisession',
  69: 'ADD-PATH',
  70: 'enhanced route refresh',
  71: 'long-lived graceful restart',
  72: 'routing policy distribution',
  73: 'FQDN',
  74: 'BFD strict mode',
  75: 'software version',
  76: 'paths limit',
  128: 'route refresh (before RFC 2918)',
};

/** AFI of each family; every one of ours is SAFI unicast. */
export const addressFamilyNumber = { ipv4: 1, ipv6: 2 } as const satisfies Record<Family, number>;
export const unicast = 1;

export function familyOfNumbers(afi: number, safi: number): Family | undefined {
  if (safi !== unicast) return undefined;
  return afi === 1 ? 'ipv4' : afi === 2 ? 'ipv6' : undefined;
}

/** RFC 6793 §3: stands in the 2-octet field for an AS number that does not fit. */
export const asTrans = 23456;

export const ErrorCode = {
  header: 1,
  open: 2,
  update: 3,
  holdTimerExpired: 4,
  fsm: 5,
  cease: 6,
  routeRefresh: 7,
} as const;

export const HeaderError = { connectionNotSynchronized: 1, badMessageLength: 2, badMessageType: 3 } as const;

export const OpenError = {
  unspecific: 0,
  unsupportedVersion: 1,
  badPeerAs: 2,
  badBgpIdentifier: 3,
  unsupportedOptionalParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
  roleMismatch: 11,
} as const;

/** RFC 7313 §5. */
export const RouteRefreshError = { invalidMessageLength: 1 } as const;

/** RFC 6608. */
export const FsmError = { inOpenSent: 1, inOpenConfirm: 2, inEstablished: 3 } as const;

export const Cease = {
  maximumPrefixes: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  otherConfigurationChange: 6,
  connectionCollisionResolution: 7,
  hardReset: 9,
  bfdDown: 10,
} as const;

interface ErrorName {
  readonly name: string;
  readonly subcodes: Readonly<Record<number, string>>;
}

const errorNames: Readonly<Record<number, ErrorName>> = {
  1: {
    name: 'message header error',
    subcodes: { 1: 'connection not synchronized', 2: 'bad message length', 3: 'bad message type' },
  },
  2: {
    name: 'OPEN error',
    subcodes: {
      1: 'unsupported version number',
      2: 'bad peer AS',
      3: 'bad BGP identifier',
      4: 'unsupported optional parameter',
      5: 'authentication failure',
      6: 'unacceptable hold time',
      7: 'unsupported capability',
      11: 'role mismatch',
    },
  },
  3: {
    name: 'UPDATE error',
    subcodes: {
      1: 'malformed attribute list',
      2: 'unrecognized well-known attribute',
      3: 'missing well-known attribute',
      4: 'attribute flags error',
      5: 'attribute length error',
      6: 'invalid ORIGIN attribute',
      7: 'AS routing loop',
      8: 'invalid NEXT_HOP attribute',
      9: 'optional attribute error',
      10: 'invalid network field',
      11: 'malformed AS_PATH',
    },
  },
  4: { name: 'hold timer expired', subcodes: {} },
  5: {
    name: 'finite state machine error',
    subcodes: {
      1: 'unexpected message in OpenSent',
      2: 'unexpected message in OpenConfirm',
      3: 'unexpected message in Established',
    },
  },
  6: {
    name: 'cease',
    subcodes: {
      1: 'maximum number of prefixes reached',
      2: 'administrative shutdown',
      3: 'peer de-configured',
      4: 'administrative reset',
      5: 'connection rejected',
      6: 'other configuration change',
      7: 'connection collision resolution',
      8: 'out of resources',
      9: 'hard reset',
      10: 'BFD down',
    },
  },
  7: { name: 'ROUTE-REFRESH error', subcodes: { 1: 'invalid message length' } },
  8: { name: 'send hold timer expired', subcodes: {} },
};

/** `OPEN error: bad peer AS (2/2)`; numbers alone where they have no name. */
export function formatErrorCode(code: number, subcode: number): string {
  const entry = errorNames[code];
  if (entry === undefined) return `unknown error (${code}/${subcode})`;
  const detail = entry.subcodes[subcode];
  return `${entry.name}${detail === undefined ? '' : `: ${detail}`} (${code}/${subcode})`;
}
