/** Do the switches' own tables hold every node's pod CIDRs with the AS paths that lab.yaml names? */

import { styleText } from 'node:util';
import { eventually, NotInTimeError } from '../eventually.ts';
import type { RunningLab } from '../run-folder.ts';
import { daemonTitle, switchRoutes } from '../routers/switch.ts';
import type { SwitchRoute } from '../routers/switch-status.ts';
import { toColumns } from '../table.ts';
import type { LabTopology } from '../topology.ts';
import type { Report } from './report.ts';

const deadline = 30_000;

export interface ExpectedRoute {
  readonly prefix: string;
  readonly asPath: string;
}

export async function checkSwitchTables(lab: RunningLab, report: Report, signal: AbortSignal): Promise<void> {
  for (const device of lab.topology.switches) {
    const expected = expectedRoutes(lab.topology, device.name);
    if (expected.length === 0) continue;
    let routes: SwitchRoute[] = [];
    let problems: string[] = [];
    try {
      await eventually(
        async () => {
          routes = await switchRoutes(lab, device);
          problems = wrongRoutes(routes, expected);
          if (problems.length > 0) throw new Error(problems[0]);
        },
        { reason: `${device.name} holds all pod CIDRs`, within: deadline, signal },
      );
    } catch (error) {
      if (!(error instanceof NotInTimeError)) throw error;
    }
    report.heading(`Pod CIDRs in ${device.name}'s own table (${daemonTitle(device)}, AS ${device.asNumber})`);
    const best = routes.filter((route) => route.best && expected.some(({ prefix }) => prefix === route.prefix));
    report.lines(
      toColumns([
        ['prefix', 'next hop', 'AS path'].map((title) => styleText('dim', title)),
        ...best
          .sort((one, other) => one.prefix.localeCompare(other.prefix))
          .map(({ prefix, nextHop, asPath }) => [prefix, nextHop, asPath]),
      ]),
    );
    report.verdict(
      `${expected.length - problems.length} of ${expected.length} pod CIDRs with the AS paths expected`,
      problems,
    );
  }
}

/** What lab.yaml says of a switch: every node's pod CIDRs, with the path of the node's segment. */
export function expectedRoutes(topology: LabTopology, device: string): ExpectedRoute[] {
  const pathBySegment = topology.asPaths[device] ?? {};
  return topology.nodes.flatMap(({ segment, podCidrs }) => {
    const asPath = pathBySegment[segment];
    return asPath === undefined ? [] : podCidrs.map((prefix) => ({ prefix, asPath }));
  });
}

function wrongRoutes(routes: readonly SwitchRoute[], expected: readonly ExpectedRoute[]): string[] {
  return expected.flatMap(({ prefix, asPath }) => {
    const best = routes.find((route) => route.best && route.prefix === prefix);
    if (best === undefined) return [`${prefix} is missing`];
    return best.asPath === asPath ? [] : [`${prefix} has the AS path ${best.asPath || '(empty)'}, not ${asPath}`];
  });
}
