/**
 * Links as rtnetlink messages; tunnel devices as link kinds.
 * Implements: struct ifinfomsg, IFLA_*, IFLA_LINKINFO of ipip (IFLA_IPTUN_*) and vxlan (IFLA_VXLAN_*) (if_link.h, if_tunnel.h).
 * Leaves out: every other kind's data.
 * Holds: what is written is read back equal.
 */

import { formatAddress } from '../../bgp/ip.ts';
import {
  MessageFlag,
  MessageType,
  readAttributes,
  readMac,
  readText,
  readU16BigEndian,
  readU32,
  requireLength,
  type MessageWriter,
  type NetlinkMessage,
} from './message.ts';
import { toBytes } from './route.ts';

const linkHeaderLength = 16;
/** IFF_* */
export const LinkFlag = { up: 1, running: 0x40 } as const;

const Attribute = { address: 1, name: 3, mtu: 4, linkInfo: 18 } as const;
const LinkInfo = { kind: 1, data: 2 } as const;
const Ipip = { local: 2, timeToLive: 4, protocol: 9, pathMtuDiscovery: 10 } as const;
const Vxlan = { id: 1, local: 4, timeToLive: 5, learning: 7, port: 15, local6: 17 } as const;

/** What of a tunnel's data we set and compare. */
export interface LinkTunnelData {
  readonly local: string | undefined;
  readonly vni: number | undefined;
  readonly port: number | undefined;
  readonly learning: boolean | undefined;
}

export interface LinkMessage {
  readonly index: number;
  readonly name: string;
  readonly flags: number;
  readonly mtu: number;
  readonly mac: string;
  readonly kind: string | undefined;
  readonly data: LinkTunnelData | undefined;
}

/** @throws NetlinkFormatError */
export function readLink(message: NetlinkMessage): LinkMessage {
  requireLength(message, linkHeaderLength, 'a link');
  const { bytes, start, end } = message;
  let name = '';
  let mtu = 0;
  let mac = '';
  let kind: string | undefined;
  let dataRange: [number, number] | undefined;
  readAttributes(bytes, start + linkHeaderLength, end, (type, from, to) => {
    if (type === Attribute.name) name = readText(bytes, from, to);
    else if (type === Attribute.mtu) mtu = readU32(bytes, from, to);
    else if (type === Attribute.address) mac = readMac(bytes, from, to);
    else if (type === Attribute.linkInfo) {
      readAttributes(bytes, from, to, (infoType, infoFrom, infoTo) => {
        if (infoType === LinkInfo.kind) kind = readText(bytes, infoFrom, infoTo);
        else if (infoType === LinkInfo.data) dataRange = [infoFrom, infoTo];
      });
    }
  });
  return {
    index: bytes.readUInt32LE(start + 4),
    name,
    flags: bytes.readUInt32LE(start + 8),
    mtu,
    mac,
    kind,
    data: dataRange && readTunnelData(bytes, ...dataRange, kind),
  };
}

/** AF_BRIDGE: such a link message tells of a bridge's port, and has no kind and no address. */
export function isBridgePort(message: NetlinkMessage): boolean {
  const AF_BRIDGE = 7;
  return message.end > message.start && message.bytes[message.start] === AF_BRIDGE;
}

export type NewTunnelLink = { readonly name: string; readonly local: string; readonly mtu?: number } & (
  | { readonly kind: 'ipip' }
  | { readonly kind: 'vxlan'; readonly vni: number; readonly port: number; readonly mac?: string }
);

/** RTM_NEWLINK that makes a tunnel device (down); refused with EEXIST where the name is taken. */
export function writeNewTunnel(writer: MessageWriter, sequence: number, link: NewTunnelLink): void {
  const flags = MessageFlag.request | MessageFlag.create | MessageFlag.exclusive;
  writer.begin(MessageType.newLink, flags, sequence);
  writeLinkHeader(writer, 0, 0, 0);
  writer.attributeText(Attribute.name, link.name);
  if (link.mtu !== undefined) writer.attributeU32(Attribute.mtu, link.mtu);
  if (link.kind === 'vxlan' && link.mac !== undefined) writer.attribute(Attribute.address, macBytes(link.mac));
  writer.nest(Attribute.linkInfo, () => {
    writer.attributeText(LinkInfo.kind, link.kind);
    writer.nest(LinkInfo.data, () => (link.kind === 'ipip' ? writeIpip(writer, link) : writeVxlan(writer, link)));
  });
  writer.end();
}

