/**
 * Where a running lab keeps its files, and the record by which later commands find it again.
 *
 *     lab.json                  name, start
 *     lab/                      the lab folder as it was when the lab came up
 *     processes/NAME.json       one a process (processes.ts)
 *     manifests/                what every agent watches; `lab check` puts policies here
 *     switches/NAME/            configuration, sockets and log of a switch
 *     nodes/NAME/               sockets, state folder and log of an agent
 *     pods/NAME.sock            the workload of a pod or an outside host
 */

import { access, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from './errors.ts';
import { readLabFolder } from './manifests.ts';
import type { LabTopology } from './topology.ts';

export const defaultRunFolder = '/run/godwit-lab';

export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get record(): string {
    return join(this.path, 'lab.json');
  }
  /** lab.yaml, manifests, policies, switches: never changed. */
  get lab(): string {
    return join(this.path, 'lab');
  }
  get processes(): string {
    return join(this.path, 'processes');
  }
  get manifests(): string {
    return join(this.path, 'manifests');
  }
  get pods(): string {
    return join(this.path, 'pods');
  }
  switchFolder(name: string): string {
    return join(this.path, 'switches', name);
  }
  nodeFolder(name: string): string {
    return join(this.path, 'nodes', name);
  }
  /** The socket of an agent that speaks BIRD's protocol. */
  agentSocket(node: string): string {
    return join(this.nodeFolder(node), 'godwit.ctl');
  }
  /** The socket of an agent that speaks JSON. */
  agentApi(node: string): string {
    return join(this.nodeFolder(node), 'api.sock');
  }
  workloadSocket(machine: string): string {
    return join(this.pods, `${machine.replaceAll('/', '.')}.sock`);
  }
}

export interface LabRecord {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

export interface RunningLab {
  readonly folder: RunFolder;
  readonly record: LabRecord;
  readonly topology: LabTopology;
}

/** No lab is up in the run folder, or one is already. */
export class LabStateError extends LabError {}

export async function readRecord(folder: RunFolder): Promise<LabRecord | undefined> {
  try {
    return JSON.parse(await readFile(folder.record, 'utf8')) as LabRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @throws LabStateError when no lab is up. */
export async function openRunningLab(folder: RunFolder): Promise<RunningLab> {
  const record = await readRecord(folder);
  if (record === undefined) throw new LabStateError(`no lab is up in ${folder.path}: start one with 'godwit lab up'`);
  return { folder, record, topology: await readLabFolder(folder.lab, record.name) };
}

/** Makes the folder and its first files. The record comes first, so that `lab down` finds whatever follows. */
export async function createRunFolder(folder: RunFolder, record: LabRecord, labFolder: string): Promise<void> {
  await mkdir(folder.processes, { recursive: true });
  await writeFile(folder.record, `${JSON.stringify(record)}\n`);
  await mkdir(folder.pods, { recursive: true });
  await cp(labFolder, folder.lab, { recursive: true });
  await cp(join(folder.lab, 'manifests'), folder.manifests, { recursive: true });
}

export async function removeRunFolder(folder: RunFolder): Promise<void> {
  await rm(folder.path, { recursive: true, force: true });
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
