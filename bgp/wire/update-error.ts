/**
 * The errors in an UPDATE for which the session is reset.
 * Implements: RFC 4271 §6.3 (subcodes, data), as narrowed by RFC 7606.
 */

import { ErrorCode } from '../registry.ts';
import { ProtocolError } from './protocol-error.ts';

const subcodes = {
  malformedAttributeList: 1,
  unrecognizedWellKnownAttribute: 2,
  optionalAttributeError: 9,
  invalidNetworkField: 10,
} as const;

/** @param data what the NOTIFICATION carries: the attribute at fault, whole, where there is one */
export function updateError(kind: keyof typeof subcodes, message: string, data?: Uint8Array): ProtocolError {
  return new ProtocolError(ErrorCode.update, subcodes[kind], `UPDATE: ${message}`, data?.slice());
}
