/** One way of starting a real BGP speaker for a test: in the foreground, in a namespace, with a folder of its own. */

import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../kit/eventually.ts';

/** What each daemon is to a story, whatever its own words are. */
export interface Router extends AsyncDisposable {
  start(): Promise<void>;
  /** The process is gone at once, without a word to its peers. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** Everything it shows of the prefix; '' where it has none. */
  route(prefix: string): string;
  /** What its processes have said. */
  readonly log: string;
}

export abstract class Daemon {
  readonly folder: string;
  private readonly namespace: string | undefined;
  private readonly processes: ChildProcess[] = [];

  /** @param namespace its name; undefined: where the test process is. */
  constructor(name: string, namespace?: string) {
    this.namespace = namespace;
    this.folder = mkdtempSync(join(tmpdir(), `godwit-${name}-`));
  }

  /** All at once: OpenBGPD's children, for one, would say goodbye when their parent is gone. */
  async kill(): Promise<void> {
    const killed = this.processes.splice(0).reverse();
    const pids = killed.filter(isAlive).flatMap(({ pid }) => [pid!, ...childrenOf(pid!)]);
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of pids) process.kill(pid, signal);
    for (const child of killed) await end(child, 'SIGKILL');
  }

  /** SIGSTOP and SIGCONT to all its processes. */
  freeze(frozen: boolean): void {
    for (const child of this.processes) child.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  async stop(): Promise<void> {
    this.freeze(false);
    for (const child of this.processes.splice(0).reverse()) await end(child, 'SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** What its processes have said. */
  get log(): string {
    return readFileSync(this.path('log'), 'utf8');
  }

  protected path(name: string): string {
    return join(this.folder, name);
  }

  protected write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** It ends when the test process does, too: the kernel sees to that. */
  protected spawn(program: string, words: readonly string[], environment: Readonly<Record<string, string>> = {}): void {
    const quoted = [program, ...words].map((word) => `'${word}'`).join(' ');
    const script = `exec ${quoted} >>'${this.path('log')}' 2>&1`;
    const outside = ['setpriv', '--pdeathsig', 'KILL', 'sh', '-c', script];
    const [first, ...rest] =
      this.namespace === undefined ? outside : ['ip', 'netns', 'exec', this.namespace, ...outside];
    this.processes.push(spawn(first, rest, { stdio: 'ignore', env: { ...process.env, ...environment } }));
  }

  /** Waits until the daemon answers. @throws an Error with what it has said, where it ended or never answers. */
  protected async answers(question: () => boolean): Promise<void> {
    const ended = () => !this.processes.every(isAlive);
    try {
      await eventually(() => ended() || question(), { reason: 'the daemon answers' });
    } catch (error) {
      throw new Error(`it does not answer; it said:\n${this.log}`, { cause: error });
    }
    if (ended()) throw new Error(`it has ended; it said:\n${this.log}`);
  }

  /** A command of the daemon's own client. @returns what it prints. @throws where it fails. */
  protected ask(program: string, ...words: string[]): string {
    return execFileSync(program, words, { encoding: 'utf8', stdio: 'pipe' });
  }
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

function childrenOf(pid: number): number[] {
  return (readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? []).map(Number);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isAlive(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  // OpenBGPD's parent waits for its children as long as it takes, gobgpd for its peers.
  const tooLong = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(tooLong);
}
