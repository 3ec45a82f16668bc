/** Pings flows and looks at the wires meanwhile. */

import { setTimeout as rest } from 'node:timers/promises';
import type { IpPool } from '../../resources/ip-pool.ts';
import type { Flow } from '../endpoints.ts';
import type { Carriage, WireCapture } from '../wire.ts';
import { expectedCarriage } from './carriage.ts';
import { unanswered } from './ping.ts';

/** Milliseconds until tcpdump must have shown a flow that is answered. */
const captureDeadline = 10_000;

export interface Observation {
  /** Flows whose first ping got no answer. */
  readonly silent: readonly Flow[];
  /** Flows that were not carried as the pools say, or not seen where they should be. */
  readonly surprising: readonly {
    readonly flow: Flow;
    readonly seen: readonly Carriage[];
    readonly expected?: Carriage;
  }[];
}

/** Pings each flow once. What tcpdump missed (a loaded machine drops captured packets) is pinged again, for that alone. */
export async function observe(
  lab: string,
  flows: readonly Flow[],
  pools: readonly IpPool[],
  capture: WireCapture,
): Promise<Observation> {
  const deadline = Date.now() + captureDeadline;
  const silent = await unanswered(lab, flows);
  for (;;) {
    const surprising = flows.flatMap((flow) => {
      const expected = expectedCarriage(flow, pools);
      const seen = capture.seen(flow.from[flow.family], flow.to[flow.family]);
      return seen.join() === (expected ?? '') ? [] : [{ flow, seen, expected }];
    });
    const missed = surprising.filter(({ seen }) => seen.length === 0).map(({ flow }) => flow);
    if (missed.length === 0 || Date.now() > deadline) return { silent, surprising };
    // tcpdump's lines come a little after the packets.
    await rest(100);
    await unanswered(
      lab,
      missed.filter((flow) => capture.seen(flow.from[flow.family], flow.to[flow.family]).length === 0),
    );
  }
}
