/**
 * Which pools a pod's addresses are of, and which block of a pool a node claims next. Pure: who claims is src/agent/ipam.
 * Leaves out: single addresses of other nodes' blocks (borrowing.ts).
 * Holds: a block that is proposed overlaps no block, nor the pod range of another node, and has an address for a pod;
 * every node begins its search at another place, so that nodes that come at one time seldom want the same block.
 */

import {
  addressLength,
  families,
  familyOfText,
  parseAddress,
  parsePrefix,
  prefixContains,
  type Family,
} from '../../bgp/ip.ts';
import { blockSizeOf, type IpPool } from '../resources/ip-pool.ts';
import { parseSelector, type Labels } from '../resources/selector.ts';
import { nonZeroHash32 } from '../topology/hash.ts';
import { ipPoolsAnnotation, parseNameList } from './annotations.ts';
import { mergeRanges, numberToAddress, toNumberRange, toPodRange, type NumberRange } from './pod-range.ts';

export type PoolChoice =
  /** In the order in which they serve; a family without a pool is one of which the pod has no address. */
  | { readonly kind: 'chosen'; readonly pools: Readonly<Record<Family, readonly IpPool[]>> }
  /** `passing`: another moment may give another answer. */
  | { readonly kind: 'refused'; readonly reason: string; readonly passing: boolean };

export interface PoolRequest {
  readonly pools: Iterable<IpPool>;
  readonly nodeName: string;
  readonly nodeLabels: Labels;
  /** Absent: no pod of Kubernetes. */
  readonly namespace?: { readonly name: string; readonly labels: Labels; readonly annotations: Labels };
  readonly podAnnotations?: Labels;
}

const everything = 'all()';
/** On every Namespace, but of API servers before 1.21. */
const nameLabel = 'kubernetes.io/metadata.name';

/**
 * The pools that serve the node and the pod's namespace: those that the annotation of the pod, else of its namespace, names;
 * else those that select some namespaces before those that select all, by name.
 */
export function choosePools(request: PoolRequest): PoolChoice {
  const { namespace, podAnnotations = {} } = request;
  const text = podAnnotations[ipPoolsAnnotation] ?? namespace?.annotations[ipPoolsAnnotation];
  const names = text === undefined ? undefined : parseNameList(text);
  if (text !== undefined && names === undefined) {
    const reason = `the annotation ${ipPoolsAnnotation} is invalid: ${JSON.stringify(text)} is no list of names`;
    return { kind: 'refused', reason, passing: false };
  }
  const all = [...request.pools].sort(bySpeciality);
  const wanted: IpPool[] = [];
  for (const name of names ?? all.map(({ metadata }) => metadata.name)) {
    const pool = all.find(({ metadata }) => metadata.name === name);
    const reason = pool === undefined ? 'there is none of this name' : whyNot(pool, request);
    if (reason === undefined) wanted.push(pool!);
    else if (names !== undefined) return { kind: 'refused', reason: `IPPool ${name}: ${reason}`, passing: true };
  }
  if (wanted.length === 0) {
    const where = namespace === undefined ? '' : ` for pods of namespace ${namespace.name}`;
    return { kind: 'refused', reason: `no IPPool serves node ${request.nodeName}${where}`, passing: true };
  }
  const pools = { ipv4: [] as IpPool[], ipv6: [] as IpPool[] };
  for (const pool of wanted) pools[familyOfText(pool.spec.cidr)].push(pool);
  return { kind: 'chosen', pools };
}

/** Whether the node claims blocks of the pool. */
export function servesNode({ spec }: IpPool, nodeLabels: Labels): boolean {
  return !spec.disabled && parseSelector(spec.nodeSelector)(nodeLabels);
}

function whyNot(pool: IpPool, { nodeLabels, namespace }: PoolRequest): string | undefined {
  const { disabled, namespaceSelector } = pool.spec;
  if (disabled) return 'it is disabled';
  if (!servesNode(pool, nodeLabels)) return 'it does not select this node';
  const labels = namespace === undefined ? {} : { [nameLabel]: namespace.name, ...namespace.labels };
  return parseSelector(namespaceSelector)(labels) ? undefined : "it does not select the pod's namespace";
}

