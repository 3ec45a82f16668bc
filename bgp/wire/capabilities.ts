/**
 * Capabilities in an OPEN: what a speaker can do beyond RFC 4271.
 * Implements: RFC 5492 (the parameter), RFC 4760 §8 (multiprotocol), RFC 2918 §2 (route refresh), RFC 6793 §3 (4-octet AS),
 * RFC 8950 §4 (extended next hop), RFC 8654 §3 (extended message), RFC 4724 §3 and RFC 8538 §2 (graceful restart), RFC 9494 §3.1
 * (long-lived graceful restart), RFC 7911 §4 (ADD-PATH), RFC 7313 §3.1 (enhanced route refresh), RFC 9234 §4.1 (BGP role).
 * Leaves out: every other capability; it is kept by its number, to be shown.
 */

import type { Family } from '../ip.ts';
import {
  addressFamilyNumber,
  CapabilityCode,
  capabilityNames,
  ErrorCode,
  familyOfNumbers,
  OpenError,
  unicast,
} from '../registry.ts';
import { formatRole } from '../role.ts';
import { readU16 } from './byte-reader.ts';
import { ProtocolError } from './protocol-error.ts';

export interface Capabilities {
  /** Undefined: no multiprotocol capability at all, which means IPv4 unicast (RFC 4760 §8). */
  readonly families: readonly Family[] | undefined;
  readonly routeRefresh: boolean;
  /** IPv4 unicast with IPv6 next hops: the one pair that RFC 8950 leaves to unicast. */
  readonly extendedNextHop: boolean;
  readonly extendedMessage: boolean;
  /** The AS number in the capability; undefined: 2-octet AS numbers only. */
  readonly fourOctetAs: number | undefined;
  readonly gracefulRestart: GracefulRestartCapability | undefined;
  /** RFC 9494; one entry a family. Empty: the sender keeps nothing for long, and knows what LLGR_STALE means. */
  readonly longLivedRestart: readonly LongLivedEntry[] | undefined;
  readonly enhancedRouteRefresh: boolean;
  /** RFC 7911; one entry a family, empty: no such capability. */
  readonly addPath: readonly AddPathEntry[];
  /** Codes of the role of whoever sends it: one at most, but for a sender that contradicts itself. */
  readonly roles: readonly number[];
  /** Codes that came and are none of ours. */
  readonly others: readonly number[];
}

/** What the sender of the capability is able to do with several paths of one prefix. */
export interface AddPathEntry {
  readonly family: Family;
  readonly receive: boolean;
  readonly send: boolean;
}

export interface GracefulRestartCapability {
  /** The R bit: the sender has restarted and does not wait for our End-of-RIB. */
  readonly restarting: boolean;
  /** The N bit (RFC 8538): to the sender, a NOTIFICATION is a loss of the session like any other. */
  readonly notification: boolean;
  /** Seconds, 0..4095: how long after a loss the session should be back. */
  readonly restartTimeSeconds: number;
  readonly families: readonly { readonly family: Family; /** The F bit. */ readonly forwardingPreserved: boolean }[];
}

export interface LongLivedEntry {
  readonly family: Family;
  /** The F bit. */
  readonly forwardingPreserved: boolean;
  /** Seconds after the restart time, 24 bits: how long stale routes may be kept. */
  readonly staleSeconds: number;
}

export const maximumRestartTimeSeconds = 4095;
export const maximumLongLivedStaleSeconds = 0xffffff;

