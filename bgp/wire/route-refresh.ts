/**
 * The ROUTE-REFRESH message: tell me everything of this family again.
 * Implements: RFC 2918 §3.
 * Leaves out: RFC 7313 (enhanced refresh): we do not offer it; a message with a subtype is not a request and changes nothing.
 */

import type { Family } from '../ip.ts';
import { addressFamilyNumber, familyOfNumbers, MessageType, unicast } from '../registry.ts';
import { encodeMessage } from './message.ts';

/** @returns the whole message. */
export function encodeRouteRefresh(family: Family): Uint8Array {
  return encodeMessage(MessageType.routeRefresh, Uint8Array.of(0, addressFamilyNumber[family], 0, unicast));
}

/** @param body 4 bytes. @returns the family asked for; undefined where it is none of ours, or no request. */
export function decodeRouteRefresh(body: Uint8Array): Family | undefined {
  const subtype = body[2];
  if (subtype !== 0) return undefined;
  return familyOfNumbers((body[0] << 8) | body[1], body[3]);
}
