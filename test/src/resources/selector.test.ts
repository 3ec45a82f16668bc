/** The selector language over labels. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSelector, SelectorError } from '../../../src/resources/selector.ts';

const labels = { rack: '1', role: 'tor', 'example.com/zone': 'eu-1', empty: '' };

describe('selects', () => {
  test.each<[string, boolean]>([
    ['all()', true],
    ['!all()', false],
    ["rack == '1'", true],
    ['rack == "1"', true],
    ["rack == '2'", false],
    ["missing == '1'", false],
    ["missing == ''", false],
    ["empty == ''", true],
    ["rack != '2'", true],
    ["rack != '1'", false],
    ["missing != '1'", true],
    ["rack in {'1', '2'}", true],
    ["rack in {'2'}", false],
    ['rack in {}', false],
    ["missing in {'1'}", false],
    ["rack not in {'2'}", true],
    ["rack not in {'1'}", false],
    ["missing not in {'1'}", true],
    ['has(rack)', true],
    ['has(empty)', true],
    ['has(missing)', false],
    ['!has(missing)', true],
    ['! ! has(rack)', true],
    ["example.com/zone starts with 'eu-'", true],
    ["example.com/zone ends with '-1'", true],
    ["example.com/zone contains 'u-'", true],
    ["missing contains ''", false],
    ["rack == '1' && role == 'spine'", false],
    ["rack == '2' || role == 'tor'", true],
    ["rack == '1' || rack == '2' && role == 'spine'", true],
    ["(rack == '1' || rack == '2') && role == 'spine'", false],
    ["!(rack == '2') && has(role)", true],
    ["  rack=='1'&&role=='tor'  ", true],
    ["has(constructor) || toString == 'x'", false],
    // The words of the language may be labels.
    ["all == 'x'", false],
    ["has != 'x' && in not in {'x'} && not != 'x'", true],
  ])('%s: %s', (selector, selected) => {
    expect(parseSelector(selector)(labels)).toBe(selected);
  });
});

describe('names the position of a fault', () => {
  test.each([
    ['', 'empty selector (all() selects everything) at position 1'],
    ['   ', 'empty selector (all() selects everything) at position 1'],
    ["rack = '1'", 'unexpected "=" at position 6'],
    ['rack == 1', 'expected a string in quotes, found "1" at position 9'],
    ["rack == '1", 'the string has no end at position 9'],
    ['rack', 'expected ==, !=, in, not in, contains, starts with or ends with, found the end at position 5'],
    ["rack == '1' &&", 'expected a label, has(), all() or (, found the end at position 15'],
    ["rack == '1' role == 'tor'", 'expected &&, || or the end, found "role" at position 13'],
    ["(rack == '1'", 'expected ")", found the end at position 13'],
    ['has()', 'expected a label, found ")" at position 5'],
    ["has('rack')", 'expected a label, found "rack" at position 5'],
    ["rack in '1'", 'expected "{", found "1" at position 9'],
    ["rack in {'1' '2'}", 'expected "}", found "2" at position 14'],
    ["rack not {'1'}", 'expected "in" after "not", found "{" at position 10'],
    ["rack starts '1'", 'expected "with" after "starts", found "1" at position 13'],
    ['global()', 'expected ==, !=, in, not in, contains, starts with or ends with, found "(" at position 7'],
    ['all(rack)', 'expected ")", found "rack" at position 5'],
    [`rack == '${'1'.repeat(1024)}'`, 'longer than 1024 characters at position 1025'],
  ])('%s', (selector, message) => {
    expect(() => parseSelector(selector)).toThrow(new SelectorError(...split(message)));
  });
});

test('whatever the text: a predicate or a SelectorError, whose position lies in the text or just behind it', () => {
  const words = fc.constantFrom(
    'all()',
    'has(',
    'rack',
    "'1'",
    '==',
    '!=',
    '!',
    '&&',
    '||',
    '(',
    ')',
    '{',
    '}',
    ',',
    'in',
    'not',
    ' ',
    '"',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(words, { maxLength: 200 }).map((parts) => parts.join(' ')),
  );
  fc.assert(
    fc.property(text, (selector) => {
      try {
        expect(typeof parseSelector(selector)(labels)).toBe('boolean');
      } catch (error) {
        expect(error).toBeInstanceOf(SelectorError);
        const { position } = error as SelectorError;
        expect(position).toBeGreaterThan(0);
        expect(position).toBeLessThanOrEqual(selector.length + 1);
      }
    }),
    { numRuns: 2000 },
  );
});

test('the deepest nesting that fits is parsed', () => {
  const depth = 500;
  expect(parseSelector(`${'('.repeat(depth)}all()${')'.repeat(depth)}`)(labels)).toBe(true);
});

function split(message: string): [reason: string, position: number] {
  const at = message.lastIndexOf(' at position ');
  return [message.slice(0, at), Number(message.slice(at + ' at position '.length))];
}
