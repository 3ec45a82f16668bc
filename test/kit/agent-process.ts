/** A real agent as a process of its own, in a network namespace, with a folder for what it reads and writes. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Children } from './children.ts';

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
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-agent-'));
  private readonly options: AgentOptions;
  private children: Children;

  constructor(options: AgentOptions) {
    this.options = options;
    this.children = new Children(options.namespace);
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
    this.children = new Children(namespace);
    this.children.start(process.execPath, main, 'agent', ...words);
  }

  /** What it has said since it was started last. */
  get said(): string {
    return this.children.said;
  }

  /** SIGTERM: it says goodbye, as for a restart; SIGKILL: it is gone at once. Returns when it is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.children.stop(signal);
  }

  /** Asks in BIRD's words. @returns the lines of the answer with their codes. @throws also where it has ended, with what it has said. */
  ask(words: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.children.anyEnded) throw new Error(`the agent has ended; it said:\n${this.said}`);
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
