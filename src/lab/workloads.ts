/** The workloads of pods and outside hosts, seen from the lab: started, and asked to reach others. */

import { connect } from 'node:net';
import { join } from 'node:path';
import { startProcess, untilReady } from './processes.ts';
import type { RunningLab } from './run-folder.ts';
import { namespaceOf } from './topology.ts';
import { workloadProgram } from './workload.ts';
import type { ConnectAnswer, ConnectRequest } from './workload.ts';

/** TCP ports on which every workload answers; the Pods' containerPorts name them. */
export const workloadPorts = [8080, 9090] as const;

/** @param machine a pod or an outside host. Returns when it answers. */
export async function startWorkload({ folder, topology }: RunningLab, machine: string): Promise<void> {
  const socket = folder.workloadSocket(machine);
  const fileName = machine.replaceAll('/', '.');
  const logFile = join(folder.pods, `${fileName}.log`);
  const started = await startProcess(folder, {
    name: `workload-${fileName}`,
    namespace: namespaceOf(topology.name, machine),
    command: [process.execPath, workloadProgram, socket, machine, ...workloadPorts.map(String)],
    logFile,
  });
  const question = (): Promise<ConnectAnswer> => ask(socket, { targets: [], timeoutMilliseconds: 0 });
  await untilReady(started, { question, logFile, within: 20_000 });
}

/** Has the machine try all targets at once. */
export function tryTargets(
  { folder }: RunningLab,
  machine: string,
  targets: ConnectRequest['targets'],
  timeoutMilliseconds: number,
): Promise<ConnectAnswer> {
  return ask(folder.workloadSocket(machine), { targets, timeoutMilliseconds });
}

function ask(socket: string, request: ConnectRequest): Promise<ConnectAnswer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const client = connect(socket);
    client.setEncoding('utf8');
    client.on('error', reject);
    client.on('data', (chunk: string) => (text += chunk));
    client.on('end', () => resolve(JSON.parse(text) as ConnectAnswer));
    client.end(JSON.stringify(request));
  });
}
