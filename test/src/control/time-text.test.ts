import { expect, test } from 'vitest';
import { longTime, shortTime } from '../../../src/control/time-text.ts';

const at = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();
const hour = 3_600_000;

test.each([
  [at, '03:04:05.006'],
  [at + 20 * hour - 1, '03:04:05.006'],
  [at + 20 * hour, '2026-01-02'],
  [at - hour, '03:04:05.006'],
])('a time in a table, seen at %i: %s', (now, text) => {
  expect(shortTime(at, now)).toBe(text);
});

test('a time in full', () => {
  expect(longTime(at)).toBe('2026-01-02 03:04:05.006');
});
