/**
 * The attributes of an UPDATE, judged and brought into canonical form.
 * Implements: RFC 4271 §6.3 and its revision RFC 7606 §3, §4, §5.2; RFC 4271 §5 and §9 (unknown attributes);
 *   RFC 6793 §4.2.3 (AS4_PATH, AS4_AGGREGATOR from a peer of 2-octet numbers).
 * Leaves out: loops, filters and everything that needs the RIB.
 * Holds: throws ProtocolError where RFC 7606 wants a session reset, and nothing else.
 */

import { addressLength } from '../../ip.ts';
import { asTrans } from '../../registry.ts';
import { readU16 } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { updateError } from '../update-error.ts';
import { asPathLength, mergeAs4Path, widenAsPath } from './as-path.ts';
import { writeAttributeHeader } from './attribute-set.ts';
import { mpNextHopProblem, newMpRoutes, normalizeNextHop, readMpReach, readMpUnreach } from './mp-reach.ts';
import type { MpRoutes } from './mp-reach.ts';
import { AttributeCode, AttributeFlag, attributeEntries, attributeTable } from './table.ts';
import type { AttributeEntry, SessionClass } from './table.ts';

const optionalTransitive = AttributeFlag.optional | AttributeFlag.transitive;

/** What an attribute's length can say, less what is put in front on the way out. */
const longestPath = 0xff00;

/** Reused for each message: nothing is allocated for a good UPDATE. */
export class AttributeDecoder {
  /** Why the prefixes of this UPDATE are to be treated as withdrawn. */
  treatAsWithdraw: string | undefined;
  /** Attributes that were dropped, and why. */
  discarded: string | undefined;
  readonly mpReach: MpRoutes = newMpRoutes();
  readonly mpUnreach: MpRoutes = newMpRoutes();
  /** Attributes seen, MP_UNREACH_NLRI left out. */
  othersThanUnreach = 0;