/** Pools of some namespaces before those of all; by name. */
export function bySpeciality(a: IpPool, b: IpPool): number {
  const rank = ({ spec }: IpPool) => (spec.namespaceSelector.replaceAll(/\s/g, '') === everything ? 1 : 0);
  return rank(a) - rank(b) || (a.metadata.name < b.metadata.name ? -1 : 1);
}

export interface BlockRequest {
  readonly pool: IpPool;
  readonly nodeName: string;
  /** CIDRs of all blocks, and of the pod ranges of other nodes. */
  readonly taken: Iterable<string>;
  /** Addresses and CIDRs that are given only to pods that name them. */
  readonly reserved: readonly string[];
}

/** @returns the CIDR, canonical; undefined: none is free. */
export function nextBlock({ pool, nodeName, taken, reserved }: BlockRequest): string | undefined {
  const range = toNumberRange(pool.spec.cidr)!;
  const { family } = range;
  const length = blockSizeOf(pool);
  const size = 1n << BigInt(addressLength[family] * 8 - length);
  const text = (first: bigint) => `${numberToAddress(family, first)}/${length}`;
  const obstacles = mergeRanges(
    [...taken].map((cidr) => toNumberRange(cidr)!).filter((other) => overlap(other, range)),
  );
  const full = mergeRanges(reserved.map((cidr) => toNumberRange(cidr)!).filter((other) => overlap(other, range)));
  const count = (range.last - range.first + 1n) / size;
  const start = range.first + (BigInt(nonZeroHash32(`${nodeName} ${pool.metadata.name}`)) % count) * size;
  const from = (first: bigint, end: bigint): string | undefined => {
    for (let at = first; at < end;) {
      const block = { family, first: at, last: at + size - 1n };
      const usable = toPodRange(text(at));
      const inTheWay =
        findOverlap(obstacles, block) ?? full.find((other) => other.first <= usable.first && usable.last <= other.last);
      if (inTheWay === undefined) return text(at);
      at = alignUp(inTheWay.last + 1n > at + size ? inTheWay.last + 1n : at + size, size);
    }
    return undefined;
  };
  return from(start, range.last + 1n) ?? from(range.first, start);
}

/** The block of the pool in which the address lies; undefined: it lies outside the pool. */
export function blockOf(pool: IpPool, address: string): string | undefined {
  const range = toNumberRange(pool.spec.cidr)!;
  const { family, first } = toNumberRange(address)!;
  if (range.family !== family || first < range.first || range.last < first) return undefined;
  const length = blockSizeOf(pool);
  const size = 1n << BigInt(addressLength[family] * 8 - length);
  return `${numberToAddress(family, first - (first % size))}/${length}`;
}

/** @param cidr and `address`: known to be valid */
export function covers(cidr: string, address: string): boolean {
  return prefixContains(parsePrefix(cidr)!, parseAddress(address)!);
}

/** What is in a pool, for whoever is refused: `IPPool pods: 1024 blocks, all taken`. */
export function describePool(pool: IpPool): string {
  const blocks = 1n << BigInt(blockSizeOf(pool) - parsePrefix(pool.spec.cidr)!.length);
  return `IPPool ${pool.metadata.name} (${pool.spec.cidr}): ${blocks} blocks, none is free`;
}

/** Families in which the node has pools at all. */
export function familiesOf(pools: Readonly<Record<Family, readonly IpPool[]>>): Family[] {
  return families.filter((family) => pools[family].length > 0);
}

function overlap(a: NumberRange, b: NumberRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** @param sorted without overlaps among themselves. @returns the last of those that overlap */
function findOverlap(sorted: readonly NumberRange[], wanted: NumberRange): NumberRange | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle].first <= wanted.last) low = middle + 1;
    else high = middle;
  }
  const last = sorted[low - 1];
  return last !== undefined && overlap(last, wanted) ? last : undefined;
}

function alignUp(number: bigint, size: bigint): bigint {
  const over = number % size;
  return over === 0n ? number : number + size - over;
}
