import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, FrameDecoder, FrameError } from '../../../src/control/json-protocol.ts';

test('a frame is its length in four bytes, big endian, and its JSON', () => {
  expect(encodeFrame({ id: 1 }).toString('hex')).toBe(`00000008${Buffer.from('{"id":1}').toString('hex')}`);
});

test('whatever the cuts of the stream, the decoder gives the values', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.infiniteStream(fc.integer({ min: 1, max: 20 })), (values, cuts) => {
      const sent = values.map((value) => JSON.parse(JSON.stringify(value)) as unknown);
      const bytes = Buffer.concat(sent.map(encodeFrame));
      const decoder = new FrameDecoder(1_000_000);
      const received: unknown[] = [];
      for (let at = 0; at < bytes.length;) {
        const size = cuts.next().value as number;
        received.push(...decoder.push(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(received).toEqual(sent);
    }),
  );
});

test('of any bytes, nothing but a FrameError comes', () => {
  const framed = fc
    .uint8Array({ maxLength: 40 })
    .map((body) => Buffer.concat([Buffer.from([0, 0, 0, body.length]), body]));
  fc.assert(
    fc.property(fc.array(fc.oneof(framed, fc.uint8Array({ maxLength: 40 }))), (chunks) => {
      const decoder = new FrameDecoder(1000);
      try {
        for (const chunk of chunks) Array.from(decoder.push(chunk));
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a frame larger than allowed is refused by its length alone', () => {
  const decoder = new FrameDecoder(1000);
  expect(() => [...decoder.push(Buffer.from([0, 0, 3, 0xe9]))]).toThrow(
    new FrameError('a frame of 1001 bytes, more than the 1000 allowed'),
  );
});
