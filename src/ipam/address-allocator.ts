/**
 * Which address an interface of a pod gets: one of each family that the node has ranges of.
 * Leaves out: where the ranges come from (the Node, or blocks that it claimed: block-planner.ts), what is kept on disk.
 * Holds: no address has two holders; one that is reserved is given only to who asks for it by name; a holder that asks
 * again gets what it has; an address that was given back rests before it is given again, as long as there is another.
 */

import { families, familyOfText, type Family } from '../../bgp/ip.ts';
import {
  addressToNumber,
  inRange,
  mergeRanges,
  numberToAddress,
  rangeSize,
  toNumberRange,
  toPodRange,
  type NumberRange,
  type PodRange,
} from './pod-range.ts';

export const defaultCoolDownMilliseconds = 60_000;

export type Allocation =
  | { readonly kind: 'allocated'; readonly addresses: readonly string[] }
  /** `passing`: it may be had later. `exhausted`: the ranges of this family are too few. */
  | { readonly kind: 'refused'; readonly reason: string; readonly passing: boolean; readonly exhausted?: Family };

export interface AllocationRequest {
  readonly owner: string;
  /** Addresses that the owner wants by name, canonical; at most one of a family. */
  readonly requested?: readonly string[];
  /** Those of the ranges, canonical, that are for this owner; undefined: all. */
  readonly ranges?: readonly string[];
  /** Of which an address must be had; undefined: those that there are ranges of. */
  readonly families?: readonly Family[];
  /** An address that has not rested enough is not given; whoever asks has another way. */
  readonly onlyRested?: boolean;
  /** Milliseconds. */
  readonly now: number;
}

export interface RangeUsage {
  readonly range: string;
  readonly family: Family;
  /** Addresses for pods, the reserved ones among them. */
  readonly size: bigint;
  readonly held: number;
  readonly reserved: bigint;
  readonly coolingDown: number;
}

export class AddressAllocator {
  readonly #coolDown: number;
  #ranges: readonly PodRange[] = [];
  #reserved: readonly NumberRange[] = [];
  readonly #byOwner = new Map<string, readonly string[]>();
  readonly #owners = new Map<string, string>();
  /** When an address was given back; oldest first. */
  readonly #released = new Map<string, number>();
  /** By the range's text: the address given last. */
  readonly #last = new Map<string, bigint>();

  constructor(options: { coolDownMilliseconds?: number } = {}) {
    this.#coolDown = options.coolDownMilliseconds ?? defaultCoolDownMilliseconds;
  }

