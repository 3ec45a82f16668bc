/** A stream of pings that goes on while a test does something to what lies in between. */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.ts';

export interface PingFlow {
  /** Name of the network namespace that they are sent from. */
  readonly namespace: string;
  /** Their source; the kernel's choice unless told. */
  readonly from?: string;
  readonly to: string;
  /** Between two requests; 20 unless told. */
  readonly intervalMilliseconds?: number;
}

export class Pings {
  private readonly to: string;
  private readonly child: ChildProcess;
  /** Sequence numbers, from 1 on. */
  private readonly answered = new Set<number>();
  private highest = 0;

  constructor({ namespace, from, to, intervalMilliseconds = 20 }: PingFlow) {
    this.to = to;
    const source = from === undefined ? [] : ['-I', from];
    const words = ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL'];
    const ping = ['ping', '-n', '-i', String(intervalMilliseconds / 1000), ...source, to];
    const child = spawn('ip', [...words, ...ping], { stdio: ['ignore', 'pipe', 'ignore'] });
    this.child = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const sequence = /bytes from .* icmp_seq=(\d+) /.exec(line)?.[1];
      if (sequence === undefined) return;
      this.answered.add(Number(sequence));
      this.highest = Math.max(this.highest, Number(sequence));
    });
  }

  /** Returns after so many more requests, the last one answered: what happened before lies inside the stream. */
  async goOn(count: number): Promise<void> {
    const goal = this.highest + count;
    await eventually(() => this.highest >= goal, {
      reason: `${this.to} answers ${count} more pings`,
      within: 30_000,
    });
  }

  /** Ends the stream. @returns how many requests were sent before the last answer, and how many of them had none. */
  async end(): Promise<{ readonly sent: number; readonly lost: number }> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGINT');
      await ended;
    }
    return { sent: this.highest, lost: this.highest - this.answered.size };
  }
}
