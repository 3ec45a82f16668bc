/**
 * What really went over the racks' wires: tcpdump on every segment that has nodes, read as text.
 * A packet inside a tunnel shows as its outer line and then its own.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inNamespace } from './command.ts';
import { namespaceOf } from './topology.ts';
import type { LabTopology } from './topology.ts';

export type Carriage = 'plain' | 'vxlan' | 'ipip';

/** An ICMP echo request on the wire. */
export interface Sighting {
  readonly from: string;
  readonly to: string;
  readonly carriage: Carriage;
}

const vxlanPort = 4789;
const filter = `icmp or icmp6 or udp port ${vxlanPort} or ip proto 4`;

/** Watches while it lives. */
export class WireCapture {
  private readonly sightings = new Map<string, Set<Carriage>>();
  private readonly children: ChildProcess[] = [];

  /** @throws Error with tcpdump's words. Returns when every wire is watched. */
  static async start(topology: LabTopology): Promise<WireCapture> {
    const capture = new WireCapture();
    const populated = topology.segments.filter(({ name }) => topology.nodes.some(({ segment }) => segment === name));
    try {
      await Promise.all(
        populated.map(({ name, switch: owner }) => capture.watch(namespaceOf(topology.name, owner), name)),
      );
    } catch (error) {
      await capture.stop();
      throw error;
    }
    return capture;
  }

  /** How requests from one address to another were carried, until now. Several, if they changed. */
  seen(from: string, to: string): Carriage[] {
    return [...(this.sightings.get(sightingKey(from, to)) ?? [])];
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }),
    );
  }

  private async watch(namespace: string, interfaceName: string): Promise<void> {
    // The bridge is put into promiscuous mode: then it sees what only passes through it, too.
    // Headers only, and 16 MiB for bursts.
    const size = ['-s', '256', '-B', '16384'];
    const command = [
      'tcpdump',
      '-i',
      interfaceName,
      '-Z',
      'root',
      '-n',
      '-t',
      '-l',
      '--immediate-mode',
      ...size,
      filter,
    ];
    const [file, ...args] = inNamespace(namespace, command);
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.children.push(child);
    const reader = new TcpdumpReader();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const sighting = reader.read(line);
      if (sighting === undefined) return;
      const key = sightingKey(sighting.from, sighting.to);
      this.sightings.set(key, (this.sightings.get(key) ?? new Set()).add(sighting.carriage));
    });
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('listening on')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`tcpdump on ${interfaceName}: ${said.trim()}`)));
    });
  }
}

/** Reads tcpdump's lines one after the other: an outer line says how the next one was carried. */
export class TcpdumpReader {
  private insideVxlan = false;

  read(line: string): Sighting | undefined {
    const insideVxlan = this.insideVxlan;
    this.insideVxlan = / VXLAN, flags /.test(line);
    // IP-in-IP stands on one line: IP 10.1.1.11 > 10.1.2.13: IP 10.244.1.11 > 10.244.3.11: ICMP echo request
    const match = /IP6? (\S+) > (\S+): ICMP6?,? echo request/.exec(line);
    if (!match) return undefined;
    const carriage = insideVxlan ? 'vxlan' : line.slice(0, match.index).includes(' > ') ? 'ipip' : 'plain';
    return { from: match[1], to: match[2], carriage };
  }
}

function sightingKey(from: string, to: string): string {
  return `${from} ${to}`;
}
