/** Real BGP speakers as peers of a test: BIRD 2 and FRR, in the foreground. */

import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../kit/eventually.ts';

/** In the network namespace of the test process. */
export class Bird {
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-bird-'));
  private process: ChildProcess | undefined;

  /** @param words more of the command line: `-R` recovers from a crash by graceful restart. */
  async start(configuration: string, ...words: string[]): Promise<void> {
    const file = join(this.folder, 'bird.conf');
    writeFileSync(file, configuration);
    this.process = spawn('bird', ['-f', '-c', file, '-s', this.socket, '-P', join(this.folder, 'pid'), ...words], {
      stdio: 'ignore',
    });
    await eventually(() => this.show('status').includes('up and running') || this.show('status').includes('recovery'), {
      reason: 'BIRD answers',
    });
  }

  show(words: string): string {
    return execFileSync('birdc', ['-s', this.socket, 'show', ...words.split(' ')], { encoding: 'utf8', stdio: 'pipe' });
  }

  command(words: string): string {
    return execFileSync('birdc', ['-s', this.socket, ...words.split(' ')], { encoding: 'utf8', stdio: 'pipe' });
  }

  reconfigure(configuration: string): string {
    writeFileSync(join(this.folder, 'bird.conf'), configuration);
    return this.command('configure');
  }

  async kill(): Promise<void> {
    await end(this.process, 'SIGKILL');
  }

  async stop(): Promise<void> {
    await end(this.process, 'SIGTERM');
    rmSync(this.folder, { recursive: true });
  }

  private get socket(): string {
    return join(this.folder, 'bird.ctl');
  }
}

/** bgpd with the zebra that it asks whether next hops can be reached, in a namespace of their own: FRR refuses local next hops. */
export class Frr {
  private readonly namespace: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-frr-'));
  private readonly processes: ChildProcess[] = [];

  /** @param namespace its name. */
  constructor(namespace: string) {
    this.namespace = namespace;
  }

  async start(configuration: string): Promise<void> {
    const { folder } = this;
    const [user, group] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'frr'], { encoding: 'utf8' })));
    writeFileSync(join(folder, 'bgpd.conf'), configuration);
    writeFileSync(join(folder, 'zebra.conf'), 'hostname test\n');
    for (const path of [folder, join(folder, 'bgpd.conf'), join(folder, 'zebra.conf')]) chownSync(path, user, group);
    const common = ['-z', join(folder, 'zserv.api'), '--vty_socket', folder, '-P', '0'];
    const own = (name: string) => ['-f', join(folder, `${name}.conf`), '-i', join(folder, `${name}.pid`), ...common];
    this.spawn('/usr/lib/frr/zebra', own('zebra'));
    await eventually(() => this.vty('zebra', 'show version') !== '', { reason: 'zebra answers' });
    this.spawn('/usr/lib/frr/bgpd', ['-n', ...own('bgpd')]);
    await eventually(() => this.vty('bgpd', 'show version') !== '', { reason: 'bgpd answers' });
  }

  show(words: string): string {
    return this.vty('bgpd', `show ${words}`);
  }

  async stop(): Promise<void> {
    for (const process of this.processes.reverse()) await end(process, 'SIGTERM');
    rmSync(this.folder, { recursive: true });
  }

  private spawn(program: string, words: readonly string[]): void {
    const inside = ['netns', 'exec', this.namespace, program, ...words];
    this.processes.push(spawn('ip', inside, { stdio: 'ignore' }));
  }

  private vty(daemon: string, command: string): string {
    const words = ['--vty_socket', this.folder, '-d', daemon, '-c', command];
    return execFileSync('vtysh', words, { encoding: 'utf8', stdio: 'pipe' });
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}
