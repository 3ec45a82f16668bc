/** What the kernel says of the routes of a network namespace while a test does something. */

import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.ts';

/** A route of the test's own making: whatever was told before it has been read when it is read. */
const marker = '192.0.2.77';

/** `ip -ts monitor route` */
export class RouteMonitor {
  private readonly child;
  private readonly lines: string[] = [];
  private readonly namespace: string;

  /** @param namespace its name. Nothing is missed once `ready` has returned. */
  constructor(namespace: string) {
    this.namespace = namespace;
    const words = ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL', 'ip', '-ts', 'monitor', 'route'];
    this.child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line));
  }

  /** Returns when the marker has been seen to come and go. */
  async ready(): Promise<void> {
    const before = this.lines.length;
    await eventually(
      () => {
        for (const word of ['add', 'del']) {
          execFileSync('ip', ['-n', this.namespace, 'route', word, 'blackhole', marker], { stdio: 'pipe' });
        }
        return this.lines.slice(before).some((line) => line.includes(marker) && line.includes('Deleted'));
      },
      { reason: 'ip monitor tells' },
    );
  }

  /** Everything that was told until now, with its time, but for the marker's coming and going. */
  async changes(): Promise<string[]> {
    await this.ready();
    return this.lines.filter((line) => !line.includes(marker));
  }

  /** Milliseconds from each deletion of the prefix to its return. */
  returns(prefix: string): number[] {
    const times: number[] = [];
    let deletedAt: number | undefined;
    for (const line of this.lines) {
      const match = /^\[(.+?)\] (Deleted )?(\S+) /.exec(line);
      if (!match || match[3] !== prefix) continue;
      const at = Date.parse(`${match[1]}Z`);
      if (match[2] !== undefined) deletedAt = at;
      else if (deletedAt !== undefined) {
        times.push(at - deletedAt);
        deletedAt = undefined;
      }
    }
    return times;
  }

  end(): void {
    this.child.kill('SIGTERM');
  }
}
