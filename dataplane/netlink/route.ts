/**
 * Routes as rtnetlink messages.
 * Implements: struct rtmsg, RTA_* with RTA_MULTIPATH, RTA_VIA (an IPv6 gateway of an IPv4 route), RTNH_F_ONLINK (rtnetlink.h).
 * Leaves out: nexthop objects, metrics (RTA_METRICS), source-specific and TOS routes (read, told apart, never written).
 * Holds: what is written is read back equal.
 */

import { addressLength, formatAddress, parseAddress, type Family, type Prefix } from '../../bgp/ip.ts';
import { NetlinkFormatError } from './kernel-error.ts';
import {
  align,
  MessageFlag,
  MessageType,
  readAttributes,
  readU32,
  requireLength,
  type MessageWriter,
  type NetlinkMessage,
} from './message.ts';

export const addressFamily = { ipv4: 2, ipv6: 10 } as const satisfies Record<Family, number>;

/** RT_TABLE_MAIN */
export const mainTable = 254;

/** RTN_* */
export const RouteType = { unicast: 1, blackhole: 6 } as const;

/** RTNH_F_*; a single next hop has them in rtm_flags. */
export const NextHopFlag = { dead: 1, onLink: 4, linkDown: 16 } as const;

/** RT_SCOPE_* */
export const RouteScope = { universe: 0, link: 253, nowhere: 255 } as const;

const Attribute = {
  destination: 1,
  interfaceIndex: 4,
  gateway: 5,
  priority: 6,
  preferredSource: 7,
  multipath: 9,
  table: 15,
  via: 18,
} as const;

const routeHeaderLength = 12;
const nextHopHeaderLength = 8;
/** RTM_F_CLONED: an entry of a cache, not of the table. */
const clonedFlag = 0x200;

export interface RouteNextHop {
  readonly gateway: string | undefined;
  /** 0: not told. */
  readonly interfaceIndex: number;
  readonly flags: number;
  readonly weight: number;
}

export interface RouteMessage {
  readonly family: Family;
  readonly prefix: string;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly metric: number;
  readonly preferredSource: string | undefined;
  readonly nextHops: readonly RouteNextHop[];
  /** Chosen by source address or type of service too: not one of the plain routes. */
  readonly narrowed: boolean;
}

/** The fields of the fixed header, for passing over a message without reading it. */
export function readRouteProtocol(message: NetlinkMessage): number {
  requireLength(message, routeHeaderLength, 'a route');
  return message.bytes[message.start + 5];
}

/**
 * @returns undefined for families other than IP, and for cached entries.
 * @throws NetlinkFormatError
 */
export function readRoute(message: NetlinkMessage): RouteMessage | undefined {
  requireLength(message, routeHeaderLength, 'a route');
  const { bytes, start, end } = message;
  const family = toFamily(bytes[start]);
  const flags = bytes.readUInt32LE(start + 8);
  if (family === undefined || (flags & clonedFlag) !== 0) return undefined;
  const prefixLength = bytes[start + 1];
  if (prefixLength > addressLength[family] * 8) throw new NetlinkFormatError(`a prefix of ${prefixLength} bits`);
  let destination: Uint8Array | undefined;
  let table = bytes[start + 4];
  let metric = 0;
  let interfaceIndex = 0;
  let gateway: string | undefined;
  let preferredSource: string | undefined;
  let nextHops: RouteNextHop[] | undefined;
  readAttributes(bytes, start + routeHeaderLength, end, (type, from, to) => {
    if (type === Attribute.destination) destination = readAddress(bytes, from, to, addressLength[family]);
    else if (type === Attribute.table) table = readU32(bytes, from, to);
    else if (type === Attribute.priority) metric = readU32(bytes, from, to);
    else if (type === Attribute.interfaceIndex) interfaceIndex = readU32(bytes, from, to);
    else if (type === Attribute.gateway) gateway = formatAddress(readAddress(bytes, from, to, addressLength[family]));
    else if (type === Attribute.via) gateway = readVia(bytes, from, to);
    else if (type === Attribute.preferredSource) {
      preferredSource = formatAddress(readAddress(bytes, from, to, addressLength[family]));
    } else if (type === Attribute.multipath) nextHops = readNextHops(bytes, from, to, family);
  });
  const network = destination === undefined ? (family === 'ipv4' ? '0.0.0.0' : '::') : formatAddress(destination);
  return {
    family,
    prefix: `${network}/${prefixLength}`,
    table,
    protocol: bytes[start + 5],
    scope: bytes[start + 6],
    type: bytes[start + 7],
    metric,
    preferredSource,
    nextHops: nextHops ?? [{ gateway, interfaceIndex, flags: flags & 0xff, weight: 1 }],
    narrowed: bytes[start + 2] !== 0 || bytes[start + 3] !== 0,
  };
}

