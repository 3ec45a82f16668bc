/** Pings that go on between all pairs while a test does something to the lab. */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inNamespace } from '../../../src/lab/command.ts';
import { endpointsOf, families, flowText } from '../../../src/lab/endpoints.ts';
import type { Flow } from '../../../src/lab/endpoints.ts';
import { namespaceOf } from '../../../src/lab/topology.ts';
import type { LabTopology } from '../../../src/lab/topology.ts';
import { eventually } from '../../kit/eventually.ts';

interface Stream {
  readonly flow: Flow;
  readonly child: ChildProcess;
  /** Sequence numbers that were answered. */
  readonly answered: Set<number>;
  highest: number;
}

export class PingStreams {
  private readonly streams: Stream[];

  /** One ping a pair and family, ten requests a second: a reply needs the way back as well. */
  constructor(topology: LabTopology) {
    const endpoints = endpointsOf(topology);
    const flows = endpoints.flatMap((from, index) =>
      endpoints.slice(index + 1).flatMap((to) => families.map((family) => ({ from, to, family }))),
    );
    this.streams = flows.map((flow) => {
      const namespace = namespaceOf(topology.name, flow.from.name);
      const [file, ...args] = inNamespace(namespace, ['ping', '-n', '-i', '0.1', flow.to[flow.family]]);
      const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      const stream: Stream = { flow, child, answered: new Set(), highest: 0 };
      createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
        const sequence = /bytes from .* icmp_seq=(\d+) /.exec(line)?.[1];
        if (sequence === undefined) return;
        stream.answered.add(Number(sequence));
        stream.highest = Math.max(stream.highest, Number(sequence));
      });
      return stream;
    });
  }

  /** Returns when every pair has had `count` more answers; so whatever happened before lies inside the streams. */
  async goOn(count: number): Promise<void> {
    const goals = this.streams.map(({ highest }) => highest + count);
    await eventually(() => this.streams.every(({ highest }, index) => highest >= goals[index]), {
      reason: `every pair pings on, ${count} more answers`,
      within: 30_000,
    });
  }

  /** Ends the pings. @returns what was lost before each pair's last answer: `A → B (address): 3 of 120`. */
  async end(): Promise<string[]> {
    await Promise.all(
      this.streams.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGINT');
        await ended;
      }),
    );
    return this.streams.flatMap(({ flow, answered, highest }) =>
      answered.size === highest ? [] : [`${flowText(flow)}: ${highest - answered.size} of ${highest}`],
    );
  }
}
