/** A lab comes up once, and whatever happens to it, it goes without a trace. */

import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeDown } from '../../../src/lab/down.ts';
import { existingNamespaces } from '../../../src/lab/namespaces.ts';
import { isAlive, recordedProcesses } from '../../../src/lab/processes.ts';
import type { LabProcess } from '../../../src/lab/processes.ts';
import type { Progress } from '../../../src/lab/progress.ts';
import { exists, RunFolder } from '../../../src/lab/run-folder.ts';
import { bringUp } from '../../../src/lab/up.ts';
import { bundledLab } from './bundled.ts';

const name = `t${process.pid}`;
let scratch: string;
let folder: RunFolder;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'godwit-lab-'));
  // FRR gives up root and must still reach it.
  await chmod(scratch, 0o755);
  folder = new RunFolder(join(scratch, 'run'));
});
afterEach(async () => {
  await takeDown(folder, name);
  await rm(scratch, { recursive: true, force: true });
});

const silent: Progress = { step: (_, work) => work(), line: () => {} };

function up(progress = silent, signal = new AbortController().signal) {
  return bringUp({ labFolder: bundledLab, folder, name }, progress, signal);
}

/** Counts the steps, and does something after one of them. */
function afterStep(number: number, then: () => Promise<void> | void): Progress {
  let count = 0;
  return {
    line: () => {},
    step: async (_, work) => {
      const result = await work();
      if (++count === number) await then();
      return result;
    },
  };
}

async function expectNothingLeft(processes: readonly LabProcess[]): Promise<void> {
  expect(await existingNamespaces(name)).toEqual([]);
  expect(await exists(folder.path)).toBe(false);
  expect(await Promise.all(processes.map(isAlive))).not.toContain(true);
}

test('up makes the machines, down takes them all away', async () => {
  const { topology } = await up();
  const processes = await recordedProcesses(folder);
  expect(await existingNamespaces(name)).toHaveLength(topology.machines.length);
  expect(processes.length).toBeGreaterThan(topology.pods.length);
  expect(await takeDown(folder, name)).toEqual({
    processes: processes.length,
    namespaces: topology.machines.length,
  });
  await expectNothingLeft(processes);
});

test('a second lab in the same folder is refused by the first one’s name, which stays', async () => {
  const { topology } = await up();
  await expect(up()).rejects.toThrow(`the lab ${name} is already up in ${folder.path}`);
  expect(await existingNamespaces(name)).toHaveLength(topology.machines.length);
});

test('a lab whose namespaces exist elsewhere is refused, and those stay', async () => {
  const { topology } = await up();
  const elsewhere = new RunFolder(join(scratch, 'elsewhere'));
  await expect(
    bringUp({ labFolder: bundledLab, folder: elsewhere, name }, silent, new AbortController().signal),
  ).rejects.toThrow(`a lab ${name} is up elsewhere, or was left over`);
  expect(await exists(elsewhere.path)).toBe(false);
  expect(await existingNamespaces(name)).toHaveLength(topology.machines.length);
});

test.each([1, 2, 3])('an interruption after step %i leaves nothing', async (step) => {
  const interruption = new AbortController();
  let processes: LabProcess[] = [];
  const progress = afterStep(step, async () => {
    processes = await recordedProcesses(folder);
    interruption.abort(new Error('interrupted'));
  });
  await expect(up(progress, interruption.signal)).rejects.toThrow('interrupted');
  await expectNothingLeft(processes);
});

test('a switch that cannot start fails the lab with the daemon’s words, and leaves nothing', async () => {
  const broken: Progress = afterStep(1, async () => {
    await rm(join(folder.lab, 'switches/tor-1.bird.conf'));
    await mkdir(join(folder.lab, 'switches/tor-1.bird.conf'));
  });
  await expect(up(broken)).rejects.toThrow('tor-1.bird.conf');
  await expectNothingLeft([]);
});

test('a run folder that FRR’s user cannot enter is refused with the folder’s name, and leaves nothing', async () => {
  await chmod(scratch, 0o700);
  await expect(up()).rejects.toThrow(`FRR runs as the user frr, who cannot enter ${scratch}`);
  await expectNothingLeft([]);
});

test('down ends what nobody recorded but lives in a namespace of the lab', async () => {
  await up();
  const stray = spawn('ip', ['netns', 'exec', `gw-${name}-node-1`, 'sleep', '1000'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => stray.once('exit', (_, signal) => resolve(signal)));
  await takeDown(folder, name);
  expect(await ended).toBe('SIGKILL');
});

test('down works without the run folder’s record', async () => {
  await up();
  const processes = await recordedProcesses(folder);
  await rm(folder.path, { recursive: true });
  await takeDown(folder, name);
  await expectNothingLeft(processes);
});

test('the record names the lab', async () => {
  await up();
  expect(JSON.parse(await readFile(folder.record, 'utf8'))).toMatchObject({ name });
});
