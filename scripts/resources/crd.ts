/**
 * CustomResourceDefinitions from the definitions of src/resources: OpenAPI v3, structural, with defaults and CEL rules.
 * Implements: apiextensions.k8s.io/v1; the rules need Kubernetes 1.31 or later (CEL's isIP and cidr).
 * Leaves out: the syntax of selectors, which CEL cannot say.
 */

import { z } from 'zod';
import type { CustomResource } from '../../src/resources/define.ts';

/** A schema as JSON. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly SchemaRule[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly [key: string]: unknown;
}

interface SchemaRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

const group = 'godwit.dev';

type Definition = CustomResource<string, z.ZodObject>;

export function toCrd(definition: Definition) {
  const { kind, plural, shortNames, status, columns } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(shortNames.length > 0 && { shortNames }),
        categories: ['godwit'],
      },
      scope: 'Cluster',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          ...(status && { subresources: { status: {} } }),
          additionalPrinterColumns: columns.map(({ name, type, jsonPath, wide }) => ({
            name,
            type,
            jsonPath,
            ...(wide && { priority: 1 }),
          })),
          schema: { openAPIV3Schema: objectSchema(definition) },
        },
      ],
    },
  };
}

/** The schema of a report alone, without the conditions. */
export function reportSchema(report: z.ZodObject): Schema {
  return structural(z.toJSONSchema(report, { io: 'input', target: 'openapi-3.0' }) as Schema);
}

/** The schema of the spec alone, as the definition says it. */
export function specSchema(definition: Pick<Definition, 'spec'>): Schema {
  return structural(z.toJSONSchema(definition.spec, { io: 'input', target: 'openapi-3.0' }) as Schema);
}

function objectSchema(definition: Definition) {
  const { description, name, objectRules = [], specOptional, status, report } = definition;
  const rules = [
    ...(name ? [{ rule: name.cel, message: `metadata.name: ${name.reason}` }] : []),
    ...objectRules.map(({ cel, reason, field }) => ({ rule: cel, message: reason, fieldPath: `.spec.${field}` })),
  ];
  return {
    type: 'object',
    description,
    ...(!specOptional && { required: ['spec'] }),
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      // A bound on the name, so that the API server can bound the cost of the rules on it.
      metadata: {
        type: 'object',
        ...(rules.length > 0 && { properties: { name: { type: 'string', maxLength: 253 } } }),
      },
      ...(report === undefined && { spec: specSchema(definition) }),
      ...(status && { status: statusSchema }),
      ...(report && { status: withConditions(reportSchema(report)) }),
    },
  };
}

const statusSchema = {
  type: 'object',
  properties: {
    conditions: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
        properties: {
          type: { type: 'string', maxLength: 316 },
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          reason: { type: 'string', maxLength: 1024 },
          message: { type: 'string', maxLength: 32768 },
          lastTransitionTime: { type: 'string', format: 'date-time' },
          observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
        },
      },
    },
  },
};

function withConditions(report: Schema): Schema {
  return { ...report, properties: { ...report.properties, ...(statusSchema.properties as Schema['properties']) } };
}

/** What a structural schema may not have, zod's way to say it: replaced or taken away. */
function structural(schema: Schema): Schema {
  const { anyOf, additionalProperties, properties, items, ...rest } = schema;
  const intOrString = rest['x-kubernetes-int-or-string'] === true;
  if (anyOf !== undefined && !intOrString) throw new Error(`a union is not structural: ${JSON.stringify(schema)}`);
  if (additionalProperties !== undefined && additionalProperties !== false) {
    throw new Error(`a record is not provided for: ${JSON.stringify(schema)}`);
  }
  if (/\(\?[=!<]/.test(String(rest.pattern ?? ''))) throw new Error(`RE2 has no lookaround: ${String(rest.pattern)}`);
  return {
    ...rest,
    ...(rest.type === 'integer' && { format: 'int64' }),
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([key, field]) => [key, structural(field)])),
    }),
    ...(items && { items: structural(items) }),
  };
}
