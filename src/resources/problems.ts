/**
 * What is wrong with a manifest, in words its author understands: `spec.asNumber: 0 is reserved (RFC 7607)`.
 * Turns zod's issues into a field's path and a reason. Pure.
 */

import type { z } from 'zod';

/** One fault of one object. */
export interface FieldProblem {
  /** `spec.exportV4[0].cidr`; '' is the object itself. */
  readonly field: string;
  /** The same path as keys, for whoever looks up the line of the text. */
  readonly path: readonly (string | number)[];
  readonly reason: string;
}

export function formatProblem(problem: Pick<FieldProblem, 'field' | 'reason'>): string {
  return problem.field === '' ? problem.reason : `${problem.field}: ${problem.reason}`;
}

/** @returns `a.b[0].c`; a key that is no plain word is written `annotations["godwit.dev/x"]`. */
export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key)}]`;
  }
  return text;
}

/** Every fault of a refused object, in the order of the schema. */
export function toFieldProblems(error: z.ZodError, knownKeys: KnownKeys): FieldProblem[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(path);
      return issue.keys.map((key) => problemAt([...path, key], `unknown field${suggestion(key, known)}`));
    }
    return [problemAt(path, issue.message)];
  });
}

/** The keys that the schema knows at a path; for the hint at a misspelt one. */
export type KnownKeys = (path: readonly (string | number)[]) => readonly string[];

/** zod's error map: our words for its built-in checks. What a check of ours says passes through unchanged. */
export function explainIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'custom' || issue.code === 'unrecognized_keys') return undefined;
  if (issue.input === undefined) return 'required';
  switch (issue.code) {
    case 'invalid_type':
      return `${show(issue.input)} is not ${typeNames[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `${show(issue.input)} is not ${oneOf(issue.values.map(String))}`;
    case 'too_small':
      return tooSmall(issue.origin, issue.minimum, issue.input);
    case 'too_big':
      return tooBig(issue.origin, issue.maximum, issue.input);
    case 'invalid_union':
      return `${show(issue.input)} is neither a whole number nor a string`;
    case 'invalid_key':
      return 'the key is not allowed';
    default:
      return undefined;
  }
}

/** A value as its author wrote it, cut to a readable length. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function problemAt(path: readonly (string | number)[], reason: string): FieldProblem {
  return { field: formatPath(path), path, reason };
}

function tooSmall(origin: string, minimum: number | bigint, input: unknown): string {
  if (origin === 'string')
    return minimum === 1 || input === '' ? 'must not be empty' : `shorter than ${minimum} characters`;
  if (origin === 'array') return minimum === 1 ? 'must not be empty' : `has fewer than ${minimum} entries`;
  return `${show(input)} is less than ${minimum}`;
}

function tooBig(origin: string, maximum: number | bigint, input: unknown): string {
  if (origin === 'string') return `longer than ${maximum} characters`;
  if (origin === 'array') return `has more than ${maximum} entries`;
  return `${show(input)} is more than ${maximum}`;
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? values[0] : `one of ${values.join(', ')}`;
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(key.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 4)))
    .sort((a, b) => a.distance - b.distance);
  return near.length === 0 ? '' : ` (did you mean ${near[0].candidate}?)`;
}

/** Levenshtein's distance of two short words. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 64) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
