/** Runs other programs to their end. */

import { execFile } from 'node:child_process';
import { LabError } from './errors.ts';

/** A program said no: its own words. */
export class CommandError extends LabError {
  readonly exitCode: number | undefined;
  readonly output: string;

  constructor(command: readonly string[], exitCode: number | undefined, output: string) {
    super(`${command.join(' ')}: ${output.trim() || `ended with status ${exitCode ?? 'unknown'}`}`);
    this.exitCode = exitCode;
    this.output = output;
  }
}

export interface CommandOptions {
  readonly input?: string;
  /** Milliseconds, 20,000 unless told: then the program is killed and the command fails. */
  readonly timeout?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** @returns its standard output. @throws CommandError with standard error's text. */
export function run(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const [file, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        timeout: options.timeout ?? 20_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, ...options.env },
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const code = typeof error.code === 'number' ? error.code : undefined;
        const text = stderr || stdout || (error.killed ? 'took too long' : error.message);
        reject(new CommandError(command, code, text));
      },
    );
    // A program that ends before it has read everything is judged by its status, not by our broken pipe.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** @returns the command that runs another one inside a network namespace. */
export function inNamespace(namespace: string, command: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', namespace, ...command];
}

/**
 * Runs the tasks, at most `width` at a time; the results stand in the order of the tasks.
 * The first failure is thrown when all that had begun have ended: nothing goes on behind the caller's back.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++;
      try {
        results[index] = await task(items[index]);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
}
