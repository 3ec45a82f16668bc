/**
 * MP_REACH_NLRI and MP_UNREACH_NLRI: where their next hop and prefixes lie.
 * Implements: RFC 4760 §3, §4; RFC 2545 §3 (IPv6 next hop, alone or with a link-local one);
 *   RFC 8950 §3 (the same for IPv4 prefixes); RFC 7606 §5.3, §7.11, §7.12.
 * Leaves out: other families; next hops with a route distinguisher (24 and 48 bytes), which are VPNs'.
 */

import { addressLength, isLinkLocal } from '../../ip.ts';
import type { Family } from '../../ip.ts';
import { familyOfNumbers } from '../../registry.ts';
import { readU16 } from '../byte-reader.ts';
import { nlriProblem } from '../nlri.ts';
import { ipv4NextHopProblem } from './table.ts';
import type { SessionClass } from './table.ts';

/** Offsets into the UPDATE; reused for each message. */
export interface MpRoutes {
  /** undefined: the message has none for a family of ours. */
  family: Family | undefined;
  nextHopStart: number;
  /** 4, 16, or 32: a global IPv6 address, then a link-local one. */
  nextHopLength: number;
  nlriStart: number;
  nlriEnd: number;
}

export function newMpRoutes(): MpRoutes {
  return { family: undefined, nextHopStart: 0, nextHopLength: 0, nlriStart: 0, nlriEnd: 0 };
}

/** @returns what makes the attribute unreadable, or undefined; a family that is not ours leaves `into.family` undefined. */
export function readMpReach(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: MpRoutes,
  { pathIds, extendedNextHop }: SessionClass,
): string | undefined {
  const family = familyOfNumbers(readU16(bytes, start), bytes[start + 2]);
  into.family = undefined;
  if (family === undefined) return undefined;
  const length = bytes[start + 3];
  const ipv6 = family === 'ipv6' || extendedNextHop;
  const fits = length === addressLength[family] || (ipv6 && (length === 16 || length === 32));
  if (!fits) return `next hop of ${length} bytes for ${family}`;
  if (start + 5 + length > end) return 'the next hop runs past the attribute';
  into.family = family;
  into.nextHopStart = start + 4;
  into.nextHopLength = length;
  // One reserved byte (once the number of SNPAs) follows the next hop.
  into.nlriStart = start + 5 + length;
  into.nlriEnd = end;
  return nlriProblem(bytes, into.nlriStart, end, family, pathIds[family]);
}

/** @returns what makes the attribute unreadable, or undefined; a family that is not ours leaves `into.family` undefined. */
export function readMpUnreach(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: MpRoutes,
  { pathIds }: SessionClass,
): string | undefined {
  into.family = familyOfNumbers(readU16(bytes, start), bytes[start + 2]);
  if (into.family === undefined) return undefined;
  into.nlriStart = start + 3;
  into.nlriEnd = end;
  return nlriProblem(bytes, into.nlriStart, end, into.family, pathIds[into.family]);
}

/**
 * Speakers without a global address write the unspecified one, or the link-local one twice, before the link-local one: where the first
 * of two says nothing, the second is all there is. Changes `into`.
 */
export function normalizeNextHop(bytes: Uint8Array, into: MpRoutes): void {
  const { nextHopStart: at } = into;
  if (into.nextHopLength !== 32) return;
  if (!isLinkLocal(bytes, at + 16)) into.nextHopLength = 16;
  else if (isUnspecified(bytes, at) || isLinkLocal(bytes, at)) {
    into.nextHopStart = at + 16;
    into.nextHopLength = 16;
  }
}

function isUnspecified(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

/** Why packets cannot be sent to the next hop of `length` bytes at `at`, whoever it is; undefined where they can. */
export function mpNextHopProblem(bytes: Uint8Array, at: number, length: number): string | undefined {
  if (length === addressLength.ipv4) return ipv4NextHopProblem(bytes, at);
  // RFC 4291 §2.5.2, §2.5.3, §2.7: unspecified, loopback, multicast.
  if (bytes[at] === 0xff) return 'not the address of a host';
  for (let i = 0; i < 15; i++) if (bytes[at + i] !== 0) return undefined;
  return bytes[at + 15] <= 1 ? 'not the address of a host' : undefined;
}