/** The value of the capabilities parameter: a run of (code, length, value). */
export function encodeCapabilities(capabilities: Capabilities): Uint8Array {
  const bytes: number[] = [];
  for (const family of capabilities.families ?? []) {
    bytes.push(CapabilityCode.multiprotocol, 4, 0, addressFamilyNumber[family], 0, unicast);
  }
  if (capabilities.routeRefresh) bytes.push(CapabilityCode.routeRefresh, 0);
  if (capabilities.extendedNextHop) {
    const { ipv4, ipv6 } = addressFamilyNumber;
    bytes.push(CapabilityCode.extendedNextHop, extendedNextHopEntry, 0, ipv4, 0, unicast, 0, ipv6);
  }
  if (capabilities.extendedMessage) bytes.push(CapabilityCode.extendedMessage, 0);
  for (const role of capabilities.roles) bytes.push(CapabilityCode.role, 1, role);
  const { gracefulRestart, fourOctetAs, addPath, longLivedRestart } = capabilities;
  if (gracefulRestart !== undefined) {
    const { restarting, notification, restartTimeSeconds: time, families } = gracefulRestart;
    bytes.push(CapabilityCode.gracefulRestart, 2 + families.length * 4);
    bytes.push((restarting ? restartBit : 0) | (notification ? notificationBit : 0) | (time >> 8), time & 0xff);
    for (const { family, forwardingPreserved } of families) {
      bytes.push(0, addressFamilyNumber[family], unicast, forwardingPreserved ? forwardingBit : 0);
    }
  }
  if (fourOctetAs !== undefined) {
    bytes.push(CapabilityCode.fourOctetAs, 4);
    bytes.push(fourOctetAs >>> 24, (fourOctetAs >>> 16) & 0xff, (fourOctetAs >>> 8) & 0xff, fourOctetAs & 0xff);
  }
  if (addPath.length > 0) bytes.push(CapabilityCode.addPath, addPath.length * 4);
  for (const { family, receive, send } of addPath) {
    bytes.push(0, addressFamilyNumber[family], unicast, (receive ? receiveBit : 0) | (send ? sendBit : 0));
  }
  if (capabilities.enhancedRouteRefresh) bytes.push(CapabilityCode.enhancedRouteRefresh, 0);
  if (longLivedRestart !== undefined)
    bytes.push(CapabilityCode.longLivedRestart, longLivedRestart.length * longLivedEntry);
  for (const { family, forwardingPreserved, staleSeconds: time } of longLivedRestart ?? []) {
    bytes.push(0, addressFamilyNumber[family], unicast, forwardingPreserved ? forwardingBit : 0);
    bytes.push(time >> 16, (time >> 8) & 0xff, time & 0xff);
  }
  return Uint8Array.from(bytes);
}

/**
 * Reads the values of every capabilities parameter of one OPEN.
 * RFC 5492 §4: a capability may come more than once; the last one counts, where it is not a list.
 * @throws ProtocolError 2/0 where a length is wrong.
 */
export function decodeCapabilities(parameters: readonly Uint8Array[]): Capabilities {
  let families: Family[] | undefined;
  let routeRefresh = false;
  let extendedNextHop = false;
  let extendedMessage = false;
  let fourOctetAs: number | undefined;
  let gracefulRestart: GracefulRestartCapability | undefined;
  let longLivedRestart: LongLivedEntry[] | undefined;
  let enhancedRouteRefresh = false;
  let addPath: readonly AddPathEntry[] = [];
  const roles: number[] = [];
  const others: number[] = [];
  for (const [code, value] of capabilitiesIn(parameters)) {
    switch (code) {
      case CapabilityCode.multiprotocol: {
        checkLength(code, value, value.length === 4);
        families ??= [];
        const family = familyOfNumbers((value[0] << 8) | value[1], value[3]);
        if (family !== undefined && !families.includes(family)) families.push(family);
        break;
      }
      case CapabilityCode.routeRefresh:
        checkLength(code, value, value.length === 0);
        routeRefresh = true;
        break;
      case CapabilityCode.extendedNextHop:
        checkLength(code, value, value.length % extendedNextHopEntry === 0);
        extendedNextHop ||= hasIpv4OverIpv6(value);
        break;
      case CapabilityCode.extendedMessage:
        checkLength(code, value, value.length === 0);
        extendedMessage = true;
        break;
      case CapabilityCode.role:
        checkLength(code, value, value.length === 1);
        if (!roles.includes(value[0])) roles.push(value[0]);
        break;
      case CapabilityCode.gracefulRestart:
        checkLength(code, value, value.length >= 2 && value.length % 4 === 2);
        gracefulRestart = decodeGracefulRestart(value);
        break;
      case CapabilityCode.longLivedRestart:
        checkLength(code, value, value.length % longLivedEntry === 0);
        longLivedRestart = decodeLongLivedRestart(value);
        break;
      case CapabilityCode.enhancedRouteRefresh:
        checkLength(code, value, value.length === 0);
        enhancedRouteRefresh = true;
        break;
      case CapabilityCode.fourOctetAs:
        checkLength(code, value, value.length === 4);
        fourOctetAs = ((value[0] << 24) | (value[1] << 16) | (value[2] << 8) | value[3]) >>> 0;
        break;
      case CapabilityCode.addPath:
        checkLength(code, value, value.length > 0 && value.length % 4 === 0);
        addPath = decodeAddPath(value) ?? addPath;
        break;
      default:
        if (!others.includes(code)) others.push(code);
    }
  }
  return {
    families,
    routeRefresh,
    extendedNextHop,
    extendedMessage,
    fourOctetAs,
    gracefulRestart,
    longLivedRestart,
    enhancedRouteRefresh,
    addPath,
    roles,
    others,
  };
}

