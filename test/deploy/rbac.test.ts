/**
 * What the agent may do in the API server, against what its code does there: not less, and not more. That it is not less is
 * asked of every request in the stories of test/src/agent/kube.
 */

import { expect, test } from 'vitest';
import { customResourceDefinitions, reportDefinitions, type ResourceKind } from '../../src/resources/resource.ts';
import { agentRoles, forbidden } from '../kit/rbac.ts';

type OwnKind = (typeof customResourceDefinitions)[number]['kind'];

/** Kubernetes' own kinds that are followed in the whole cluster, each as GROUP/RESOURCE. */
const builtIn = {
  Node: '/nodes',
  Pod: '/pods',
  Namespace: '/namespaces',
  NetworkPolicy: 'networking.k8s.io/networkpolicies',
} as const satisfies Record<Exclude<ResourceKind, OwnKind | 'Secret'>, string>;

const read = ['get', 'list', 'watch'];

/** What is written, and why. */
const written: Readonly<Record<string, readonly string[]>> = {
  // Role cni: a new pod's address, as an annotation.
  '/pods': ['patch'],
  // Server-side apply by each agent of its own.
  'godwit.dev/nodenetworkstatuses': ['create', 'patch'],
  // Conditions, by the leader.
  ...Object.fromEntries(
    customResourceDefinitions
      .filter(({ status }) => status)
      .map(({ plural }) => [`godwit.dev/${plural}/status`, ['patch']]),
  ),
  '/events': ['create', 'patch'],
};

test('the ClusterRole holds the verbs to read what is followed, and the writes of the table', () => {
  const followed = [
    ...Object.values(builtIn),
    ...[...customResourceDefinitions, ...reportDefinitions].map(({ plural }) => `godwit.dev/${plural}`),
  ];
  const expected = Object.fromEntries(
    [...new Set([...followed, ...Object.keys(written)])].map((name) => [
      name,
      [...(followed.includes(name) ? read : []), ...(written[name] ?? [])],
    ]),
  );
  expect(held('ClusterRole')).toEqual(expected);
});

test("the Role holds what is needed in the agents' own namespace: Secrets, read, and the Lease", () => {
  expect(agentRoles().find(({ kind }) => kind === 'Role')!.metadata.namespace).toBe('kube-system');
  expect(held('Role')).toEqual({
    '/secrets': read,
    'coordination.k8s.io/leases': ['create'],
    'coordination.k8s.io/leases godwit-conditions': ['get', 'update'],
  });
});

test('the check of the stories finds what is not allowed', () => {
  const request = { query: {}, isWatch: false, token: undefined };
  const asked = [
    { ...request, method: 'GET', path: '/api/v1/namespaces/kube-system/secrets' },
    { ...request, method: 'GET', path: '/api/v1/namespaces/shop/secrets' },
    { ...request, method: 'GET', path: '/api/v1/namespaces' },
    { ...request, method: 'DELETE', path: '/api/v1/namespaces/shop/pods/web' },
    { ...request, method: 'PATCH', path: '/apis/godwit.dev/v1/bgppeers/tor' },
    { ...request, method: 'PATCH', path: '/apis/godwit.dev/v1/bgppeers/tor/status' },
    { ...request, method: 'PUT', path: '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/other' },
  ];
  expect(forbidden(asked, agentRoles())).toEqual([
    'list /secrets in shop',
    'delete /pods in shop',
    'patch godwit.dev/bgppeers in the cluster',
    'update coordination.k8s.io/leases in kube-system',
  ]);
});

/** GROUP/RESOURCE, and the names where only some are meant → verbs. */
function held(kind: 'ClusterRole' | 'Role'): Record<string, string[]> {
  const result: Record<string, string[]> = {};
  for (const role of agentRoles().filter((candidate) => candidate.kind === kind)) {
    for (const { apiGroups, resources, resourceNames = [], verbs } of role.rules) {
      for (const group of apiGroups) {
        for (const resource of resources) {
          (result[[`${group}/${resource}`, ...resourceNames].join(' ')] ??= []).push(...verbs);
        }
      }
    }
  }
  return result;
}
