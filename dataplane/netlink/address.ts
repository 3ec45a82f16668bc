/**
 * Interface addresses as rtnetlink messages.
 * Implements: struct ifaddrmsg, IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS (if_addr.h).
 * Leaves out: labels, lifetimes, peers of point-to-point links.
 */

import { addressLength, formatAddress, type Prefix } from '../../bgp/ip.ts';
import {
  MessageFlag,
  MessageType,
  readAttributes,
  requireLength,
  type MessageWriter,
  type NetlinkMessage,
} from './message.ts';
import { addressFamily, readAddress, RouteScope, toFamily } from './route.ts';

const addressHeaderLength = 8;
const Attribute = { address: 1, local: 2 } as const;
/** IFA_F_NODAD: usable at once; a tunnel has no neighbours that could hold the address too. */
const noDuplicateDetection = 0x02;

export interface AddressMessage {
  readonly interfaceIndex: number;
  /** `10.1.1.11/24`, host bits kept. */
  readonly address: string;
  /** Link-local: the kernel's own on every IPv6 link. */
  readonly linkScope: boolean;
}

/**
 * @returns undefined for families other than IP.
 * @throws NetlinkFormatError
 */
export function readInterfaceAddress(message: NetlinkMessage): AddressMessage | undefined {
  requireLength(message, addressHeaderLength, 'an address');
  const { bytes, start, end } = message;
  const family = toFamily(bytes[start]);
  if (family === undefined) return undefined;
  let address: Uint8Array | undefined;
  let local: Uint8Array | undefined;
  readAttributes(bytes, start + addressHeaderLength, end, (type, from, to) => {
    if (type === Attribute.address) address = readAddress(bytes, from, to, addressLength[family]);
    else if (type === Attribute.local) local = readAddress(bytes, from, to, addressLength[family]);
  });
  // On a point-to-point link IFA_ADDRESS is the other end's.
  const own = local ?? address;
  if (own === undefined) return undefined;
  return {
    interfaceIndex: bytes.readUInt32LE(start + 4),
    address: `${formatAddress(own)}/${bytes[start + 1]}`,
    linkScope: bytes[start + 3] === RouteScope.link,
  };
}

/** @param address with its host bits. */
export function writeNewAddress(writer: MessageWriter, sequence: number, index: number, address: Prefix): void {
  const flags = MessageFlag.request | MessageFlag.create | MessageFlag.exclusive;
  writeAddress(writer, sequence, MessageType.newAddress, flags, index, address);
}

export function writeDeleteAddress(writer: MessageWriter, sequence: number, index: number, address: Prefix): void {
  writeAddress(writer, sequence, MessageType.deleteAddress, MessageFlag.request, index, address);
}

/** RTM_GETADDR for all, of both families. */
export function writeDumpAddresses(writer: MessageWriter, sequence: number): void {
  writer.begin(MessageType.getAddress, MessageFlag.request | MessageFlag.dump, sequence);
  writer.u32(0);
  writer.u32(0);
  writer.end();
}

function writeAddress(
  writer: MessageWriter,
  sequence: number,
  type: number,
  flags: number,
  index: number,
  address: Prefix,
): void {
  writer.begin(type, flags, sequence);
  writer.u8(addressFamily[address.family]);
  writer.u8(address.length);
  writer.u8(address.family === 'ipv6' ? noDuplicateDetection : 0);
  writer.u8(0);
  writer.u32(index);
  writer.attribute(Attribute.local, address.bytes);
  writer.attribute(Attribute.address, address.bytes);
  writer.end();
}
