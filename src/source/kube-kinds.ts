/**
 * The kinds that Godwit follows in an API server: where they are, and which of their fields are kept.
 * Holds: a field is kept if and only if a validator of src/resources reads it; 50,000 pods with all their fields are 300 MB.
 */

import { customResourceDefinitions, type ResourceKind } from '../resources/resource.ts';

/** What is kept of a value: all, what a function makes of it, or some fields (of each element, where it is a list). */
type Mask = true | ((value: unknown) => unknown) | { readonly [field: string]: Mask };

export interface KubeKind {
  readonly apiVersion: string;
  /** Of the collection, all namespaces. */
  readonly path: string;
  readonly plural: string;
  readonly mask: Mask;
  /** Comes by a CustomResourceDefinition of ours, which may not be installed. */
  readonly custom: boolean;
}

const metadata: Mask = {
  name: true,
  namespace: true,
  uid: true,
  labels: true,
  annotations: ownAnnotations,
  creationTimestamp: true,
};

const container: Mask = { name: true, restartPolicy: true, ports: { name: true, containerPort: true, protocol: true } };

const builtIn = (apiVersion: string, plural: string, mask: Mask): KubeKind => ({
  apiVersion,
  path: apiVersion === 'v1' ? `/api/v1/${plural}` : `/apis/${apiVersion}/${plural}`,
  plural,
  mask,
  custom: false,
});

/** Secrets are followed by their names (kube-secrets.ts): an agent may not read all of a cluster's. */
export type FollowedKind = Exclude<ResourceKind, 'Secret'>;

export const kubeKinds: Readonly<Record<FollowedKind, KubeKind>> = {
  Node: builtIn('v1', 'nodes', { metadata, spec: { podCIDR: true, podCIDRs: true }, status: { addresses: true } }),
  Namespace: builtIn('v1', 'namespaces', { metadata }),
  NetworkPolicy: builtIn('networking.k8s.io/v1', 'networkpolicies', { metadata, spec: true }),
  Pod: builtIn('v1', 'pods', {
    metadata,
    spec: { nodeName: true, hostNetwork: true, containers: container, initContainers: container },
    status: { phase: true, podIP: true, podIPs: true },
  }),
  BGPConfiguration: ours('BGPConfiguration'),
  BGPPeer: ours('BGPPeer'),
  BGPFilter: ours('BGPFilter'),
  IPPool: ours('IPPool'),
  IPReservation: ours('IPReservation'),
  IPAMBlock: ours('IPAMBlock'),
};

function ours(kind: (typeof customResourceDefinitions)[number]['kind']): KubeKind {
  const { plural } = customResourceDefinitions.find((definition) => definition.kind === kind)!;
  return { ...builtIn('godwit.dev/v1', plural, { metadata, spec: true }), custom: true };
}

/** @returns the object with what is kept, and with `apiVersion` and `kind`, which a list's items lack. */
export function trimmed(kind: FollowedKind, object: object): object {
  const { apiVersion, mask } = kubeKinds[kind];
  return { apiVersion, kind, ...(masked(object, mask) as object) };
}

/** What is not of the expected form stays: a validator will name it. */
function masked(value: unknown, mask: Mask): unknown {
  if (mask === true || typeof value !== 'object' || value === null) return value;
  if (typeof mask === 'function') return mask(value);
  if (Array.isArray(value)) return value.map((element) => masked(element, mask));
  const kept: Record<string, unknown> = {};
  for (const field in mask) {
    const content = (value as Readonly<Record<string, unknown>>)[field];
    if (content !== undefined && content !== null) kept[field] = masked(content, mask[field]);
  }
  return kept;
}

/** Annotations of a name in our domain; others may be large and change often. */
function ownAnnotations(annotations: unknown): unknown {
  return Object.fromEntries(
    Object.entries(annotations as object).filter(([name]) => /^([^/]+\.)?godwit\.dev\//.test(name)),
  );
}
