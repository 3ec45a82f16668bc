/** `lab up`: everything from nothing, and after a failure nothing again. */

import { createRunFolder, defaultRunFolder, readRecord, LabStateError } from './run-folder.ts';
import type { RunFolder, RunningLab } from './run-folder.ts';
import { startAgent } from './agents.ts';
import { inParallel } from './command.ts';
import { takeDown } from './down.ts';
import { readLabFolder } from './manifests.ts';
import { createNamespaces, existingNamespaces } from './namespaces.ts';
import type { Progress } from './progress.ts';
import { daemonTitle, startSwitch } from './routers/switch.ts';
import { startWorkload } from './workloads.ts';

export interface UpOptions {
  readonly labFolder: string;
  readonly folder: RunFolder;
  /** Stands in for lab.yaml's name. */
  readonly name?: string;
}

/**
 * @param signal ends it early; what was made is taken away then too.
 * @throws LabStateError when a lab is up there already; otherwise the first step's error.
 */
export async function bringUp(options: UpOptions, progress: Progress, signal: AbortSignal): Promise<RunningLab> {
  const { folder, labFolder } = options;
  const topology = await readLabFolder(labFolder, options.name);
  const { name } = topology;
  await refuseSecondLab(folder, name);
  const lab: RunningLab = { folder, record: { name, startedAt: Date.now() }, topology };
  try {
    await createRunFolder(folder, lab.record, labFolder);
    for (const { title, work } of upSteps(lab)) {
      signal.throwIfAborted();
      await progress.step(title, work);
    }
    signal.throwIfAborted();
    return lab;
  } catch (error) {
    await takeDown(folder, name);
    throw error;
  }
}

interface UpStep {
  readonly title: string;
  readonly work: () => Promise<unknown>;
}

function upSteps(lab: RunningLab): UpStep[] {
  const { machines, cables, switches, nodes, reflectors, pods, hosts } = lab.topology;
  const daemons = switches.map((device) => `${device.name} (${daemonTitle(device)}, AS ${device.asNumber})`);
  return [
    {
      title: `${machines.length} network namespaces, ${cables.length} cables`,
      work: () => createNamespaces(lab.topology),
    },
    {
      title: `switches ${daemons.join(', ')}`,
      work: () => inParallel(switches, 3, (device) => startSwitch(lab, device)),
    },
    {
      title: `${pods.length} pods and ${hosts.length} outside hosts`,
      work: () => inParallel([...pods, ...hosts], 4, ({ name }) => startWorkload(lab, name)),
    },
    {
      title: `agents on ${nodes.length} nodes and ${reflectors.length} reflectors`,
      work: () => inParallel([...reflectors, ...nodes], 4, ({ name }) => startAgent(lab, name)),
    },
  ];
}

async function refuseSecondLab(folder: RunFolder, name: string): Promise<void> {
  const other = await readRecord(folder);
  if (other !== undefined) {
    const since = new Date(other.startedAt).toISOString();
    const flag = folder.path === defaultRunFolder ? '' : ` --dir ${folder.path}`;
    throw new LabStateError(
      `the lab ${other.name} is already up in ${folder.path} (since ${since}): 'godwit lab down${flag}' takes it away`,
    );
  }
  const [left] = await existingNamespaces(name);
  if (left !== undefined) {
    throw new LabStateError(
      `a lab ${name} is up elsewhere, or was left over (network namespace ${left}): use another --name, or take it away with 'godwit lab down --name ${name}'`,
    );
  }
}
