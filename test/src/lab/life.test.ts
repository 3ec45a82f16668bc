/** A lab comes up once, and whatever happens to it, it goes without a trace. */

import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAgent } from '../../../src/lab/agents.ts';
import { takeDown } from '../../../src/lab/down.ts';
import { existingNamespaces, processesInside } from '../../../src/lab/namespaces.ts';
import { isAlive, recordedProcesses } from '../../../src/lab/processes.ts';
import type { LabProcess } from '../../../src/lab/processes.ts';
import type { Progress } from '../../../src/lab/progress.ts';
import { exists, openRunningLab, RunFolder } from '../../../src/lab/run-folder.ts';
import { takeSnapshot } from '../../../src/lab/snapshot.ts';
import type { LabTopology } from '../../../src/lab/topology.ts';
import { bringUp } from '../../../src/lab/up.ts';
import { eventually } from '../../kit/eventually.ts';
import { bundledLab } from './bundled.ts';

const name = `t${process.pid}`;
let scratch: string;
let folder: RunFolder;

async function makeScratch(): Promise<void> {
  scratch = await mkdtemp(join(tmpdir(), 'godwit-lab-'));
  // FRR gives up root and must still reach it.
  await chmod(scratch, 0o755);
  folder = new RunFolder(join(scratch, 'run'));
}
async function removeScratch(): Promise<void> {
  await takeDown(folder, name);
  await rm(scratch, { recursive: true, force: true });
}

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

describe('a lab that is up', () => {
  let topology: LabTopology;
  beforeAll(async () => {
    await makeScratch();
    ({ topology } = await up());
  });
  afterAll(removeScratch);

  test('is recorded by its name', async () => {
    expect(JSON.parse(await readFile(folder.record, 'utf8'))).toMatchObject({ name });
  });

  test('has a namespace for each machine, and agents that answer', async () => {
    expect(await existingNamespaces(name)).toHaveLength(topology.machines.length);
    const { agents } = await takeSnapshot(await openRunningLab(folder));
    expect([...agents.values()].filter(({ kind }) => kind === 'silent')).toEqual([]);
  });

  test('refuses a second one in its folder by its name, and stays', async () => {
    await expect(up()).rejects.toThrow(`the lab ${name} is already up in ${folder.path}`);
    expect(await existingNamespaces(name)).toHaveLength(topology.machines.length);
  });

  test('refuses one of its name in another folder, and stays', async () => {
    const elsewhere = new RunFolder(join(scratch, 'elsewhere'));
    const second = bringUp({ labFolder: bundledLab, folder: elsewhere, name }, silent, new AbortController().signal);
    await expect(second).rejects.toThrow(`a lab ${name} is up elsewhere, or was left over`);
    expect(await exists(elsewhere.path)).toBe(false);
    expect(await existingNamespaces(name)).toHaveLength(topology.machines.length);
  });

  test('starts no second agent on a node, and none where none belongs', async () => {
    const lab = await openRunningLab(folder);
    await expect(startAgent(lab, 'node-1')).rejects.toThrow('the agent of node-1 runs already');
    await expect(startAgent(lab, 'tor-1')).rejects.toThrow('no agent runs on tor-1: there are node-1, ');
  });

  test('goes with everything in it, also what nobody recorded, and also without its record', async () => {
    const processes = await recordedProcesses(folder);
    const stray = spawn('ip', ['netns', 'exec', `gw-${name}-node-1`, 'sleep', '1000'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => stray.once('exit', (_, signal) => resolve(signal)));
    await eventually(async () => (await processesInside(`gw-${name}-node-1`)).includes(stray.pid ?? 0), {
      reason: 'the stray process is inside',
    });
    await rm(folder.path, { recursive: true });
    expect(await takeDown(folder, name)).toEqual({
      processes: processes.length + 1,
      namespaces: topology.machines.length,
    });
    expect(await ended).toBe('SIGKILL');
    await expectNothingLeft(processes);
  });
});

describe('a lab that does not come up', () => {
  beforeEach(makeScratch);
  afterEach(removeScratch);

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
});
