/** The agents of nodes and reflectors: the program that runs the lab, once more for each of them. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mainProgram } from '../program.ts';
import { readAgent } from './agent-view.ts';
import { LabError } from './errors.ts';
import { isAlive, killProcesses, recordedProcesses, startProcess, untilReady } from './processes.ts';
import type { LabProcess } from './processes.ts';
import type { RunningLab } from './run-folder.ts';
import { namespaceOf } from './topology.ts';

/**
 * Starts the agent of a node or reflector. Returns when it answers.
 * @throws LabError when there is no such machine, or its agent runs already.
 */
export async function startAgent(lab: RunningLab, name: string): Promise<void> {
  const { folder, topology } = lab;
  if ((await runningAgent(lab, name)) !== undefined) throw new LabError(`the agent of ${name} runs already`);
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
  const logFile = join(home, 'log');
  const started = await startProcess(folder, { name, namespace: namespaceOf(topology.name, name), command, logFile });
  const question = async (): Promise<void> => {
    const view = await readAgent(folder, name);
    if (view.kind === 'silent') throw new LabError(view.reason);
  };
  await untilReady(started, { question, logFile, within: 30_000 });
}

/**
 * SIGKILL: it can tell nobody that it goes.
 * @throws LabError when there is no such machine, or its agent does not run.
 */
export async function killAgent(lab: RunningLab, name: string): Promise<void> {
  const running = await runningAgent(lab, name);
  if (running === undefined) throw new LabError(`the agent of ${name} does not run`);
  await killProcesses([running]);
}

async function runningAgent({ folder, topology }: RunningLab, name: string): Promise<LabProcess | undefined> {
  const names = [...topology.nodes, ...topology.reflectors].map((node) => node.name);
  if (!names.includes(name)) throw new LabError(`no agent runs on ${name}: there are ${names.join(', ')}`);
  const recorded = (await recordedProcesses(folder)).find((process) => process.name === name);
  return recorded !== undefined && (await isAlive(recorded)) ? recorded : undefined;
}
