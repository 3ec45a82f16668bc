/**
 * The NOTIFICATION message: an error, and the end of the session.
 * Implements: RFC 4271 §4.5; RFC 9003 (shutdown communication in Cease subcodes 2 and 4); RFC 8538 §3 (Hard Reset).
 */

import { Cease, ErrorCode, formatErrorCode, MessageType } from '../registry.ts';
import { encodeMessage } from './message.ts';

export interface Notification {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** @returns the whole message. */
export function encodeNotification(notification: Notification): Uint8Array {
  const body = new Uint8Array(2 + notification.data.length);
  body[0] = notification.code;
  body[1] = notification.subcode;
  body.set(notification.data, 2);
  return encodeMessage(MessageType.notification, body);
}

/** @param body at least 2 bytes, as the frame's own limits promise. */
export function decodeNotification(body: Uint8Array): Notification {
  return { code: body[0], subcode: body[1], data: body.slice(2) };
}

/** RFC 8538 §3.1: the same NOTIFICATION, inside a Cease that says that nothing is to be kept. */
export function toHardReset({ code, subcode, data }: Notification): Notification {
  return { code: ErrorCode.cease, subcode: Cease.hardReset, data: Uint8Array.of(code, subcode, ...data) };
}

export function isHardReset({ code, subcode }: Notification): boolean {
  return code === ErrorCode.cease && subcode === Cease.hardReset;
}

/** What a Hard Reset carries; undefined: nothing, or it is none. */
function carried(notification: Notification): Notification | undefined {
  return isHardReset(notification) && notification.data.length >= 2 ? decodeNotification(notification.data) : undefined;
}

/** The data of a Cease with words for the peer's operator: RFC 9003 §2. Cut at 255 bytes of UTF-8; empty text: no data. */
export function encodeShutdownCommunication(text: string): Uint8Array {
  const limit = 255;
  const encoder = new TextEncoder();
  const bytes = new Uint8Array(limit + 1);
  // encodeInto never leaves half a character.
  const { written } = encoder.encodeInto(text, bytes.subarray(1));
  if (written === 0) return new Uint8Array(0);
  bytes[0] = written;
  return bytes.slice(0, 1 + written);
}

/** The words in a Cease, safe to print; undefined where there are none, or where they are not UTF-8 (RFC 9003 §4). */
export function shutdownCommunication(notification: Notification): string | undefined {
  const { code, subcode, data } = notification;
  if (code !== ErrorCode.cease) return undefined;
  if (subcode !== Cease.administrativeShutdown && subcode !== Cease.administrativeReset) return undefined;
  if (data.length < 2 || data[0] === 0 || data[0] > data.length - 1) return undefined;
  const text = decodeUtf8(data.subarray(1, 1 + data[0]));
  // A terminal must not obey what a peer says.
  return text?.replaceAll(/\p{Cc}/gu, '\u{fffd}');
}

/** `cease: administrative shutdown (6/2) "rack 4 is moved"`, `cease: hard reset (6/9) with cease: peer de-configured (6/3)` */
export function formatNotification(notification: Notification): string {
  const name = formatErrorCode(notification.code, notification.subcode);
  const inner = carried(notification);
  if (inner !== undefined) return `${name} with ${formatNotification({ ...inner, data: withoutNesting(inner) })}`;
  const words = shutdownCommunication(notification);
  return words === undefined ? name : `${name} "${words}"`;
}

/** A Hard Reset in a Hard Reset says nothing more. */
function withoutNesting(notification: Notification): Uint8Array {
  return isHardReset(notification) ? new Uint8Array(0) : notification.data;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
