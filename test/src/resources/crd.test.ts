/** The CRDs: generated, up to date, structural, and of one mind with the validators. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import type { Schema } from '../../../scripts/resources/crd.ts';
import { customResourceDefinitions, reportDefinitions } from '../../../src/resources/resource.ts';
import { readNodeReport } from '../../../src/resources/node-network-status.ts';
import { crdProblems } from '../../kit/crd.ts';
import { cases } from './custom-resource-cases.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

interface Crd {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly {
      readonly subresources?: object;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

const crds = new Map(
  [...customResourceDefinitions, ...reportDefinitions].map(({ kind, plural }) => {
    const text = readFileSync(`${root}deploy/crds/godwit.dev_${plural}.yaml`, 'utf8');
    return [kind, parse(text) as Crd];
  }),
);

test('deploy/crds and docs/resources.md are what the definitions say', () => {
  execFileSync(process.execPath, [`${root}scripts/generate-crds.ts`, '--check'], { stdio: 'pipe' });
});

describe.each(cases.filter(({ beyondCrd }) => beyondCrd !== true))(
  '$kind: $title',
  ({ kind, name, spec, problems }) => {
    test(problems.length === 0 ? 'the CRD accepts it too' : 'the CRD refuses it too', () => {
      const schema = crds.get(kind)!.spec.versions[0].schema.openAPIV3Schema;
      const object = {
        apiVersion: 'godwit.dev/v1',
        kind,
        metadata: { name: name ?? (kind === 'BGPConfiguration' ? 'default' : 'x') },
        ...(spec !== undefined && { spec }),
      };
      const refused = crdProblems(schema, object);
      expect(refused.length > 0, refused.join('\n')).toBe(problems.length > 0);
    });
  },
);

test.each([...crds.values()])('the schema of $spec.names.kind is structural', ({ spec }) => {
  const walk = (schema: Schema, path: string) => {
    expect(schema.type !== undefined || schema['x-kubernetes-int-or-string'] === true, path).toBe(true);
    for (const key of ['anyOf', 'oneOf', 'allOf', 'not', '$ref', 'additionalProperties']) {
      expect(schema, path).not.toHaveProperty(key);
    }
    for (const [key, field] of Object.entries(schema.properties ?? {})) walk(field, `${path}.${key}`);
    if (schema.type === 'array') walk(schema.items!, `${path}[]`);
  };
  walk(spec.versions[0].schema.openAPIV3Schema, spec.names.kind);
});

test('the example of a report is one that its CRD accepts and another agent reads', () => {
  for (const { kind, example } of reportDefinitions) {
    const object: unknown = parse(example);
    expect(crdProblems(crds.get(kind)!.spec.versions[0].schema.openAPIV3Schema, object)).toEqual([]);
    expect(readNodeReport(object)).toEqual((object as { status: unknown }).status);
  }
});

test.each([
  ['BGPPeer', true],
  ['IPPool', true],
  ['BGPFilter', false],
  ['BGPConfiguration', false],
  // Its agent writes the whole object at once.
  ['NodeNetworkStatus', false],
] as const)('%s has a status of its own: %s', (kind, status) => {
  expect(crds.get(kind)!.spec.versions[0].subresources !== undefined).toBe(status);
});
