/** UPDATEs of a made-up table, alike in every run. */

import { ByteWriter } from '../../bgp/wire/byte-writer.ts';

let state = 1;
/** 0 <= x < below, from a row of numbers that is always the same. */
export function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 0x100000000) * below);
}

/** An UPDATE body with `count` prefixes from number `first` on, under attributes that no other body has. */
export function updateBody(first: number, count: number, source: number, hops: number): Uint8Array {
  const attributes = new ByteWriter();
  attributes.bytes(Uint8Array.of(0x40, 1, 1, 0, 0x40, 2, hops === 0 ? 0 : 2 + 4 * hops));
  if (hops > 0) {
    attributes.u8(2);
    attributes.u8(hops);
    for (let i = 0; i < hops; i++) attributes.u32(1000 + random(60_000));
  }
  attributes.bytes(Uint8Array.of(0x40, 3, 4, 10, 9, source >> 8, source & 255, 0x40, 5, 4, 0, 0, 0, 100));
  if (hops > 2) {
    attributes.bytes(Uint8Array.of(0xc0, 8, 4 * hops));
    for (let i = 0; i < hops; i++) attributes.u32((1000 + random(60_000)) * 65536 + random(1000));
  }
  const body = new ByteWriter();
  body.u16(0);
  body.u16(attributes.length);
  body.bytes(attributes.buffer, 0, attributes.length);
  for (let i = first; i < first + count; i++) {
    // An odd factor: each number has a /24 of its own, scattered over the space.
    const address = (Math.imul(i, 0x9e3779b1) & 0xffffff) << 8;
    body.bytes(Uint8Array.of(24, address >>> 24, address >>> 16, address >>> 8));
  }
  return body.copy();
}
