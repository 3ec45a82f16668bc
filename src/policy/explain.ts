/**
 * Why a pod is isolated, and why a flow passes or does not: in the words of the policies.
 * Holds: flows are judged by the compiled rules that are rendered for the kernel, with its semantics: a peer is an address, and
 * whoever has the address is the peer.
 */

import { familyOfText, families, parseAddress, canonicalAddress, type Family } from '../../bgp/ip.ts';
import type { NftCount, NftCounters } from '../../dataplane/index.ts';
import type { IpBlock } from '../resources/network-policy.ts';
import type { Protocol } from '../resources/pod.ts';
import { unreachable } from '../unreachable.ts';
import { portsContain, rangesContain } from './address-ranges.ts';
import type { CompiledPolicy, CompiledPorts, CompiledRule, Direction } from './compile.ts';
import { portKey, type Exclusion, type PodEntry, type PodIndex, type Selection } from './pod-index.ts';
import { deniedSet, ruleComment } from './render.ts';

export interface PolicyWorld {
  readonly index: PodIndex;
  /** Sorted by key. */
  readonly policies: readonly { readonly compiled: CompiledPolicy; readonly subjects: Selection }[];
  /** By node name. */
  readonly nodeAddresses: ReadonlyMap<string, readonly string[]>;
}

export interface PolicyExplanation {
  /** `NAMESPACE/NAME`. */
  readonly pod: string;
  readonly nodeName?: string;
  readonly addresses: readonly string[];
  /** Judged by this node's kernel. */
  readonly local: boolean;
  /** Why no policy applies to the pod, whatever its labels: hostNetwork, or it has ended. */
  readonly excluded?: Exclusion;
  readonly ingress: DirectionExplanation;
  readonly egress: DirectionExplanation;
}

export interface DirectionExplanation {
  /** Only what a rule allows passes. */
  readonly isolated: boolean;
  /** The policies that isolate it, with what they allow. */
  readonly policies: readonly { readonly policy: string; readonly rules: readonly RuleExplanation[] }[];
  /** Packets dropped in this direction; known where counters were given and the pod is local. */
  readonly denied?: NftCount;
}

export interface RuleExplanation {
  /** `NAMESPACE/NAME ingress[0]`. */
  readonly rule: string;
  readonly peers:
    | 'all'
    | {
        readonly pods: readonly { readonly selector: string; readonly count: number }[];
        readonly blocks: readonly IpBlock[];
      };
  /** `TCP/80`, `UDP/8000-8100`, `TCP/http`, `SCTP` (all of it); or all protocols and ports. */
  readonly ports: 'all' | readonly string[];
  /** Packets it has allowed, to and from every pod of this node; known where counters were given. */
  readonly allowed?: NftCount;
}

export interface Flow {
  /** `NAMESPACE/NAME` of a pod, or an address. */
  readonly from: string;
  readonly to: string;
  /** Protocols without ports, as ICMP, are allowed by rules without ports only. */
  readonly protocol: Protocol | 'ICMP';
  /** The destination's, after any service's translation. */
  readonly port?: number;
  /** Where both ends are pods: which of their addresses. IPv4 unless one of them has none. */
  readonly family?: Family;
}

export type FlowVerdict =
  | {
      readonly kind: 'judged';
      readonly allowed: boolean;
      readonly egress: DirectionVerdict;
      readonly ingress: DirectionVerdict;
    }
  /** There is no such pod, or it has no address of the family. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type DirectionVerdict =
  /** Not a pod that policy knows, or no policy isolates it. */
  | { readonly kind: 'notIsolated' }
  | { readonly kind: 'allowed'; readonly rule: string }
  /** A pod reaches itself. */
  | { readonly kind: 'itself' }
  /** A pod and its own node always reach each other. */
  | { readonly kind: 'ownNode' }
  /** None of the policies that isolate it has a rule for the flow. */
  | { readonly kind: 'denied'; readonly policies: readonly string[] };

export function explainPod(world: PolicyWorld, key: string, counters?: NftCounters): PolicyExplanation | undefined {
  const entry = world.index.pod(key);
  const excluded = world.index.exclusion(key);
  if (entry === undefined) {
    if (excluded === undefined) return undefined;
    const free = { isolated: false, policies: [] };
    return { pod: key, addresses: [], local: false, excluded, ingress: free, egress: free };
  }
  const direction = (name: Direction): DirectionExplanation => {
    const isolating = world.policies.filter(
      ({ compiled, subjects }) => compiled.rules[name] && subjects.members.has(key),
    );
    const denied = counters && entry.local ? countDenied(entry, name, counters) : undefined;
    return {
      isolated: isolating.length > 0,
      policies: isolating.map(({ compiled }) => ({
        policy: compiled.key,
        rules: compiled.rules[name]!.map((rule) => explainRule(world.index, rule, counters)),
      })),
      ...(denied && { denied }),
    };
  };
  return {
    pod: key,
    ...(entry.nodeName !== undefined && { nodeName: entry.nodeName }),
    addresses: families.flatMap((family) => entry.addresses[family]),
    local: entry.local,
    ingress: direction('ingress'),
    egress: direction('egress'),
  };
}

function explainRule(index: PodIndex, rule: CompiledRule, counters: NftCounters | undefined): RuleExplanation {
  const { peers, ports } = rule;
  const allowed = counters?.rules.get(ruleComment(rule));
  return {
    rule: rule.id,
    peers:
      peers === 'all'
        ? 'all'
        : {
            pods: peers.pods.map((selector) => ({ selector: selector.text, count: index.count(selector) })),
            blocks: peers.blocks,
          },
    ports: ports === 'all' ? 'all' : portTexts(ports),
    ...(allowed && { allowed }),
  };
}