/** Which route to write; addresses are canonical text. */
export interface RouteRequest {
  readonly prefix: Prefix;
  readonly table: number;
  readonly protocol: number;
  readonly metric: number;
  readonly type: number;
  readonly preferredSource: string | undefined;
  readonly nextHops: readonly RouteNextHop[];
}

/**
 * RTM_NEWROUTE.
 * @param flags create|exclusive for a first insertion, create|replace for a route known to be ours.
 */
export function writeNewRoute(writer: MessageWriter, sequence: number, flags: number, route: RouteRequest): void {
  const { family } = route.prefix;
  const [single] = route.nextHops;
  const alone = route.nextHops.length === 1;
  // An IPv4 route to the link itself has link scope (the kernel wants a gateway's own route to be nearer than the route).
  const toLink = route.type === RouteType.unicast && route.nextHops.every((hop) => hop.gateway === undefined);
  writer.begin(MessageType.newRoute, MessageFlag.request | flags, sequence);
  writeHeader(writer, route, route.protocol, family === 'ipv4' && toLink ? RouteScope.link : RouteScope.universe);
  writer.u8(route.type);
  writer.u32(alone ? single.flags & NextHopFlag.onLink : 0);
  writeKey(writer, route);
  if (route.preferredSource !== undefined) writer.attribute(Attribute.preferredSource, toBytes(route.preferredSource));
  if (alone) {
    if (single.interfaceIndex !== 0) writer.attributeU32(Attribute.interfaceIndex, single.interfaceIndex);
    writeGateway(writer, family, single.gateway);
  } else if (route.nextHops.length > 1) {
    const fill = () => {
      for (const hop of route.nextHops) {
        writer.nextHop(hop.flags & NextHopFlag.onLink, hop.weight, hop.interfaceIndex, () =>
          writeGateway(writer, family, hop.gateway),
        );
      }
    };
    // The kernel refuses the nested flag on RTA_MULTIPATH's rtnexthop list in some releases; iproute2 sends none either.
    writer.nest(Attribute.multipath, fill, 0);
  }
  writer.end();
}

/** RTM_DELROUTE: deletes only a route that carries the protocol number; an IPv6 multipath route goes as a whole. */
export function writeDeleteRoute(
  writer: MessageWriter,
  sequence: number,
  route: Pick<RouteRequest, 'prefix' | 'table' | 'protocol' | 'metric'>,
): void {
  writer.begin(MessageType.deleteRoute, MessageFlag.request, sequence);
  writeHeader(writer, route, route.protocol, route.prefix.family === 'ipv4' ? RouteScope.nowhere : 0);
  writer.u8(0);
  writer.u32(0);
  writeKey(writer, route);
  writer.end();
}

/** RTM_GETROUTE for a whole table; with strict checking the kernel itself filters by the fields given. */
export function writeDumpRoutes(
  writer: MessageWriter,
  sequence: number,
  filter: { family: Family; table?: number; protocol?: number },
): void {
  writer.begin(MessageType.getRoute, MessageFlag.request | MessageFlag.dump, sequence);
  writer.u8(addressFamily[filter.family]);
  writer.u8(0);
  writer.u8(0);
  writer.u8(0);
  writer.u8(0);
  writer.u8(filter.protocol ?? 0);
  writer.u8(0);
  writer.u8(0);
  writer.u32(0);
  if (filter.table !== undefined) writer.attributeU32(Attribute.table, filter.table);
  writer.end();
}

