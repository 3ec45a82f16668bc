/** The agents of nodes and reflectors: the program that runs the lab, once more for each of them. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess } from './processes.ts';
import type { LabProcess } from './processes.ts';
import type { RunningLab } from './run-folder.ts';
import { namespaceOf } from './topology.ts';

/** main.js beside the compiled lab, main.ts beside its source. */
export const mainProgram = fileURLToPath(import.meta.url).replace(/lab[/\\]agents\.(ts|js)$/, 'main.$1');

/** Starts the agent of a node or reflector; it may not answer yet. */
export async function startAgent({ folder, topology }: RunningLab, name: string): Promise<LabProcess> {
  const home = folder.nodeFolder(name);
  await mkdir(join(home, 'state'), { recursive: true });
  // A reflector carries no traffic: it writes no routes and filters nothing.
  const isReflector = topology.reflectors.some((reflector) => reflector.name === name);
  const command = [
    process.execPath,
    mainProgram,
    'agent',
    `--node=${name}`,
    `--source=dir:${folder.manifests}`,
    `--socket=${folder.agentSocket(name)}`,
    `--api=${folder.agentApi(name)}`,
    `--state=${join(home, 'state')}`,
    ...(isReflector ? ['--roles=bgp'] : []),
  ];
  return startProcess(folder, {
    name,
    namespace: namespaceOf(topology.name, name),
    command,
    logFile: join(home, 'log'),
  });
}
