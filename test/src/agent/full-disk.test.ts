/** A disk that is full: what was kept before stays whole, nothing half is left behind, and the agent works without. */

import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { linkNamesOf, type Attachment } from '../../../src/agent/cni/attachment.ts';
import { LedgerFolder } from '../../../src/agent/cni/ledger.ts';
import { readEarlierRun, writeRunRecord } from '../../../src/agent/run-record.ts';
import { LastKnown } from '../../../src/kube/last-known.ts';
import { eventually } from '../../kit/eventually.ts';
import { TestNamespace } from '../../kit/netns.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-full-'));
const disk = join(folder, 'disk');
const filler = join(disk, 'filler');

beforeAll(() => {
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk]);
});

afterAll(() => {
  execFileSync('umount', [disk]);
  rmSync(folder, { recursive: true });
});

beforeEach(() => makeRoom());

function fill(): void {
  expect(() => writeFileSync(filler, Buffer.alloc(1024 * 1024))).toThrow(/ENOSPC/);
}

function makeRoom(): void {
  rmSync(filler, { force: true });
}

const run = { bootId: 'boot-1', nodeName: 'a', socket: '/run/godwit/godwit.ctl' };

test('the record of a run: the one before stays', () => {
  const state = join(disk, 'run');
  writeRunRecord(state, { ...run, startedAt: 1 });
  fill();
  expect(() => writeRunRecord(state, { ...run, startedAt: 2 })).toThrow(/ENOSPC/);
  expect(readEarlierRun(state, run)).toMatchObject({ record: { startedAt: 1 } });
  expect(readdirSync(state)).toEqual(['run.json']);
  makeRoom();
  writeRunRecord(state, { ...run, startedAt: 3 });
  expect(readEarlierRun(state, run)).toMatchObject({ record: { startedAt: 3 } });
});

test('attachments of pods: one that cannot be kept is refused, the others stay', async () => {
  const ledger = new LedgerFolder(join(disk, 'attachments'));
  const attachment = (containerId: string): Attachment => ({
    bootId: 'boot-1',
    network: 'godwit',
    containerId,
    ifName: 'eth0',
    namespace: '/run/netns/x',
    addresses: ['10.244.1.2'],
    ...linkNamesOf({ containerId, ifName: 'eth0' }),
    mtu: 1500,
    defaultRoute: true,
    routes: [],
    attachedAt: 1,
  });
  await ledger.read();
  await ledger.write(attachment('one'));
  fill();
  await expect(ledger.write(attachment('two'))).rejects.toThrow(/ENOSPC/);
  expect(readdirSync(join(disk, 'attachments'))).toHaveLength(1);
  makeRoom();
  await ledger.write(attachment('two'));
  expect(readdirSync(join(disk, 'attachments'))).toHaveLength(2);
});

test('the last known state of the API server: the older stays, it is said, and written when there is room', async () => {
  const problems: (string | undefined)[] = [];
  let objects = [{ name: 'a' }];
  const open = () =>
    new LastKnown({
      folder: join(disk, 'last-known'),
      server: 'https://one',
      kinds: ['Pod'],
      snapshot: () => objects,
      onProblem: (problem) => problems.push(problem),
      times: { settle: 1, rest: 1 },
    });
  const state = open();
  await state.keep('Pod');
  fill();
  objects = [{ name: 'b' }];
  await state.keep('Pod');
  expect(problems.at(-1)).toMatch(/Pod\.jsonl cannot be written: .*ENOSPC/);
  expect(await open().read('Pod')).toMatchObject({ objects: [{ name: 'a' }] });
  makeRoom();
  await eventually(async () => expect(await open().read('Pod')).toMatchObject({ objects }), { reason: 'written' });
  expect(problems.at(-1)).toBeUndefined();
  state.close();
});

test('an agent whose state folder is full starts, serves, and says so', async () => {
  const namespace = new TestNamespace();
  const manifests = join(folder, 'manifests');
  mkdirSync(manifests);
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a' },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  };
  writeFileSync(join(manifests, 'node.yaml'), JSON.stringify(node));
  fill();
  const socket = join(folder, 'godwit.ctl');
  const flags = [
    '--node=a',
    `--source=dir:${manifests}`,
    '--roles=bgp',
    `--socket=${socket}`,
    `--state=${join(disk, 'state')}`,
  ];
  const agent = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, main, 'agent', ...flags], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => agent.once('exit', resolve));
  try {
    const show = () => promisify(execFile)(process.execPath, [main, '-s', socket, 'show', 'status']);
    await eventually(async () => expect((await show()).stdout).toMatch(/StateNotWritten.*ENOSPC/s), {
      reason: 'it says so',
    });
  } finally {
    agent.kill('SIGTERM');
    expect(await ended).toBe(0);
    namespace.remove();
  }
});
