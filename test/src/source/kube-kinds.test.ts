/** What is kept of an API server's objects is what the validators read, no less. */

import { expect, test } from 'vitest';
import { validateManifest } from '../../../src/resources/resource.ts';
import { kubeKinds, trimmed, type FollowedKind } from '../../../src/source/kube-kinds.ts';

const metadata = {
  name: 'a',
  uid: '0f1c',
  resourceVersion: '7',
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels: { app: 'web' },
  annotations: { 'godwit.dev/pod-ips': '10.1.0.9', 'lab.godwit.dev/x': '1' },
  managedFields: [{ manager: 'kubelet' }],
};
const container = {
  name: 'c',
  image: 'i',
  restartPolicy: 'Always',
  ports: [{ name: 'http', containerPort: 80, protocol: 'UDP', hostPort: 8080 }],
};

const full: Readonly<Record<FollowedKind, object>> = {
  Node: {
    metadata,
    spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00::/64'], unschedulable: true },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }], capacity: {} },
  },
  Pod: {
    metadata: { ...metadata, namespace: 'shop' },
    spec: { nodeName: 'a', hostNetwork: true, containers: [container], initContainers: [container], volumes: [] },
    status: {
      phase: 'Running',
      podIP: '10.1.0.2',
      podIPs: [{ ip: '10.1.0.2' }, { ip: 'fd00::2' }],
      qosClass: 'Burstable',
    },
  },
  Namespace: { metadata, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } },
  NetworkPolicy: {
    metadata: { ...metadata, namespace: 'shop' },
    spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] },
  },
  BGPConfiguration: { metadata: { ...metadata, name: 'default' }, spec: { asNumber: 64512 } },
  BGPPeer: { metadata, spec: { peerIP: '10.0.0.9', asNumber: 65001, holdTime: '30s' }, status: { conditions: [] } },
  BGPFilter: { metadata, spec: { importV4: [{ action: 'Reject' }] } },
  IPPool: { metadata, spec: { cidr: '10.244.0.0/16' }, status: {} },
  IPReservation: { metadata, spec: { reservedCIDRs: ['10.244.0.0/28'] } },
  IPAMBlock: {
    metadata: { ...metadata, name: '10-244-0-64-26' },
    spec: { cidr: '10.244.0.64/26', node: 'a', pool: 'pods' },
  },
};

test.each(Object.keys(kubeKinds) as FollowedKind[])('a %s cut down means the same as the whole', (kind) => {
  const whole = { apiVersion: kubeKinds[kind].apiVersion, kind, ...full[kind] };
  const validation = validateManifest(whole);
  expect(validation.kind).toBe('valid');
  // A list's items have neither apiVersion nor kind.
  expect(validateManifest(trimmed(kind, full[kind]))).toEqual(validation);
});

test("others' annotations are left out, and what is not of the expected form is left to the validator", () => {
  const annotations = { 'example.com/a': '1', 'notgodwit.dev/b': '2', 'godwit.dev/c': '3' };
  expect(trimmed('Pod', { metadata: { name: 'a', annotations }, spec: 'nonsense', status: null })).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', annotations: { 'godwit.dev/c': '3' } },
    spec: 'nonsense',
  });
});
