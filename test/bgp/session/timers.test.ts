import { expect, test } from 'vitest';
import { backoff, jittered, sendHoldTimeSeconds, SessionTimers } from '../../../bgp/session/timers.ts';
import { WakeQueue } from '../../../bgp/session/wake-queue.ts';

test('RFC 4271 §10: jitter takes up to a quarter off', () => {
  expect(jittered(1000, 0)).toBe(750);
  expect(jittered(1000, 0.999999)).toBeCloseTo(1000, 2);
});

test('backoff: a second, doubled with each failure, up to the limit', () => {
  expect([1, 2, 3, 4, 100].map((failures) => backoff(failures, 30))).toEqual([1000, 2000, 4000, 8000, 30_000]);
});

test('RFC 9687 §3: eight minutes, or twice the hold time', () => {
  expect(sendHoldTimeSeconds(90)).toBe(480);
  expect(sendHoldTimeSeconds(600)).toBe(1200);
});

test('expired timers come one by one and are stopped, keepalives first', () => {
  const timers = new SessionTimers();
  timers.hold = 10;
  timers.keepalive = 10;
  timers.idleHold = 30;
  expect(timers.next()).toBe(10);
  expect([timers.takeExpired(20), timers.takeExpired(20), timers.takeExpired(20)]).toEqual([
    'keepalive',
    'hold',
    undefined,
  ]);
  expect(timers.next()).toBe(30);
  timers.stopAll();
  expect(timers.next()).toBe(Infinity);
});

test('the wake queue gives sleepers in the order of their times, each once', () => {
  const queue = new WakeQueue<{ name: number; wakeAt: number }>();
  const sleepers = Array.from({ length: 200 }, (_, name) => ({ name, wakeAt: Infinity }));
  for (const sleeper of sleepers) queue.wake(sleeper, 1000 + ((sleeper.name * 7919) % 200));
  // Earlier counts, later does not.
  queue.wake(sleepers[5], 1);
  queue.wake(sleepers[6], 5000);
  queue.forget(sleepers[7]);
  expect(queue.take(0)).toBeUndefined();
  expect(queue.next()).toBe(1);
  expect(queue.take(999)).toBe(sleepers[5]);
  const order: number[] = [];
  for (let next = queue.take(Infinity); next !== undefined; next = queue.take(Infinity)) order.push(next.name);
  const expected = sleepers
    .map(({ name }) => name)
    .filter((name) => name !== 5 && name !== 7)
    .sort((a, b) => ((a * 7919) % 200) - ((b * 7919) % 200));
  expect(order).toEqual(expected);
  expect(queue.next()).toBe(Infinity);
});
