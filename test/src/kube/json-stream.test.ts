/** JSON in chunks: wherever they are cut, the same texts come out. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KubeError } from '../../../src/kube/errors.ts';
import { ItemCutter, LineCutter } from '../../../src/kube/json-stream.ts';

/** The text's bytes, cut at the places. */
function chunks(text: string, places: readonly number[]): Uint8Array[] {
  const bytes = Buffer.from(text);
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end));
}

const places = fc.array(fc.nat(5000), { maxLength: 12 });

describe('a list', () => {
  test('gives its items and keeps the frame, whatever the items hold and wherever it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 6 }),
        fc.jsonValue(),
        fc.nat(2),
        places,
        (items, extra, indent, cuts) => {
          const text = JSON.stringify(
            { kind: 'PodList', metadata: { continue: 'x', items: [extra] }, items, after: extra },
            null,
            indent,
          );
          const cutter = new ItemCutter();
          const found = chunks(text, cuts).flatMap((chunk) => [...cutter.push(chunk)]);
          expect(found.map((item) => JSON.parse(item) as unknown)).toEqual(JSON.parse(JSON.stringify(items)));
          expect(JSON.parse(cutter.rest())).toEqual(
            JSON.parse(
              JSON.stringify({ kind: 'PodList', metadata: { continue: 'x', items: [extra] }, items: [], after: extra }),
            ),
          );
        },
      ),
    );
  });

  test.each([
    ['items that are null', '{"items":null,"metadata":{}}'],
    ['no items', '{"metadata":{"resourceVersion":"1"}}'],
    ['a value that is the word', '{"kind":"items","other":[1,2]}'],
    ['a longer word', '{"itemsets":[1,2]}'],
  ])('with %s gives none', (_, text) => {
    const cutter = new ItemCutter();
    expect([...cutter.push(Buffer.from(text))]).toEqual([]);
    expect(cutter.rest()).toBe(text);
  });
});

test('lines come out whole, wherever they are cut; empty ones do not', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 6 }), places, (values, cuts) => {
      const cutter = new LineCutter();
      const text = values.map((value) => `${JSON.stringify(value)}\n\n`).join('');
      const found = chunks(`${text}rest`, cuts).flatMap((chunk) => [...cutter.push(chunk)]);
      expect(found).toEqual(values.map((value) => JSON.stringify(value)));
      expect(cutter.rest()).toBe('rest');
    }),
  );
});

test('a value without an end is refused before it fills the memory', () => {
  const cutter = new LineCutter();
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  const flood = () => {
    for (let i = 0; i < 17; i++) for (const _ of cutter.push(chunk));
  };
  expect(flood).toThrow(KubeError);
});
