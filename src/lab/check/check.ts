/** `lab check`: waits until the lab has come to rest, then proves what it shows, part after part. */

import { eventually, NotInTimeError } from '../eventually.ts';
import type { RunningLab } from '../run-folder.ts';
import { snapshotProblems, takeSnapshot } from '../snapshot.ts';
import { checkPolicies } from './policy.ts';
import { checkReachability } from './reachability.ts';
import { Report } from './report.ts';
import { checkSwitchTables } from './switch-tables.ts';

/** Milliseconds until all sessions must be established and all routes in the kernels. */
const convergenceDeadline = 60_000;

/** @returns whether everything passed. */
export async function checkLab(lab: RunningLab, write: (text: string) => void, signal: AbortSignal): Promise<boolean> {
  const started = Date.now();
  const report = new Report(write);
  report.heading('Sessions and routes');
  await checkConvergence(lab, report, signal);
  await checkSwitchTables(lab, report, signal);
  await checkReachability(lab, report, signal);
  await checkPolicies(lab, report, signal);
  return report.summary((Date.now() - started) / 1000);
}

async function checkConvergence(lab: RunningLab, report: Report, signal: AbortSignal): Promise<void> {
  const started = Date.now();
  let problems: string[] = [];
  try {
    await eventually(
      async () => {
        problems = snapshotProblems(await takeSnapshot(lab));
        if (problems.length > 0) throw new Error(problems[0]);
      },
      { reason: 'all sessions and routes', within: convergenceDeadline, signal },
    );
  } catch (error) {
    if (!(error instanceof NotInTimeError)) throw error;
  }
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  report.verdict(`all BGP sessions established, all pod CIDRs in every node's kernel (after ${seconds} s)`, problems);
}
