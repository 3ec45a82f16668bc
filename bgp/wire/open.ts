/**
 * The OPEN message.
 * Implements: RFC 4271 §4.2; RFC 5492 §4 (capabilities parameter); RFC 9072 (extended optional parameters, on receive);
 * RFC 6793 §4.2.1 (AS_TRANS in the 2-octet field).
 * Leaves out: whether the values suit us; that is session/negotiate.ts.
 */

import { asTrans, ErrorCode, MessageType, OpenError } from '../registry.ts';
import type { Capabilities } from './capabilities.ts';
import { decodeCapabilities, encodeCapabilities } from './capabilities.ts';
import { encodeMessage } from './message.ts';
import { ProtocolError } from './protocol-error.ts';

export interface Open {
  /** What stands in the 2-octet field: AS_TRANS where the number is in the capability only. */
  readonly asNumberField: number;
  readonly holdTimeSeconds: number;
  /** 4 bytes. */
  readonly bgpIdentifier: Uint8Array;
  readonly capabilities: Capabilities;
}

const version = 4;
const capabilitiesParameter = 2;
/** RFC 9072 §2: in the places of the length and of the first parameter's type. */
const extendedLengthMark = 255;

/** @returns the whole message. @throws RangeError where the capabilities do not fit into one parameter (255 bytes). */
export function encodeOpen(open: Open): Uint8Array {
  const capabilities = encodeCapabilities(open.capabilities);
  const parametersLength = capabilities.length + 2;
  if (parametersLength >= extendedLengthMark) throw new RangeError(`capabilities of ${capabilities.length} bytes`);
  const body = new Uint8Array(10 + parametersLength);
  body[0] = version;
  body[1] = open.asNumberField >> 8;
  body[2] = open.asNumberField & 0xff;
  body[3] = open.holdTimeSeconds >> 8;
  body[4] = open.holdTimeSeconds & 0xff;
  body.set(open.bgpIdentifier, 5);
  body[9] = parametersLength;
  body[10] = capabilitiesParameter;
  body[11] = capabilities.length;
  body.set(capabilities, 12);
  return encodeMessage(MessageType.open, body);
}

/** The value of the 2-octet AS field for an AS number. */
export function asNumberField(asNumber: number): number {
  return asNumber > 0xffff ? asTrans : asNumber;
}

/**
 * @param body at least 10 bytes, as the frame's own limits promise; kept by what is returned only as copies.
 * @throws ProtocolError 2/0, 2/1, 2/4.
 */
export function decodeOpen(body: Uint8Array): Open {
  if (body[0] !== version) {
    const message = `BGP version ${body[0]}`;
    // RFC 4271 §6.2: the data is the largest version that we support.
    throw new ProtocolError(ErrorCode.open, OpenError.unsupportedVersion, message, Uint8Array.of(0, version));
  }
  return {
    asNumberField: (body[1] << 8) | body[2],
    holdTimeSeconds: (body[3] << 8) | body[4],
    bgpIdentifier: body.slice(5, 9),
    capabilities: decodeCapabilities(capabilityParameters(body)),
  };
}

function capabilityParameters(body: Uint8Array): Uint8Array[] {
  // RFC 9072 §2: the mark is in the type of the first parameter; the length before it should be 255, and may be any but 0.
  const extended = body[9] !== 0 && body[10] === extendedLengthMark;
  const lengthOctets = extended ? 2 : 1;
  const start = extended ? 13 : 10;
  if (body.length < start) throw malformed('the optional parameters are cut off');
  const length = extended ? (body[11] << 8) | body[12] : body[9];
  if (start + length !== body.length)
    throw malformed(`optional parameters of ${length} bytes in ${body.length - start}`);
  const found: Uint8Array[] = [];
  for (let at = start; at < body.length;) {
    const valueAt = at + 1 + lengthOctets;
    if (valueAt > body.length) throw malformed('an optional parameter is cut off');
    const type = body[at];
    const valueEnd = valueAt + (extended ? (body[at + 1] << 8) | body[at + 2] : body[at + 1]);
    if (valueEnd > body.length) throw malformed('an optional parameter is longer than the message');
    if (type !== capabilitiesParameter) {
      const message = `optional parameter type ${type}`;
      throw new ProtocolError(ErrorCode.open, OpenError.unsupportedOptionalParameter, message);
    }
    found.push(body.subarray(valueAt, valueEnd));
    at = valueEnd;
  }
  return found;
}

function malformed(reason: string): ProtocolError {
  return new ProtocolError(ErrorCode.open, OpenError.unspecific, reason);
}
