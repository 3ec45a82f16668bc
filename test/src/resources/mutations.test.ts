/** Manifests that are nearly right: whatever stands in a field, the answer is an object or problems with fields; nothing is thrown. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { formatProblem } from '../../../src/resources/problems.ts';
import { validateManifest } from '../../../src/resources/resource.ts';
import { readManifestText } from '../../../src/source/manifest-text.ts';
import { cases } from './custom-resource-cases.ts';

const kubernetes: readonly Record<string, unknown>[] = [
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a', labels: { rack: '1' }, annotations: { 'godwit.dev/as-number': '65001' } },
    spec: { podCIDRs: ['10.244.1.0/24', 'fd00:10::/64'] },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    spec: { nodeName: 'a', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 80, protocol: 'TCP' }] }] },
    status: { phase: 'Running', podIP: '10.244.1.2', podIPs: [{ ip: '10.244.1.2' }] },
  },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'x' } } },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bgp', namespace: 'shop' }, data: { key: 'aHVudGVy' } },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'p', namespace: 'shop' },
    spec: {
      podSelector: { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'x', operator: 'In', values: ['y'] }] },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }],
          ports: [{ protocol: 'TCP', port: 80, endPort: 90 }],
        },
      ],
      egress: [{ to: [{ namespaceSelector: {}, podSelector: {} }] }],
    },
  },
];

const ours = cases
  .filter(({ problems }) => problems.length === 0)
  .map(({ kind, spec, name = kind === 'BGPConfiguration' ? 'default' : 'x' }) => {
    return { apiVersion: 'godwit.dev/v1', kind, metadata: { name }, spec };
  });

interface Mutation {
  /** Which of the places of the manifest, counted around. */
  readonly place: number;
  readonly change: 'replace' | 'remove' | 'add';
  readonly value: unknown;
  readonly key: string;
}

/** Every object and array in the manifest, the outermost first. */
function containers(value: unknown): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value as Record<string, unknown>, ...Object.values(value).flatMap(containers)];
}

function mutated(manifest: object, mutations: readonly Mutation[]): unknown {
  const copy = structuredClone(manifest) as Record<string, unknown>;
  for (const { place, change, value, key } of mutations) {
    const places = containers(copy).flatMap((container) => Object.keys(container).map((name) => ({ container, name })));
    if (places.length === 0) return copy;
    const { container, name } = places[place % places.length];
    if (change === 'remove') delete container[name];
    else if (change === 'add' && Array.isArray(container)) container.push(structuredClone(value));
    else {
      // As JSON and YAML do: `__proto__` is a key like any other.
      const held = { value: structuredClone(value), enumerable: true, configurable: true, writable: true };
      Object.defineProperty(container, change === 'replace' ? name : key, held);
    }
  }
  return copy;
}

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    null,
    '',
    -1,
    2 ** 53,
    Infinity,
    '10.0.0.0/8',
    '::',
    '0.0.0.0/33',
    '9999999999s',
    'a'.repeat(300),
    [[]],
    { a: 1 },
    true,
  ),
);
const mutation = fc.record<Mutation>({
  place: fc.nat(200),
  change: fc.constantFrom('replace', 'remove', 'add'),
  value,
  key: fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('constructor', '__proto__', 'spec', 'toString', 'cidr')),
});
const manifest = fc
  .tuple(fc.constantFrom(...kubernetes, ...ours), fc.array(mutation, { minLength: 1, maxLength: 4 }))
  .map(([original, mutations]) => mutated(original, mutations));

test('the originals are valid', () => {
  for (const original of [...kubernetes, ...ours]) expect(validateManifest(original)).toMatchObject({ kind: 'valid' });
});

test('an object, or problems that a person can read', () => {
  const seen = { valid: 0, invalid: 0, notUsed: 0 };
  fc.assert(
    fc.property(manifest, (object) => {
      const result = validateManifest(object);
      seen[result.kind]++;
      if (result.kind !== 'invalid') return;
      expect(result.problems.length).toBeGreaterThan(0);
      for (const problem of result.problems) {
        expect(problem.reason).not.toMatch(/^$|undefined|\[object|Invalid input/);
        expect(formatProblem(problem).length).toBeLessThan(2000);
      }
    }),
    { numRuns: 1500 },
  );
  expect(seen.valid).toBeGreaterThan(20);
  expect(seen.invalid).toBeGreaterThan(100);
});

test('the same as text: objects and problems, each with its line', async () => {
  await fc.assert(
    fc.asyncProperty(manifest, async (object) => {
      const { objects, problems, sound } = await readManifestText(stringify(object), () => undefined);
      expect(sound || problems.length > 0).toBe(true);
      expect([...objects, ...problems].every(({ line }) => line === undefined || line > 0)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
