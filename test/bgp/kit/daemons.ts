/** Real BGP speakers as peers of a test: BIRD 2, BIRD 1.6 and FRR. */

import { execFileSync } from 'node:child_process';
import { chownSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Family } from '../../../bgp/ip.ts';
import { Daemon } from './daemon.ts';

/** Paths of one generation's programs. */
export interface BirdPrograms {
  readonly daemon: string;
  readonly client: string;
}

const bird2Programs: BirdPrograms = { daemon: 'bird', client: 'birdc' };

/** BIRD 1.6, which has a daemon for each family: scripts/bird-1 brings it. */
export function bird1Programs(family: Family): BirdPrograms {
  const script = fileURLToPath(new URL('../../../scripts/bird-1', import.meta.url));
  const folder = execFileSync(script, { encoding: 'utf8' }).trim();
  return { daemon: `${folder}/${family === 'ipv4' ? 'bird' : 'bird6'}`, client: `${folder}/birdc` };
}

export class Bird extends Daemon {
  private readonly programs: BirdPrograms;

  /** @param programs BIRD 2's unless told. */
  constructor(namespace?: string, programs = bird2Programs) {
    super('bird', namespace);
    this.programs = programs;
  }

  /** @param words more of the command line: `-R` recovers from a crash by graceful restart. */
  async start(configuration: string, ...words: string[]): Promise<void> {
    const file = this.write('bird.conf', configuration);
    this.spawn(this.programs.daemon, ['-f', '-c', file, '-s', this.socket, '-P', this.path('pid'), ...words]);
    await this.answers(() => /up and running|recovery/.test(this.show('status')));
  }

  show(words: string): string {
    return this.command(`show ${words}`);
  }

  command(words: string): string {
    return this.ask(this.programs.client, '-s', this.socket, words);
  }

  reconfigure(configuration: string): string {
    this.write('bird.conf', configuration);
    return this.command('configure');
  }

  /** Everything about the routes of a prefix. */
  route(prefix: string, table = 'all'): string {
    return this.show(`route ${prefix} all table ${table}`);
  }

  get socket(): string {
    return this.path('bird.ctl');
  }
}

/** bgpd, and bfdd where it is asked for, with the zebra that it asks whether next hops can be reached, in a namespace of their own: FRR refuses local next hops. */
export class Frr extends Daemon {
  /** @param namespace its name. */
  constructor(namespace: string) {
    super('frr', namespace);
  }

  /**
   * @param bfd bfdd's configuration; undefined: without it
   * @param words more of bgpd's command line
   */
  async start(configuration: string, bfd?: string, ...words: string[]): Promise<void> {
    const [user, group] = ['-u', '-g'].map((flag) => Number(this.ask('id', flag, 'frr')));
    const files = { bgpd: configuration, zebra: 'hostname test\n', ...(bfd !== undefined && { bfdd: bfd }) };
    const paths = Object.entries(files).map(([name, text]) => this.write(`${name}.conf`, text));
    for (const path of [this.folder, ...paths]) chownSync(path, user, group);
    const common = ['-z', this.path('zserv.api'), '--vty_socket', this.folder, '-P', '0'];
    const own = (name: string) => ['-f', this.path(`${name}.conf`), '-i', this.path(`${name}.pid`), ...common];
    this.spawn('/usr/lib/frr/zebra', own('zebra'));
    await this.answers(() => this.vty('zebra', 'show version') !== '');
    if (bfd !== undefined) {
      this.spawn('/usr/lib/frr/bfdd', [...own('bfdd'), '--bfdctl', this.path('bfdd.sock')]);
      await this.answers(() => this.vty('bfdd', 'show version') !== '');
    }
    this.spawn('/usr/lib/frr/bgpd', ['-n', '--log', 'stdout', ...own('bgpd'), ...words]);
    await this.answers(() => this.vty('bgpd', 'show version') !== '');
  }

  show(words: string): string {
    return this.command(`show ${words}`);
  }

  command(words: string): string {
    return this.vty('bgpd', words);
  }

  route(prefix: string): string {
    return this.show(`bgp ${prefix.includes(':') ? 'ipv6' : 'ipv4'} unicast ${prefix}`);
  }

  /** @param lines of bgpd's configuration mode. */
  configure(...lines: string[]): void {
    this.vty('bgpd', 'configure terminal', ...lines);
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

  private vty(daemon: string, ...commands: readonly string[]): string {
    const words = ['--vty_socket', this.folder, '-d', daemon, ...commands.flatMap((command) => ['-c', command])];
    return this.ask('vtysh', ...words);
  }
}
