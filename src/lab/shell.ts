/** `lab shell NAME`: the user's shell in the namespace of a machine. */

import { spawn } from 'node:child_process';
import { inNamespace } from './command.ts';
import { LabUsageError } from './arguments.ts';
import type { RunningLab } from './run-folder.ts';
import { namespaceOf } from './topology.ts';

/** @returns the shell's exit status. @throws LabUsageError for a name that is no machine of the lab. */
export function openShell({ folder, topology }: RunningLab, name: string): Promise<number> {
  const machine = topology.machines.find((candidate) => candidate.name === name);
  if (machine === undefined) {
    const names = topology.machines.map((candidate) => candidate.name).join(', ');
    throw new LabUsageError(`the lab ${topology.name} has no machine ${name}; it has ${names}`);
  }
  const [file, ...args] = inNamespace(namespaceOf(topology.name, name), [process.env.SHELL ?? '/bin/sh']);
  if (machine.role === 'node' || machine.role === 'reflector') {
    process.stderr.write(`its agent: birdc -s ${folder.agentSocket(name)}\n`);
  }
  // Debian's prompts show this variable.
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, debian_chroot: name } });
  // Ctrl-C belongs to what runs in the shell.
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('SIGINT', ignore);
      resolve(code ?? (signal === null ? 1 : 128));
    });
  });
}
