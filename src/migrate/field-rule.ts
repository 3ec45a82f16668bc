/**
 * What becomes of a field, as a table says: for the conversion, and for the tables of docs/migrate.md.
 * Holds: a field that no table knows is told, never dropped in silence.
 */

import { formatPath } from '../resources/problems.ts';
import type { MigrationBuilder } from './migration.ts';

export type FieldRule =
  /** The same field means the same. */
  | { readonly kind: 'same' }
  /** Another field, or another form. */
  | {
      readonly kind: 'changed';
      /** Ours, for the documentation. */
      readonly to: string;
      readonly how: string;
      /** What the value does no more, where it has to be told. */
      readonly lost?: string;
      /** @returns fields of ours; throws Unconvertible. Absent: the converter of the whole object does it. */
      convert?(value: unknown): Readonly<Record<string, unknown>>;
    }
  /** No counterpart. */
  | {
      readonly kind: 'none';
      readonly instead: string;
      /** Values that ask for nothing that does not happen anyway: no note. */
      readonly harmless?: (value: unknown) => boolean;
      /** Without it the object would mean something else: it is not converted. */
      readonly essential?: boolean;
    };

/** By the field's name. */
export type FieldTable = Readonly<Record<string, FieldRule>>;

/** The value has no form of ours; the message says why. */
export class Unconvertible extends Error {}

/**
 * Converts the fields of one object.
 * @param source the object, for notes; `path` leads to the fields, whose names begin with `prefix` there
 * @returns undefined: it cannot be converted, which is noted.
 */
export function convertFields(
  fields: Readonly<Record<string, unknown>>,
  table: FieldTable,
  builder: MigrationBuilder,
  source: string,
  path: readonly (string | number)[] = ['spec'],
  prefix = '',
): Record<string, unknown> | undefined {
  const result: Record<string, unknown> = {};
  let whole = true;
  for (const [name, value] of Object.entries(fields)) {
    // Go writes an absent text as an empty one.
    if (value === null || value === undefined || value === '') continue;
    const field = formatPath([...path, `${prefix}${name}`]);
    const rule = Object.hasOwn(table, name) ? table[name] : undefined;
    if (rule === undefined) builder.note('lost', source, 'not known to this version: left out', field);
    else if (rule.kind === 'same') result[name] = value;
    else if (rule.kind === 'none') {
      if (rule.harmless?.(value) === true) continue;
      builder.note(rule.essential ? 'failed' : 'lost', source, rule.instead, field);
      if (rule.essential) whole = false;
    } else if (rule.convert !== undefined) {
      try {
        Object.assign(result, rule.convert(value));
        if (rule.lost !== undefined) builder.note('lost', source, rule.lost, field);
      } catch (error) {
        if (!(error instanceof Unconvertible)) throw error;
        builder.note('failed', source, `not converted: ${error.message}`, field);
        whole = false;
      }
    }
  }
  return whole ? result : undefined;
}

/** A Go duration (`2m0s`, `1.5h`, `90000ms`) in our whole seconds, rounded up. */
export function wholeSeconds(value: unknown): string {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };
  if (typeof value !== 'string' || !/^(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$|^0$/.test(value)) {
    throw new Unconvertible(`${JSON.stringify(value)} is not a duration`);
  }
  let seconds = 0;
  for (const [, number, unit] of value.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)) {
    seconds += Number(number) * units[unit];
  }
  // Floating point puts 90000 ms a hair above 90 s.
  return `${Math.ceil(Number(seconds.toFixed(6)))}s`;
}
