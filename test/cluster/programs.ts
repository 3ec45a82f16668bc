/**
 * Programs that a test starts and ends by their ids. Each dies with the test's process, however that ends.
 * Holds: what a program prints goes to a file, whose end is in the error where the program is not well.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';

/** Milliseconds until a program that does not heed SIGTERM is killed. */
const patience = 10_000;

export class Program {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  /** @param words the program and its arguments */
  constructor(name: string, words: readonly string[], logFile: string, env: NodeJS.ProcessEnv = process.env) {
    this.name = name;
    this.logFile = logFile;
    const log = openSync(logFile, 'a');
    // setpriv keeps the process's id: the program is our child itself.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...words], { stdio: ['ignore', log, log], env });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} could not be started`);
    return this.#child.pid;
  }

  /** @throws an Error with the end of what it printed, where it no longer runs. */
  mustRun(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    throw new Error(`${this.name} ended (${exitCode ?? signalCode}):\n${this.lastLines()}`);
  }

  lastLines(): string {
    return readFileSync(this.logFile, 'utf8').split('\n').slice(-15).join('\n');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    const late = new AbortController();
    await Promise.race([this.#ended, rest(patience, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

export interface RunOptions {
  readonly input?: string;
  /** Milliseconds; 300,000 unless told: the machine may have much else to do. */
  readonly within?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. @returns what it printed. @throws an Error with what it said, where it failed. */
export function run(words: readonly string[], { input, within = 300_000, env }: RunOptions = {}): Promise<string> {
  const [program, ...args] = words;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: within, maxBuffer: 64 * 1024 * 1024, env: env ?? process.env },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${words.join(' ')}: ${stderr.trim() || stdout.trim() || error.message}`));
      },
    );
    child.stdin?.on('error', () => undefined); // It may end without reading.
    child.stdin?.end(input ?? '');
  });
}
