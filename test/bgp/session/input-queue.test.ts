import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputQueue } from '../../../bgp/session/input-queue.ts';

test('what was pushed comes out in order, in pieces of 16 KiB at most, and is not touched while it is lent', () => {
  const step = fc.oneof(fc.integer({ min: 0, max: 40_000 }), fc.constant('take' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queues = [new InputQueue(), new InputQueue()];
      const written = [0, 0];
      const read = [0, 0];
      // The bytes are those of a counter, another one for each queue.
      const byte = (queue: number, i: number) => (i * 31 + queue * 7) & 0xff;
      for (const [number, step] of steps.entries()) {
        const i = number % 2;
        if (step !== 'take') {
          queues[i].push(Uint8Array.from({ length: step }, (_, at) => byte(i, written[i] + at)));
          written[i] += step;
        } else {
          const chunk = queues[i].take();
          queues[1 - i].push(Uint8Array.of(byte(1 - i, written[1 - i])));
          written[1 - i]++;
          if (chunk === undefined) expect(read[i]).toBe(written[i]);
          else {
            expect(chunk.length).toBeLessThanOrEqual(16 * 1024);
            expect(chunk.every((value, at) => value === byte(i, read[i] + at))).toBe(true);
            read[i] += chunk.length;
          }
        }
        expect(queues[i].unreadBytes).toBe(written[i] - read[i]);
        expect(queues[i].isEmpty).toBe(written[i] === read[i]);
      }
      for (const queue of queues) queue.clear();
      expect(queues.map(({ unreadBytes }) => unreadBytes)).toEqual([0, 0]);
    }),
    { numRuns: 100 },
  );
});

test('a short message has a small block; what follows before it is read, or comes in one go, has large ones', () => {
  const queue = new InputQueue();
  const take = () => queue.take()?.buffer.byteLength;
  queue.push(new Uint8Array(1024));
  expect(take()).toBe(1024);
  queue.push(new Uint8Array(1025));
  expect(take()).toBe(16 * 1024);
  queue.push(new Uint8Array(1000));
  queue.push(new Uint8Array(1000));
  expect([take(), take(), take()]).toEqual([1024, 16 * 1024, undefined]);
});

test('a block that was given back is the next to be filled', () => {
  const queue = new InputQueue();
  queue.push(Uint8Array.of(1));
  const first = queue.take();
  queue.release();
  queue.push(Uint8Array.of(2));
  expect(queue.take()?.buffer).toBe(first?.buffer);
});