/** RTM_NEWLINK on an existing link. */
export function writeSetLink(
  writer: MessageWriter,
  sequence: number,
  link: { index: number; up?: boolean; mtu?: number; mac?: string },
): void {
  writer.begin(MessageType.newLink, MessageFlag.request, sequence);
  writeLinkHeader(writer, link.index, link.up === true ? LinkFlag.up : 0, link.up === undefined ? 0 : LinkFlag.up);
  if (link.mtu !== undefined) writer.attributeU32(Attribute.mtu, link.mtu);
  if (link.mac !== undefined) writer.attribute(Attribute.address, macBytes(link.mac));
  writer.end();
}

export function writeDeleteLink(writer: MessageWriter, sequence: number, index: number): void {
  writer.begin(MessageType.deleteLink, MessageFlag.request, sequence);
  writeLinkHeader(writer, index, 0, 0);
  writer.end();
}

/** RTM_GETLINK for one link by name. */
export function writeGetLink(writer: MessageWriter, sequence: number, name: string): void {
  writer.begin(MessageType.getLink, MessageFlag.request, sequence);
  writeLinkHeader(writer, 0, 0, 0);
  writer.attributeText(Attribute.name, name);
  writer.end();
}

/** RTM_GETLINK for all. */
export function writeDumpLinks(writer: MessageWriter, sequence: number): void {
  writer.begin(MessageType.getLink, MessageFlag.request | MessageFlag.dump, sequence);
  writeLinkHeader(writer, 0, 0, 0);
  writer.end();
}

/** struct ifinfomsg. */
export function writeLinkHeader(writer: MessageWriter, index: number, flags: number, change: number): void {
  writer.u8(0);
  writer.u8(0);
  writer.u16(0);
  writer.u32(index);
  writer.u32(flags);
  writer.u32(change);
}

/**
 * Any remote: the outer destination is the gateway of the route, so that one device serves all nodes. Time to live from the
 * inner packet (0), path MTU discovery on: as iproute2 makes it by default.
 */
function writeIpip(writer: MessageWriter, link: NewTunnelLink & { kind: 'ipip' }): void {
  const IPPROTO_IPIP = 4;
  writer.attribute(Ipip.local, toBytes(link.local));
  writer.attributeU8(Ipip.timeToLive, 0);
  writer.attributeU8(Ipip.pathMtuDiscovery, 1);
  writer.attributeU8(Ipip.protocol, IPPROTO_IPIP);
}

function writeVxlan(writer: MessageWriter, link: NewTunnelLink & { kind: 'vxlan' }): void {
  const local = toBytes(link.local);
  writer.attributeU32(Vxlan.id, link.vni);
  writer.attribute(local.length === 4 ? Vxlan.local : Vxlan.local6, local);
  // The node's own choice of outer time to live; the inner one would count the tunnel as one hop.
  writer.attributeU8(Vxlan.timeToLive, 0);
  writer.attributeU8(Vxlan.learning, 0);
  writer.attributeU16BigEndian(Vxlan.port, link.port);
}

function readTunnelData(bytes: Buffer, start: number, end: number, kind: string | undefined): LinkTunnelData {
  let local: string | undefined;
  let vni: number | undefined;
  let port: number | undefined;
  let learning: boolean | undefined;
  readAttributes(bytes, start, end, (type, from, to) => {
    if (kind === 'ipip') {
      if (type === Ipip.local) local = formatAddress(bytes.subarray(from, to));
    } else if (kind === 'vxlan') {
      if (type === Vxlan.id) vni = readU32(bytes, from, to);
      else if (type === Vxlan.local || type === Vxlan.local6) local = formatAddress(bytes.subarray(from, to));
      else if (type === Vxlan.learning) learning = to > from && bytes[from] !== 0;
      else if (type === Vxlan.port) port = readU16BigEndian(bytes, from, to);
    }
  });
  return { local, vni, port, learning };
}

function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}
