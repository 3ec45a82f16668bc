import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEarlierRun, writeRunRecord } from '../../../src/agent/run-record.ts';

const run = { bootId: 'boot-1', nodeName: 'node-1', socket: '/run/godwit/godwit.ctl' };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-run-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the run before in this boot is found, and nothing but its record is left', () => {
  writeRunRecord(join(folder, 'made'), { ...run, startedAt: 1 });
  expect(readEarlierRun(join(folder, 'made'), run)).toEqual({ record: { ...run, startedAt: 1 }, problem: undefined });
  expect(readdirSync(join(folder, 'made'))).toEqual(['run.json']);
});

test.each([
  ['another boot: nothing was forwarded meanwhile', { bootId: 'boot-2' }],
  ['another node', { nodeName: 'node-2' }],
  ['another agent on this machine', { socket: '/run/other.ctl' }],
])('%s', (_, change) => {
  writeRunRecord(folder, { ...run, startedAt: 1 });
  expect(readEarlierRun(folder, { ...run, ...change })).toEqual({ record: undefined, problem: undefined });
});

test('no record is no problem', () => {
  expect(readEarlierRun(folder, run)).toEqual({ record: undefined, problem: undefined });
});

test.each([
  ['{', /^run\.json: SyntaxError/],
  ['{"bootId":"boot-1"}', /nodeName/],
])('the record %j counts as none, and says why', (text, problem) => {
  writeFileSync(join(folder, 'run.json'), text);
  expect(readEarlierRun(folder, run)).toEqual({ record: undefined, problem: expect.stringMatching(problem) });
});
