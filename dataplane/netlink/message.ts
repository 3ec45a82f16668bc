/**
 * Netlink messages as bytes: a writer of many messages into one buffer, and readers of headers and attributes.
 * Implements: struct nlmsghdr, struct nlattr, NLMSG_ERROR with extended acknowledgement (include/uapi/linux/netlink.h).
 * Leaves out: what the messages say (route.ts, link.ts, address.ts, neighbor.ts); machines that are not little-endian.
 * Holds: a reader never looks past the end it was given, and throws nothing but NetlinkFormatError.
 */

import { NetlinkFormatError } from './kernel-error.ts';

export const MessageType = {
  error: 2,
  done: 3,
  overrun: 4,
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
  newNeighbor: 28,
  deleteNeighbor: 29,
  getNeighbor: 30,
} as const;

/** NLM_F_*; the last four mean other things on other requests. */
export const MessageFlag = {
  request: 0x1,
  acknowledge: 0x4,
  dumpInterrupted: 0x10,
  dump: 0x300,
  capped: 0x100,
  extendedAcknowledge: 0x200,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

const headerLength = 16;
const attributeHeaderLength = 4;
const nestedFlag = 0x8000;
const attributeTypeMask = 0x3fff;

/** Many messages in one growing buffer; `bytes()` is a view that the next write may invalidate. */
export class MessageWriter {
  #buffer: Buffer;
  #length = 0;
  #messageStart = 0;

  constructor(size = 4096) {
    this.#buffer = Buffer.alloc(size);
  }

  get length(): number {
    return this.#length;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  begin(type: number, flags: number, sequence: number): void {
    this.#reserve(headerLength);
    this.#messageStart = this.#length;
    this.#buffer.writeUInt16LE(type, this.#length + 4);
    this.#buffer.writeUInt16LE(flags, this.#length + 6);
    this.#buffer.writeUInt32LE(sequence, this.#length + 8);
    this.#buffer.writeUInt32LE(0, this.#length + 12);
    this.#length += headerLength;
  }

  /** Adds a flag to the message being written. */
  addFlags(flags: number): void {
    const at = this.#messageStart + 6;
    this.#buffer.writeUInt16LE(this.#buffer.readUInt16LE(at) | flags, at);
  }

  end(): void {
    this.#buffer.writeUInt32LE(this.#length - this.#messageStart, this.#messageStart);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16LE(value, this.#length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  attributeU8(type: number, value: number): void {
    this.attribute(type, Uint8Array.of(value));
  }

  attributeU16BigEndian(type: number, value: number): void {
    this.attribute(type, Uint8Array.of(value >> 8, value & 0xff));
  }

  attributeU32(type: number, value: number): void {
    this.#reserve(8);
    this.#buffer.writeUInt16LE(8, this.#length);
    this.#buffer.writeUInt16LE(type, this.#length + 2);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length + 4);
  }

  attributeU32BigEndian(type: number, value: number): void {
    this.#reserve(8);
    this.#buffer.writeUInt16LE(8, this.#length);
    this.#buffer.writeUInt16LE(type, this.#length + 2);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length + 4);
  }

  /** Text with its closing zero byte. */
  attributeText(type: number, text: string): void {
    this.attribute(type, Buffer.from(`${text}\0`, 'utf8'));
  }

  attribute(type: number, value: Uint8Array): void {
    this.#reserve(attributeHeaderLength + value.length + 3);
    this.#buffer.writeUInt16LE(attributeHeaderLength + value.length, this.#length);
    this.#buffer.writeUInt16LE(type, this.#length + 2);
    this.#buffer.set(value, this.#length + attributeHeaderLength);
    this.#length += attributeHeaderLength + value.length;
    this.#pad();
  }

  /** An attribute whose value is what `fill` writes. RTA_MULTIPATH is the one that does not want the nested flag. */
  nest(type: number, fill: () => void, flag = nestedFlag): void {
    const start = this.#length;
    this.u16(0);
    this.u16(type | flag);
    fill();
    this.#buffer.writeUInt16LE(this.#length - start, start);
  }

  /** A struct rtnexthop: its length comes first and covers the attributes that `fill` writes. */
  nextHop(flags: number, weight: number, interfaceIndex: number, fill: () => void): void {
    const start = this.#length;
    this.u16(0);
    this.u8(flags);
    this.u8(weight - 1);
    this.u32(interfaceIndex);
    fill();
    this.#buffer.writeUInt16LE(this.#length - start, start);
  }

  #pad(): void {
    const padded = align(this.#length);
    this.#buffer.fill(0, this.#length, padded);
    this.#length = padded;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** One message where it lies: the body is bytes[start, end). */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * Walks the messages of one or more datagrams.
 * @throws NetlinkFormatError
 */
export function readMessages(bytes: Buffer, visit: (message: NetlinkMessage) => void): void {
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < headerLength) throw new NetlinkFormatError('a header is cut short');
    const length = bytes.readUInt32LE(at);
    if (length < headerLength || length > bytes.length - at) {
      throw new NetlinkFormatError(`a message of ${length} bytes where ${bytes.length - at} are left`);
    }
    visit({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      portId: bytes.readUInt32LE(at + 12),
      bytes,
      start: at + headerLength,
      end: at + length,
    });
    at += align(length);
  }
}

/** @throws NetlinkFormatError where the fixed part of a body is cut short. */
export function requireLength(message: NetlinkMessage, length: number, what: string): void {
  if (message.end - message.start < length) throw new NetlinkFormatError(`${what} is cut short`);
}

/**
 * Walks the attributes in bytes[start, end); `type` comes without its flag bits.
 * @throws NetlinkFormatError
 */
export function readAttributes(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (type: number, valueStart: number, valueEnd: number) => void,
): void {
  let at = start;
  while (at < end) {
    if (end - at < attributeHeaderLength) throw new NetlinkFormatError('an attribute header is cut short');
    const length = bytes.readUInt16LE(at);
    if (length < attributeHeaderLength || length > end - at) {
      throw new NetlinkFormatError(`an attribute of ${length} bytes where ${end - at} are left`);
    }
    visit(bytes.readUInt16LE(at + 2) & attributeTypeMask, at + attributeHeaderLength, at + length);
    at += align(length);
  }
}

/** An attribute's value as a number of 32 bits. */
export function readU32(bytes: Buffer, start: number, end: number): number {
  if (end - start < 4) throw new NetlinkFormatError('a number of 32 bits is cut short');
  return bytes.readUInt32LE(start);
}

export function readU32BigEndian(bytes: Buffer, start: number, end: number): number {
  if (end - start < 4) throw new NetlinkFormatError('a number of 32 bits is cut short');
  return bytes.readUInt32BE(start);
}

/** Exact up to 2^53. */
export function readU64BigEndian(bytes: Buffer, start: number, end: number): number {
  if (end - start < 8) throw new NetlinkFormatError('a number of 64 bits is cut short');
  return Number(bytes.readBigUInt64BE(start));
}

export function readU16BigEndian(bytes: Buffer, start: number, end: number): number {
  if (end - start < 2) throw new NetlinkFormatError('a number of 16 bits is cut short');
  return bytes.readUInt16BE(start);
}

/** Text up to its closing zero byte. */
export function readText(bytes: Buffer, start: number, end: number): string {
  const zero = bytes.subarray(start, end).indexOf(0);
  return bytes.toString('utf8', start, zero < 0 ? end : start + zero);
}

/** `02:00:0a:01:01:0b`; other lengths come out alike. */
export function readMac(bytes: Buffer, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += `${i > start ? ':' : ''}${bytes[i].toString(16).padStart(2, '0')}`;
  return text;
}

/** @returns 6 bytes, or undefined where the text is no MAC address. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

export interface Acknowledgement {
  /** 0 for success, else the positive errno. */
  readonly code: number;
  /** The kernel's sentence. */
  readonly detail: string | undefined;
  /** Where in the request the attribute begins that it did not like, in bytes from the message's header. */
  readonly offset: number | undefined;
}

