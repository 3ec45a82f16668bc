/**
 * The lender's side of borrowing: other nodes ask for single addresses of this node's blocks, by an IPAMBlock of one address.
 *
 *     a block of one address appears ─► free here? ─► set aside, on disk ─► annotation: lent
 *                                          └─ no ─► deleted: refused
 *
 * Holds: an address is lent only after no pod of this node can get it any more, not even after a crash; it comes back, rested,
 * when the other node has deleted its block.
 */

import type { Clock } from '../../../dataplane/index.ts';
import type { AddressAllocator } from '../../ipam/address-allocator.ts';
import { isSingleAddress, lenderOf, lentByAnnotation, type IpamBlock } from '../../resources/ipam-block.ts';
import type { Log } from '../log.ts';
import type { BlockRegistry } from './kube-blocks.ts';

export interface LenderOptions {
  readonly nodeName: string;
  readonly blocks: () => Iterable<IpamBlock>;
  readonly allocator: AddressAllocator;
  readonly registry: BlockRegistry;
  /** Resolves when a start without the API server would know of the blocks as they are now. */
  readonly persist: () => Promise<void>;
  /** Whether the block may lend: it is used, and its pool allows it. */
  readonly mayLend: (block: IpamBlock) => boolean;
  /** Whether the node has been gone for so long that what it had is free. */
  readonly isGone: (node: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export class Lender {
  readonly #options: LenderOptions;
  /** CIDRs whose address is set aside. */
  readonly #setAside = new Set<string>();
  readonly #answering = new Set<string>();

  constructor(options: LenderOptions) {
    this.#options = options;
  }

  /** Call when blocks have changed and the allocator's ranges are set, and now and then: an answer may have been lost. */
  review(): void {
    const { nodeName, blocks, allocator, clock } = this.#options;
    const all = [...blocks()];
    const asked = new Map<string, { readonly block: IpamBlock; readonly lender: IpamBlock }>();
    for (const block of all) {
      if (!isSingleAddress(block.spec.cidr) || block.spec.node === nodeName) continue;
      const lender = lenderOf(all, block);
      if (lender?.spec.node === nodeName) asked.set(block.spec.cidr, { block, lender });
    }
    for (const cidr of this.#setAside) {
      if (asked.has(cidr)) continue;
      this.#setAside.delete(cidr);
      allocator.release(ownerOfLoan(cidr), clock.now());
    }
    for (const { block, lender } of asked.values()) this.#judge(block, lender);
  }

  #judge(block: IpamBlock, lender: IpamBlock): void {
    const { nodeName, allocator, clock, mayLend, isGone, log } = this.#options;
    const { cidr, node } = block.spec;
    const address = addressOf(cidr);
    if (isGone(node)) {
      void this.#answer(cidr, () => this.#refuse(cidr, node, 'an address comes back from a node that is gone'));
      return;
    }
    const isLent = block.metadata.annotations[lentByAnnotation] === nodeName;
    if (!this.#setAside.has(cidr)) {
      const holder = allocator.ownerOf(address);
      if (isLent && holder === undefined) allocator.restore(ownerOfLoan(cidr), [address]);
      else if (isLent) {
        log.error({ address, node, holder }, 'an address that is lent to another node is held by a pod here');
        return;
      } else if (!mayLend(lender) || !allocator.setAside(ownerOfLoan(cidr), address, clock.now())) {
        void this.#answer(cidr, () => this.#refuse(cidr, node, 'an address that another node asked for is not free'));
        return;
      }
      this.#setAside.add(cidr);
    }
    if (!isLent) void this.#answer(cidr, () => this.#lend(cidr, node));
  }

  async #answer(cidr: string, work: () => Promise<void>): Promise<void> {
    if (this.#answering.has(cidr)) return;
    this.#answering.add(cidr);
    await work();
    this.#answering.delete(cidr);
  }

  async #lend(cidr: string, node: string): Promise<void> {
    const { registry, persist, nodeName, log } = this.#options;
    await persist();
    const problem = await registry.lend(cidr, node, nodeName);
    if (problem === undefined) log.info({ address: addressOf(cidr), node }, 'an address is lent to another node');
    else log.warn({ address: addressOf(cidr), node, problem }, 'an address cannot be lent yet');
  }

  async #refuse(cidr: string, node: string, what: string): Promise<void> {
    const { registry, log } = this.#options;
    const problem = await registry.release(cidr, node);
    log.info({ address: addressOf(cidr), node, problem }, what);
  }
}

export function addressOf(singleCidr: string): string {
  return singleCidr.slice(0, singleCidr.indexOf('/'));
}

/** Names the holder in the allocator. */
function ownerOfLoan(cidr: string): string {
  return `loan ${cidr}`;
}
