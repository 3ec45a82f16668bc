/**
 * NetworkPolicy, stage after stage: the policies of the stage are put among the manifests that the agents watch, and every pod tries
 * every port of every other, in both families, until what is open is what the story says.
 */

import { cp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inParallel } from '../command.ts';
import { families } from '../endpoints.ts';
import type { IpFamily } from '../endpoints.ts';
import { eventually, NotInTimeError } from '../eventually.ts';
import { readText } from '../manifests.ts';
import type { RunFolder, RunningLab } from '../run-folder.ts';
import { toMatrix } from '../table.ts';
import type { LabPod } from '../topology.ts';
import { tryTargets, workloadPorts } from '../workloads.ts';
import { isOpen, parseStory } from './policy-story.ts';
import type { PolicyStage } from './policy-story.ts';
import type { Report } from './report.ts';

/** Milliseconds until a change of policy must be in force everywhere. */
const deadline = 20_000;
/** A packet that a policy drops gets no answer; milliseconds after which we believe that. */
const connectTimeout = 600;
/** The files of ours among the manifests. */
const applied = 'check-';

interface Attempt {
  readonly from: LabPod;
  readonly to: LabPod;
  readonly family: IpFamily;
  readonly port: number;
  readonly open: boolean;
  /** An answer that is not as it should be: from another server, or to another source address than the pod's. */
  readonly oddity?: string;
}

export async function checkPolicies(lab: RunningLab, report: Report, signal: AbortSignal): Promise<void> {
  const stages = parseStory(await readText(join(lab.folder.lab, 'policies', 'story.yaml')));
  try {
    for (const [index, stage] of stages.entries()) await checkStage(lab, stage, index + 1, report, signal);
  } finally {
    await applyPolicies(lab.folder, []);
  }
}

async function checkStage(
  lab: RunningLab,
  stage: PolicyStage,
  number: number,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  await applyPolicies(lab.folder, stage.apply);
  const started = Date.now();
  let attempts: Attempt[] = [];
  let problems: string[] = [];
  try {
    await eventually(
      async () => {
        attempts = await attemptAll(lab);
        problems = problemsOf(attempts, stage);
        if (problems.length > 0) throw new Error(problems[0]);
      },
      { reason: `policies of stage ${number}`, within: deadline, signal },
    );
  } catch (error) {
    if (!(error instanceof NotInTimeError)) throw error;
  }
  const opened = attempts.filter(({ open }) => open).length;
  report.heading(`TCP between the pods, ${stage.title}`);
  report.lines(stage.apply.length === 0 ? [] : [`policies: ${stage.apply.join(', ')}`]);
  report.lines(portMatrix(lab.topology.pods, attempts));
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  report.verdict(`${opened} of ${attempts.length} connects open, as the policies say (after ${seconds} s)`, problems);
}

/** Brings our files among the manifests in line: these and no others. A file appears whole, by its rename. */
async function applyPolicies({ path, lab, manifests }: RunFolder, files: readonly string[]): Promise<void> {
  const wanted = new Set(files.map((file) => applied + file));
  for (const entry of await readdir(manifests)) {
    if (entry.startsWith(applied) && !wanted.has(entry)) await rm(join(manifests, entry), { force: true });
  }
  for (const file of files) {
    const copy = join(path, `${applied}${file}`);
    await cp(join(lab, 'policies', file), copy);
    await rename(copy, join(manifests, applied + file));
  }
}

async function attemptAll(lab: RunningLab): Promise<Attempt[]> {
  const { pods } = lab.topology;
  const attempts = await inParallel(pods, pods.length, async (from) => {
    const plan = pods
      .filter((to) => to !== from)
      .flatMap((to) => families.flatMap((family) => workloadPorts.map((port) => ({ from, to, family, port }))));
    const targets = plan.map(({ to, family, port }) => ({ host: to[family], port }));
    const answers = await tryTargets(lab, from.name, targets, connectTimeout);
    return plan.map((attempt, index): Attempt => {
      const { outcome, server, seenAs } = answers[index];
      if (outcome !== 'answered') return { ...attempt, open: false };
      const honest = server === attempt.to.name && seenAs === from[attempt.family];
      return {
        ...attempt,
        open: true,
        ...(!honest && { oddity: `${server} answered and saw ${seenAs}, not ${from[attempt.family]}` }),
      };
    });
  });
  return attempts.flat();
}

function problemsOf(attempts: readonly Attempt[], stage: PolicyStage): string[] {
  return attempts.flatMap(({ from, to, family, port, open, oddity }) => {
    const where = `${from.name} → ${to.name} port ${port} (${family})`;
    if (oddity !== undefined) return [`${where}: ${oddity}`];
    const expected = isOpen(stage, from, to, port);
    return open === expected ? [] : [`${where} is ${open ? 'open' : 'closed'}, not ${expected ? 'open' : 'closed'}`];
  });
}

/** Cells: the ports that are open in both families; a port open in one family only carries its name. */
function portMatrix(pods: readonly LabPod[], attempts: readonly Attempt[]): string[] {
  return toMatrix(
    pods.map(({ name }) => name),
    (from, to) => {
      const open = attempts.filter((attempt) => attempt.open && attempt.from.name === from && attempt.to.name === to);
      const cells = workloadPorts.flatMap((port) => {
        const inFamilies = families.filter((family) => open.some((one) => one.port === port && one.family === family));
        if (inFamilies.length === 0) return [];
        return [inFamilies.length === families.length ? String(port) : `${port}(${inFamilies[0]} only)`];
      });
      return cells.length === workloadPorts.length && cells.every((cell) => !cell.includes('('))
        ? 'all'
        : cells.join('+') || '–';
    },
  );
}
