import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HashIndex } from '../../../bgp/rib/hash-index.ts';

function find(index: HashIndex, hash: number, row: number): boolean {
  for (let slot = index.first(hash); index.holds(slot); slot = index.next(slot)) {
    if (index.mayBe(slot, hash) && index.row(slot) === row) return true;
  }
  return false;
}

function add(index: HashIndex, hash: number, row: number): void {
  let slot = index.first(hash);
  while (index.holds(slot)) slot = index.next(slot);
  index.add(slot, hash, row);
}

test('whatever was added is found until it is removed, also among equal hashes and after growth', () => {
  // Few hashes, positive and negative, and many of one part.
  const hash = fc.oneof(fc.constantFrom(0, -1, 1, 0x7fffffff), fc.integer({ min: -40, max: 40 }), fc.integer());
  const step = fc.record({ hash, remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const index = new HashIndex();
      const held: { hash: number; row: number }[] = [];
      for (const [i, each] of steps.entries()) {
        const last = held.length > 0 && each.remove ? held.splice((each.hash >>> 0) % held.length, 1)[0] : undefined;
        if (last !== undefined) {
          index.remove(last.row, last.hash);
          expect(find(index, last.hash, last.row)).toBe(false);
        } else {
          held.push({ hash: each.hash, row: i + 1 });
          add(index, each.hash, i + 1);
        }
      }
      for (const entry of held) expect(find(index, entry.hash, entry.row)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('a hundred thousand rows are found, and none once they are gone', () => {
  const index = new HashIndex();
  const hashOf = (row: number) => Math.imul(row, 0x9e3779b1);
  for (let row = 1; row <= 100_000; row++) add(index, hashOf(row), row);
  for (let row = 1; row <= 100_000; row += 7) expect(find(index, hashOf(row), row)).toBe(true);
  for (let row = 1; row <= 100_000; row++) index.remove(row, hashOf(row));
  for (let row = 1; row <= 100_000; row += 7) expect(find(index, hashOf(row), row)).toBe(false);
});

test('a part with more slots than tags still finds everything', () => {
  const index = new HashIndex();
  // All of one part: the high bits are equal, and so are many tags.
  const hashOf = (row: number) => Math.imul(row, 0x9e3779b1) >>> 8;
  for (let row = 1; row <= 150_000; row++) add(index, hashOf(row), row);
  for (let row = 1; row <= 150_000; row += 7) expect(find(index, hashOf(row), row)).toBe(true);
  for (let row = 1; row <= 150_000; row += 2) index.remove(row, hashOf(row));
  for (let row = 1; row <= 150_000; row++) expect(find(index, hashOf(row), row)).toBe(row % 2 === 0);
});
