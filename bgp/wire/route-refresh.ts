/**
 * The ROUTE-REFRESH message: tell me everything of this family again; and where that begins and ends.
 * Implements: RFC 2918 §3; RFC 7313 §3.2 (BoRR and EoRR), §5 (lengths, other subtypes).
 * Leaves out: RFC 5291 (outbound route filters), which we do not offer.
 */

import type { Family } from '../ip.ts';
import {
  addressFamilyNumber,
  ErrorCode,
  familyOfNumbers,
  HeaderError,
  MessageType,
  RouteRefreshError,
  unicast,
} from '../registry.ts';
import { encodeMessage } from './message.ts';
import { ProtocolError } from './protocol-error.ts';

export interface RouteRefresh {
  readonly kind: RouteRefreshKind;
  readonly family: Family;
}

/** begins, ended: BoRR and EoRR, which only go to and come from a peer with the capability. */
export type RouteRefreshKind = keyof typeof subtypes;

const subtypes = { request: 0, begins: 1, ended: 2 } as const;

const kinds = Object.keys(subtypes) as RouteRefreshKind[];

const bodyLength = 4;

/** @returns the whole message. */
export function encodeRouteRefresh({ kind, family }: RouteRefresh): Uint8Array {
  const body = Uint8Array.of(0, addressFamilyNumber[family], subtypes[kind], unicast);
  return encodeMessage(MessageType.routeRefresh, body);
}

/**
 * @param enhanced whether the peer has the capability of RFC 7313; without it every message is a request
 * @returns undefined where it is of a family that is none of ours, or of another subtype.
 * @throws ProtocolError 7/1 where a BoRR or EoRR has another length, 1/2 where any other has.
 */
export function decodeRouteRefresh(body: Uint8Array, enhanced: boolean): RouteRefresh | undefined {
  // RFC 2918 §3: without the capability the octet means nothing.
  const kind = enhanced ? kinds.find((name) => subtypes[name] === body[2]) : 'request';
  if (body.length !== bodyLength) throw badLength(body, kind);
  const family = familyOfNumbers((body[0] << 8) | body[1], body[3]);
  return kind === undefined || family === undefined ? undefined : { kind, family };
}

function badLength(body: Uint8Array, kind: RouteRefreshKind | undefined): ProtocolError {
  const message = encodeMessage(MessageType.routeRefresh, body);
  const text = `a ROUTE-REFRESH message of ${message.length} bytes`;
  if (kind === 'begins' || kind === 'ended') {
    return new ProtocolError(ErrorCode.routeRefresh, RouteRefreshError.invalidMessageLength, text, message);
  }
  // RFC 4271 §6.1: the data is the length field.
  return new ProtocolError(ErrorCode.header, HeaderError.badMessageLength, text, message.subarray(16, 18));
}
