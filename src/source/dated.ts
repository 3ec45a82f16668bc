/** When a problem began. */

import type { SourceProblem } from './source.ts';

export type UndatedProblem = Omit<SourceProblem, 'since'> & { readonly since?: number };

/** A problem that was there before keeps its date; a new one began now, unless it says when. */
export function dated(problems: readonly UndatedProblem[], before: readonly SourceProblem[]): SourceProblem[] {
  const dates = new Map(before.map((problem) => [identity(problem), problem.since]));
  const now = Date.now();
  return problems.map((problem) => ({ ...problem, since: problem.since ?? dates.get(identity(problem)) ?? now }));
}

function identity({ since: _since, ...problem }: UndatedProblem): string {
  return JSON.stringify(problem);
}
