import { expect, test } from 'vitest';
import {
  decodeNotification,
  encodeNotification,
  encodeShutdownCommunication,
  formatNotification,
  toHardReset,
  shutdownCommunication,
} from '../../../bgp/wire/notification.ts';
import { fromHex, messageHex, toHex } from '../kit/hex.ts';

test('RFC 4271 §4.5: code, subcode, data', () => {
  const notification = { code: 2, subcode: 6, data: fromHex('0001') };
  expect(toHex(encodeNotification(notification))).toBe(messageHex(3, '02060001'));
  expect(decodeNotification(fromHex('02060001'))).toEqual(notification);
});

test('RFC 9003 §2: a length and UTF-8 text', () => {
  const data = encodeShutdownCommunication('rack 4 is moved');
  expect(toHex(data)).toBe('0f7261636b2034206973206d6f766564');
  expect(shutdownCommunication({ code: 6, subcode: 2, data })).toBe('rack 4 is moved');
});

test('RFC 9003 §2: longer text is cut between characters', () => {
  const data = encodeShutdownCommunication('ä'.repeat(200));
  expect(data[0]).toBe(254);
  expect(shutdownCommunication({ code: 6, subcode: 4, data })).toBe('ä'.repeat(127));
});

test('no text, no data', () => {
  expect(encodeShutdownCommunication('')).toEqual(new Uint8Array(0));
});

test.each([
  ['another subcode of Cease', 6, 3, '0361626364'],
  ['another code', 2, 2, '03616263'],
  ['a length beyond the data', 6, 2, '05616263'],
  ['text that is not UTF-8', 6, 2, '02c328'],
  ['an empty text', 6, 2, '00'],
  ['no data', 6, 2, ''],
])('RFC 9003 §4: no words in %s', (_, code, subcode, data) => {
  expect(shutdownCommunication({ code, subcode, data: fromHex(data) })).toBeUndefined();
});

test("a peer's words cannot command a terminal", () => {
  expect(shutdownCommunication({ code: 6, subcode: 2, data: fromHex('051b5b324a21') })).toBe('\u{fffd}[2J!');
});

test('RFC 8538 §3.1: a Hard Reset is a Cease with the whole of another NOTIFICATION in it', () => {
  const notification = { code: 6, subcode: 2, data: fromHex('02686f') };
  expect(toHex(encodeNotification(toHardReset(notification)))).toBe(messageHex(3, '0609060202686f'));
});

test.each([
  [{ code: 2, subcode: 2, data: '' }, 'OPEN error: bad peer AS (2/2)'],
  [{ code: 4, subcode: 0, data: '' }, 'hold timer expired (4/0)'],
  [{ code: 6, subcode: 2, data: '02686f' }, 'cease: administrative shutdown (6/2) "ho"'],
  [{ code: 6, subcode: 9, data: '' }, 'cease: hard reset (6/9)'],
  [{ code: 6, subcode: 9, data: '06' }, 'cease: hard reset (6/9)'],
  [{ code: 6, subcode: 9, data: '0603' }, 'cease: hard reset (6/9) with cease: peer de-configured (6/3)'],
  [
    { code: 6, subcode: 9, data: '060202686f' },
    'cease: hard reset (6/9) with cease: administrative shutdown (6/2) "ho"',
  ],
  [{ code: 6, subcode: 9, data: '0609060906090603' }, 'cease: hard reset (6/9) with cease: hard reset (6/9)'],
  [{ code: 6, subcode: 99, data: '' }, 'cease (6/99)'],
  [{ code: 77, subcode: 1, data: '' }, 'unknown error (77/1)'],
])('is told in words: %j', ({ code, subcode, data }, text) => {
  expect(formatNotification({ code, subcode, data: fromHex(data) })).toBe(text);
});
