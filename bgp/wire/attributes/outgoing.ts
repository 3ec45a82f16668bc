/**
 * From a canonical set to the attributes that one class of peers is sent.
 * Implements: RFC 4271 §5.1 (AS_PATH, NEXT_HOP, MED, LOCAL_PREF on the way out), RFC 4456 §8 (ORIGINATOR_ID, CLUSTER_LIST),
 *   RFC 6793 §4.2.2 (towards 2-octet peers), RFC 4360 §6 (extended communities that stay in the AS), RFC 8326 §4, RFC 9234 §5.
 * Leaves out: MP_REACH_NLRI, which holds the prefixes: update.ts. Who is told what: rib/reflection.ts.
 * Holds: attributes leave in ascending order; what a reflector passes on is otherwise unchanged.
 */

import { asTrans } from '../../registry.ts';
import { readU32 } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { writeNarrowed, writePrepended } from './as-path.ts';
import { AttributeCursor, writeAttributeHeader } from './attribute-set.ts';
import { AttributeCode, attributeTable } from './table.ts';

export interface OutgoingForm {
  /** Our own AS towards eBGP peers; empty within the AS. */
  readonly prepend: readonly number[];
  /** LOCAL_PREF is sent, 100 where the set has none (RFC 4271 §5.1.5); false: it is taken out, and so are reflection's attributes. */
  readonly internal: boolean;
  readonly fourOctetAs: boolean;
  /** Set when reflecting: written where the set has no ORIGINATOR_ID. */
  readonly originatorId?: number;
  /** Set when reflecting: put in front of CLUSTER_LIST. */
  readonly clusterId?: number;
  /** MULTI_EXIT_DISC stays. */
  readonly keepMed: boolean;
  /** Takes the place of the set's LOCAL_PREF, within the AS. */
  readonly localPref?: number;
  /** One more community. */
  readonly community?: number;
  /** Written where the set has no OTC. */
  readonly onlyToCustomer?: number;
}

export const defaultLocalPref = 100;

const cursor = new AttributeCursor();
const path = new ByteWriter(1024);
const narrow = new ByteWriter(1024);
/** Of the set at hand. The code up to which everything is written. */
let written = 0;
/** Where the value of an AGGREGATOR lies that a 2-octet peer cannot be sent; -1: there is none. */
let wideAggregator = -1;
/** AS4_PATH is owed. */
let narrowed = false;

/** Writes the attributes. @param nextHop the NEXT_HOP attribute's address, or undefined to write none (MP_REACH_NLRI has it) */
export function writeOutgoing(
  writer: ByteWriter,
  bytes: Uint8Array,
  start: number,
  end: number,
  nextHop: Uint8Array | undefined,
  form: OutgoingForm,
): void {
  written = 0;
  wideAggregator = -1;
  narrowed = false;
  cursor.start(bytes, start, end);
  while (cursor.next()) {
    const { code, valueStart, valueEnd } = cursor;
    const from = valueStart;
    switch (code) {
      case AttributeCode.asPath:
        addUpTo(code, writer, bytes, nextHop, form);
        path.reset();
        writePrepended(path, form.prepend, bytes, from, valueEnd);
        narrowed = writeAsPath(writer, form.fourOctetAs);
        break;
      case AttributeCode.multiExitDisc:
        if (!form.keepMed) break;
        addUpTo(code, writer, bytes, nextHop, form);
        copy(writer, bytes);
        break;
      case AttributeCode.localPref:
        // One that is to be another is left to addUpTo.
        if (!form.internal || form.localPref !== undefined) break;
        addUpTo(code, writer, bytes, nextHop, form);
        copy(writer, bytes);
        break;
      case AttributeCode.originatorId:
        if (!form.internal) break;
        addUpTo(code, writer, bytes, nextHop, form);
        copy(writer, bytes);
        break;
      case AttributeCode.communities: {
        addUpTo(code, writer, bytes, nextHop, form);
        const more = form.community !== undefined && !hasCommunity(bytes, from, valueEnd, form.community) ? 4 : 0;
        writeAttributeHeader(writer, cursor.flags, code, valueEnd - from + more);
        writer.bytes(bytes, from, valueEnd);
        if (more > 0) writer.u32(form.community!);
        break;
      }
      case AttributeCode.extendedCommunities:
        if (form.internal) {
          addUpTo(code, writer, bytes, nextHop, form);
          copy(writer, bytes);
        } else if (writeTransitiveOnes(bytes, from, valueEnd)) {
          addUpTo(code, writer, bytes, nextHop, form);
          writeAttributeHeader(writer, cursor.flags, code, narrow.length);
          writer.bytes(narrow.buffer, 0, narrow.length);
        }
        break;
      case AttributeCode.clusterList: {
        if (!form.internal) break;
        addUpTo(code, writer, bytes, nextHop, form);
        const own = form.clusterId === undefined ? 0 : 4;
        header(writer, code, valueEnd - from + own);
        if (form.clusterId !== undefined) writer.u32(form.clusterId);
        writer.bytes(bytes, from, valueEnd);
        break;
      }
      case AttributeCode.aggregator:
        addUpTo(code, writer, bytes, nextHop, form);
        if (form.fourOctetAs) {
          copy(writer, bytes);
          break;
        }
        writeAttributeHeader(writer, cursor.flags, code, 6);
        if (readU32(bytes, from) > 0xffff) {
          wideAggregator = from;
          writer.u16(asTrans);
        } else writer.bytes(bytes, from + 2, from + 4);
        writer.bytes(bytes, from + 4, from + 8);
        break;
      default:
        addUpTo(code, writer, bytes, nextHop, form);
        copy(writer, bytes);
    }
  }
  addUpTo(256, writer, bytes, nextHop, form);
}

