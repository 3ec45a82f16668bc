/** Real BGP speakers as peers of a test: GoBGP, OpenBGPD, ExaBGP. */

import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { Daemon } from './daemon.ts';

export class GoBgp extends Daemon {
  constructor(namespace: string) {
    super('gobgp', namespace);
  }

  /** @param words more of the command line: `-r` is a graceful restart. */
  async start(configuration: string, ...words: string[]): Promise<void> {
    const file = this.write('gobgpd.toml', configuration);
    // It does not clear away what a killed one has left.
    rmSync(this.path('api'), { force: true });
    this.spawn('gobgpd', ['-f', file, '--api-hosts', this.target, '--pprof-disable', '-p', ...words]);
    // Its client waits a second or two where there is nothing to connect to.
    await this.answers(() => existsSync(this.path('api')) && this.command('global').includes('AS:'));
  }

  command(words: string): string {
    return this.ask('gobgp', '--target', this.target, ...words.split(' '));
  }

  /** @param attributes as in `community 1:1 large-community 1:1:1 rt 1:1`. */
  announce(prefix: string, nextHop: string, attributes: string): void {
    this.command(`global rib add -a ${familyWord(prefix)} ${prefix} nexthop ${nextHop} ${attributes}`);
  }

  route(prefix: string): string {
    return this.command(`global rib -a ${familyWord(prefix)} ${prefix}`);
  }

  protected get target(): string {
    return `unix://${this.path('api')}`;
  }
}

export class OpenBgpd extends Daemon {
  constructor(namespace: string) {
    super('openbgpd', namespace);
  }

  /** @param configuration without `socket`. */
  async start(configuration: string): Promise<void> {
    const file = this.write('bgpd.conf', `socket "${this.socket}"\nfib-update no\n${configuration}`);
    // bgpd refuses a file that others may read.
    chmodSync(file, 0o600);
    // Its children change their root to their user's home, which the package makes only where the service is started.
    mkdirSync(this.ask('sh', '-c', 'echo ~_openbgpd').trim(), { recursive: true });
    this.spawn('/usr/sbin/bgpd', ['-d', '-v', '-f', file]);
    await this.answers(() => this.show('summary') !== '');
  }

  show(words: string): string {
    return this.command(`show ${words}`);
  }

  command(words: string): string {
    return this.ask('bgpctl', '-s', this.socket, ...words.split(' '));
  }

  route(prefix: string): string {
    return this.show(`rib detail ${prefix}`);
  }

  protected get socket(): string {
    return this.path('bgpd.sock');
  }
}

/** It keeps no table: what it hears is a list of events. */
export class ExaBgp extends Daemon {
  constructor(namespace: string) {
    super('exabgp', namespace);
  }

  /** @param configuration whose neighbours name the process `api`. */
  async start(configuration: string): Promise<void> {
    this.write('commands', '');
    // What it hears goes to a file; what we append to another it obeys. `tail` ends with the shell that becomes `cat`.
    const script = `tail -n +1 --pid=$$ -s 0.1 -f ${this.path('commands')} & exec cat >>${this.path('heard')}`;
    this.write('api', `#!/bin/sh\n${script}\n`);
    chmodSync(this.path('api'), 0o755);
    const file = this.write('exabgp.conf', `process api { run ${this.path('api')}; encoder json; }\n${configuration}`);
    this.spawn('exabgp', [file], {
      exabgp_daemon_user: 'root',
      exabgp_daemon_drop: 'false',
      exabgp_api_cli: 'false',
      exabgp_api_ack: 'false',
      exabgp_log_destination: 'stdout',
      exabgp_tcp_attempts: '0',
    });
    await this.answers(() => existsSync(this.path('heard')));
  }

  /** A line of its API. */
  command(line: string): void {
    appendFileSync(this.path('commands'), `${line}\n`);
  }

  /** What it has told its process, one JSON text a line. */
  get heard(): string {
    return existsSync(this.path('heard')) ? readFileSync(this.path('heard'), 'utf8') : '';
  }

  /** What it heard of the prefix since the session came up. */
  route(prefix: string): string {
    const { heard } = this;
    return heard
      .slice(Math.max(0, heard.lastIndexOf('"state": "up"')))
      .split('\n')
      .filter((line) => line.includes(`"${prefix}"`))
      .join('\n');
  }
}

function familyWord(prefix: string): string {
  return prefix.includes(':') ? 'ipv6' : 'ipv4';
}
