/** Does every pod and outside host reach every other, and how was it carried? Each flow is pinged once while the wires are watched. */

import { endpointsOf, families, flowsBetween, flowText } from '../endpoints.ts';
import type { Endpoint, Flow } from '../endpoints.ts';
import { eventually, NotInTimeError } from '../eventually.ts';
import type { RunningLab } from '../run-folder.ts';
import { toMatrix } from '../table.ts';
import { WireCapture } from '../wire.ts';
import type { Carriage } from '../wire.ts';
import { observe } from './observe.ts';
import type { Observation } from './observe.ts';
import { unanswered } from './ping.ts';
import type { Report } from './report.ts';

/** Milliseconds from the first look until every flow must have been answered. */
const convergenceDeadline = 60_000;

export async function checkReachability(lab: RunningLab, report: Report, signal: AbortSignal): Promise<void> {
  const endpoints = endpointsOf(lab.topology);
  const flows = flowsBetween(endpoints);
  await untilAnswered(lab, flows, signal);
  const capture = await WireCapture.start(lab.topology);
  try {
    const { silent, surprising } = await observe(lab.topology.name, flows, lab.topology.pools, capture);
    // Ctrl-C ended the pings, too.
    signal.throwIfAborted();
    report.heading('Ping, every pair, IPv4 and IPv6');
    report.lines(pingMatrix(endpoints, silent));
    report.verdict(`${flows.length - silent.length} of ${flows.length} pings answered`, silent.map(flowText));

    report.heading('The same pings as tcpdump saw them on the wires of the racks');
    report.lines(carriageMatrix(endpoints, capture));
    report.verdict(
      'carried as the pools say: same rack and outside plain, other rack in a tunnel',
      surprising.map(surpriseText),
    );
  } finally {
    await capture.stop();
  }
}

/** Pings what has not answered yet, until all has or the time is over: the matrix then shows what is missing. */
async function untilAnswered(lab: RunningLab, flows: readonly Flow[], signal: AbortSignal): Promise<void> {
  let left = flows;
  try {
    await eventually(
      async () => {
        left = await unanswered(lab.topology.name, left);
        if (left.length > 0) throw new Error(`${left.length} of ${flows.length} pings are not answered`);
      },
      { reason: 'every pod is reached from everywhere', within: convergenceDeadline, signal },
    );
  } catch (error) {
    if (!(error instanceof NotInTimeError)) throw error;
  }
}

function pingMatrix(endpoints: readonly Endpoint[], silent: readonly Flow[]): string[] {
  return toMatrix(
    endpoints.map(({ name }) => name),
    (from, to) => {
      const answered = families.filter(
        (family) => !silent.some((flow) => flow.from.name === from && flow.to.name === to && flow.family === family),
      );
      return answered.length === 0 ? '✗' : answered.map((family) => family.slice(3)).join('+');
    },
  );
}

function surpriseText({ flow, seen, expected }: Observation['surprising'][number]): string {
  return `${flowText(flow)}: ${describe(seen)}, not ${describe(expected === undefined ? [] : [expected])}`;
}

function describe(seen: readonly Carriage[]): string {
  return seen.length === 0 ? 'not on the wire' : seen.join(' and ');
}

function carriageMatrix(endpoints: readonly Endpoint[], capture: WireCapture): string[] {
  const byName = new Map(endpoints.map((endpoint) => [endpoint.name, endpoint]));
  return toMatrix([...byName.keys()], (fromName, toName) => {
    const from = byName.get(fromName) as Endpoint;
    const to = byName.get(toName) as Endpoint;
    const seen = families.map((family) => capture.seen(from[family], to[family]).join('/') || '–');
    return seen[0] === seen[1] ? seen[0] : seen.join(' ');
  });
}
