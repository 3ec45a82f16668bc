/**
 * The UPDATE message: its three fields, its header, End-of-RIB.
 * Implements: RFC 4271 §4.1 (header), §4.3 (UPDATE), §6.3 (lengths, network field); RFC 4724 §2 (End-of-RIB);
 *   RFC 4760 §3, §4 (prefixes inside attributes); RFC 8950 §3 (IPv4 prefixes with an IPv6 next hop); RFC 7606 §5.1 (MP_REACH_NLRI leads).
 */

import { addressLength } from '../ip.ts';
import type { Family } from '../ip.ts';
import { MessageType, addressFamilyNumber, unicast } from '../registry.ts';
import { AttributeCode, AttributeFlag } from './attributes/table.ts';
import { readU16 } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { nlriProblem } from './nlri.ts';
import { updateError } from './update-error.ts';

const headerLength = 19;
const extended = AttributeFlag.extendedLength;

/** Where the fields of an UPDATE body lie; reused for each message. The withdrawn routes start at 2. */
export interface UpdateFields {
  withdrawnEnd: number;
  attributesStart: number;
  attributesEnd: number;
}

export function newUpdateFields(): UpdateFields {
  return { withdrawnEnd: 2, attributesStart: 4, attributesEnd: 4 };
}

/**
 * @param withPathIds the prefixes of the two IPv4 fields have path identifiers (RFC 7911)
 * @throws ProtocolError where the lengths contradict each other or a prefix of the two IPv4 fields is malformed.
 */
export function readUpdateFields(body: Uint8Array, into: UpdateFields, withPathIds: boolean): void {
  if (body.length < 4) throw updateError('malformedAttributeList', `${body.length} bytes are no UPDATE`);
  const withdrawnEnd = 2 + readU16(body, 0);
  if (withdrawnEnd + 2 > body.length) {
    throw updateError('malformedAttributeList', 'the withdrawn routes run past the message');
  }
  const attributesEnd = withdrawnEnd + 2 + readU16(body, withdrawnEnd);
  if (attributesEnd > body.length) throw updateError('malformedAttributeList', 'the attributes run past the message');
  // RFC 7606 §3 i, j: without readable prefixes nothing can be treated as withdrawn.
  const withdrawn = nlriProblem(body, 2, withdrawnEnd, 'ipv4', withPathIds);
  if (withdrawn !== undefined) throw updateError('invalidNetworkField', `withdrawn routes: ${withdrawn}`);
  const nlri = nlriProblem(body, attributesEnd, body.length, 'ipv4', withPathIds);
  if (nlri !== undefined) throw updateError('invalidNetworkField', `NLRI: ${nlri}`);
  into.withdrawnEnd = withdrawnEnd;
  into.attributesStart = withdrawnEnd + 2;
  into.attributesEnd = attributesEnd;
}

/** Opens a message. @returns where it starts, for endMessage */
export function beginUpdate(writer: ByteWriter): number {
  const at = writer.grow(headerLength);
  writer.buffer.fill(0xff, at, at + 16);
  writer.patchU8(at + 18, MessageType.update);
  return at;
}

export function endMessage(writer: ByteWriter, at: number): void {
  writer.patchU16(at + 16, writer.length - at);
}

/** An IPv4 next hop stands in NEXT_HOP, and its prefixes end the message; any other stands before its prefixes in MP_REACH_NLRI. */
export function isInNextHopAttribute(nextHop: Uint8Array): boolean {
  return nextHop.length === addressLength.ipv4;
}

/** What a message takes besides its attributes and prefixes, where it announces. */
export function announceOverhead(nextHop: Uint8Array): number {
  // MP_REACH_NLRI: flags, code, two bytes of length, AFI, SAFI, next hop with its length, reserved byte.
  return headerLength + 4 + (isInNextHopAttribute(nextHop) ? 0 : 4 + 3 + 1 + nextHop.length + 1);
}

/** What a message takes besides its prefixes, where it withdraws. */
export function withdrawOverhead(family: Family): number {
  return headerLength + 4 + (family === 'ipv4' ? 0 : 4 + 3);
}

/**
 * Everything of an announcing message but its prefixes, in two parts: `before` them and `after` them. With an IPv4 next hop the prefixes
 * end the message; else they lie in MP_REACH_NLRI, which leads the attributes.
 * @param nextHop 4 bytes, which `attributes` has already; 16; or 32 (RFC 2545 §3)
 */
export function writeAnnounceHead(
  writer: ByteWriter,
  family: Family,
  attributes: ByteWriter,
  nextHop: Uint8Array,
  nlriLength: number,
): void {
  writer.u16(0);
  if (isInNextHopAttribute(nextHop)) {
    writer.u16(attributes.length);
    writer.bytes(attributes.buffer, 0, attributes.length);
    return;
  }
  const length = 3 + 1 + nextHop.length + 1 + nlriLength;
  writer.u16(4 + length + attributes.length);
  writer.u8(AttributeFlag.optional | extended);
  writer.u8(AttributeCode.mpReach);
  writer.u16(length);
  writer.u16(addressFamilyNumber[family]);
  writer.u8(unicast);
  writer.u8(nextHop.length);
  writer.bytes(nextHop);
  writer.u8(0);
}

/** What follows the prefixes of an announcing message. */
export function writeAnnounceTail(writer: ByteWriter, nextHop: Uint8Array, attributes: ByteWriter): void {
  if (!isInNextHopAttribute(nextHop)) writer.bytes(attributes.buffer, 0, attributes.length);
}

export function writeWithdrawHead(writer: ByteWriter, family: Family, nlriLength: number): void {
  if (family === 'ipv4') {
    writer.u16(nlriLength);
    return;
  }
  writer.u16(0);
  writer.u16(4 + 3 + nlriLength);
  writer.u8(AttributeFlag.optional | extended);
  writer.u8(AttributeCode.mpUnreach);
  writer.u16(3 + nlriLength);
  writer.u16(addressFamilyNumber[family]);
  writer.u8(unicast);
}

export function writeWithdrawTail(writer: ByteWriter, family: Family): void {
  if (family === 'ipv4') writer.u16(0);
}

/** The End-of-RIB marker of a family, a whole message. */
export function endOfRibMessage(family: Family): Uint8Array {
  const writer = new ByteWriter(32);
  const at = beginUpdate(writer);
  writeWithdrawHead(writer, family, 0);
  writeWithdrawTail(writer, family);
  endMessage(writer, at);
  return writer.copy();
}
