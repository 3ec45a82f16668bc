/** A stream of pings from a pod, that does not depend on the API server: how many were not answered? */

import { readFileSync } from 'node:fs';
import { eventually } from '../kit/eventually.ts';
import type { NetworkHost } from './host.ts';
import type { Program } from './programs.ts';

let made = 0;

export class PingStream {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Every 20 ms, from the pod with this address on this node. @returns once the first is answered. */
  static async start(node: NetworkHost, from: string, to: string): Promise<PingStream> {
    const namespace = await namespaceOf(node, from);
    const words = ['nsenter', `--net=/run/netns/${namespace}`, 'ping', '-n', '-i', '0.02', '-W', '1', to];
    const stream = new PingStream(node.start(`ping-${++made}`, words));
    await stream.answered(1);
    return stream;
  }

  /** Waits for so many further answers. */
  async answered(more: number): Promise<void> {
    const before = this.#answers().length;
    await eventually(() => this.#answers().length >= before + more, { reason: `${more} further pings are answered` });
  }

  /** @returns how many were sent before the last that was answered, and which of them were not. */
  async stop(): Promise<{ sent: number; lost: readonly number[] }> {
    await this.answered(5);
    await this.#program.stop('SIGKILL');
    const answers = new Set(this.#answers());
    const last = Math.max(...answers);
    const lost = Array.from({ length: last }, (_, i) => i + 1).filter((number) => !answers.has(number));
    return { sent: last, lost };
  }

  #answers(): number[] {
    return [...readFileSync(this.#program.logFile, 'utf8').matchAll(/bytes from .* icmp_seq=(\d+)/g)].map(
      ([, number]) => Number(number),
    );
  }
}

/** @returns the name of the pod's network namespace */
export async function namespaceOf(node: NetworkHost, address: string): Promise<string> {
  const names = (await node.run(['ls', '/run/netns'])).split('\n').filter(Boolean);
  for (const name of names) {
    const addresses = await node.run(['ip', '-netns', name, '-oneline', 'address']);
    if (addresses.includes(` ${address}/`)) return name;
  }
  throw new Error(`no network namespace has the address ${address}`);
}
