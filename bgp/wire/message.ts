/**
 * The frame of every message: 16 bytes of marker, length, type; and cutting a byte stream into messages.
 * Implements: RFC 4271 §4.1, §4.4 (KEEPALIVE), §6.1 (header errors); RFC 8654 §4 (extended messages).
 * Leaves out: what lies in a message; each type has its file.
 * Holds: a message that lies whole in one chunk of the stream is handed on as a view of it, never copied.
 */

import { HeaderError, ErrorCode, MessageType } from '../registry.ts';
import { ProtocolError } from './protocol-error.ts';

export const headerLength = 19;
export const maximumMessageLength = 4096;
/** RFC 8654: once both sides have the capability; OPEN and KEEPALIVE keep the old limit. */
export const extendedMessageLength = 65535;

/**
 * RFC 4271 §6.1. In bytes, header included. ROUTE-REFRESH: which error a wrong length is depends on its
 * subtype (RFC 7313 §5), and the NOTIFICATION has to hold it as a whole.
 */
const lengthLimits: Readonly<Record<number, { readonly least: number; readonly most: number }>> = {
  [MessageType.open]: { least: 29, most: maximumMessageLength },
  [MessageType.update]: { least: 23, most: extendedMessageLength },
  [MessageType.notification]: { least: 21, most: extendedMessageLength },
  [MessageType.keepalive]: { least: headerLength, most: headerLength },
  [MessageType.routeRefresh]: { least: headerLength, most: maximumMessageLength - headerLength - 2 },
};

/** @returns a whole message. @throws RangeError where the body is longer than any message may be. */
export function encodeMessage(type: number, body: Uint8Array): Uint8Array {
  const length = headerLength + body.length;
  if (length > extendedMessageLength) throw new RangeError(`a message of ${length} bytes`);
  const message = new Uint8Array(length).fill(0xff, 0, 16);
  message[16] = length >> 8;
  message[17] = length & 0xff;
  message[18] = type;
  message.set(body, headerLength);
  return message;
}

/** The one KEEPALIVE there is. Shared: not to be written to. */
export const keepaliveMessage: Uint8Array = encodeMessage(MessageType.keepalive, new Uint8Array(0));

const nothing = new Uint8Array(0);

/** Cuts the stream of one connection into messages: `push` a chunk, then `next` until it answers false; then the chunk is held no more. */
export class MessageStream {
  /** The message at hand; its body is valid until the next call. */
  type = 0;
  body: Uint8Array = nothing;

  private maximum = maximumMessageLength;
  private chunk: Uint8Array = nothing;
  private offset = 0;
  /** The beginning of a message whose end has not come yet. */
  private readonly partial = new PartialMessage();

  /** RFC 8654 §4: from now on messages may be long. */
  allowExtendedMessages(): void {
    this.maximum = extendedMessageLength;
  }

  push(chunk: Uint8Array): void {
    this.chunk = chunk;
    this.offset = 0;
  }

  /**
   * @returns whether there is a whole message, now in `type` and `body`.
   * @throws ProtocolError 1/1, 1/2, 1/3: the stream cannot be read on.
   */
  next(): boolean {
    if (this.partial.length > 0) return this.completePartial();
    const available = this.chunk.length - this.offset;
    if (available < headerLength) return this.keepRest();
    const length = this.checkHeader(this.chunk, this.offset);
    if (available < length) return this.keepRest();
    this.type = this.chunk[this.offset + 18];
    this.body = this.chunk.subarray(this.offset + headerLength, this.offset + length);
    this.offset += length;
    return true;
  }

  private completePartial(): boolean {
    const { partial } = this;
    this.offset += partial.fill(this.chunk, this.offset, headerLength);
    if (partial.length < headerLength) return this.end();
    const length = this.checkHeader(partial.bytes, 0);
    this.offset += partial.fill(this.chunk, this.offset, length);
    if (partial.length < length) return this.end();
    this.type = partial.bytes[18];
    this.body = partial.bytes.subarray(headerLength, length);
    partial.length = 0;
    return true;
  }

  private keepRest(): false {
    this.partial.fill(this.chunk, this.offset, this.chunk.length - this.offset);
    return this.end();
  }

  /** The chunk is read: thousands of quiet sessions must not hold thousands of them. */
  private end(): false {
    this.chunk = this.body = nothing;
    this.offset = 0;
    return false;
  }

  private checkHeader(bytes: Uint8Array, at: number): number {
    for (let i = at; i < at + 16; i++) {
      if (bytes[i] !== 0xff) {
        throw new ProtocolError(ErrorCode.header, HeaderError.connectionNotSynchronized, 'the marker is not all ones');
      }
    }
    const length = (bytes[at + 16] << 8) | bytes[at + 17];
    const type = bytes[at + 18];
    if (length < headerLength || length > this.maximum) throw badLength(type, length);
    const limits = lengthLimits[type];
    if (limits === undefined) {
      const data = Uint8Array.of(type);
      throw new ProtocolError(ErrorCode.header, HeaderError.badMessageType, `message type ${type}`, data);
    }
    if (length < limits.least || length > limits.most) throw badLength(type, length);
    return length;
  }
}

class PartialMessage {
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;

  /** Takes bytes until `target` are there. @returns how many it took. */
  fill(from: Uint8Array, offset: number, target: number): number {
    const count = Math.min(target - this.length, from.length - offset);
    if (count <= 0) return 0;
    this.reserve(Math.max(target, this.length + count));
    this.bytes.set(from.subarray(offset, offset + count), this.length);
    this.length += count;
    return count;
  }

  private reserve(size: number): void {
    if (size <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(size, Math.min(extendedMessageLength, this.bytes.length * 2), 512));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

function badLength(type: number, length: number): ProtocolError {
  const data = Uint8Array.of(length >> 8, length & 0xff);
  const message = `a message of type ${type} with length ${length}`;
  return new ProtocolError(ErrorCode.header, HeaderError.badMessageLength, message, data);
}
