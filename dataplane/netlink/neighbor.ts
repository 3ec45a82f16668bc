/**
 * Neighbour entries (IP to MAC) and forwarding entries of a VXLAN device (MAC to remote node) as rtnetlink messages.
 * Implements: struct ndmsg, NDA_DST, NDA_LLADDR, NDA_IFINDEX; PF_BRIDGE with NTF_SELF for the FDB (neighbour.h).
 * Leaves out: VLANs, nexthop groups, proxies.
 */

import { formatAddress } from '../../bgp/ip.ts';
import {
  MessageFlag,
  MessageType,
  parseMac,
  readAttributes,
  readMac,
  requireLength,
  type MessageWriter,
  type NetlinkMessage,
} from './message.ts';
import { addressFamily, toBytes } from './route.ts';

const neighborHeaderLength = 12;
const AF_BRIDGE = 7;
const Attribute = { destination: 1, linkLayerAddress: 2, interfaceIndex: 8 } as const;
/** NUD_* */
const State = { failed: 0x20, noArp: 0x40, permanent: 0x80 } as const;
/** NTF_*; self: the device's own table, not the bridge's it may be a port of. */
const Flag = { self: 0x02, router: 0x80 } as const;

export interface NeighborMessage {
  /** `neighbor`: address has that MAC; `forwarding`: that MAC lies behind address. */
  readonly table: 'neighbor' | 'forwarding';
  readonly interfaceIndex: number;
  readonly address: string | undefined;
  readonly mac: string;
  readonly permanent: boolean;
  /** It has said that it is a router (RFC 4861 §7.2.5), and the last attempt to reach it did not fail. */
  readonly router: boolean;
}

/**
 * @returns undefined for families other than IP and bridge.
 * @throws NetlinkFormatError
 */
export function readNeighbor(message: NetlinkMessage): NeighborMessage | undefined {
  requireLength(message, neighborHeaderLength, 'a neighbour');
  const { bytes, start, end } = message;
  const family = bytes[start];
  if (family !== AF_BRIDGE && family !== addressFamily.ipv4 && family !== addressFamily.ipv6) return undefined;
  let address: string | undefined;
  let mac = '';
  readAttributes(bytes, start + neighborHeaderLength, end, (type, from, to) => {
    if (type === Attribute.destination && (to - from === 4 || to - from === 16)) {
      address = formatAddress(bytes.subarray(from, to));
    } else if (type === Attribute.linkLayerAddress) mac = readMac(bytes, from, to);
  });
  const state = bytes.readUInt16LE(start + 8);
  return {
    table: family === AF_BRIDGE ? 'forwarding' : 'neighbor',
    interfaceIndex: bytes.readUInt32LE(start + 4),
    address,
    mac,
    permanent: (state & State.permanent) !== 0,
    router: (bytes[start + 10] & Flag.router) !== 0 && (state & State.failed) === 0,
  };
}

export interface NeighborRequest {
  readonly table: NeighborMessage['table'];
  readonly interfaceIndex: number;
  readonly address: string;
  readonly mac: string;
}

/** RTM_NEWNEIGH: makes the entry, or gives an existing one the new value. */
export function writeNewNeighbor(writer: MessageWriter, sequence: number, entry: NeighborRequest): void {
  const flags = MessageFlag.request | MessageFlag.create | MessageFlag.replace;
  writeNeighbor(writer, sequence, MessageType.newNeighbor, flags, entry);
}

export function writeDeleteNeighbor(writer: MessageWriter, sequence: number, entry: NeighborRequest): void {
  writeNeighbor(writer, sequence, MessageType.deleteNeighbor, MessageFlag.request, entry);
}

/** RTM_GETNEIGH for one device's entries. */
export function writeDumpNeighbors(
  writer: MessageWriter,
  sequence: number,
  table: NeighborMessage['table'],
  interfaceIndex: number,
): void {
  writer.begin(MessageType.getNeighbor, MessageFlag.request | MessageFlag.dump, sequence);
  writeHeader(writer, table === 'forwarding' ? AF_BRIDGE : 0, 0, 0, 0);
  writer.attributeU32(Attribute.interfaceIndex, interfaceIndex);
  writer.end();
}

function writeNeighbor(
  writer: MessageWriter,
  sequence: number,
  type: number,
  flags: number,
  entry: NeighborRequest,
): void {
  const address = toBytes(entry.address);
  const mac = parseMac(entry.mac);
  if (mac === undefined) throw new TypeError(`not a MAC address: ${entry.mac}`);
  writer.begin(type, flags, sequence);
  if (entry.table === 'forwarding') {
    writeHeader(writer, AF_BRIDGE, entry.interfaceIndex, State.noArp | State.permanent, Flag.self);
  } else {
    const family = address.length === 4 ? addressFamily.ipv4 : addressFamily.ipv6;
    writeHeader(writer, family, entry.interfaceIndex, State.permanent, 0);
  }
  writer.attribute(Attribute.destination, address);
  writer.attribute(Attribute.linkLayerAddress, mac);
  writer.end();
}

function writeHeader(writer: MessageWriter, family: number, index: number, state: number, flags: number): void {
  writer.u8(family);
  writer.u8(0);
  writer.u16(0);
  writer.u32(index);
  writer.u16(state);
  writer.u8(flags);
  writer.u8(0);
}
