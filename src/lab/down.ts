/**
 * `lab down`: takes a lab away, also one whose `up` was killed half-way.
 * Holds: ends only processes that the lab recorded or that live in its namespaces; removes only namespaces of its name.
 */

import { existingNamespaces, processesInside, removeNamespaces } from './namespaces.ts';
import { identify, killProcesses, recordedProcesses } from './processes.ts';
import { removeRunFolder } from './run-folder.ts';
import type { RunFolder } from './run-folder.ts';

export interface TakenDown {
  readonly processes: number;
  readonly namespaces: number;
}

/** Ends its processes, removes its namespaces and its run folder. Nothing there is no error. */
export async function takeDown(folder: RunFolder, name: string): Promise<TakenDown> {
  const recorded = await recordedProcesses(folder);
  await killProcesses(recorded);
  const namespaces = await existingNamespaces(name);
  let strays = 0;
  for (const namespace of namespaces) {
    const inside = await Promise.all((await processesInside(namespace)).map(identify));
    const alive = inside.filter((process) => process !== undefined);
    strays += alive.length;
    await killProcesses(alive);
  }
  await removeNamespaces(namespaces);
  await removeRunFolder(folder);
  return { processes: recorded.length + strays, namespaces: namespaces.length };
}
