import { beforeEach, describe, expect, test } from 'vitest';

import { Backoff } from '../../dataplane/backoff.ts';
import type { Clock } from '../../dataplane/clock.ts';
import { Coalesced } from '../../dataplane/coalesced.ts';
import { difference } from '../../dataplane/delta.ts';

class VirtualClock implements Clock {
  time = 0;
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.time;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = Math.max(this.time, end);
  }
}

let clock: VirtualClock;
beforeEach(() => {
  clock = new VirtualClock();
});

const reason = { errno: 'ENETUNREACH', message: 'Nexthop has invalid gateway' };

describe('backoff', () => {
  test('doubles from one second to a minute; `since` stays the first failure', () => {
    const tries: number[] = [];
    const backoff: Backoff<string> = new Backoff(clock, (keys) => {
      tries.push(clock.now() / 1000);
      for (const key of keys) backoff.add(key, reason);
    });
    backoff.add('a', reason);
    clock.advance(200_000);
    expect(tries).toEqual([1, 3, 7, 15, 31, 63, 123, 183]);
    expect(backoff.list()).toEqual([{ key: 'a', ...reason, since: 0, attempts: 9, retryAt: 243_000 }]);
  });

  test('one timer serves keys of different age; what succeeded is not tried again', () => {
    const tries: string[] = [];
    const backoff: Backoff<string> = new Backoff(clock, (keys) => {
      for (const key of keys) {
        tries.push(`${key}@${clock.now()}`);
        backoff.delete(key);
      }
    });
    backoff.add('a', reason);
    clock.advance(400);
    backoff.add('b', reason);
    backoff.add('c', reason);
    backoff.delete('c');
    clock.advance(10_000);
    expect(tries).toEqual(['a@1000', 'b@1400']);
  });

  test('a change in the world is a reason to try all of them soon, once', () => {
    const tries: number[] = [];
    const backoff: Backoff<string> = new Backoff(clock, (keys) => {
      tries.push(keys.length);
      for (const key of keys) backoff.add(key, reason);
    });
    backoff.add('a', reason);
    backoff.add('b', reason);
    backoff.retrySoon();
    backoff.retrySoon();
    clock.advance(50);
    expect(tries).toEqual([2]);
  });
});

describe('coalesced work', () => {
  test('a burst of requests is one run; one that took long is followed by a rest four times as long', () => {
    const runs: number[] = [];
    const work = new Coalesced(clock, 5, () => {
      runs.push(clock.now());
      clock.time += 100;
    });
    for (let i = 0; i < 10; i++) work.request();
    clock.advance(5);
    expect(runs).toEqual([5]);
    work.request();
    clock.advance(1000);
    expect(runs).toEqual([5, 505]);
    work.request();
    work.cancel();
    clock.advance(1000);
    expect(runs).toHaveLength(2);
  });
});

test('a delta writes what is missing or differs, and removes what is not desired', () => {
  const key = { desired: ([name]: [string, number]) => name, actual: ([name]: [string, number]) => name };
  const delta = difference<[string, number], [string, number]>(
    [
      ['same', 1],
      ['changed', 2],
      ['new', 3],
    ],
    [
      ['same', 1],
      ['changed', 1],
      ['old', 4],
    ],
    key,
    (desired, actual) => desired[1] === actual[1],
  );
  expect(delta).toEqual({
    writes: [
      ['changed', 2],
      ['new', 3],
    ],
    removals: [['old', 4]],
  });
});
