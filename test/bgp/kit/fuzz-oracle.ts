/**
 * Whether a session must or may end for what was said on it: read from the RFCs once more, apart from the product's decoders.
 * RFC 4271 §6.1 and §6.3, RFC 7606 §3 and §5, RFC 7911 §3, RFC 8654, RFC 2918.
 */

export interface Expectation {
  /** The session has to end. */
  readonly must: boolean;
  /** It may. */
  readonly may: boolean;
}

const never: Expectation = { must: false, may: false };
const always: Expectation = { must: true, may: true };
const perhaps: Expectation = { must: false, may: true };

/** AFIs whose prefixes have path identifiers. */
type WithPathIds = ReadonlySet<number>;

/**
 * @param messages after OPEN and KEEPALIVE; they may be wrong in their headers, too
 * @param open what the peer opened with
 * @param severalPaths whether we are able to receive several paths of a prefix
 */
export function expectedEnd(messages: readonly Uint8Array[], open: Uint8Array, severalPaths: boolean): Expectation {
  const withPathIds = severalPaths ? sendsSeveralPaths(open) : new Set<number>();
  const longest = offersExtendedMessages(open) ? 65535 : 4096;
  const stream = Uint8Array.from(messages.flatMap((message) => [...message]));
  let may = false;
  for (let at = 0; at + 19 <= stream.length;) {
    const length = u16(stream, at + 16);
    const type = stream[at + 18];
    if (stream.subarray(at, at + 16).some((byte) => byte !== 0xff)) return always;
    if (!headerIsRight(type, length, longest)) return always;
    // The rest of it never comes.
    if (at + length > stream.length) break;
    const verdict = judge(type, stream.subarray(at + 19, at + length), withPathIds);
    if (verdict.must) return always;
    may ||= verdict.may;
    at += length;
  }
  return may ? perhaps : never;
}

function headerIsRight(type: number, length: number, longest: number): boolean {
  switch (type) {
    case 1:
      return length >= 29 && length <= 4096;
    case 2:
      return length >= 23 && length <= longest;
    case 3:
      return length >= 21 && length <= longest;
    case 4:
      return length === 19;
    case 5:
      // RFC 7313 §5 answers a wrong length with the message, which must fit into the NOTIFICATION: it is waited for.
      return length <= 4096 - 21;
    default:
      return false;
  }
}

function judge(type: number, body: Uint8Array, withPathIds: WithPathIds): Expectation {
  // An OPEN has no place in an established session; a NOTIFICATION ends it.
  if (type === 1 || type === 3) return always;
  if (type === 5 && body.length !== 4) return always;
  return type === 2 ? judgeUpdate(body, withPathIds) : never;
}

const knownCodes = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32]);

function judgeUpdate(body: Uint8Array, withPathIds: WithPathIds): Expectation {
  const withdrawnEnd = 2 + u16(body, 0);
  if (withdrawnEnd + 2 > body.length) return always;
  const attributesEnd = withdrawnEnd + 2 + u16(body, withdrawnEnd);
  if (attributesEnd > body.length) return always;
  const before = withPathIds.has(1) ? 4 : 0;
  const areRight = (start: number, end: number) => prefixesAreRight(body, start, end, 32, before);
  if (!areRight(2, withdrawnEnd) || !areRight(attributesEnd, body.length)) return always;
  // RFC 7606 §5.3, §7.11: where the prefixes of an MP attribute cannot be read, or it stands there twice.
  const seen = new Set<number>();
  const announces = attributesEnd < body.length;
  // RFC 7606 §5.2: an error among the attributes of an UPDATE that announces nothing may hide what it announces.
  const unlessHidden = () => (announces || seen.has(14) || withdrawnEnd + 2 === attributesEnd ? never : perhaps);
  for (let at = withdrawnEnd + 2; at < attributesEnd;) {
    const extended = (body[at] & 0x10) !== 0;
    const start = at + (extended ? 4 : 3);
    // RFC 7606 §4: the rest is unreadable; what is there is withdrawn.
    if (start > attributesEnd) break;
    const code = body[at + 1];
    const end = start + (extended ? u16(body, at + 2) : body[at + 2]);
    const isMp = code === 14 || code === 15;
    // An MP attribute that runs past the end may hide prefixes.
    if (end > attributesEnd) return isMp ? perhaps : unlessHidden();
    // RFC 4271 §6.3: nobody knows a well-known attribute of this code.
    if ((body[at] & 0x80) === 0 && !knownCodes.has(code)) return perhaps;
    if (isMp) {
      if (seen.has(code)) return always;
      seen.add(code);
      if ((body[at] & 0xc0) !== 0x80) return perhaps;
      const verdict = judgeMp(code, body.subarray(start, end), withPathIds);
      if (verdict.may) return verdict;
    }
    at = end;
  }
  return unlessHidden();
}

function judgeMp(code: number, value: Uint8Array, withPathIds: WithPathIds): Expectation {
  if (value.length < 3) return always;
  const known = (u16(value, 0) === 1 || u16(value, 0) === 2) && value[2] === 1;
  // A family that was not agreed on: RFC 4760 leaves the choice between ignoring it and a reset.
  if (!known) return perhaps;
  const most = u16(value, 0) === 1 ? 32 : 128;
  const before = withPathIds.has(u16(value, 0)) ? 4 : 0;
  if (code === 15) return prefixesAreRight(value, 3, value.length, most, before) ? never : always;
  if (value.length < 5) return always;
  const nlri = 4 + value[3] + 1;
  if (nlri > value.length) return always;
  const lengths = most === 32 ? [4] : [16, 32];
  if (!lengths.includes(value[3])) return perhaps;
  return prefixesAreRight(value, nlri, value.length, most, before) ? never : always;
}

/** @param before bytes of the path identifier in front of each */
function prefixesAreRight(bytes: Uint8Array, start: number, end: number, most: number, before: number): boolean {
  let at = start;
  while (at < end) {
    at += before;
    if (at >= end) return false;
    if (bytes[at] > most) return false;
    at += 1 + Math.ceil(bytes[at] / 8);
  }
  return at === end;
}

/** RFC 8654. */
function offersExtendedMessages(open: Uint8Array): boolean {
  return capabilitiesOf(open).some(([code]) => code === 6);
}

/** RFC 7911 §4: AFIs with unicast of which the peer sends several paths. */
function sendsSeveralPaths(open: Uint8Array): Set<number> {
  const found = new Set<number>();
  for (const [code, value] of capabilitiesOf(open)) {
    if (code !== 69) continue;
    for (let at = 0; at < value.length; at += 4) {
      if (value[at + 2] === 1 && (value[at + 3] & 2) !== 0) found.add(u16(value, at));
    }
  }
  return found;
}

/** Of an OPEN that is right: code and value of each. */
function capabilitiesOf(open: Uint8Array): [code: number, value: Uint8Array][] {
  const found: [number, Uint8Array][] = [];
  for (let at = 29; at < open.length; at += 2 + open[at + 1]) {
    if (open[at] !== 2) continue;
    for (let inner = at + 2; inner < at + 2 + open[at + 1]; inner += 2 + open[inner + 1]) {
      found.push([open[inner], open.subarray(inner + 2, inner + 2 + open[inner + 1])]);
    }
  }
  return found;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
