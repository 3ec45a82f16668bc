/**
 * What an agent says about kinds that it cannot follow: since when, why, and what counts meanwhile. Pure.
 * Holds: the text of a fault stays the same while nothing about it changes, so that each is news once.
 */

import type { KubeErrorKind } from '../kube/errors.ts';
import type { Fault } from '../kube/reflector.ts';
import type { UndatedProblem } from './dated.ts';
import { kubeKinds, type FollowedKind } from './kube-kinds.ts';

export interface KindState {
  readonly kind: FollowedKind;
  /** Was listed once. */
  readonly synced: boolean;
  readonly fault: Fault | undefined;
  /** When the state on disk, which is in use, was written; milliseconds since the epoch. */
  readonly recalledOf: number | undefined;
  /** The version that wrote the state on disk did not know the kind: it is taken as having no objects. */
  readonly unknownThen: boolean;
}

/** Listed once, or there is nothing to list. */
export function isSettled({ kind, synced, fault }: KindState): boolean {
  return synced || (kubeKinds[kind].custom && fault?.error.kind === 'notFound');
}

/** What keeps kinds from being up to date, one problem for all kinds that share it. */
export function faultProblems(all: readonly KindState[], server: string): UndatedProblem[] {
  const problems: UndatedProblem[] = [];
  const groups = Map.groupBy(
    all.flatMap((one) => (one.fault === undefined ? [] : [{ ...one, fault: one.fault }])),
    (one) => sharedFault(one, server),
  );
  for (const group of groups.values()) {
    // What one more attempt mends is not worth a word.
    if (group.every((one) => isPassing(one))) continue;
    const since = Math.min(...group.map(({ fault }) => fault.since));
    const latest = group.reduce((a, b) => (b.fault.attempts > a.fault.attempts ? b : a));
    problems.push({ reason: faultText(group, latest, since, server), since });
  }
  return problems;
}

function faultText(group: readonly Faulty[], latest: Faulty, since: number, server: string): string {
  const explanation = explained(latest, server);
  if (isMissingKind(latest)) return explanation;
  const state = stateWords(latest, since);
  // These are not what the rest is.
  if (latest.unknownThen)
    return `${group.map(({ kind }) => kubeKinds[kind].plural).join(', ')}: ${state}: ${explanation}`;
  // What is wrong with the server as a whole names no kinds: they fail and come back one after another, each would be news.
  if (wholeServerFault(latest) !== undefined) return `${state}: ${explanation}`;
  return `${group.map(({ kind }) => kubeKinds[kind].plural).join(', ')}: ${state}: ${explanation}`;
}

/** Kinds with the same are told of in one line. */
function sharedFault(one: Faulty, server: string): string {
  return `${stateWords(one, 0)} ${wholeServerFault(one) ?? explained(one, server)}`;
}

function wholeServerFault({ fault: { error } }: Faulty): 'away' | 'unauthorized' | undefined {
  if (error.kind === 'unauthorized') return 'unauthorized';
  return error.kind === 'unreachable' || error.kind === 'silent' || error.status === 503 ? 'away' : undefined;
}

type Faulty = KindState & { readonly fault: Fault };

/** What may be over by itself at the next attempt. */
export const passingKinds: readonly KubeErrorKind[] = ['unreachable', 'silent', 'serverFault', 'garbage', 'expired'];

function isPassing({ fault, synced }: Faulty): boolean {
  return synced && fault.attempts < 2 && passingKinds.includes(fault.error.kind);
}

function isMissingKind({ kind, fault }: Faulty): boolean {
  return kubeKinds[kind].custom && fault.error.kind === 'notFound';
}

function explained(one: Faulty, server: string): string {
  const { kind, message } = one.fault.error;
  if (isMissingKind(one))
    return `the custom resource ${one.kind} is not installed (its CRD is in deploy/crds); everything else goes on`;
  if (kind === 'unauthorized') return `${server} does not accept our credentials: ${message}`;
  if (kind === 'forbidden') return `the agent's account may not list and watch them: ${message}`;
  return message;
}

function stateWords({ recalledOf, unknownThen, synced }: Faulty, since: number): string {
  if (recalledOf !== undefined && unknownThen) {
    return `taken as none, since the last known state, written at ${time(recalledOf)}, is of a version that did not know them`;
  }
  if (recalledOf !== undefined) return `from the last known state, written at ${time(recalledOf)}`;
  return synced ? `out of date since ${time(since)}` : 'not known yet';
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}
