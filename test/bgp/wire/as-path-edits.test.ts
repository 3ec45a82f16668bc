/** AS_PATH as told to some eBGP peers: private numbers (RFC 6996), the peer's own number. */

import { describe, expect, test } from 'vitest';
import { formatAsPath } from '../../../bgp/wire/attributes/as-path.ts';
import { isPrivateAs, writeEditedAsPath } from '../../../bgp/wire/attributes/as-path-edits.ts';
import type { AsPathEdits } from '../../../bgp/wire/attributes/as-path-edits.ts';
import { ByteWriter } from '../../../bgp/wire/byte-writer.ts';

/** A sequence for each run of numbers, a set for each in braces. */
function pathOf(text: string): Uint8Array {
  const writer = new ByteWriter();
  for (const [segment, set] of text.matchAll(/\{([\d ]+)\}|[\d ]+/g)) {
    const numbers = (set ?? segment).split(' ').filter(Boolean).map(Number);
    if (numbers.length === 0) continue;
    writer.u8(set === undefined ? 2 : 1);
    writer.u8(numbers.length);
    for (const number of numbers) writer.u32(number);
  }
  return writer.copy();
}

function edited(text: string, edits: Partial<AsPathEdits>): string {
  const writer = new ByteWriter();
  writeEditedAsPath(writer, pathOf(text), {
    removePrivateAs: undefined,
    override: false,
    localAs: 100,
    remoteAs: 65001,
    ...edits,
  });
  return formatAsPath(writer.copy());
}

test.each([
  [64511, false],
  [64512, true],
  [65534, true],
  [65535, false],
  [4_199_999_999, false],
  [4_200_000_000, true],
  [4_294_967_294, true],
  [4_294_967_295, false],
])('RFC 6996 §5: %i is private: %s', (asNumber, expected) => expect(isPrivateAs(asNumber)).toBe(expected));

describe('private numbers', () => {
  test.each<[NonNullable<AsPathEdits['removePrivateAs']>, string, string]>([
    ['ifAll', '64512 4200000000', ''],
    ['ifAll', '64512 3356 64513', '64512 3356 64513'],
    ['all', '64512 3356 64513', '3356'],
    ['all', '3356 {64512 174}', '3356 {174}'],
    ['all', '3356 {64512 64513}', '3356'],
    ['all', '', ''],
    // By its own number the peer finds loops.
    ['all', '64512 65001 3356', '65001 3356'],
    ['replaceIfAll', '64512 64513', '100 100'],
    ['replaceIfAll', '64512 3356', '64512 3356'],
    ['replaceAll', '64512 3356 {64513 174}', '100 3356 {100 174}'],
    ['replaceAll', '65001 64512', '65001 100'],
  ])('%s: `%s` becomes `%s`', (removePrivateAs, before, after) => {
    expect(edited(before, { removePrivateAs })).toBe(after);
  });
});

describe("the peer's own number", () => {
  test.each([
    ['65001', '100'],
    ['3356 65001 65001 174', '3356 100 100 174'],
    ['3356 {65001 174}', '3356 {100 174}'],
    ['3356', '3356'],
  ])('`%s` becomes `%s`', (before, after) => expect(edited(before, { override: true })).toBe(after));

  test('both edits at once: it is replaced, not taken out', () => {
    expect(edited('64512 65001 3356', { override: true, removePrivateAs: 'all' })).toBe('100 3356');
  });
});
