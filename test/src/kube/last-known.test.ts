/** The last known state on disk: whole or not there, and never another server's. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LastKnown } from '../../../src/kube/last-known.ts';
import { eventually } from '../../kit/eventually.ts';

let base: string;
let folder: string;
let objects: object[];
let problems: (string | undefined)[];
const opened: LastKnown[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'godwit-last-known-'));
  folder = join(base, 'state', 'last-known');
  objects = [{ name: 'a' }, { name: 'ü\n' }];
  problems = [];
});

afterEach(() => {
  for (const state of opened.splice(0)) state.close();
  rmSync(base, { recursive: true });
});

test('what was written is read, with the time at which it was', async () => {
  const before = Date.now();
  await written(open());
  const recollection = await open().read('Pod');
  expect(recollection).toEqual({ kind: 'objects', objects, savedAt: expect.any(Number), kinds: ['Pod', 'Node'] });
  expect('savedAt' in recollection && recollection.savedAt).toBeGreaterThanOrEqual(before);
  expect(readdirSync(folder)).toEqual(['Pod.jsonl']);
});

test('without a file there is nothing to remember', async () => {
  expect(await open().read('Pod')).toEqual({ kind: 'none' });
});

test('the state of another API server is not used', async () => {
  await written(open());
  expect(await open('https://other').read('Pod')).toEqual({
    kind: 'unusable',
    reason: 'it is of another API server, https://one',
  });
});

test.each([
  ['cut off', (text: string) => text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1)],
  ['cut in a line', (text: string) => text.slice(0, 100)],
  ['without an object', (text: string) => text.replace('{"name":"a"}\n', '')],
  ['of another format', (text: string) => text.replace('last-known-1', 'last-known-9')],
  ['empty', () => ''],
  ['something else', () => 'hello\n'],
  ['null', () => 'null\nnull\n'],
])('a file that is %s is not used', async (_, spoil) => {
  await written(open());
  const path = join(folder, 'Pod.jsonl');
  writeFileSync(path, spoil(readFileSync(path, 'utf8')));
  expect(await open().read('Pod')).toMatchObject({ kind: 'unusable' });
});

test('many changes are one writing, and one that comes while it is written is not lost', async () => {
  const state = open();
  let snapshots = 0;
  const counting = open('https://one', function* snapshot() {
    snapshots++;
    if (snapshots === 1) counting.changed('Pod');
    yield* objects;
  });
  for (let i = 0; i < 50; i++) counting.changed('Pod');
  await eventually(() => snapshots === 2, { reason: 'written twice' });
  await eventually(async () => (await state.read('Pod')).kind === 'objects', { reason: 'readable' });
});

test('what must be kept is on disk when it is said to be, whatever was written a moment ago', async () => {
  const state = open();
  await written(state);
  for (let i = 0; i < 3; i++) {
    objects.push({ name: `more ${i}` });
    state.changed('Pod');
    await state.keep('Pod');
    expect(await state.read('Pod')).toMatchObject({ objects });
  }
  const both = [state.keep('Pod'), state.keep('Pod')];
  objects.push({ name: 'last' });
  await Promise.all(both);
  expect(await state.read('Pod')).toMatchObject({ objects });
});

test('what cannot be kept is told, and nobody waits for ever', async () => {
  mkdirSync(join(base, 'state'));
  writeFileSync(folder, 'in the way');
  await open().keep('Pod');
  expect(problems).toHaveLength(1);
});

test('what cannot be written is told, tried again, and told to be over', async () => {
  mkdirSync(join(base, 'state'));
  writeFileSync(folder, 'in the way');
  const state = open();
  state.changed('Pod');
  await eventually(() => problems.length === 1, { reason: 'told' });
  expect(problems[0]).toMatch(/Pod\.jsonl cannot be written: .*EEXIST|ENOTDIR/);
  rmSync(folder);
  await eventually(() => existsSync(join(folder, 'Pod.jsonl')), { reason: 'written' });
  await eventually(() => problems.length === 2, { reason: 'told again' });
  expect(problems[1]).toBeUndefined();
});

function open(server = 'https://one', snapshot: (kind: string) => Iterable<unknown> = () => objects): LastKnown {
  const state = new LastKnown({
    folder,
    server,
    kinds: ['Pod', 'Node'],
    snapshot,
    onProblem: (reason) => problems.push(reason),
    times: { settle: 5, rest: 20 },
  });
  opened.push(state);
  return state;
}

async function written(state: LastKnown): Promise<void> {
  state.changed('Pod');
  await eventually(() => existsSync(join(folder, 'Pod.jsonl')), { reason: 'written' });
}