/** One line a capability, as a person reads it; ADD-PATH has two more, like BIRD's. */
export function formatCapabilities(capabilities: Capabilities): string[] {
  const lines: string[] = [];
  for (const family of capabilities.families ?? []) lines.push(`${familyNames[family]} unicast`);
  if (capabilities.routeRefresh) lines.push(capabilityNames[CapabilityCode.routeRefresh]);
  if (capabilities.enhancedRouteRefresh) lines.push(capabilityNames[CapabilityCode.enhancedRouteRefresh]);
  if (capabilities.extendedNextHop) lines.push(capabilityNames[CapabilityCode.extendedNextHop]);
  if (capabilities.extendedMessage) lines.push(capabilityNames[CapabilityCode.extendedMessage]);
  for (const role of capabilities.roles) lines.push(`${capabilityNames[CapabilityCode.role]} ${formatRole(role)}`);
  const { gracefulRestart, longLivedRestart, fourOctetAs } = capabilities;
  if (gracefulRestart !== undefined) lines.push(formatGracefulRestart(gracefulRestart));
  if (longLivedRestart !== undefined) lines.push(formatLongLivedRestart(longLivedRestart));
  if (fourOctetAs !== undefined) lines.push(`${capabilityNames[CapabilityCode.fourOctetAs]} ${fourOctetAs}`);
  if (capabilities.addPath.length > 0) {
    lines.push(capabilityNames[CapabilityCode.addPath]);
    lines.push(`  RX:${familiesThat('receive', capabilities)}`, `  TX:${familiesThat('send', capabilities)}`);
  }
  for (const code of capabilities.others) lines.push(capabilityNames[code] ?? `capability ${code}`);
  return lines;
}

/** As BIRD lists them: each with a blank before it. */
function familiesThat(direction: 'receive' | 'send', { addPath }: Capabilities): string {
  return addPath.map((entry) => (entry[direction] ? ` ${entry.family}` : '')).join('');
}

const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const satisfies Record<Family, string>;

function formatGracefulRestart(capability: GracefulRestartCapability): string {
  const parts = [`graceful restart ${capability.restartTimeSeconds} s`];
  if (capability.restarting) parts.push('restarting (R)');
  if (capability.notification) parts.push('NOTIFICATIONs too (N)');
  for (const { family, forwardingPreserved } of capability.families) {
    parts.push(`${familyNames[family]}${forwardingPreserved ? ' forwarding preserved (F)' : ''}`);
  }
  return parts.join(', ');
}

