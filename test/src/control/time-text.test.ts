import { expect, test } from 'vitest';
import { timeText } from '../../../src/control/time-text.ts';

test("a time is the day and the second, in the host's time zone", () => {
  expect(timeText(new Date(2026, 0, 2, 3, 4, 5, 678).getTime())).toBe('2026-01-02 03:04:05');
});
