/**
 * What an API server would say to an object by a CRD: types, bounds, patterns, unknown fields (kubectl's strict
 * validation), defaults, and the CEL rules, as far as our CRDs use CEL. CEL is turned into JavaScript: the expressions
 * that we write are alike in both.
 */

import { runInNewContext } from 'node:vm';
import { canonicalAddress, canonicalPrefix, familyOfText, parsePrefix, prefixCovers } from '../../bgp/ip.ts';
import type { Schema } from '../../scripts/resources/crd.ts';

type Json = Readonly<Record<string, unknown>>;

/** @returns the paths of the fields that the schema refuses, with the reason; empty: accepted. */
export function crdProblems(schema: Schema, value: unknown): string[] {
  return judge(schema, withDefaults(schema, value), '');
}

function withDefaults(schema: Schema, value: unknown): unknown {
  if (value === undefined) {
    return schema.default === undefined ? undefined : withDefaults(schema, structuredClone(schema.default));
  }
  if (Array.isArray(value)) return value.map((item) => withDefaults(schema.items ?? {}, item));
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [key, field] of Object.entries(schema.properties)) {
    const content = withDefaults(field, filled[key]);
    if (content !== undefined) filled[key] = content;
  }
  return filled;
}

const typeTests: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: Number.isInteger,
  array: Array.isArray,
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

function judge(schema: Schema, value: unknown, path: string): string[] {
  if (schema['x-kubernetes-int-or-string']) {
    if (!Number.isInteger(value) && typeof value !== 'string') return [`${path}: neither an integer nor a string`];
  } else if (schema.type !== undefined && !typeTests[schema.type](value))
    return [`${path}: not of type ${schema.type}`];
  const problems = [...bounds(schema, value)].map((reason) => `${path}: ${reason}`);
  if (Array.isArray(value)) {
    problems.push(...value.flatMap((item, i) => judge(schema.items ?? {}, item, `${path}[${i}]`)));
  } else if (typeof value === 'object' && value !== null) {
    problems.push(...judgeFields(schema, value as Json, path));
  }
  // An API server evaluates the rules of objects that are otherwise well formed.
  if (problems.length > 0) return problems;
  return (
    (schema['x-kubernetes-validations'] ?? [])
      // A rule on what was before is not asked where nothing was.
      .filter(({ rule }) => !rule.includes('oldSelf'))
      .filter(({ rule }) => !evaluateCel(rule, value))
      .map(({ message, fieldPath }) => `${path}${fieldPath ?? ''}: ${message}`)
  );
}

function judgeFields(schema: Schema, value: Json, path: string): string[] {
  if (schema.properties === undefined) return [];
  const missing = (schema.required ?? []).filter((key) => value[key] === undefined);
  return [
    ...missing.map((key) => `${path}.${key}: required`),
    ...Object.entries(value).flatMap(([key, field]) => {
      const fieldSchema = schema.properties?.[key];
      return fieldSchema === undefined ? [`${path}.${key}: unknown`] : judge(fieldSchema, field, `${path}.${key}`);
    }),
  ];
}

function* bounds(schema: Schema, value: unknown): Generator<string> {
  const atMost = (limit: unknown, size: number) => limit === undefined || size <= Number(limit);
  const atLeast = (limit: unknown, size: number) => limit === undefined || size >= Number(limit);
  if (schema.enum !== undefined && !schema.enum.includes(value)) yield 'not in enum';
  if (typeof value === 'number') {
    if (!atLeast(schema.minimum, value) || !atMost(schema.maximum, value)) yield 'out of bounds';
  } else if (typeof value === 'string') {
    if (!atLeast(schema.minLength, value.length) || !atMost(schema.maxLength, value.length)) yield 'length';
    if (schema.pattern !== undefined && !new RegExp(String(schema.pattern)).test(value)) yield 'pattern';
  } else if (Array.isArray(value)) {
    if (!atLeast(schema.minItems, value.length) || !atMost(schema.maxItems, value.length)) yield 'number of items';
    if (schema['x-kubernetes-list-type'] === 'set' && new Set(value).size < value.length) yield 'duplicate items';
  }
}

/** @param rule one of our expressions, with `self`. An error of the evaluation refuses, as in an API server. */
function evaluateCel(rule: string, self: unknown): boolean {
  const javascript = rule
    .replaceAll(/type\(self\) == int/g, 'Number.isInteger(self)')
    .replaceAll(/has\(([\w.]+)\)/g, '($1 !== undefined)')
    .replaceAll(/([\w.]+) in (\[[^\]]*\])/g, '$2.includes($1)')
    .replaceAll('.contains(', '.includes(')
    .replaceAll('.replace(', '.replaceAll(')
    .replaceAll('.matches(', '.match(');
  try {
    return Boolean(runInNewContext(javascript, { self, size, duration, isIP, isCIDR, cidr }));
  } catch (error) {
    if (error instanceof EvaluationError) return false;
    throw new Error(`not understood: ${rule}`, { cause: error });
  }
}

class EvaluationError extends Error {}

const size = (value: string | readonly unknown[]) => value.length;

function duration(text: string): number {
  const parts = [...text.matchAll(/(\d+)([hms])/g)];
  if (parts.length === 0) throw new EvaluationError();
  const seconds: Record<string, number> = { h: 3600, m: 60, s: 1 };
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * seconds[unit], 0);
}

/** Kubernetes' CEL library takes no IPv4-mapped IPv6. */
function isIP(text: string): boolean {
  const canonical = canonicalAddress(text);
  return canonical !== undefined && !/^::ffff:.*[.]/.test(canonical);
}

function isCIDR(text: string): boolean {
  const canonical = canonicalPrefix(text);
  return canonical !== undefined && !/^::ffff:.*[.]/.test(canonical);
}

interface CelCidr {
  masked(): CelCidr;
  ip(): { family(): number };
  prefixLength(): number;
  containsCIDR(inner: string): boolean;
}

const cidrs = new Map<string, CelCidr>();

/** Equal CIDRs are the same object, so that == is equality. */
function cidr(text: string): CelCidr {
  if (!isCIDR(text)) throw new EvaluationError();
  const slash = text.indexOf('/');
  const key = `${canonicalAddress(text.slice(0, slash))}${text.slice(slash)}`;
  const known = cidrs.get(key);
  if (known !== undefined) return known;
  const made: CelCidr = {
    masked: () => cidr(canonicalPrefix(text)!),
    ip: () => ({ family: () => (familyOfText(text) === 'ipv4' ? 4 : 6) }),
    prefixLength: () => Number(text.slice(slash + 1)),
    containsCIDR: (inner) => prefixCovers(parsePrefix(text)!, parsePrefix(inner)!),
  };
  cidrs.set(key, made);
  return made;
}