function formatLongLivedRestart(entries: readonly LongLivedEntry[]): string {
  const parts = entries.map(
    ({ family, forwardingPreserved, staleSeconds }) =>
      `${familyNames[family]} ${staleSeconds} s${forwardingPreserved ? ' state preserved (F)' : ''}`,
  );
  return [capabilityNames[CapabilityCode.longLivedRestart], ...parts].join(', ');
}

/** In the first octet of the capability, above the time's high bits. */
const restartBit = 0x80;
const notificationBit = 0x40;
const forwardingBit = 0x80;

/** RFC 7911 §4, the Send/Receive field: 1 receive, 2 send, 3 both. */
const receiveBit = 1;
const sendBit = 2;

/** @returns undefined where the capability is not to be understood: RFC 7911 §4, any other value of Send/Receive. */
function decodeAddPath(value: Uint8Array): AddPathEntry[] | undefined {
  const entries = new Map<Family, AddPathEntry>();
  for (let at = 0; at < value.length; at += 4) {
    const directions = value[at + 3];
    if (directions < receiveBit || directions > (receiveBit | sendBit)) return undefined;
    const family = familyOfNumbers((value[at] << 8) | value[at + 1], value[at + 2]);
    if (family === undefined) continue;
    entries.set(family, {
      family,
      receive: (directions & receiveBit) !== 0,
      send: (directions & sendBit) !== 0,
    });
  }
  return [...entries.values()];
}

/** AFI, SAFI and next hop's AFI, two octets each. */
const extendedNextHopEntry = 6;

function hasIpv4OverIpv6(value: Uint8Array): boolean {
  for (let at = 0; at < value.length; at += extendedNextHopEntry) {
    const family = familyOfNumbers(readU16(value, at), readU16(value, at + 2));
    if (family === 'ipv4' && readU16(value, at + 4) === addressFamilyNumber.ipv6) return true;
  }
  return false;
}

function decodeGracefulRestart(value: Uint8Array): GracefulRestartCapability {
  const families: { family: Family; forwardingPreserved: boolean }[] = [];
  for (let at = 2; at < value.length; at += 4) {
    const family = familyOfNumbers((value[at] << 8) | value[at + 1], value[at + 2]);
    if (family !== undefined) families.push({ family, forwardingPreserved: (value[at + 3] & forwardingBit) !== 0 });
  }
  const restarting = (value[0] & restartBit) !== 0;
  const notification = (value[0] & notificationBit) !== 0;
  return { restarting, notification, restartTimeSeconds: ((value[0] & 0x0f) << 8) | value[1], families };
}

/** AFI, SAFI, flags, and three octets of time. */
const longLivedEntry = 7;

function decodeLongLivedRestart(value: Uint8Array): LongLivedEntry[] {
  const entries = new Map<Family, LongLivedEntry>();
  for (let at = 0; at < value.length; at += longLivedEntry) {
    const family = familyOfNumbers(readU16(value, at), value[at + 2]);
    if (family === undefined) continue;
    const staleSeconds = (value[at + 4] << 16) | readU16(value, at + 5);
    entries.set(family, { family, forwardingPreserved: (value[at + 3] & forwardingBit) !== 0, staleSeconds });
  }
  return [...entries.values()];
}

function* capabilitiesIn(parameters: readonly Uint8Array[]): Generator<[code: number, value: Uint8Array]> {
  for (const bytes of parameters) {
    for (let at = 0; at < bytes.length;) {
      const end = at + 2 + (bytes[at + 1] ?? 0);
      if (at + 2 > bytes.length || end > bytes.length) {
        throw new ProtocolError(ErrorCode.open, OpenError.unspecific, 'a capability is longer than its parameter');
      }
      yield [bytes[at], bytes.subarray(at + 2, end)];
      at = end;
    }
  }
}

function checkLength(code: number, value: Uint8Array, right: boolean): void {
  if (right) return;
  const message = `the capability '${capabilityNames[code]}' has length ${value.length}`;
  throw new ProtocolError(ErrorCode.open, OpenError.unspecific, message);
}
