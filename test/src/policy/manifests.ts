/** Resources for the tests of policy, through the validators that the agent uses. */

import { namespaceSchema, type Namespace } from '../../../src/resources/namespace.ts';
import { networkPolicySchema, type NetworkPolicy } from '../../../src/resources/network-policy.ts';
import { nodeSchema, type Node } from '../../../src/resources/node.ts';
import { podSchema, type Pod } from '../../../src/resources/pod.ts';
import type { Resource, ResourceChange } from '../../../src/resources/resource.ts';

export interface PodOptions {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly node?: string;
  readonly ips?: readonly string[];
  readonly hostNetwork?: boolean;
  readonly phase?: string;
  readonly ports?: readonly { readonly name: string; readonly containerPort: number; readonly protocol?: string }[];
}

export function pod(name: string, options: PodOptions): Pod {
  const { namespace = 'default', labels = {}, node = 'here', ips = [], hostNetwork, phase, ports = [] } = options;
  return podSchema.parse({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { nodeName: node, ...(hostNetwork && { hostNetwork }), containers: [{ name: 'main', ports }] },
    status: { ...(phase !== undefined && { phase }), podIPs: ips.map((ip) => ({ ip })) },
  });
}

export function namespace(name: string, labels: Readonly<Record<string, string>>): Namespace {
  return namespaceSchema.parse({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
}

export function node(name: string, addresses: readonly string[]): Node {
  return nodeSchema.parse({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  });
}

/** @param key `NAME` in namespace default, or `NAMESPACE/NAME` */
export function policy(key: string, spec: unknown): NetworkPolicy {
  const [name, namespace = 'default'] = key.split('/').reverse();
  return networkPolicySchema.parse({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec,
  });
}

export function upserts(...objects: readonly Resource[]): ResourceChange[] {
  return objects.map((object) => ({ kind: 'upsert', object }));
}

export function deletions(...objects: readonly Resource[]): ResourceChange[] {
  return objects.map((object) => ({ kind: 'delete', object }));
}
