/** Programs of a test in a network namespace, and what they have said. They end when the test process does, too: the kernel sees to that. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export class Children {
  /** All of them, on both streams. */
  said = '';
  private readonly namespace: string;
  private readonly running: ChildProcess[] = [];

  /** @param namespace its name */
  constructor(namespace: string) {
    this.namespace = namespace;
  }

  start(program: string, ...words: string[]): void {
    const outside = ['netns', 'exec', this.namespace, 'setpriv', '--pdeathsig', 'KILL'];
    const child = spawn('ip', [...outside, program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
    this.running.push(child);
  }

  /** Whether any has ended by itself. */
  get anyEnded(): boolean {
    return this.running.some(hasEnded);
  }

  /** The last one first. Returns when they are gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    for (const child of this.running.splice(0).reverse()) {
      if (hasEnded(child)) continue;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