/** What the set lacks and the form adds, up to (not including) this code. */
function addUpTo(
  code: number,
  writer: ByteWriter,
  bytes: Uint8Array,
  nextHop: Uint8Array | undefined,
  form: OutgoingForm,
): void {
  if (written < AttributeCode.nextHop && code > AttributeCode.nextHop && nextHop !== undefined) {
    header(writer, AttributeCode.nextHop, 4);
    writer.bytes(nextHop);
  }
  if (written < AttributeCode.localPref && code > AttributeCode.localPref && form.internal) {
    header(writer, AttributeCode.localPref, 4);
    writer.u32(form.localPref ?? defaultLocalPref);
  }
  if (written < AttributeCode.communities && code > AttributeCode.communities && form.community !== undefined) {
    header(writer, AttributeCode.communities, 4);
    writer.u32(form.community);
  }
  if (written < AttributeCode.originatorId && code > AttributeCode.originatorId && form.originatorId !== undefined) {
    header(writer, AttributeCode.originatorId, 4);
    writer.u32(form.originatorId);
  }
  if (written < AttributeCode.clusterList && code > AttributeCode.clusterList && form.clusterId !== undefined) {
    header(writer, AttributeCode.clusterList, 4);
    writer.u32(form.clusterId);
  }
  if (narrowed && written < AttributeCode.as4Path && code > AttributeCode.as4Path) writeAs4Path(writer);
  if (wideAggregator >= 0 && written < AttributeCode.as4Aggregator && code > AttributeCode.as4Aggregator) {
    header(writer, AttributeCode.as4Aggregator, 8);
    writer.bytes(bytes, wideAggregator, wideAggregator + 8);
  }
  if (
    form.onlyToCustomer !== undefined &&
    written < AttributeCode.onlyToCustomer &&
    code > AttributeCode.onlyToCustomer
  ) {
    header(writer, AttributeCode.onlyToCustomer, 4);
    writer.u32(form.onlyToCustomer);
  }
  written = code;
}

function copy(writer: ByteWriter, bytes: Uint8Array): void {
  writeAttributeHeader(writer, cursor.flags, cursor.code, cursor.valueEnd - cursor.valueStart);
  writer.bytes(bytes, cursor.valueStart, cursor.valueEnd);
}

function header(writer: ByteWriter, code: keyof typeof attributeTable, length: number): void {
  writeAttributeHeader(writer, attributeTable[code].flags, code, length);
}

/** @returns whether AS4_PATH is needed */
function writeAsPath(writer: ByteWriter, fourOctetAs: boolean): boolean {
  if (fourOctetAs) {
    header(writer, AttributeCode.asPath, path.length);
    writer.bytes(path.buffer, 0, path.length);
    return false;
  }
  narrow.reset();
  const wide = writeNarrowed(narrow, path.buffer, 0, path.length);
  header(writer, AttributeCode.asPath, narrow.length);
  writer.bytes(narrow.buffer, 0, narrow.length);
  return wide;
}

/** RFC 6793 §4.2.2: the whole path as it is, without confederation segments. */
function writeAs4Path(writer: ByteWriter): void {
  narrow.reset();
  for (let at = 0; at < path.length; at += 2 + path.buffer[at + 1] * 4) {
    if (path.buffer[at] <= 2) narrow.bytes(path.buffer, at, at + 2 + path.buffer[at + 1] * 4);
  }
  header(writer, AttributeCode.as4Path, narrow.length);
  writer.bytes(narrow.buffer, 0, narrow.length);
}

function hasCommunity(bytes: Uint8Array, start: number, end: number, community: number): boolean {
  for (let at = start; at < end; at += 4) if (readU32(bytes, at) === community) return true;
  return false;
}

/** RFC 4360 §6: into `narrow`, the extended communities that may leave the AS. @returns whether there are any */
function writeTransitiveOnes(bytes: Uint8Array, start: number, end: number): boolean {
  narrow.reset();
  for (let at = start; at < end; at += 8) if ((bytes[at] & 0x40) === 0) narrow.bytes(bytes, at, at + 8);
  return narrow.length > 0;
}
