import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bfdStates } from '../../../bgp/bfd/fsm.ts';
import type { ControlPacket } from '../../../bgp/bfd/packet.ts';
import { decodeControlPacket, discardReasons, encodeControlPacket } from '../../../bgp/bfd/packet.ts';
import { fromHex, toHex } from '../kit/hex.ts';

const down: ControlPacket = {
  state: 'down',
  diagnostic: 0,
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMultiplier: 3,
  myDiscriminator: 0x01020304,
  yourDiscriminator: 0,
  desiredMinimumTransmit: 1_000_000,
  requiredMinimumReceive: 300_000,
  requiredMinimumEchoReceive: 0,
};

describe('RFC 5880 §4.1', () => {
  const up = { ...down, state: 'up', yourDiscriminator: 0xfffffffe, desiredMinimumTransmit: 300_000 } as const;
  const vectors: [name: string, hex: string, value: ControlPacket][] = [
    ['the first packet of a session', '20 40 03 18 01020304 00000000 000f4240 000493e0 00000000', down],
    ['up, with a poll', '20 e0 03 18 01020304 fffffffe 000493e0 000493e0 00000000', { ...up, poll: true }],
    ['its answer', '20 d0 03 18 01020304 fffffffe 000493e0 000493e0 00000000', { ...up, final: true }],
    ['down after a timeout', '21 40 03 18 01020304 00000000 000f4240 000493e0 00000000', { ...down, diagnostic: 1 }],
    [
      'administratively down',
      '27 00 03 18 01020304 fffffffe 000f4240 000493e0 00000000',
      { ...down, state: 'adminDown', diagnostic: 7, yourDiscriminator: 0xfffffffe },
    ],
    [
      'init, C and D, with echo, as hardware sends it',
      '20 8a ff 18 01020304 fffffffe 00002710 00002710 0000c350',
      {
        ...up,
        state: 'init',
        controlPlaneIndependent: true,
        demand: true,
        detectMultiplier: 255,
        desiredMinimumTransmit: 10_000,
        requiredMinimumReceive: 10_000,
        requiredMinimumEchoReceive: 50_000,
      },
    ],
  ];
  test.each(vectors)('%s', (_, hex, value) => {
    expect(decodeControlPacket(fromHex(hex))).toEqual(value);
    expect(toHex(encodeControlPacket(value))).toBe(hex.replaceAll(' ', ''));
  });
});

test.each([
  ['tooShort', '20 40 03 18 01020304 00000000 000f4240 000493e0 000000'],
  ['tooShort', ''],
  ['badVersion', '00 40 03 18 01020304 00000000 000f4240 000493e0 00000000'],
  ['badVersion', '40 40 03 18 01020304 00000000 000f4240 000493e0 00000000'],
  ['badLength', '20 40 03 17 01020304 00000000 000f4240 000493e0 00000000'],
  ['badLength', '20 40 03 19 01020304 00000000 000f4240 000493e0 00000000'],
  ['badLength', '20 44 03 18 01020304 00000000 000f4240 000493e0 00000000 0000'],
  ['zeroDetectMultiplier', '20 40 00 18 01020304 00000000 000f4240 000493e0 00000000'],
  ['multipointBit', '20 41 03 18 01020304 00000000 000f4240 000493e0 00000000'],
  ['zeroDiscriminator', '20 40 03 18 00000000 00000000 000f4240 000493e0 00000000'],
  ['zeroYourDiscriminator', '20 c0 03 18 01020304 00000000 000f4240 000493e0 00000000'],
  ['zeroYourDiscriminator', '20 80 03 18 01020304 00000000 000f4240 000493e0 00000000'],
  ['authentication', '20 44 03 1a 01020304 00000000 000f4240 000493e0 00000000 0102'],
])('RFC 5880 §6.8.6: discarded: %s (%s)', (reason, hex) => {
  expect(decodeControlPacket(fromHex(hex))).toBe(reason);
});

test('a packet that polls and answers at once is an answer', () => {
  const packet = decodeControlPacket(fromHex('20 70 03 18 01020304 00000000 000f4240 000493e0 00000000'));
  expect(packet).toEqual({ ...down, final: true });
});

test('bytes beyond the length are not looked at', () => {
  const hex = '20 40 03 18 01020304 00000000 000f4240 000493e0 00000000 ffffff';
  expect(decodeControlPacket(fromHex(hex))).toEqual(down);
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

test('decode(encode(packet)) is the packet', () => {
  const packets = fc.record({
    state: fc.constantFrom(...bfdStates),
    diagnostic: fc.integer({ min: 0, max: 31 }),
    poll: fc.boolean(),
    final: fc.constant(false),
    controlPlaneIndependent: fc.boolean(),
    demand: fc.boolean(),
    detectMultiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    yourDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    desiredMinimumTransmit: u32,
    requiredMinimumReceive: u32,
    requiredMinimumEchoReceive: u32,
  });
  fc.assert(
    fc.property(packets, (packet) => {
      expect(decodeControlPacket(encodeControlPacket(packet))).toEqual(packet);
    }),
  );
});

test('no bytes make anything but a packet or a reason', () => {
  const nearlyValid = fc
    .tuple(fc.uint8Array({ minLength: 24, maxLength: 30 }), fc.integer({ min: 0, max: 31 }))
    .map(([bytes, diagnostic]) => Uint8Array.of(0x20 | diagnostic, bytes[1], bytes[2], 24, ...bytes.subarray(4)));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), nearlyValid), (bytes) => {
      const result = decodeControlPacket(bytes);
      if (typeof result === 'string') expect(discardReasons).toContain(result);
      else expect(result.myDiscriminator * result.detectMultiplier).toBeGreaterThan(0);
    }),
    { numRuns: 2000 },
  );
});
