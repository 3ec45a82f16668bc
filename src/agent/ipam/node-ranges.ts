/** Addresses of the ranges that the Node object gives (spec.podCIDRs). */

import type { Clock } from '../../../dataplane/index.ts';
import type { AddressAllocator, Allocation, RangeUsage } from '../../ipam/address-allocator.ts';
import type { AddressRequest, NodeNetwork, PodAddressing } from '../cni/attacher.ts';

export class NodeRanges implements PodAddressing {
  readonly #allocator: AddressAllocator;
  readonly #node: () => NodeNetwork;
  readonly #clock: Clock;

  constructor(allocator: AddressAllocator, node: () => NodeNetwork, clock: Clock) {
    this.#allocator = allocator;
    this.#node = node;
    this.#clock = clock;
  }

  allocate({ owner, requested }: AddressRequest): Promise<Allocation> {
    this.#setRanges();
    return Promise.resolve(this.#allocator.allocate({ owner, requested, now: this.#clock.now() }));
  }

  problem(): string | undefined {
    return this.#node().podRanges.length === 0 ? 'the node has no pod range (spec.podCIDRs)' : undefined;
  }

  usage(): RangeUsage[] {
    this.#setRanges();
    return this.#allocator.usage(this.#clock.now());
  }

  #setRanges(): void {
    const { podRanges, reserved } = this.#node();
    this.#allocator.setRanges(podRanges, reserved);
  }
}
