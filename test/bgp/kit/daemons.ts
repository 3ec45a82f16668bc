/** Real BGP speakers as peers of a test: BIRD 2 and FRR, in the foreground. */

import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../kit/eventually.ts';

export class Bird {
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-bird-'));
  private readonly namespace: string | undefined;
  private process: ChildProcess | undefined;

  /** @param namespace name of the network namespace; that of the test process unless told. */
  constructor(namespace?: string) {
    this.namespace = namespace;
  }

  /** @param words more of the command line: `-R` recovers from a crash by graceful restart. */
  async start(configuration: string, ...words: string[]): Promise<void> {
    const file = join(this.folder, 'bird.conf');
    writeFileSync(file, configuration);
    const bird = ['bird', '-f', '-c', file, '-s', this.socket, '-P', join(this.folder, 'pid'), ...words];
    const [program, ...rest] = this.namespace === undefined ? bird : ['ip', 'netns', 'exec', this.namespace, ...bird];
    // `ip netns exec` becomes the program: the process is BIRD's own.
    this.process = spawn(program, rest, { stdio: 'ignore' });
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

  /** SIGSTOP and SIGCONT. */
  freeze(frozen: boolean): void {
    this.process?.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  async stop(): Promise<void> {
    await end(this.process, 'SIGTERM');
    rmSync(this.folder, { recursive: true });
  }

  private get socket(): string {
    return join(this.folder, 'bird.ctl');
  }
}

/** bgpd, and bfdd where it is asked for, with the zebra that it asks whether next hops can be reached, in a namespace of their own: FRR refuses local next hops. */
export class Frr {
  private readonly namespace: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-frr-'));
  private readonly processes: ChildProcess[] = [];

  /** @param namespace its name. */
  constructor(namespace: string) {
    this.namespace = namespace;
  }

  /** @param bfd bfdd's configuration; undefined: without it. */
  async start(configuration: string, bfd?: string): Promise<void> {
    const { folder } = this;
    const [user, group] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'frr'], { encoding: 'utf8' })));
    writeFileSync(join(folder, 'bgpd.conf'), configuration);
    writeFileSync(join(folder, 'zebra.conf'), 'hostname test\n');
    for (const path of [folder, join(folder, 'bgpd.conf'), join(folder, 'zebra.conf')]) chownSync(path, user, group);
    const common = ['-z', join(folder, 'zserv.api'), '--vty_socket', folder, '-P', '0'];
    const own = (name: string) => ['-f', join(folder, `${name}.conf`), '-i', join(folder, `${name}.pid`), ...common];
    this.spawn('/usr/lib/frr/zebra', own('zebra'));
    await eventually(() => this.vty('zebra', 'show version') !== '', { reason: 'zebra answers' });
    if (bfd !== undefined) {
      writeFileSync(join(folder, 'bfdd.conf'), bfd);
      chownSync(join(folder, 'bfdd.conf'), user, group);
      this.spawn('/usr/lib/frr/bfdd', [...own('bfdd'), '--bfdctl', join(folder, 'bfdd.sock')]);
      await eventually(() => this.vty('bfdd', 'show version') !== '', { reason: 'bfdd answers' });
    }
    this.spawn('/usr/lib/frr/bgpd', ['-n', ...own('bgpd')]);
    await eventually(() => this.vty('bgpd', 'show version') !== '', { reason: 'bgpd answers' });
  }

  show(words: string): string {
    return this.vty('bgpd', `show ${words}`);
  }

  /** `show bfd peer ADDRESS` of bfdd, read. */
  bfdPeer(address: string): Record<string, unknown> {
    const peers: unknown = JSON.parse(this.vty('bfdd', 'show bfd peers json'));
    return (peers as Record<string, unknown>[]).find(({ peer }) => peer === address) ?? {};
  }

  /** Commands of bfdd's configuration. */
  configureBfd(...lines: readonly string[]): void {
    this.vty('bfdd', 'configure terminal', ...lines);
  }

  async stop(): Promise<void> {
    for (const process of this.processes.reverse()) await end(process, 'SIGTERM');
    rmSync(this.folder, { recursive: true });
  }

  private spawn(program: string, words: readonly string[]): void {
    const inside = ['netns', 'exec', this.namespace, program, ...words];
    this.processes.push(spawn('ip', inside, { stdio: 'ignore' }));
  }

  private vty(daemon: string, ...commands: readonly string[]): string {
    const words = ['--vty_socket', this.folder, '-d', daemon, ...commands.flatMap((command) => ['-c', command])];
    return execFileSync('vtysh', words, { encoding: 'utf8', stdio: 'pipe' });
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}
