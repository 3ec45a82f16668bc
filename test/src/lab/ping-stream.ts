/** Pings that go on between all pairs while a test does something to the lab. */

import { endpointsOf, families, flowText } from '../../../src/lab/endpoints.ts';
import type { Flow } from '../../../src/lab/endpoints.ts';
import { namespaceOf } from '../../../src/lab/topology.ts';
import type { LabTopology } from '../../../src/lab/topology.ts';
import { Pings } from '../../kit/pings.ts';

export class PingStreams {
  private readonly streams: readonly { readonly flow: Flow; readonly pings: Pings }[];

  /** One ping a pair and family, ten requests a second: a reply needs the way back as well. */
  constructor(topology: LabTopology) {
    const endpoints = endpointsOf(topology);
    const flows = endpoints.flatMap((from, index) =>
      endpoints.slice(index + 1).flatMap((to) => families.map((family) => ({ from, to, family }))),
    );
    this.streams = flows.map((flow) => {
      const namespace = namespaceOf(topology.name, flow.from.name);
      const pings = new Pings({ namespace, to: flow.to[flow.family], intervalMilliseconds: 100 });
      return { flow, pings };
    });
  }

  /** Returns when every pair has had `count` more answers; so whatever happened before lies inside the streams. */
  async goOn(count: number): Promise<void> {
    await Promise.all(this.streams.map(({ pings }) => pings.goOn(count)));
  }

  /** Ends the pings. @returns what was lost before each pair's last answer: `A → B (address): 3 of 120`. */
  async end(): Promise<string[]> {
    const ended = await Promise.all(this.streams.map(async ({ flow, pings }) => ({ flow, ...(await pings.end()) })));
    return ended.flatMap(({ flow, lost, sent }) => (lost === 0 ? [] : [`${flowText(flow)}: ${lost} of ${sent}`]));
  }
}
