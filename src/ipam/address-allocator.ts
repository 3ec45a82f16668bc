/**
 * Which address an interface of a pod gets: one of each family that the node has ranges of.
 * Leaves out: where the ranges come from, what is kept on disk; blocks of pools that nodes claim (ranges are a node's own).
 * Holds: no address has two holders; one that is reserved is given only to who asks for it by name; a holder that asks
 * again gets what it has; an address that was given back rests before it is given again, as long as there is another.
 */

import { families, familyOfText, type Family } from '../../bgp/ip.ts';
import {
  addressToNumber,
  inRange,
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
  /** `passing`: it may be had later. */
  | { readonly kind: 'refused'; readonly reason: string; readonly passing: boolean };

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
   */
  setRanges(cidrs: readonly string[], reserved: readonly string[]): void {
    this.#ranges = [...new Set(cidrs)].map(toPodRange);
    this.#reserved = mergeRanges(reserved.map((text) => toNumberRange(text)!));
  }

  /** What a holder has from before; call in the order in which they came, so that the next address is after the last. */
  restore(owner: string, addresses: readonly string[]): void {
    this.#take(owner, addresses);
  }

  /**
   * @param request.requested addresses that the owner wants by name, canonical; at most one of a family
   * @param now milliseconds
   */
  allocate(request: { owner: string; requested?: readonly string[]; now: number }): Allocation {
    const { owner, requested = [], now } = request;
    const held = this.#byOwner.get(owner);
    if (held !== undefined) return { kind: 'allocated', addresses: held };
    if (this.#ranges.length === 0) return refused('the node has no pod range (spec.podCIDRs)', true);
    const addresses: string[] = [];
    for (const family of families) {
      const named = requested.filter((address) => familyOfText(address) === family);
      if (named.length > 1) return refused(`two addresses of one family are asked for: ${named.join(', ')}`, false);
      const found = named.length === 1 ? this.#named(named[0], family) : this.#next(family, now);
      if (typeof found === 'object') return found;
      if (found !== undefined) addresses.push(found);
    }
    this.#take(owner, addresses);
    return { kind: 'allocated', addresses };
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

  #named(address: string, family: Family): string | Allocation {
    const number = addressToNumber(address);
    if (!this.#ranges.some((range) => inRange(range, family, number))) {
      const ranges = this.#ranges.map(({ text }) => text).join(', ');
      return refused(`${address} is no address for pods of this node's ranges (${ranges})`, false);
    }
    const owner = this.#owners.get(address);
    return owner === undefined ? address : refused(`${address} is held by ${owner}`, true);
  }

  /** @returns undefined: the node has no range of the family. */
  #next(family: Family, now: number): string | Allocation | undefined {
    const ranges = this.#ranges.filter((range) => range.family === family);
    if (ranges.length === 0) return undefined;
    this.#forgetRested(now);
    const found = ranges.map((range) => this.#nextIn(range)).find((address) => address !== undefined);
    if (found !== undefined) return found;
    // Better an address that was somebody's a moment ago than a pod without one.
    for (const address of this.#released.keys()) {
      const number = addressToNumber(address);
      if (familyOfText(address) !== family || this.#reservation(family, number) !== undefined) continue;
      if (ranges.some((range) => inRange(range, family, number))) return address;
    }
    const counts = this.usage(now)
      .filter((usage) => usage.family === family)
      .map(({ range, size, held, reserved }) => `${range}: ${size} for pods, ${held} held, ${reserved} reserved`);
    return refused(`no ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address is left (${counts.join('; ')})`, true);
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

/** Without overlaps, so that the addresses can be counted. */
function mergeRanges(ranges: readonly NumberRange[]): NumberRange[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: NumberRange[] = [];
  for (const family of families) {
    for (const range of sorted.filter((candidate) => candidate.family === family)) {
      const before = merged.at(-1);
      if (before?.family === family && range.first <= before.last + 1n) {
        merged[merged.length - 1] = { ...before, last: range.last > before.last ? range.last : before.last };
      } else merged.push(range);
    }
  }
  return merged;
}
