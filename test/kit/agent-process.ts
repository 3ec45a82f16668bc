/** A real agent as a process of its own, in a network namespace, with a folder for what it reads and writes. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface AgentOptions {
  /** Name of the network namespace. */
  readonly namespace: string;
  /** Of its Node. */
  readonly node: string;
  /** As `--roles` takes them. */
  readonly roles: string;
  /** YAML documents. */
  readonly manifests: string;
}

export class AgentProcess {
  /** What it has said since it was started last. */
  said = '';
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-agent-'));
  private readonly options: AgentOptions;
  private child: ChildProcess | undefined;

  constructor(options: AgentOptions) {
    this.options = options;
    mkdirSync(join(this.folder, 'manifests'));
    writeFileSync(join(this.folder, 'manifests', 'all.yaml'), options.manifests);
  }

  /** It ends when the test process does, too: the kernel sees to that. */
  start(): void {
    const { namespace, node, roles } = this.options;
    const flags = {
      node,
      source: `dir:${join(this.folder, 'manifests')}`,
      roles,
      socket: this.socket,
      state: join(this.folder, 'state'),
    };
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const outside = ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL'];
    this.said = '';
    const child = spawn('ip', [...outside, process.execPath, main, 'agent', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
    this.child = child;
  }

  /** SIGTERM: it says goodbye, as for a restart; SIGKILL: it is gone at once. Returns when it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || hasEnded(child)) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Asks in BIRD's words. @returns the lines of the answer with their codes. @throws also where it has ended, with what it has said. */
  ask(words: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.child !== undefined && hasEnded(this.child))
        throw new Error(`the agent has ended; it said:\n${this.said}`);
      let answer = '';
      const connection = createConnection(this.socket, () => connection.end(`${words}\n`));
      connection.setEncoding('utf8').on('data', (text: string) => (answer += text));
      connection.on('end', () => resolve(answer)).on('error', reject);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get socket(): string {
    return join(this.folder, 'godwit.ctl');
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
