import { expect, test } from 'vitest';
import { corpus, fuzzEpisode } from '../kit/fuzzer.ts';

test('the corpus has an OPEN, UPDATE, NOTIFICATION and ROUTE-REFRESH of real daemons', () => {
  expect([...new Set(corpus.map((message) => message[18]))].sort()).toEqual([1, 2, 3, 5]);
});

/** More of it: `npm run fuzz`. */
test('mutated messages of real daemons end a session only where the RFCs say, and harm nobody else', async () => {
  const sum = { established: 0, ended: 0, treatedAsWithdrawn: 0 };
  for (let seed = 1; seed <= 150; seed++) {
    const { established, ended, treatedAsWithdrawn } = await fuzzEpisode(seed);
    sum.established += Number(established);
    sum.ended += Number(ended);
    sum.treatedAsWithdrawn += treatedAsWithdrawn;
  }
  // The fuzzer reaches what it is for: sessions that stand, that end, and that live on in spite of what was said.
  expect(sum.established).toBeGreaterThan(100);
  expect(sum.ended).toBeGreaterThan(25);
  expect(sum.established - sum.ended).toBeGreaterThan(25);
  expect(sum.treatedAsWithdrawn).toBeGreaterThan(5);
}, 60_000);
