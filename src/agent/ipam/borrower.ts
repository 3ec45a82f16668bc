/**
 * The borrower's side: asks other nodes for single addresses when the pool has no free block.
 *
 *     create the IPAMBlock of the address ─► the node of its block annotates it ─► it is this node's: used, advertised
 *                                                   └─ deletes it, or is silent ─► another address
 *
 * Holds: of two nodes that ask for one address the server lets one create its block; nothing is used or advertised that is not lent.
 */

import type { Clock } from '../../../dataplane/index.ts';
import { familyOfText, type Family } from '../../../bgp/ip.ts';
import type { AddressAllocator } from '../../ipam/address-allocator.ts';
import { addressToBorrow, needsTunnelAddress, singleBlock } from '../../ipam/borrowing.ts';
import type { ClusterState } from '../../resources/cluster-state.ts';
import type { IpPool } from '../../resources/ip-pool.ts';
import { ipamBlockName, isSingleAddress, lenderOf } from '../../resources/ipam-block.ts';
import type { Log } from '../log.ts';
import { addressOf } from './lender.ts';
import type { BlockRegistry } from './kube-blocks.ts';

export type Loan =
  | { readonly kind: 'lent'; readonly cidr: string }
  | { readonly kind: 'none'; readonly reason: string };

export interface BorrowerOptions {
  readonly nodeName: string;
  readonly state: () => ClusterState;
  readonly registry: BlockRegistry;
  readonly allocator: AddressAllocator;
  /** Addresses and CIDRs that are given only to pods that name them. */
  readonly reserved: () => readonly string[];
  /** CIDRs of this node's blocks that it may use. */
  readonly usable: () => readonly string[];
  /** Resolves when blocks have changed, or when so many milliseconds have passed. */
  readonly nextChange: (milliseconds: number) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Milliseconds that the other node is waited for. */
const lenderPatience = 3000;

export class Borrower {
  readonly #options: BorrowerOptions;
  /** CIDRs that are asked for, or that a pod is about to have. */
  readonly #wanted = new Set<string>();
  /** CIDRs that are being given back: whether the server has done it may be unknown, so they are not used again. */
  readonly #returning = new Set<string>();

  constructor(options: BorrowerOptions) {
    this.#options = options;
  }

  isReturning(cidr: string): boolean {
    return this.#returning.has(cidr);
  }

  /** The pod that it was lent for has it, or needs it no more. */
  settle(cidr: string): void {
    this.#wanted.delete(cidr);
  }

  /** What no pod has any more, be it lent or only asked for. */
  async giveBack(): Promise<void> {
    const { registry, state, allocator, nodeName, log } = this.#options;
    const mine = [...state().ipamBlocks.values()]
      .filter(({ spec }) => spec.node === nodeName && isSingleAddress(spec.cidr))
      .map(({ spec }) => spec.cidr);
    for (const cidr of this.#returning) if (!mine.includes(cidr)) this.#returning.delete(cidr);
    for (const cidr of mine) {
      const address = addressOf(cidr);
      if (this.#wanted.has(cidr) || allocator.ownerOf(address) !== undefined) continue;
      this.#returning.add(cidr);
      const problem = await registry.release(cidr, nodeName);
      if (problem === undefined) log.info({ address }, 'a borrowed address is given back');
      else log.warn({ address, problem }, 'a borrowed address cannot be given back yet');
    }
  }

  /** @returns lent: one more address of one of the pools is this node's. */
  async borrow(
    pools: readonly IpPool[],
    family: Family,
    deadline: number,
  ): Promise<{ kind: 'lent'; cidr: string } | { kind: 'none'; reasons: readonly string[] }> {
    const reasons: string[] = [];
    for (const pool of pools.filter(({ spec }) => familyOfText(spec.cidr) === family)) {
      const loan = await this.#borrowOf(pool, deadline);
      if (loan.kind === 'lent') return loan;
      reasons.push(loan.reason);
    }
    return { kind: 'none', reasons };
  }

  async #borrowOf(pool: IpPool, deadline: number): Promise<Loan> {
    const { state, nodeName, reserved, clock } = this.#options;
    const { name } = pool.metadata;
    const refusal = this.#whyNot(pool);
    if (refusal !== undefined) return { kind: 'none', reason: refusal };
    const refused = new Set<string>();
    while (clock.now() < deadline) {
      const { ipamBlocks, pods, nodes } = state();
      // Other pods of this node ask for others at the same time. Who is gone answers nothing.
      const excluded = new Set([...refused, ...[...this.#wanted].map(addressOf)]);
      for (const { spec } of ipamBlocks.values()) if (!nodes.has(spec.node)) excluded.add(spec.node);
      const podAddresses = [...pods.values()].flatMap(({ status }) => status.podIPs.map(({ ip }) => ip));
      const blocks = ipamBlocks.values();
      const address = addressToBorrow({ pool, nodeName, blocks, podAddresses, reserved: reserved(), excluded });
      if (address === undefined) break;
      const loan = await this.ask(address, pool);
      if (loan.kind === 'lent') return loan;
      if (loan.silent) refused.add(loan.silent);
      refused.add(address);
    }
    return { kind: 'none', reason: `no node lends an address of IPPool ${name}` };
  }

  /** @returns `silent`: the node that has not answered. */
  async ask(address: string, pool: IpPool): Promise<Loan & { readonly silent?: string }> {
    const { registry, nodeName, state, usable, nextChange, clock, log } = this.#options;
    const refusal = this.#whyNot(pool);
    if (refusal !== undefined) return { kind: 'none', reason: refusal };
    const cidr = singleBlock(address);
    const name = ipamBlockName(cidr);
    this.#wanted.add(cidr);
    const claim = await registry.claim({ cidr, node: nodeName, pool: pool.metadata.name });
    if (claim.kind !== 'claimed') {
      this.#wanted.delete(cidr);
      const reason = claim.kind === 'failed' ? claim.reason : `node ${claim.node} has borrowed it`;
      return { kind: 'none', reason };
    }
    const deadline = clock.now() + lenderPatience;
    let seen = false;
    while (clock.now() < deadline) {
      if (usable().includes(cidr)) {
        log.info({ address, pool: pool.metadata.name }, 'an address is borrowed');
        return { kind: 'lent', cidr };
      }
      const isThere = state().ipamBlocks.has(name);
      if (seen && !isThere) {
        this.#wanted.delete(cidr);
        return { kind: 'none', reason: 'it is not free' };
      }
      seen ||= isThere;
      await nextChange(deadline - clock.now());
    }
    const block = state().ipamBlocks.get(name);
    const silent = block && lenderOf(state().ipamBlocks.values(), block)?.spec.node;
    // Should it be lent in this moment, the check of what nobody uses gives it back.
    this.#wanted.delete(cidr);
    await registry.release(cidr, nodeName);
    return { kind: 'none', reason: `node ${silent ?? 'of its block'} does not answer`, ...(silent && { silent }) };
  }

  #whyNot(pool: IpPool): string | undefined {
    const { name } = pool.metadata;
    if (pool.spec.strictAffinity) return `IPPool ${name} has strictAffinity`;
    const family = familyOfText(pool.spec.cidr);
    const hasBlock = this.#options.usable().some((cidr) => familyOfText(cidr) === family && !isSingleAddress(cidr));
    if (needsTunnelAddress(pool) && !hasBlock) {
      return `without a block of its own this node has no tunnel address, and is not reached at addresses of IPPool ${name}`;
    }
    return undefined;
  }
}
