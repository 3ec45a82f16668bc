/** Conditions of a rule that are more than a comparison: patterns of communities and of AS paths. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { asPathPattern } from '../../../src/resources/fields.ts';
import { communityMatcher, matchesAsPath } from '../../../src/topology/route-matchers.ts';

test.each([
  ['64512:1', '64512:1', true],
  ['64512:1', '64512:10', false],
  ['64512:*', '64512:10', true],
  ['64512:*', '64513:10', false],
  ['6451:*', '64512:10', false],
  ['64512:*', '64512:1:2', false],
  ['64512:*:*', '64512:1:2', true],
  ['64512:1:*', '64512:2:2', false],
  ['*:*', '1:2', true],
  ['*:*', '1:2:3', false],
  ['rt:64512:*', 'rt:64512:7', true],
  ['rt:64512:*', 'ro:64512:7', false],
])('%s covers %s: %s', (pattern, text, expected) => expect(communityMatcher([pattern])(text)).toBe(expected));

const patternOf = (text: string) => asPathPattern().parse(text);

test.each([
  ['65001', [65001], true],
  ['65001', [65001, 65001], false],
  ['65001', [], false],
  ['*', [], true],
  ['*', [1, 2, 3], true],
  ['* 65001', [1, 2, 65001], true],
  ['* 65001', [65001], true],
  ['* 65001', [65001, 1], false],
  ['65001 *', [65001], true],
  ['65001 *', [65001, 7, 8], true],
  ['* 7 *', [1, 7, 2], true],
  ['* 7 *', [1, 2], false],
  ['* 7 8 *', [7, 7, 8], true],
  ['* 1 * 2', [1, 2, 1, 3, 2], true],
  ['?', [5], true],
  ['? ?', [5], false],
  ['64512-65534', [64512], true],
  ['64512-65534', [65535], false],
  ['* 64512-65534 ?', [1, 64600, 9], true],
])('the path %s covers %j: %s', (pattern, path, expected) => {
  expect(matchesAsPath(patternOf(pattern), path)).toBe(expected);
});

test('any pattern means what a regular expression of the same form means', () => {
  const element = fc.constantFrom('*', '?', '1', '2', '1-2');
  const words: Record<string, string> = { '*': '(?:[123],)*', '?': '[123],', '1': '1,', '2': '2,', '1-2': '[12],' };
  fc.assert(
    fc.property(
      fc.array(element, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 8 }),
      (elements, path) => {
        const expected = new RegExp(`^${elements.map((text) => words[text]).join('')}$`).test(
          path.map((n) => `${n},`).join(''),
        );
        expect(matchesAsPath(patternOf(elements.join(' ')), path)).toBe(expected);
      },
    ),
    { numRuns: 3000 },
  );
});

test('the worst of patterns takes no time that would be noticed', () => {
  const pattern = patternOf(Array.from({ length: 16 }, () => '* 1').join(' '));
  expect(
    matchesAsPath(
      pattern,
      Array.from({ length: 2000 }, (_, i) => (i % 40 === 0 ? 1 : 2)),
    ),
  ).toBe(false);
});
