/**
 * Single addresses of other nodes' blocks: which one to ask for. Pure: who asks and who lends is src/agent/ipam.
 * Leaves out: whether the address is free, which only the node knows that has the block.
 */

import { addressLength, familyOfText, parsePrefix } from '../../bgp/ip.ts';
import type { IpPool } from '../resources/ip-pool.ts';
import { isSingleAddress, type IpamBlock } from '../resources/ipam-block.ts';
import { nonZeroHash32 } from '../topology/hash.ts';
import { blockOf } from './block-planner.ts';
import { addressToNumber, numberToAddress, rangeSize, toNumberRange, toPodRange } from './pod-range.ts';

export interface LoanRequest {
  readonly pool: IpPool;
  /** Who asks. */
  readonly nodeName: string;
  readonly blocks: Iterable<IpamBlock>;
  /** Addresses of all pods of the cluster, as far as they are known. */
  readonly podAddresses: Iterable<string>;
  /** Addresses and CIDRs that are given only to pods that name them. */
  readonly reserved: readonly string[];
  /** Nodes that lend nothing, and addresses that were refused. */
  readonly excluded: ReadonlySet<string>;
}

/** @returns an address of the block with the most free ones, as far as is known; undefined: none is free. */
export function addressToBorrow(request: LoanRequest): string | undefined {
  const { pool, nodeName, excluded } = request;
  const lenders = new Map<string, { readonly cidr: string; readonly used: Set<string> }>();
  const used: string[] = [...request.podAddresses];
  for (const { spec } of request.blocks) {
    if (isSingleAddress(spec.cidr)) used.push(spec.cidr.slice(0, spec.cidr.indexOf('/')));
    else if (spec.node !== nodeName && !excluded.has(spec.node) && blockOf(pool, firstOf(spec.cidr)) === spec.cidr) {
      lenders.set(spec.cidr, { cidr: spec.cidr, used: new Set() });
    }
  }
  for (const address of used) lenders.get(blockOf(pool, address) ?? '')?.used.add(address);
  const inOrder = [...lenders.values()]
    .map((lender) => ({ ...lender, free: rangeSize(toPodRange(lender.cidr)) - BigInt(lender.used.size) }))
    .sort((a, b) => (a.free === b.free ? (a.cidr < b.cidr ? -1 : 1) : a.free > b.free ? -1 : 1));
  for (const lender of inOrder) {
    const address = freeIn(lender.cidr, lender.used, request);
    if (address !== undefined) return address;
  }
  return undefined;
}

/** The first free one from a place on that is the asking node's own: nodes that ask at one time seldom ask for the same. */
function freeIn(cidr: string, used: ReadonlySet<string>, request: LoanRequest): string | undefined {
  const { nodeName, reserved, excluded } = request;
  const range = toPodRange(cidr);
  const kept = reserved.map((text) => toNumberRange(text)!);
  const size = rangeSize(range);
  const start = size === 0n ? 0n : BigInt(nonZeroHash32(`${nodeName} ${cidr}`)) % size;
  for (let passed = 0n; passed < size; passed++) {
    const number = range.first + ((start + passed) % size);
    const address = numberToAddress(range.family, number);
    if (used.has(address) || excluded.has(address)) continue;
    if (kept.some((one) => one.family === range.family && one.first <= number && number <= one.last)) continue;
    return address;
  }
  return undefined;
}

/** The block that stands for the address alone. */
export function singleBlock(address: string): string {
  return `${numberToAddress(familyOfText(address), addressToNumber(address))}/${addressLength[familyOfText(address)] * 8}`;
}

function firstOf(cidr: string): string {
  const { family, first } = toNumberRange(cidr)!;
  return numberToAddress(family, first);
}

/** Whether the node must have a block of its own to be reached at an address of the pool: its tunnel address is the first of it. */
export function needsTunnelAddress({ spec: { ipipMode, vxlanMode, cidr } }: IpPool): boolean {
  return vxlanMode !== 'Never' || (ipipMode !== 'Never' && parsePrefix(cidr)!.family === 'ipv4');
}
