/** Writes that nobody waits for, with a virtual clock. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { KubeError, type KubeErrorKind } from '../../../src/kube/errors.ts';
import { PacedWriter, type PacedWrite } from '../../../src/kube/paced-writer.ts';
import { VirtualClock } from '../../kit/virtual-clock.ts';

let clock: VirtualClock;
let writer: PacedWriter;
let refused: string[];
/** `MILLISECONDS text` of what was sent. */
let sent: string[];
/** What the next attempts answer; then all is well. */
let answers: (KubeErrorKind | KubeError)[];

beforeEach(() => {
  clock = new VirtualClock();
  [refused, sent, answers] = [[], [], []];
  writer = new PacedWriter({
    clock,
    perSecond: 2,
    burst: 3,
    firstRest: 1000,
    longestRest: 8000,
    random: () => 0.5,
    onRefused: (key, error) => void refused.push(`${key} ${error.kind}`),
  });
});

afterEach(() => writer.stop());

function write(text: string, fields: Partial<PacedWrite> = {}): PacedWrite {
  return {
    ...fields,
    async send() {
      sent.push(`${clock.now()} ${text}`);
      const answer = answers.shift();
      if (answer !== undefined) throw answer instanceof KubeError ? answer : new KubeError(answer, 'so it is');
    },
  };
}

test('after a burst no more than so many a second are sent, in their order', async () => {
  for (let i = 0; i < 6; i++) writer.put(`k${i}`, write(String(i)));
  expect(sent).toEqual([]);
  await clock.advance(2000);
  expect(sent).toEqual(['0 0', '0 1', '0 2', '500 3', '1000 4', '1500 5']);
  expect(writer.waiting).toBe(0);
});

test('of one key the last state wins, and keeps its place', async () => {
  writer.put('a', write('a1'));
  writer.put('b', write('b1'));
  writer.put('a', write('a2'));
  await clock.advance(0);
  expect(sent).toEqual(['0 a2', '0 b1']);
});

test('a state that comes while an earlier one is being sent is sent after it', async () => {
  writer.put('a', {
    send: async () => {
      sent.push(`${clock.now()} a1`);
      writer.put('a', write('a2'));
    },
  });
  await clock.advance(0);
  expect(sent).toEqual(['0 a1', '0 a2']);
});

test('an interval lies between two writes of one pace, whatever their keys', async () => {
  writer.put('a', write('a1', { interval: 10_000, pace: 'p' }));
  writer.put('b', write('b1', { interval: 10_000, pace: 'p' }));
  await clock.advance(5000);
  writer.put('a', write('a2', { interval: 10_000, pace: 'p' }));
  await clock.advance(30_000);
  expect(sent).toEqual(['0 a1', '10000 b1', '20000 a2']);
});

test('a delay is waited for once, not anew with each state', async () => {
  writer.put('a', write('a1', { delay: 3000 }));
  await clock.advance(2000);
  writer.put('a', write('a2', { delay: 3000 }));
  await clock.advance(2000);
  expect(sent).toEqual(['3000 a2']);
});

test('while the server is away one attempt after another is made, with rests that double; then everything is written', async () => {
  answers = ['unreachable', 'silent', 'serverFault', 'unauthorized', 'unreachable'];
  for (const key of ['a', 'b', 'c']) writer.put(key, write(key));
  await clock.advance(24_000);
  writer.put('a', write('a, later'));
  await clock.advance(60_000);
  expect(sent).toEqual([
    '0 a',
    '1000 a',
    '3000 a',
    '7000 a',
    '15000 a',
    '23000 a',
    '23000 b',
    '23000 c',
    '24000 a, later',
  ]);
  expect(refused).toEqual([]);
});

test('the rest is as long as the server wishes', async () => {
  answers = [new KubeError('serverFault', 'too many', { status: 429, retryAfter: 5000 })];
  writer.put('a', write('a'));
  await clock.advance(10_000);
  expect(sent).toEqual(['0 a', '5000 a']);
});

test.each([
  ['notFound', {}, ['0 a'], []],
  ['notFound', { whenNotFound: 'retry' }, ['0 a', '1000 a'], ['a notFound']],
  ['alreadyExists', {}, ['0 a'], []],
  ['conflict', {}, ['0 a', '1000 a'], []],
  ['invalid', {}, ['0 a'], ['a invalid']],
  ['forbidden', {}, ['0 a', '8000 a'], ['a forbidden']],
] as const)('%s %j: others do not wait for it', async (kind, fields, attempts, refusals) => {
  answers = [kind];
  writer.put('a', write('a', fields));
  writer.put('b', write('b'));
  await clock.advance(20_000);
  expect(sent.filter((line) => line.endsWith('a'))).toEqual(attempts);
  expect(sent).toContain('0 b');
  expect(refused).toEqual(refusals);
  expect(writer.waiting).toBe(0);
});

test('an object that others keep changing is given up, and that is told', async () => {
  answers = Array.from({ length: 20 }, () => 'conflict' as const);
  writer.put('a', write('a'));
  await clock.advance(600_000);
  expect(sent).toHaveLength(8);
  expect(refused).toEqual(['a conflict']);
});

test('what was cancelled or is left at the end is not sent', async () => {
  writer.put('a', write('a', { delay: 10 }));
  writer.put('b', write('b', { delay: 20 }));
  writer.cancel('a');
  await clock.advance(15);
  writer.stop();
  await clock.advance(60_000);
  expect(sent).toEqual([]);
});

test('a fault of the program is not taken for one of the server', async () => {
  const fault = new Promise((resolve) => {
    process.once('unhandledRejection', resolve);
  });
  const listeners = process.listeners('unhandledRejection').slice(0, -1);
  for (const listener of listeners) process.off('unhandledRejection', listener);
  writer.put('a', { send: () => Promise.reject(new TypeError('ours')) });
  await clock.advance(0);
  expect(await fault).toBeInstanceOf(TypeError);
  for (const listener of listeners) process.on('unhandledRejection', listener);
});
