/**
 * Blocks that pods of this node have addresses of, and that are no longer this node's: someone deleted them, or the node forgot.
 * Holds: one that is nobody's is claimed again; of one that another node has, the pods' addresses are borrowed; where that cannot be, it
 * is said until the pods are gone.
 */

import type { Clock } from '../../../dataplane/index.ts';
import type { AddressAllocator } from '../../ipam/address-allocator.ts';
import { blockOf, covers } from '../../ipam/block-planner.ts';
import { singleBlock } from '../../ipam/borrowing.ts';
import type { ClusterState } from '../../resources/cluster-state.ts';
import { isSingleAddress, type IpamBlock } from '../../resources/ipam-block.ts';
import type { Log } from '../log.ts';
import type { Claim } from './kube-blocks.ts';
import { addressOf } from './lender.ts';

export interface LostBlock {
  readonly message: string;
  readonly since: number;
}

export interface LostBlocksOptions {
  readonly nodeName: string;
  readonly state: () => ClusterState;
  readonly own: () => readonly IpamBlock[];
  readonly allocator: AddressAllocator;
  readonly claimAgain: (cidr: string, pool: string) => Promise<Claim>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Missing {
  readonly pool: string;
  /** The node that has the block now. */
  readonly rival?: string;
}

export class LostBlocks {
  readonly #options: LostBlocksOptions;
  /** What was this node's, by CIDR, but for what it gave back itself. */
  readonly #had = new Map<string, IpamBlock['spec']>();
  /** CIDR → what is wrong with a block that pods here have addresses of. */
  readonly #lost = new Map<string, LostBlock>();

  constructor(options: LostBlocksOptions) {
    this.#options = options;
  }

  list(): readonly LostBlock[] {
    return [...this.#lost.values()];
  }

  /** @param own the node's blocks now. @returns those that it did not have */
  remember(own: readonly IpamBlock[]): IpamBlock[] {
    const fresh = own.filter(({ spec }) => !this.#had.has(spec.cidr));
    const now = new Set(own.map(({ spec }) => spec.cidr));
    for (const cidr of this.#had.keys()) {
      // A borrowed address that no pod has is not missed.
      if (isSingleAddress(cidr) && !now.has(cidr) && !this.#isHeld(addressOf(cidr))) this.#had.delete(cidr);
    }
    for (const { spec } of own) this.#had.set(spec.cidr, spec);
    return fresh;
  }

  /** The node gave it back itself. */
  forget(cidr: string): void {
    this.#had.delete(cidr);
  }

  async recover(): Promise<void> {
    const { claimAgain, clock, log } = this.#options;
    const missing = this.#missing();
    // A node that does not answer keeps us waiting once.
    const refusals = new Map<string, string>();
    for (const cidr of this.#lost.keys()) if (!missing.has(cidr)) this.#lost.delete(cidr);
    for (const [cidr, { pool, rival }] of missing) {
      const known = rival && refusals.get(rival);
      const claim: Claim = known ? { kind: 'failed', reason: known } : await claimAgain(cidr, pool);
      if (claim.kind === 'claimed') {
        this.#lost.delete(cidr);
        log.warn({ block: cidr }, 'a block that pods here have addresses of was gone; it is claimed again');
        continue;
      }
      const why = claim.kind === 'taken' ? `it is of node ${claim.node} now` : claim.reason;
      if (rival !== undefined) refusals.set(rival, why);
      const message = `pods here have addresses of block ${cidr}, which is not this node's: ${why}`;
      const before = this.#lost.get(cidr);
      if (before?.message !== message) log.error({ block: cidr }, message);
      this.#lost.set(cidr, { message, since: before?.since ?? clock.now() });
    }
  }

  #isHeld(address: string): boolean {
    return this.#options.allocator.ownerOf(address) !== undefined;
  }

  /** What pods here have addresses of and this node does not have: the block, or the address alone where another node has its block. */
  #missing(): Map<string, Missing> {
    const { allocator, state, own, nodeName } = this.#options;
    const ranges = [...own().map(({ spec }) => spec.cidr), ...(state().nodes.get(nodeName)?.spec.podCIDRs ?? [])];
    const others = [...state().ipamBlocks.values()].filter(({ spec }) => spec.node !== nodeName);
    const missing = new Map<string, Missing>();
    for (const address of allocator.held()) {
      if (ranges.some((cidr) => covers(cidr, address))) continue;
      const rival = others.find(({ spec }) => covers(spec.cidr, address))?.spec;
      const had = [...this.#had.values()].find(({ cidr }) => covers(cidr, address));
      if (rival !== undefined) missing.set(singleBlock(address), { pool: rival.pool, rival: rival.node });
      else if (had !== undefined) missing.set(had.cidr, { pool: had.pool });
      else {
        for (const pool of state().ipPools.values()) {
          const cidr = blockOf(pool, address);
          if (cidr !== undefined) missing.set(cidr, { pool: pool.metadata.name });
        }
      }
    }
    return missing;
  }
}
