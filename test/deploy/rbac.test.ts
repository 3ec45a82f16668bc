/** What the agent may do in the API server, against what its code does there: not less, and not more. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { customResourceDefinitions, type ResourceKind } from '../../src/resources/resource.ts';
import type { Manifest } from './kubernetes-types.ts';

type OwnKind = (typeof customResourceDefinitions)[number]['kind'];

/** Kubernetes' own kinds that are followed, each as GROUP/RESOURCE. Secrets come from a folder of manifests only so far. */
const builtIn = {
  Node: '/nodes',
  Pod: '/pods',
  Namespace: '/namespaces',
  NetworkPolicy: 'networking.k8s.io/networkpolicies',
} as const satisfies Record<Exclude<ResourceKind, OwnKind | 'Secret'>, string>;

/** What is written, and why. */
const written: Readonly<Record<string, readonly string[]>> = {
  // Role cni: a new pod's address, as an annotation.
  '/pods': ['patch'],
};

test('the ClusterRole holds get, list and watch of every kind that is followed, and the writes of the table', () => {
  const followed = [
    ...Object.values(builtIn),
    ...customResourceDefinitions.map(({ plural }) => `godwit.dev/${plural}`),
  ];
  const expected = Object.fromEntries(
    followed.map((name) => [name, ['get', 'list', 'watch', ...(written[name] ?? [])]]),
  );
  const text = readFileSync(fileURLToPath(new URL('../../deploy/manifests/godwit.yaml', import.meta.url)), 'utf8');
  const roles = parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest)
    .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
  const held: Record<string, string[]> = {};
  for (const { apiGroups, resources, verbs } of roles.flatMap(({ rules }) => rules)) {
    for (const group of apiGroups) {
      for (const resource of resources) (held[`${group}/${resource}`] ??= []).push(...verbs);
    }
  }
  expect(held).toEqual(expected);
});
