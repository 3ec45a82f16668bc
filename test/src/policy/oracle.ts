/**
 * NetworkPolicy as its specification reads, one sentence after the other, over plain objects: slow and obvious.
 * Shares nothing with src/policy: a fault of the one is not a fault of the other.
 */

import { BlockList } from 'node:net';
import type { Namespace } from '../../../src/resources/namespace.ts';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../../../src/resources/network-policy.ts';
import type { Pod } from '../../../src/resources/pod.ts';
import type { LabelSelector } from '../../../src/resources/label-selector.ts';

export interface World {
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
  readonly policies: readonly NetworkPolicy[];
}

export interface OracleFlow {
  /** Addresses. */
  readonly from: string;
  readonly to: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  readonly port: number;
}

export function oracleAllows(world: World, flow: OracleFlow): boolean {
  if (flow.from === flow.to) return true;
  const [source] = podsAt(world, flow.from);
  const [destination] = podsAt(world, flow.to);
  return (
    (source === undefined || directionAllows(world, 'Egress', source, flow)) &&
    (destination === undefined || directionAllows(world, 'Ingress', destination, flow))
  );
}

function directionAllows(world: World, type: 'Ingress' | 'Egress', subject: Pod, flow: OracleFlow): boolean {
  const selecting = world.policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === subject.metadata.namespace &&
      spec.policyTypes.includes(type) &&
      selects(spec.podSelector, subject.metadata.labels),
  );
  if (selecting.length === 0) return true;
  const peer = type === 'Ingress' ? flow.from : flow.to;
  return selecting.some(({ metadata, spec }) => {
    const rules =
      type === 'Ingress'
        ? spec.ingress.map(({ from, ports }) => ({ peers: from, ports }))
        : spec.egress.map(({ to, ports }) => ({ peers: to, ports }));
    return rules.some(
      ({ peers, ports }) =>
        (peers.length === 0 || peers.some((wanted) => isPeer(world, metadata.namespace, wanted, peer))) &&
        (ports.length === 0 || ports.some((wanted) => isPort(world, wanted, flow))),
    );
  });
}

function isPeer(world: World, namespace: string, wanted: NetworkPolicyPeer, address: string): boolean {
  if (wanted.ipBlock) {
    const { cidr, except } = wanted.ipBlock;
    return inCidr(address, cidr) && !except.some((hole) => inCidr(address, hole));
  }
  return podsAt(world, address).some(({ metadata }) => {
    const ofNamespace = world.namespaces.find(({ metadata: { name } }) => name === metadata.namespace);
    const labels = ofNamespace?.metadata.labels ?? { 'kubernetes.io/metadata.name': metadata.namespace };
    const inNamespace = wanted.namespaceSelector
      ? selects(wanted.namespaceSelector, labels)
      : metadata.namespace === namespace;
    return inNamespace && (wanted.podSelector === undefined || selects(wanted.podSelector, metadata.labels));
  });
}

function isPort(world: World, wanted: NetworkPolicyPort, { protocol, port, to }: OracleFlow): boolean {
  if (wanted.protocol !== protocol) return false;
  if (wanted.port === undefined) return true;
  if (typeof wanted.port === 'number') return port >= wanted.port && port <= (wanted.endPort ?? wanted.port);
  return podsAt(world, to).some(({ spec }) =>
    spec.containers.some(({ ports }) =>
      ports.some((own) => own.name === wanted.port && own.protocol === protocol && own.containerPort === port),
    ),
  );
}

function podsAt(world: World, address: string): Pod[] {
  return world.pods.filter(
    ({ spec, status }) =>
      !spec.hostNetwork &&
      status.phase !== 'Succeeded' &&
      status.phase !== 'Failed' &&
      status.podIPs.some(({ ip }) => ip === address),
  );
}

function inCidr(address: string, cidr: string): boolean {
  const [network, length] = cidr.split('/');
  const family = (text: string) => (text.includes(':') ? 'ipv6' : 'ipv4');
  if (family(address) !== family(network)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(length), family(network));
  return list.check(address, family(address));
}

function selects({ matchLabels, matchExpressions }: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  for (const [key, value] of Object.entries(matchLabels)) if (labels[key] !== value) return false;
  for (const { key, operator, values } of matchExpressions) {
    const has = key in labels;
    if (operator === 'In' && !(has && values.includes(labels[key]))) return false;
    if (operator === 'NotIn' && has && values.includes(labels[key])) return false;
    if (operator === 'Exists' && !has) return false;
    if (operator === 'DoesNotExist' && has) return false;
  }
  return true;
}
