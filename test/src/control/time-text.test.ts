import { expect, test } from 'vitest';
import { shortTimeText, timeText } from '../../../src/control/time-text.ts';

test("a time is the day and the second, in the host's time zone", () => {
  expect(timeText(new Date(2026, 0, 2, 3, 4, 5, 678).getTime())).toBe('2026-01-02 03:04:05');
});

test('in short it is one word: the second, or after 20 hours the day', () => {
  const time = new Date(2026, 0, 2, 3, 4, 5).getTime();
  expect(shortTimeText(time, time + 19.9 * 3600_000)).toBe('03:04:05');
  expect(shortTimeText(time, time + 20 * 3600_000)).toBe('2026-01-02');
});
