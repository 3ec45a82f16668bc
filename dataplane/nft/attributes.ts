/** Netlink attributes as values, so that what was written can be compared with what the kernel holds. */

import { NetlinkFormatError } from '../netlink/kernel-error.ts';
import { readAttributes, type MessageWriter } from '../netlink/message.ts';

/** A number's bytes, a text's, or further attributes. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

/** By type, without the header. */
export type HeldAttributes = ReadonlyMap<number, Buffer>;

export function number32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** What the kernel keeps for itself, and nft's records, are in the order of the machine: little-endian. */
export function hostNumber32(value: number): Uint8Array {
  return number32(value).reverse();
}

/** Text with its closing zero byte. */
export function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`, 'utf8');
}

export function writeAttributes(writer: MessageWriter, attributes: readonly Attribute[]): void {
  for (const [type, value] of attributes) {
    if (value instanceof Uint8Array) writer.attribute(type, value);
    else writer.nest(type, () => writeAttributes(writer, value));
  }
}

/** @throws NetlinkFormatError */
export function heldAttributes(bytes: Buffer, start = 0, end = bytes.length): HeldAttributes {
  const held = new Map<number, Buffer>();
  readAttributes(bytes, start, end, (type, from, to) => held.set(type, bytes.subarray(from, to)));
  return held;
}

/**
 * Whether the kernel holds every one of the attributes. Those that were not written say what a later kernel knows besides:
 * whoever compares writes all that he knows, also where the value is the one that the kernel would take.
 */
export function holdsAttributes(held: HeldAttributes, wanted: readonly Attribute[]): boolean {
  return wanted.every(([type, value]) => {
    const bytes = held.get(type);
    if (bytes === undefined) return false;
    return value instanceof Uint8Array ? bytes.equals(value) : holdsAttributes(heldAttributes(bytes), value);
  });
}

/** @throws NetlinkFormatError where it is not there */
export function requireAttribute(held: HeldAttributes, type: number, what: string): Buffer {
  const bytes = held.get(type);
  if (bytes === undefined) throw new NetlinkFormatError(`${what} is missing`);
  return bytes;
}
