/**
 * A NetworkPolicy as rules over selectors, address ranges and port ranges.
 * Implements: networking.k8s.io/v1 NetworkPolicySpec: from/to and ports that are absent or empty mean all; a port without a
 * number means every port of the protocol; rules of a direction that policyTypes leaves out do not count.
 * Leaves out: which pods are selected at the moment (pod-index.ts) and how the kernel is told (render.ts).
 */

import type { Family } from '../../bgp/ip.ts';
import type { IpBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../resources/network-policy.ts';
import { protocols, type Protocol } from '../resources/pod.ts';
import { objectName } from '../resources/resource.ts';
import { blocksToRanges, portsToRanges } from './address-ranges.ts';
import { selectAcrossNamespaces, selectInNamespace, type PodSelector } from './selector.ts';

export type Direction = 'ingress' | 'egress';

export const directions: readonly Direction[] = ['ingress', 'egress'];

export interface CompiledPolicy {
  /** `NAMESPACE/NAME`. */
  readonly key: string;
  readonly subjects: PodSelector;
  /** Present: the subjects are isolated in this direction, and only what a rule allows passes. */
  readonly rules: Readonly<Partial<Record<Direction, readonly CompiledRule[]>>>;
}

export interface CompiledRule {
  /** `NAMESPACE/NAME ingress[0]`: what a verdict names. */
  readonly id: string;
  readonly peers: 'all' | CompiledPeers;
  readonly ports: 'all' | CompiledPorts;
}

export interface CompiledPeers {
  readonly pods: readonly PodSelector[];
  /** As written: for people. */
  readonly blocks: readonly IpBlock[];
  /** As judged: prefixes, ranges and addresses that do not overlap. */
  readonly ranges: Readonly<Record<Family, readonly string[]>>;
}

export interface CompiledPorts {
  /** By protocol: `all`, or ranges `80`, `8000-8100` that do not overlap. */
  readonly numbers: ReadonlyMap<Protocol, 'all' | readonly string[]>;
  /** Resolved by the destination pod's containerPorts. */
  readonly names: readonly { readonly protocol: Protocol; readonly name: string }[];
}

export function compilePolicy(policy: NetworkPolicy): CompiledPolicy {
  const { spec, metadata } = policy;
  const key = objectName(policy);
  const compileRules = (
    direction: Direction,
    rules: readonly { readonly peers: readonly NetworkPolicyPeer[]; readonly ports: readonly NetworkPolicyPort[] }[],
  ): CompiledRule[] =>
    rules.map(({ peers, ports }, i) => ({
      id: `${key} ${direction}[${i}]`,
      peers: peers.length === 0 ? 'all' : compilePeers(metadata.namespace, peers),
      ports: ports.length === 0 ? 'all' : compilePorts(ports),
    }));
  return {
    key,
    subjects: selectInNamespace(metadata.namespace, spec.podSelector),
    rules: {
      ...(spec.policyTypes.includes('Ingress') && {
        ingress: compileRules(
          'ingress',
          spec.ingress.map(({ from, ports }) => ({ peers: from, ports })),
        ),
      }),
      ...(spec.policyTypes.includes('Egress') && {
        egress: compileRules(
          'egress',
          spec.egress.map(({ to, ports }) => ({ peers: to, ports })),
        ),
      }),
    },
  };
}

const allPods = { matchLabels: {}, matchExpressions: [] };

function compilePeers(namespace: string, peers: readonly NetworkPolicyPeer[]): CompiledPeers {
  const pods = new Map<string, PodSelector>();
  const blocks: IpBlock[] = [];
  for (const { podSelector, namespaceSelector, ipBlock } of peers) {
    if (ipBlock !== undefined) blocks.push(ipBlock);
    if (podSelector === undefined && namespaceSelector === undefined) continue;
    const selector =
      namespaceSelector === undefined
        ? selectInNamespace(namespace, podSelector ?? allPods)
        : selectAcrossNamespaces(namespaceSelector, podSelector ?? allPods);
    pods.set(selector.id, selector);
  }
  return { pods: [...pods.values()], blocks, ranges: blocksToRanges(blocks) };
}

function compilePorts(ports: readonly NetworkPolicyPort[]): CompiledPorts {
  const names = new Map<string, CompiledPorts['names'][number]>();
  const numbers = new Map<Protocol, 'all' | readonly string[]>();
  for (const protocol of protocols) {
    const ofProtocol = ports.filter((port) => port.protocol === protocol);
    if (ofProtocol.some(({ port }) => port === undefined)) {
      numbers.set(protocol, 'all');
      continue;
    }
    const ranges: { first: number; last: number }[] = [];
    for (const { port, endPort } of ofProtocol) {
      if (typeof port === 'string') names.set(`${protocol} ${port}`, { protocol, name: port });
      else if (port !== undefined) ranges.push({ first: port, last: endPort ?? port });
    }
    if (ranges.length > 0) numbers.set(protocol, portsToRanges(ranges));
  }
  return { numbers, names: [...names.values()] };
}
