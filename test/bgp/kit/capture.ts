/** Every BGP and BFD packet of a namespace, and what tshark says of them. */

import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Capture {
  private readonly folder = mkdtempSync(join(tmpdir(), 'godwit-capture-'));
  private readonly process: ChildProcess;

  /** @param namespace its name. Begins once `tcpdump` listens: await `started`. */
  constructor(namespace: string) {
    const words = [
      'tcpdump',
      '-i',
      'any',
      '-U',
      '--immediate-mode',
      '-s',
      '0',
      '-w',
      this.file,
      'tcp port 179 or udp port 3784 or udp port 4784',
    ];
    this.process = spawn('ip', ['netns', 'exec', namespace, ...words, '-Z', 'root'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  async started(): Promise<void> {
    const { stderr } = this.process;
    if (stderr === null) throw new Error('no pipe to tcpdump');
    let said = '';
    for await (const text of stderr.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      said += String(text);
      if (said.includes('listening on')) break;
    }
    stderr.resume();
  }

  /** Ends the capture. */
  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    await gone;
  }

  /** Packets that the filter of tshark's display language finds: the named fields of each, in one line. */
  find(filter: string, ...fields: string[]): string[] {
    const words = ['-n', '-r', this.file, '-Y', filter, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
    return execFileSync('tshark', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')
      .filter((line) => line !== '');
  }

  /** Packets that tshark calls malformed, or errors of BGP or BFD, with what it says. */
  problems(): string[] {
    const filter = '_ws.malformed || ((bgp || bfd) && _ws.expert.severity >= "Error")';
    return this.find(filter, 'frame.number', 'ip.src', 'bgp.type', '_ws.expert.message');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get file(): string {
    return join(this.folder, 'all.pcap');
  }
}