export function toFamily(code: number): Family | undefined {
  if (code === addressFamily.ipv4) return 'ipv4';
  return code === addressFamily.ipv6 ? 'ipv6' : undefined;
}

/** @throws NetlinkFormatError where the value has another length than the family's. */
export function readAddress(bytes: Buffer, start: number, end: number, length: number): Uint8Array {
  if (end - start !== length) throw new NetlinkFormatError(`an address of ${end - start} bytes`);
  return bytes.subarray(start, end);
}

/** Thousands of routes share a few gateways. */
const knownAddresses = new Map<string, Uint8Array>();
const knownAddressesLimit = 1024;

/** The bytes of an address in canonical text. @throws TypeError where it is none. */
export function toBytes(address: string): Uint8Array {
  const known = knownAddresses.get(address);
  if (known) return known;
  const bytes = parseAddress(address);
  if (bytes === undefined || formatAddress(bytes) !== address) {
    throw new TypeError(`not an IP address in canonical form: ${address}`);
  }
  if (knownAddresses.size >= knownAddressesLimit) knownAddresses.clear();
  knownAddresses.set(address, bytes);
  return bytes;
}

function writeHeader(
  writer: MessageWriter,
  route: Pick<RouteRequest, 'prefix' | 'table'>,
  protocol: number,
  scope: number,
): void {
  writer.u8(addressFamily[route.prefix.family]);
  writer.u8(route.prefix.length);
  writer.u8(0);
  writer.u8(0);
  // RT_TABLE_UNSPEC where the number does not fit; RTA_TABLE has it in any case.
  writer.u8(route.table < 256 ? route.table : 0);
  writer.u8(protocol);
  writer.u8(scope);
}

function writeKey(writer: MessageWriter, route: Pick<RouteRequest, 'prefix' | 'table' | 'metric'>): void {
  writer.attribute(Attribute.destination, route.prefix.bytes);
  writer.attributeU32(Attribute.priority, route.metric);
  if (route.table > 255) writer.attributeU32(Attribute.table, route.table);
}

function writeGateway(writer: MessageWriter, family: Family, gateway: string | undefined): void {
  if (gateway === undefined) return;
  const bytes = toBytes(gateway);
  if (bytes.length === addressLength[family]) {
    writer.attribute(Attribute.gateway, bytes);
    return;
  }
  // RFC 8950: the next hop of an IPv4 route may be an IPv6 address. struct rtvia: family, address.
  const via = new Uint8Array(2 + bytes.length);
  via[0] = addressFamily[bytes.length === 4 ? 'ipv4' : 'ipv6'];
  via.set(bytes, 2);
  writer.attribute(Attribute.via, via);
}

function readVia(bytes: Buffer, start: number, end: number): string | undefined {
  if (end - start < 2) throw new NetlinkFormatError('a gateway of another family is cut short');
  const family = toFamily(bytes.readUInt16LE(start));
  return family && formatAddress(readAddress(bytes, start + 2, end, addressLength[family]));
}

function readNextHops(bytes: Buffer, start: number, end: number, family: Family): RouteNextHop[] {
  const hops: RouteNextHop[] = [];
  let at = start;
  while (at < end) {
    if (end - at < nextHopHeaderLength) throw new NetlinkFormatError('a next hop is cut short');
    const length = bytes.readUInt16LE(at);
    if (length < nextHopHeaderLength || length > end - at) {
      throw new NetlinkFormatError(`a next hop of ${length} bytes where ${end - at} are left`);
    }
    let gateway: string | undefined;
    readAttributes(bytes, at + nextHopHeaderLength, at + length, (type, from, to) => {
      if (type === Attribute.gateway) gateway = formatAddress(readAddress(bytes, from, to, addressLength[family]));
      else if (type === Attribute.via) gateway = readVia(bytes, from, to);
    });
    hops.push({
      gateway,
      interfaceIndex: bytes.readUInt32LE(at + 4),
      flags: bytes[at + 2],
      weight: bytes[at + 3] + 1,
    });
    at += align(length);
  }
  return hops;
}
