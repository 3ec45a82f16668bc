/**
 * The peer broke the protocol: the one error that leaves a decoder.
 * Implements: RFC 4271 §6 (error codes and subcodes), §4.5 (the NOTIFICATION that it becomes).
 */

export class ProtocolError extends Error {
  /** NOTIFICATION error code, RFC 4271 §4.5. */
  readonly code: number;
  readonly subcode: number;
  /** What the NOTIFICATION carries as data. */
  readonly data: Uint8Array;

  constructor(code: number, subcode: number, message: string, data: Uint8Array = new Uint8Array(0)) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
    this.subcode = subcode;
    this.data = data;
  }
}