function portTexts({ numbers, names }: CompiledPorts): string[] {
  return [
    ...[...numbers].flatMap(([protocol, ranges]) =>
      ranges === 'all' ? [protocol] : ranges.map((range) => `${protocol}/${range}`),
    ),
    ...names.map(({ protocol, name }) => `${protocol}/${name}`),
  ];
}

function countDenied(entry: PodEntry, direction: Direction, counters: NftCounters): NftCount {
  let [packets, bytes] = [0, 0];
  for (const family of families) {
    for (const address of entry.addresses[family]) {
      const count = counters.elements.get(deniedSet(direction, family))?.get(address);
      packets += count?.packets ?? 0;
      bytes += count?.bytes ?? 0;
    }
  }
  return { packets, bytes };
}

interface End {
  readonly address: string;
  readonly bytes: Uint8Array;
  readonly pods: readonly PodEntry[];
}

export function explainFlow(world: PolicyWorld, flow: Flow): FlowVerdict {
  const family = flow.family ?? familyOfFlow(world.index, flow);
  const from = findEnd(world.index, flow.from, family);
  const to = findEnd(world.index, flow.to, family);
  if ('reason' in from) return { kind: 'unknown', reason: from.reason };
  if ('reason' in to) return { kind: 'unknown', reason: to.reason };
  const egress = judge(world, 'egress', from, to, flow);
  const ingress = judge(world, 'ingress', to, from, flow);
  return { kind: 'judged', allowed: egress.kind !== 'denied' && ingress.kind !== 'denied', egress, ingress };
}

/** An address decides; between pods IPv4 where both have it. */
function familyOfFlow(index: PodIndex, { from, to }: Flow): Family {
  for (const end of [from, to]) if (parseAddress(end) !== undefined) return familyOfText(end);
  return [from, to].every((end) => (index.pod(end)?.addresses.ipv4.length ?? 0) > 0) ? 'ipv4' : 'ipv6';
}

function findEnd(index: PodIndex, end: string, family: Family): End | { readonly reason: string } {
  const own = canonicalAddress(end);
  const exclusion = index.exclusion(end);
  if (exclusion === 'hostNetwork') return { reason: `pod ${end} is on its node's network: ask for the node's address` };
  if (exclusion === 'ended') return { reason: `pod ${end} has ended` };
  if (own === undefined && index.pod(end) === undefined) return { reason: `there is no pod ${end}` };
  const address = own ?? index.pod(end)!.addresses[family].at(0);
  if (address === undefined) return { reason: `pod ${end} has no ${family} address` };
  if (familyOfText(address) !== family) return { reason: `${end} is not an ${family} address` };
  return { address, bytes: parseAddress(address)!, pods: index.podsAt(address) };
}

function judge(world: PolicyWorld, direction: Direction, subject: End, peer: End, flow: Flow): DirectionVerdict {
  // Two pods share an address for a moment only; the kernel judges by the first that is isolated.
  const policies = firstIsolating(world, direction, subject);
  if (policies.length === 0) return { kind: 'notIsolated' };
  if (subject.address === peer.address) return { kind: 'itself' };
  const isOwnNode = subject.pods.some(({ nodeName }) =>
    world.nodeAddresses.get(nodeName ?? '')?.includes(peer.address),
  );
  if (isOwnNode) return { kind: 'ownNode' };
  const destination = direction === 'ingress' ? subject : peer;
  for (const { rules } of policies) {
    const rule = rules[direction]!.find(
      ({ peers, ports }) => matchesPeers(world.index, peers, peer) && matchesPorts(ports, destination, flow),
    );
    if (rule !== undefined) return { kind: 'allowed', rule: rule.id };
  }
  return { kind: 'denied', policies: policies.map(({ key }) => key) };
}

function firstIsolating(world: PolicyWorld, direction: Direction, subject: End): readonly CompiledPolicy[] {
  const keys = subject.pods.map(({ key }) => key).sort();
  for (const key of keys) {
    const isolating = world.policies.filter(
      ({ compiled, subjects }) => compiled.rules[direction] && subjects.members.has(key),
    );
    if (isolating.length > 0) return isolating.map(({ compiled }) => compiled);
  }
  return [];
}

function matchesPeers(index: PodIndex, peers: CompiledRule['peers'], peer: End): boolean {
  if (peers === 'all') return true;
  return (
    peers.pods.some((selector) => peer.pods.some((entry) => index.matches(selector, entry))) ||
    rangesContain(peers.ranges[familyOfText(peer.address)], peer.bytes)
  );
}

function matchesPorts(ports: CompiledRule['ports'], destination: End, { protocol, port }: Flow): boolean {
  if (ports === 'all') return true;
  switch (protocol) {
    case 'ICMP':
      return false;
    case 'TCP':
    case 'UDP':
    case 'SCTP': {
      const numbers = ports.numbers.get(protocol);
      if (numbers === 'all') return true;
      if (port === undefined) return false;
      const isNamed = ports.names.some(
        (named) =>
          named.protocol === protocol &&
          destination.pods.some((pod) => pod.namedPorts.get(portKey(protocol, named.name))?.includes(port)),
      );
      return isNamed || (numbers !== undefined && portsContain(numbers, port));
    }
    default:
      return unreachable(protocol);
  }
}
