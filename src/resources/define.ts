/**
 * How a kind is defined: once, as a zod schema with rules, from which come its TypeScript type, its validator,
 * its CRD and its page in docs/resources.md.
 * Holds: what an API server refuses by the CRD, the validator refuses too, with the same field and reason.
 */

import { z } from 'zod';

export const godwitApiVersion = 'godwit.dev/v1';

export interface ObjectMeta {
  readonly name: string;
  /** Where an API server gave one. */
  readonly uid?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339, where an API server gave one. */
  readonly creationTimestamp?: string;
}

/** Everything below is readonly: resources are values. */
export type DeepReadonly<T> = T extends (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** A rule between fields of one object. */
export interface Rule<T> {
  /** As the API server evaluates it, on the object as written. */
  readonly cel: string;
  /** The same, on the validated object. */
  holds(value: T): boolean;
  /** The field to blame, below the object that the rule is on. */
  readonly field: string;
  readonly reason: string;
}

/** @returns the schema, refusing also what breaks a rule; the rules go into the CRD. */
export function withRules<S extends z.ZodObject>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  return schema
    .superRefine((value, context) => {
      for (const rule of rules) {
        if (rule.holds(value)) continue;
        context.addIssue({ code: 'custom', path: [rule.field], message: rule.reason, input: value });
      }
    })
    .meta({
      'x-kubernetes-validations': rules.map(({ cel, reason, field }) => ({
        rule: cel,
        message: reason,
        fieldPath: `.${field}`,
      })),
    });
}

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
}

/** A custom resource of ours; cluster-scoped. */
export interface CustomResource<Kind extends string, Spec extends z.ZodObject> {
  readonly kind: Kind;
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** Markdown: what the kind is for. */
  readonly description: string;
  /** The rule for `metadata.name`, where it is narrower than any object's. */
  readonly name?: { readonly cel: string; readonly reason: string; holds(name: string): boolean };
  readonly spec: Spec;
  /** Whether `spec` may be absent. */
  readonly specOptional?: boolean;
  /** Rules that need the name beside the spec; their CEL is on the whole object. */
  readonly objectRules?: readonly ObjectRule<z.output<Spec>>[];
  /** Has `.status.conditions`, written through the status subresource. */
  readonly status: boolean;
  /** What an agent writes as `.status`, beside conditions, of a kind that has no spec; it has no status subresource. */
  readonly report?: z.ZodObject;
  readonly columns: readonly PrinterColumn[];
  /** A manifest that is valid, for the documentation. */
  readonly example: string;
}

export interface ObjectRule<Spec> {
  readonly cel: string;
  holds(name: string, spec: Spec): boolean;
  /** Below `spec`. */
  readonly field: string;
  readonly reason: string;
}

/** A validated object of a custom resource. */
export interface CustomObject<Kind extends string, Spec extends z.ZodObject> {
  readonly apiVersion: typeof godwitApiVersion;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
  readonly spec: DeepReadonly<z.output<Spec>>;
}

/** The definition as it is: for inference of its types. */
export function defineCustomResource<Kind extends string, Spec extends z.ZodObject>(
  definition: CustomResource<Kind, Spec>,
): CustomResource<Kind, Spec> {
  return definition;
}

/** The schema of whole manifests of the kind. Unknown fields are refused. */
export function manifestSchema<Kind extends string, Spec extends z.ZodObject>(
  definition: CustomResource<Kind, Spec>,
): z.ZodType<CustomObject<Kind, Spec>> {
  const spec: z.ZodType<z.output<Spec>> = definition.specOptional
    ? (definition.spec.prefault({} as never) as unknown as z.ZodType<z.output<Spec>>)
    : (definition.spec as unknown as z.ZodType<z.output<Spec>>);
  const schema = z
    .strictObject({
      apiVersion: z.literal(godwitApiVersion),
      kind: z.literal(definition.kind),
      metadata: objectMeta(definition.name),
      spec,
      status: z.unknown().optional(),
    })
    .superRefine((object, context) => {
      for (const rule of definition.objectRules ?? []) {
        if (rule.holds(object.metadata.name, object.spec)) continue;
        context.addIssue({ code: 'custom', path: ['spec', rule.field], message: rule.reason, input: object });
      }
    })
    .transform(({ apiVersion, kind, metadata, spec }) => ({ apiVersion, kind, metadata, spec }));
  return schema as unknown as z.ZodType<CustomObject<Kind, Spec>>;
}

const nameLabel = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomainPattern = new RegExp(`^${nameLabel}(\\.${nameLabel})*$`);
const labelPattern = new RegExp(`^${nameLabel}$`);

/** RFC 1123 subdomain, at most 253 characters: the name of most objects. */
export function subdomainName() {
  return z
    .string()
    .min(1)
    .max(253)
    .refine((name) => subdomainPattern.test(name), {
      error: 'must be lower case letters, digits, "-" and ".", beginning and ending with a letter or digit',
    });
}

/** RFC 1123 label, at most 63 characters: the name of a namespace. */
export function labelName() {
  return z
    .string()
    .min(1)
    .max(63)
    .refine((name) => labelPattern.test(name), {
      error: 'must be lower case letters, digits and "-", beginning and ending with a letter or digit',
    });
}

const stringMap = () => z.record(z.string(), z.string()).default({});

/** What we read of `metadata` of a cluster-scoped object; its other fields are the API server's and are left out. */
export function objectMeta(name?: { readonly reason: string; holds(name: string): boolean }) {
  const nameSchema = subdomainName();
  return z.object({
    name: name === undefined ? nameSchema : nameSchema.refine((text) => name.holds(text), { error: name.reason }),
    uid: z.string().optional(),
    labels: stringMap(),
    annotations: stringMap(),
    creationTimestamp: z.string().optional(),
  });
}

/** The same for an object in a namespace. */
export function namespacedObjectMeta() {
  return objectMeta().extend({ namespace: labelName().default('default') });
}