  #bytes: Uint8Array = new Uint8Array(0);
  #session: SessionClass = {
    external: false,
    fourOctetAs: true,
    extendedNextHop: false,
    pathIds: { ipv4: false, ipv6: false },
  };
  /** By code: where the value lies; valid where #seen holds this message's number. */
  #starts = new Uint32Array(256);
  #ends = new Uint32Array(256);
  #flags = new Uint8Array(256);
  #seen = new Float64Array(256);
  #message = 0;
  /** Codes kept, in ascending order once scanned. */
  #codes = new Uint8Array(256);
  #count = 0;
  #set = new ByteWriter(4096);
  #path = new ByteWriter(1024);

  /** Reads the attributes between `start` and `end`. @throws ProtocolError */
  scan(bytes: Uint8Array, start: number, end: number, session: SessionClass): void {
    this.#bytes = bytes;
    this.#session = session;
    this.#message++;
    this.#count = 0;
    this.othersThanUnreach = 0;
    this.treatAsWithdraw = undefined;
    this.discarded = undefined;
    this.mpReach.family = undefined;
    this.mpUnreach.family = undefined;
    for (let at = start; at < end;) {
      const flags = bytes[at];
      const code = bytes[at + 1];
      const extended = (flags & AttributeFlag.extendedLength) !== 0;
      const valueStart = at + (extended ? 4 : 3);
      const valueEnd = valueStart > end ? end + 1 : valueStart + (extended ? readU16(bytes, at + 2) : bytes[at + 2]);
      if (valueEnd > end) {
        // RFC 7606 §4: the total length is trusted, so that the prefixes after it can still be found.
        this.#withdraw('an attribute runs past the attribute list');
        this.othersThanUnreach++;
        return;
      }
      this.#attribute(at, flags, code, valueStart, valueEnd);
      at = valueEnd;
    }
    if (!session.fourOctetAs && this.#widestPath() > longestPath) this.#withdraw('AS_PATH: too long');
  }

  /** What is missing for announcing prefixes of the family; RFC 7606 §3 d. */
  missing(withNextHop: boolean): string | undefined {
    if (!this.#has(AttributeCode.origin)) return 'ORIGIN is missing';
    if (!this.#has(AttributeCode.asPath)) return 'AS_PATH is missing';
    // LOCAL_PREF is mandatory only in RFC 4271 §5.1.5 and there only to send: without it 100 is taken, as others do.
    return withNextHop && !this.#has(AttributeCode.nextHop) ? 'NEXT_HOP is missing' : undefined;
  }

  /** The canonical set for prefixes of the NLRI field; `missing(true)` must have found nothing. Valid until the next call. */
  classicSet(): ByteWriter {
    return this.#compose(this.#starts[AttributeCode.nextHop], addressLength.ipv4);
  }

  /** The canonical set for the prefixes of MP_REACH_NLRI. Valid until the next call. */
  mpReachSet(): ByteWriter {
    return this.#compose(this.mpReach.nextHopStart, this.mpReach.nextHopLength);
  }

  #attribute(at: number, flags: number, code: number, start: number, end: number): void {
    const bytes = this.#bytes;
    if (code !== AttributeCode.mpUnreach) this.othersThanUnreach++;
    if (this.#has(code)) {
      // RFC 7606 §3 g
      if (code === AttributeCode.mpReach || code === AttributeCode.mpUnreach) {
        throw updateError('malformedAttributeList', `${attributeTable[code].name} appears twice`);
      }
      this.#discard(`${attributeEntries[code]?.name ?? `attribute ${code}`} repeated`);
      return;
    }
    const entry = attributeEntries[code];
    if (entry === undefined) {
      if ((flags & AttributeFlag.optional) === 0) {
        throw updateError('unrecognizedWellKnownAttribute', `attribute ${code} is unknown`, bytes.subarray(at, end));
      }
      // RFC 4271 §9: unknown and transitive: passed on, marked partial; else dropped without a word.
      if ((flags & AttributeFlag.transitive) === 0) this.#seen[code] = this.#message;
      else this.#keep(code, (flags & 0xc0) | AttributeFlag.partial, start, end);
      return;
    }
    if (entry.ignoredWhen?.(this.#session)) {
      this.#seen[code] = this.#message;
      this.#discard(`${entry.name} has no place on this session`);
      return;
    }
    if ((flags & 0xc0) !== entry.flags) {
      const problem = `flags ${flags.toString(16)}`;
      // RFC 7606 §5.3: what MP_REACH_NLRI and MP_UNREACH_NLRI say is not to be believed then; §3 c: all others.
      if (entry.onError === 'sessionReset') this.#malformed(entry, problem, at, start, end);
      this.#withdraw(`${entry.name}: ${problem}`);
    }
    const problem = entry.problem(bytes, start, end, this.#session);
    if (problem !== undefined) {
      this.#malformed(entry, problem, at, start, end);
      return;
    }
    if (code === AttributeCode.mpReach || code === AttributeCode.mpUnreach) this.#mpRoutes(code, at, start, end);
    else
      this.#keep(
        code,
        entry.flags | (entry.flags === optionalTransitive ? flags & AttributeFlag.partial : 0),
        start,
        end,
      );
  }

  #malformed(entry: AttributeEntry, problem: string, at: number, start: number, end: number): void {
    if (entry.onError === 'sessionReset') {
      throw updateError('optionalAttributeError', `${entry.name}: ${problem}`, this.#bytes.subarray(at, end));
    }
    if (entry.onError === 'discard') {
      this.#seen[this.#bytes[at + 1]] = this.#message;
      this.#discard(`${entry.name}: ${problem}`);
      return;
    }
    this.#withdraw(`${entry.name}: ${problem}`);
    // Present, though malformed: not missing as well.
    this.#keep(this.#bytes[at + 1], entry.flags, start, end);
  }

  #mpRoutes(code: 14 | 15, at: number, start: number, end: number): void {
    const bytes = this.#bytes;
    this.#seen[code] = this.#message;
    const into = code === AttributeCode.mpReach ? this.mpReach : this.mpUnreach;
    const { name } = attributeTable[code];
    const read = code === AttributeCode.mpReach ? readMpReach : readMpUnreach;
    const problem = read(bytes, start, end, into, this.#session);
    if (problem !== undefined) {
      throw updateError('optionalAttributeError', `${name}: ${problem}`, bytes.subarray(at, end));
    }
    if (into.family === undefined) this.#discard(`${name} of a family that was not negotiated`);
    else if (code === AttributeCode.mpReach) {
      normalizeNextHop(bytes, into);
      const nextHop = mpNextHopProblem(bytes, into.nextHopStart, into.nextHopLength);
      if (nextHop !== undefined) this.#withdraw(`${name}: next hop: ${nextHop}`);
    }
  }

  #keep(code: number, flags: number, start: number, end: number): void {
    this.#seen[code] = this.#message;
    this.#starts[code] = start;
    this.#ends[code] = end;
    this.#flags[code] = flags;
    // Nearly every sender writes them in order; an insertion costs only those that do not.
    let i = this.#count++;
    while (i > 0 && this.#codes[i - 1] > code) {
      this.#codes[i] = this.#codes[i - 1];
      i--;
    }
    this.#codes[i] = code;
  }

  /** Upper bound of the AS_PATH's length with 4-octet numbers. */
  #widestPath(): number {
    const length = (code: number) => (this.#usable(code) ? this.#ends[code] - this.#starts[code] : 0);
    return 2 * length(AttributeCode.asPath) + length(AttributeCode.as4Path);
  }

  #has(code: number): boolean {
    return this.#seen[code] === this.#message;
  }

  #withdraw(reason: string): void {
    this.treatAsWithdraw ??= reason;
  }

  #discard(reason: string): void {
    this.discarded = this.discarded === undefined ? reason : `${this.discarded}; ${reason}`;
  }

  #compose(nextHopStart: number, nextHopLength: number): ByteWriter {
    const set = this.#set;
    const bytes = this.#bytes;
    set.reset();
    set.u8(nextHopLength);
    set.bytes(bytes, nextHopStart, nextHopStart + nextHopLength);
    for (let i = 0; i < this.#count; i++) {
      const code = this.#codes[i];
      const start = this.#starts[code];
      const end = this.#ends[code];
      if (code === AttributeCode.nextHop || code === AttributeCode.as4Path || code === AttributeCode.as4Aggregator)
        continue;
      if (code === AttributeCode.asPath && !this.#session.fourOctetAs) this.#composeWidePath(set, start, end);
      else if (code === AttributeCode.aggregator && !this.#session.fourOctetAs) this.#composeWideAggregator(set, start);
      else {
        writeAttributeHeader(set, this.#flags[code], code, end - start);
        set.bytes(bytes, start, end);
      }
    }
    return set;
  }

  #composeWidePath(set: ByteWriter, start: number, end: number): void {
    const path = this.#path;
    path.reset();
    const as4Start = this.#starts[AttributeCode.as4Path];
    const as4End = this.#ends[AttributeCode.as4Path];
    const merge =
      this.#usable(AttributeCode.as4Path) && this.#as4Counts() && asPathLength(this.#bytes, as4Start, as4End, 4) > 0;
    if (merge) mergeAs4Path(path, this.#bytes, start, end, as4Start, as4End);
    else widenAsPath(path, this.#bytes, start, end);
    writeAttributeHeader(set, this.#flags[AttributeCode.asPath], AttributeCode.asPath, path.length);
    set.bytes(path.buffer, 0, path.length);
  }

  #composeWideAggregator(set: ByteWriter, start: number): void {
    writeAttributeHeader(set, this.#flags[AttributeCode.aggregator], AttributeCode.aggregator, 8);
    if (this.#usable(AttributeCode.as4Aggregator) && readU16(this.#bytes, start) === asTrans) {
      const from = this.#starts[AttributeCode.as4Aggregator];
      set.bytes(this.#bytes, from, from + 8);
      return;
    }
    set.u16(0);
    set.bytes(this.#bytes, start, start + 6);
  }

  /** RFC 6793 §4.2.3: an AGGREGATOR with another number than AS_TRANS was written after the AS4_ attributes, which are old. */
  #as4Counts(): boolean {
    if (!this.#usable(AttributeCode.aggregator) || !this.#usable(AttributeCode.as4Aggregator)) return true;
    return readU16(this.#bytes, this.#starts[AttributeCode.aggregator]) === asTrans;
  }

  #usable(code: number): boolean {
    for (let i = 0; i < this.#count; i++) if (this.#codes[i] === code) return true;
    return false;
  }
}
