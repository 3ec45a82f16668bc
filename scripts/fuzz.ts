/**
 * The mutation fuzzer against time: `npm run fuzz -- [--seconds N] [--seed S]`. What it does: test/bgp/kit/fuzzer.ts.
 * A failure names the seed of its episode: `--seed S --seconds 0` runs that one alone.
 */

import { parseArgs } from 'node:util';
import { fuzzEpisode } from '../test/bgp/kit/fuzzer.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const until = performance.now() + Number(values.seconds) * 1000;
console.log(`seed ${seed}`);

const sum = { episodes: 0, messages: 0, established: 0, ended: 0, treatedAsWithdrawn: 0 };
do {
  const report = await fuzzEpisode(seed + sum.episodes);
  sum.episodes++;
  sum.messages += report.messages;
  sum.established += Number(report.established);
  sum.ended += Number(report.ended);
  sum.treatedAsWithdrawn += report.treatedAsWithdrawn;
} while (performance.now() < until);
console.log(
  `${sum.episodes} sessions, ${sum.messages} messages: ${sum.established} came up, ${sum.ended} of them ended by what was said, ` +
    `${sum.treatedAsWithdrawn} UPDATEs treated as withdrawn`,
);
