/**
 * `godwit lab`: the commands and their exit statuses.
 * Holds: whatever `up` and `demo` begin they take away again, when they fail and when a signal ends them.
 */

import { killAgent, startAgent } from './agents.ts';
import { labUsage, LabUsageError, parseLabArguments } from './arguments.ts';
import type { LabArguments } from './arguments.ts';
import { checkLab } from './check/check.ts';
import { takeDown } from './down.ts';
import { LabError } from './errors.ts';
import { readLabFolder } from './manifests.ts';
import { ownCommand } from './own-command.ts';
import { showLivePicture } from './picture.ts';
import { printedProgress } from './progress.ts';
import type { Progress } from './progress.ts';
import { requirePrograms, requireRoot } from './requirements.ts';
import { openRunningLab, readRecord, RunFolder } from './run-folder.ts';
import { openShell } from './shell.ts';
import { printStatus } from './status.ts';
import { bringUp } from './up.ts';

/** What ends a command early, and the exit status that a shell would give it: 128 and the signal's number. */
const interruptions = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;
type Interruption = keyof typeof interruptions;

class Interrupted extends Error {
  readonly exitStatus: number;

  constructor(signal: Interruption) {
    super(`ended by ${signal}`);
    this.exitStatus = interruptions[signal];
  }
}

/**
 * @param args the words after `godwit lab`.
 * @returns the exit status: 0; 1 when something is not as it should be; 2 for a wrong command line; 128 + N after signal N.
 */
export async function runLab(args: readonly string[]): Promise<number> {
  const interruption = new AbortController();
  const interrupt = (signal: Interruption): void => interruption.abort(new Interrupted(signal));
  const onSignal = (signal: NodeJS.Signals): void => interrupt(signal as Interruption);
  // Whoever read our output has gone (`| head`): that too must not leave a lab behind.
  const onClosedPipe = (): void => interrupt('SIGPIPE');
  const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  process.stdout.on('error', onClosedPipe);
  try {
    const parsed = parseLabArguments(args);
    if (parsed !== 'help') return await runCommand(parsed, interruption.signal);
    process.stdout.write(`${labUsage}\n`);
    return 0;
  } catch (error) {
    const cause: unknown = interruption.signal.aborted ? interruption.signal.reason : error;
    if (cause instanceof Interrupted) return cause.exitStatus;
    if (!(cause instanceof LabError)) throw cause;
    process.stderr.write(`${cause.message}\n`);
    return cause instanceof LabUsageError ? 2 : 1;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    process.stdout.off('error', onClosedPipe);
  }
}

async function runCommand(args: LabArguments, signal: AbortSignal): Promise<number> {
  const folder = new RunFolder(args.runFolder);
  const write = (text: string): boolean => process.stdout.write(text);
  const progress = printedProgress(write, process.stdout.isTTY === true);
  requireRoot(args.command);
  switch (args.command) {
    case 'up': {
      await requirePrograms();
      const { topology } = await bringUp({ ...args, folder }, progress, signal);
      progress.line(
        `The lab ${topology.name} is up. Next: ${ownCommand('lab check', folder.path)}, or status, shell, down.`,
      );
      return 0;
    }
    case 'status':
      return (await printStatus(await openRunningLab(folder), write)) ? 0 : 1;
    case 'check':
      await requirePrograms();
      return (await checkLab(await openRunningLab(folder), write, signal)) ? 0 : 1;
    case 'shell':
      return openShell(await openRunningLab(folder), args.machine ?? '');
    case 'kill':
    case 'start': {
      const lab = await openRunningLab(folder);
      const act = args.command === 'kill' ? killAgent : startAgent;
      await progress.step(`${args.command} the agent of ${args.machine}`, () => act(lab, args.machine ?? ''));
      return 0;
    }
    case 'down':
      await goDown(args, folder, progress);
      return 0;
    case 'demo':
      await requirePrograms();
      return demonstrate(args, folder, progress, signal);
    default:
      return args.command satisfies never;
  }
}

async function demonstrate(
  args: LabArguments,
  folder: RunFolder,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const write = (text: string): boolean => process.stdout.write(text);
  const lab = await bringUp({ ...args, folder }, progress, signal);
  try {
    const passed = await checkLab(lab, write, signal);
    if (process.stdout.isTTY) await showLivePicture(lab, process.stdout, signal);
    return passed ? 0 : 1;
  } finally {
    await goDown({ ...args, name: lab.topology.name }, folder, progress);
  }
}

async function goDown(args: LabArguments, folder: RunFolder, progress: Progress): Promise<void> {
  // Without a record (the run folder was removed by hand) the name tells which namespaces are the lab's.
  const name = (await readRecord(folder))?.name ?? args.name ?? (await readLabFolder(args.labFolder)).name;
  await progress.step(
    `taking the lab ${name} away`,
    () => takeDown(folder, name),
    ({ processes, namespaces }) => `the lab ${name} is gone: ${processes} processes, ${namespaces} namespaces`,
  );
}