  /**
   * Who holds an address of a range that is no longer there keeps it.
   * @param cidrs known to be valid
   * @param reserved addresses and CIDRs, known to be valid
   * @param single CIDRs of one address each, which a pod may have
   */
  setRanges(cidrs: readonly string[], reserved: readonly string[], single: readonly string[] = []): void {
    this.#ranges = [
      ...[...new Set(cidrs)].map(toPodRange),
      ...single.map((text): PodRange => ({ ...toNumberRange(text)!, text })),
    ];
    this.#reserved = mergeRanges(reserved.map((text) => toNumberRange(text)!));
  }

  /** What a holder has from before; call in the order in which they came, so that the next address is after the last. */
  restore(owner: string, addresses: readonly string[]): void {
    this.#take(owner, addresses);
  }

  allocate(request: AllocationRequest): Allocation {
    const { owner, requested = [] } = request;
    const held = this.#byOwner.get(owner);
    if (held !== undefined) return { kind: 'allocated', addresses: held };
    if (this.#ranges.length === 0 && request.families === undefined) {
      return refused('the node has no pod range (spec.podCIDRs)', true);
    }
    const addresses: string[] = [];
    for (const family of families) {
      const named = requested.filter((address) => familyOfText(address) === family);
      if (named.length > 1) return refused(`two addresses of one family are asked for: ${named.join(', ')}`, false);
      const found = named.length === 1 ? this.#named(named[0], family, request) : this.#next(family, request);
      if (typeof found === 'object') return found;
      if (found !== undefined) addresses.push(found);
    }
    this.#take(owner, addresses);
    return { kind: 'allocated', addresses };
  }

  /** An address that no pod here is given until it is released. @returns whether it was free: held by nobody, rested, not reserved */
  setAside(owner: string, address: string, now: number): boolean {
    this.#forgetRested(now);
    const family = familyOfText(address);
    const number = addressToNumber(address);
    const isFree =
      !this.#owners.has(address) &&
      !this.#released.has(address) &&
      this.#reservation(family, number) === undefined &&
      this.#ranges.some((range) => inRange(range, family, number));
    if (!isFree) return false;
    this.#byOwner.set(owner, [address]);
    this.#owners.set(address, owner);
    return true;
  }

  /** The addresses rest from now on. @returns those that the owner held */
  release(owner: string, now: number): readonly string[] {
    const addresses = this.forget(owner);
    for (const address of addresses) {
      this.#released.delete(address);
      this.#released.set(address, now);
    }
    return addresses;
  }

  /** Nobody has seen the addresses: they need no rest. */
  forget(owner: string): readonly string[] {
    const addresses = this.#byOwner.get(owner) ?? [];
    this.#byOwner.delete(owner);
    for (const address of addresses) this.#owners.delete(address);
    return addresses;
  }

  /** @returns undefined: nobody holds it */
  ownerOf(address: string): string | undefined {
    return this.#owners.get(address);
  }

  /** Every address that somebody holds. */
  held(): Iterable<string> {
    return this.#owners.keys();
  }

  usage(now: number): RangeUsage[] {
    this.#forgetRested(now);
    return this.#ranges.map((range) => ({
      range: range.text,
      family: range.family,
      size: rangeSize(range),
      held: countIn(range, this.#owners.keys()),
      reserved: this.#reserved.reduce((sum, reserved) => sum + overlap(range, reserved), 0n),
      coolingDown: countIn(range, this.#released.keys()),
    }));
  }

  #take(owner: string, addresses: readonly string[]): void {
    this.#byOwner.set(owner, addresses);
    for (const address of addresses) {
      this.#owners.set(address, owner);
      this.#released.delete(address);
      const number = addressToNumber(address);
      const range = this.#ranges.find((candidate) => inRange(candidate, familyOfText(address), number));
      if (range !== undefined) this.#last.set(range.text, number);
    }
  }

  #rangesOf(family: Family, { ranges }: AllocationRequest): readonly PodRange[] {
    return this.#ranges.filter((range) => range.family === family && (ranges?.includes(range.text) ?? true));
  }

  #named(address: string, family: Family, request: AllocationRequest): string | Allocation {
    const number = addressToNumber(address);
    if (!this.#rangesOf(family, request).some((range) => inRange(range, family, number))) {
      const ranges = (request.ranges ?? this.#ranges.map(({ text }) => text)).join(', ');
      return refused(`${address} is no address for pods of this node's ranges (${ranges})`, false);
    }
    const owner = this.#owners.get(address);
    return owner === undefined ? address : refused(`${address} is held by ${owner}`, true);
  }

  /** @returns undefined: none of the family is needed. */
  #next(family: Family, request: AllocationRequest): string | Allocation | undefined {
    const ranges = this.#rangesOf(family, request);
    if (request.families === undefined ? ranges.length === 0 : !request.families.includes(family)) return undefined;
    this.#forgetRested(request.now);
    const found = ranges.map((range) => this.#nextIn(range)).find((address) => address !== undefined);
    if (found !== undefined) return found;
    // Better an address that was somebody's a moment ago than a pod without one.
    for (const address of request.onlyRested ? [] : this.#released.keys()) {
      const number = addressToNumber(address);
      if (familyOfText(address) !== family || this.#reservation(family, number) !== undefined) continue;
      if (ranges.some((range) => inRange(range, family, number))) return address;
    }
    const counts = this.usage(request.now)
      .filter((usage) => ranges.some(({ text }) => text === usage.range))
      .map(({ range, size, held, reserved }) => `${range}: ${size} for pods, ${held} held, ${reserved} reserved`);
    const words = counts.length === 0 ? '' : ` (${counts.join('; ')})`;
    return { ...refused(`no ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address is left${words}`, true), exhausted: family };
  }

  #nextIn(range: PodRange): string | undefined {
    const size = rangeSize(range);
    const last = this.#last.get(range.text) ?? range.first - 1n;
    let number = last >= range.last ? range.first : last + 1n;
    for (let passed = 0n; passed < size;) {
      const reserved = this.#reservation(range.family, number);
      if (reserved === undefined) {
        const address = numberToAddress(range.family, number);
        if (!this.#owners.has(address) && !this.#released.has(address)) return address;
      }
      const passOver = reserved !== undefined && reserved.last < range.last ? reserved.last : range.last;
      const next = (reserved === undefined ? number : passOver) + 1n;
      passed += next - number;
      number = next > range.last ? range.first : next;
    }
    return undefined;
  }

  #reservation(family: Family, number: bigint): NumberRange | undefined {
    return this.#reserved.find((range) => inRange(range, family, number));
  }

  #forgetRested(now: number): void {
    for (const [address, since] of this.#released) {
      if (since + this.#coolDown > now) return;
      this.#released.delete(address);
    }
  }
}

function refused(reason: string, passing: boolean): Allocation & { kind: 'refused' } {
  return { kind: 'refused', reason, passing };
}

function countIn(range: PodRange, addresses: Iterable<string>): number {
  let count = 0;
  for (const address of addresses) if (inRange(range, familyOfText(address), addressToNumber(address))) count++;
  return count;
}

function overlap(a: NumberRange, b: NumberRange): bigint {
  if (a.family !== b.family) return 0n;
  const first = a.first > b.first ? a.first : b.first;
  const last = a.last < b.last ? a.last : b.last;
  return last < first ? 0n : last - first + 1n;
}