/** NLMSG_ERROR and NLMSG_DONE. @throws NetlinkFormatError */
export function readAcknowledgement(message: NetlinkMessage): Acknowledgement {
  requireLength(message, 4, 'an acknowledgement');
  const { bytes, start, end, flags } = message;
  const code = -bytes.readInt32LE(start);
  let detail: string | undefined;
  let offset: number | undefined;
  if ((flags & MessageFlag.extendedAcknowledge) !== 0) {
    const echoed = message.type === MessageType.done ? 0 : echoedLength(message);
    const NLMSGERR_ATTR_MSG = 1;
    const NLMSGERR_ATTR_OFFS = 2;
    readAttributes(bytes, Math.min(start + 4 + echoed, end), end, (type, valueStart, valueEnd) => {
      if (type === NLMSGERR_ATTR_MSG) detail = readText(bytes, valueStart, valueEnd);
      else if (type === NLMSGERR_ATTR_OFFS) offset = readU32(bytes, valueStart, valueEnd);
    });
  }
  return { code, detail, offset };
}

/** NLMSG_ERROR repeats the request's header; its body too, unless the message is capped. */
function echoedLength(message: NetlinkMessage): number {
  requireLength(message, 4 + headerLength, 'an acknowledgement');
  if ((message.flags & MessageFlag.capped) !== 0) return headerLength;
  return align(Math.min(message.bytes.readUInt32LE(message.start + 4), message.end - message.start));
}

export function align(length: number): number {
  return (length + 3) & ~3;
}
