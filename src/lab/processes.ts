/**
 * The lab's own long-lived processes: started detached, with their output in a file, recorded by number and start time.
 * Holds: a process is signalled only while both still match, so that no stranger with a reused number is hit.
 */

import { spawn } from 'node:child_process';
import { open, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { inNamespace } from './command.ts';
import { LabError } from './errors.ts';
import type { RunFolder } from './run-folder.ts';

export interface LabProcess {
  readonly name: string;
  readonly pid: number;
  /** Clock ticks since boot (proc(5), field 22). */
  readonly startTime: string;
}

export interface ProcessOptions {
  /** Unique in the lab: `node-1`, `tor-2-zebra`. */
  readonly name: string;
  readonly namespace: string;
  readonly command: readonly string[];
  readonly logFile: string;
}

/** @throws Error when the program cannot be started or has ended at once. */
export async function startProcess(folder: RunFolder, options: ProcessOptions): Promise<LabProcess> {
  const [file, ...args] = inNamespace(options.namespace, options.command);
  const log = await open(options.logFile, 'a');
  try {
    const child = spawn(file, args, { detached: true, stdio: ['ignore', log.fd, log.fd] });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve(child.pid as number));
    });
    child.unref();
    const startTime = await startTimeOf(pid);
    if (startTime === undefined)
      throw new LabError(`${options.name} ended at once: ${await lastLines(options.logFile)}`);
    const started = { name: options.name, pid, startTime };
    // Whole or not at all: another command may look at any time.
    const record = join(folder.path, `${options.name}.new`);
    await writeFile(record, `${JSON.stringify(started)}\n`);
    await rename(record, join(folder.processes, `${options.name}.json`));
    return started;
  } finally {
    await log.close();
  }
}

/**
 * Asks until the process answers.
 * @throws LabError with the end of its log, at once when it has ended, else after `within` milliseconds.
 */
export async function untilReady(target: LabProcess, options: ReadyOptions): Promise<void> {
  const deadline = Date.now() + options.within;
  for (;;) {
    try {
      await options.question();
      return;
    } catch (error) {
      const alive = await isAlive(target);
      if (alive && Date.now() < deadline) {
        await rest(50);
        continue;
      }
      const what = alive ? `does not answer within ${options.within / 1000} s` : 'has ended';
      const log = await lastLines(options.logFile);
      throw new LabError(`${target.name} ${what}; its log ends with: ${log}`, { cause: error });
    }
  }
}

export interface ReadyOptions {
  /** Throws while it does not answer. */
  readonly question: () => Promise<unknown>;
  readonly logFile: string;
  /** Milliseconds. */
  readonly within: number;
}

export async function recordedProcesses(folder: RunFolder): Promise<LabProcess[]> {
  let names: string[];
  try {
    names = await readdir(folder.processes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return Promise.all(
    names.sort().map(async (name) => JSON.parse(await readFile(join(folder.processes, name), 'utf8')) as LabProcess),
  );
}

export async function isAlive(process: LabProcess): Promise<boolean> {
  return (await startTimeOf(process.pid)) === process.startTime;
}

/** Signals it, if it is still the same process. */
async function signalProcess(target: LabProcess, signal: NodeJS.Signals): Promise<void> {
  if (await isAlive(target)) killQuietly(target.pid, signal);
}

/** SIGKILL: all that they could still save lies in the lab, which goes with them. Returns when they are gone. */
export async function killProcesses(targets: readonly LabProcess[]): Promise<void> {
  for (const target of targets) await signalProcess(target, 'SIGKILL');
  const deadline = Date.now() + 5000;
  for (const target of targets) {
    while ((await isAlive(target)) && Date.now() < deadline) await rest(10);
  }
}

/** A process that the caller found inside a namespace of the lab. */
export async function identify(pid: number): Promise<LabProcess | undefined> {
  const startTime = await startTimeOf(pid);
  return startTime === undefined ? undefined : { name: String(pid), pid, startTime };
}

/** The end of a log file, for an error. */
async function lastLines(file: string, count = 5): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join(' | ') || '(no output)';
}

/** @returns undefined for a process that is gone or only waits to be reaped. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended between our look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
