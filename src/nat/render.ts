/**
 * natOutgoing of IPPools, as the table that the kernel shall hold: who is masqueraded, and towards whom nobody is.
 * Implements: natOutgoing as Calico has it, with every Node's addresses left out besides the pools (its
 * natOutgoingExclusions: IPPoolsAndHostIPs).
 * Leaves out: when the table is written (src/agent).
 * Holds: a disabled pool counts as the others do: its pods have their addresses still.
 */

import { families, familyOfText, parsePrefix, type Family } from '../../bgp/ip.ts';
import {
  plainElement,
  sourceNatPriority,
  type KeyType,
  type NftChain,
  type NftField,
  type NftSet,
  type Ruleset,
} from '../../dataplane/index.ts';
import { blocksToRanges, type CidrBlock } from '../policy/address-ranges.ts';
import type { ClusterState } from '../resources/cluster-state.ts';

/** Its name in family inet. */
export const natTable = 'godwit-nat';

interface FamilyWords {
  readonly type: KeyType;
  readonly natted: string;
  readonly cluster: string;
  readonly source: NftField;
  readonly destination: NftField;
  readonly addressBits: number;
}

const words = {
  ipv4: {
    type: 'ipv4_addr',
    natted: 'natted-4',
    cluster: 'cluster-4',
    source: 'source4',
    destination: 'destination4',
    addressBits: 32,
  },
  ipv6: {
    type: 'ipv6_addr',
    natted: 'natted-6',
    cluster: 'cluster-6',
    source: 'source6',
    destination: 'destination6',
    addressBits: 128,
  },
} as const satisfies Record<Family, FamilyWords>;

/** One object for ever: a chain that is written again would start its counters again. */
const postrouting: NftChain = {
  hook: { name: 'postrouting', priority: sourceNatPriority },
  rules: families.map((family) => {
    const { natted, cluster, source, destination } = words[family];
    return {
      matches: [
        { kind: 'inSet', fields: [source], set: natted },
        { kind: 'notInSet', fields: [destination], set: cluster },
      ],
      counter: true,
      verdict: { kind: 'masquerade' },
      comment: `natOutgoing ${family}`,
    };
  }),
};

/** @returns undefined: no pool wants it, and there shall be no table. */
export function renderNat({ ipPools, nodes }: Pick<ClusterState, 'ipPools' | 'nodes'>): Ruleset | undefined {
  const pools = [...ipPools.values()];
  const natted = pools.filter(({ spec }) => spec.natOutgoing).map(({ spec }) => toBlock(spec.cidr));
  if (natted.length === 0) return undefined;
  const nodeAddresses = [...nodes.values()]
    .flatMap(({ status }) => status.addresses)
    .map(({ address }) => `${address}/${words[familyOfText(address)].addressBits}`)
    // Names stand there too.
    .filter((cidr) => parsePrefix(cidr) !== undefined)
    .map(toBlock);
  const sources = blocksToRanges(natted);
  const inside = blocksToRanges([...pools.map(({ spec }) => toBlock(spec.cidr)), ...nodeAddresses]);
  return {
    sets: new Map(
      families.flatMap((family): [string, NftSet][] => [
        [words[family].natted, toSet(family, sources[family])],
        [words[family].cluster, toSet(family, inside[family])],
      ]),
    ),
    chains: new Map([['postrouting', postrouting]]),
  };
}

function toBlock(cidr: string): CidrBlock {
  return { cidr, except: [] };
}

function toSet(family: Family, ranges: readonly string[]): NftSet {
  return {
    keyTypes: [words[family].type],
    interval: true,
    elements: new Map(ranges.map((range) => [range, plainElement])),
  };
}
