/**
 * The node's blocks of IPPools: claims them, gives pods addresses of them, gives back those that are empty.
 *
 *     ADD ─► allocate ─► address of a block that is ours ─ none left ─► claim (create) ─► the source tells of it ─► again
 *                                                                          └─ no block is free ─► borrow an address ─► again
 *
 * Holds: a block is used only when the source tells that it is this node's (so that it is advertised besides), and is given
 * back only when no pod has an address of it. A claim is on disk before a pod has an address of it. Without the API server the blocks
 * that are known serve on.
 */

import type { Clock } from '../../../dataplane/index.ts';
import { families, familyOfText, parsePrefix, prefixesOverlap, type Family } from '../../../bgp/ip.ts';
import type { AddressAllocator, Allocation, RangeUsage } from '../../ipam/address-allocator.ts';
import {
  blockOf,
  bySpeciality,
  choosePools,
  covers,
  describePool,
  familiesOf,
  nextBlock,
  servesNode,
  type PoolChoice,
} from '../../ipam/block-planner.ts';
import type { ClusterState } from '../../resources/cluster-state.ts';
import type { IpPool } from '../../resources/ip-pool.ts';
import { blocksInForce, byAge, isSingleAddress, type IpamBlock } from '../../resources/ipam-block.ts';
import type { Pod } from '../../resources/pod.ts';
import type { AddressRequest, NodeNetwork, PodAddressing } from '../cni/attacher.ts';
import type { Log } from '../log.ts';
import { Borrower } from './borrower.ts';
import type { BlockRegistry, Claim } from './kube-blocks.ts';
import { addressOf, Lender } from './lender.ts';
import { LostBlocks, type LostBlock } from './lost-blocks.ts';

/** Milliseconds. */
export interface BlockTimes {
  /** How long a pod may wait for blocks. */
  readonly patience: number;
  /** How long a block stays that no pod has an address of. */
  readonly empty: number;
  /** How long a Node must be gone before another node takes what it had. */
  readonly gone: number;
  /** Between looks at what is empty, lost or missing. */
  readonly check: number;
}

const usualTimes: BlockTimes = { patience: 10_000, empty: 300_000, gone: 600_000, check: 10_000 };

export interface BlockKeeperOptions {
  readonly nodeName: string;
  readonly state: () => ClusterState;
  readonly node: () => NodeNetwork;
  readonly allocator: AddressAllocator;
  /** undefined: the source is a folder, whose blocks are given by hand. */
  readonly registry: BlockRegistry | undefined;
  /** Resolves when a start without the API server would know of the blocks as they are now. */
  readonly persist?: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly times?: Partial<BlockTimes>;
}

type Growth =
  | { readonly kind: 'grown' }
  /** `full`: the pool has no free block; else one could not be had just now. */
  | { readonly kind: 'none'; readonly full: boolean; readonly reason: string };

export class BlockKeeper implements PodAddressing {
  readonly #options: BlockKeeperOptions;
  readonly #times: BlockTimes;
  readonly #lender: Lender | undefined;
  readonly #borrower: Borrower | undefined;
  /** Of this node, oldest first; single addresses that were lent to it among them. */
  #own: readonly IpamBlock[] = [];
  /** CIDRs of this node that a start without the API server would not know of yet. */
  readonly #unkept = new Set<string>();
  #started = false;
  /** CIDRs that are being given back: whether the server has done it may be unknown, so they are not used again. */
  readonly #leaving = new Set<string>();
  /** CIDR → since when it is empty. */
  readonly #emptySince = new Map<string, number>();
  /** Node → since when it is gone. */
  readonly #goneSince = new Map<string, number>();
  readonly #lost: LostBlocks;
  /** By pool: one claim at a time. */
  readonly #growing = new Map<string, Promise<Growth>>();
  readonly #waiting = new Set<() => void>();
  /** Why the node has no block, as last told. */
  #firstProblem = '';
  #cancelCheck: (() => void) | undefined;
  #closed = false;

  constructor(options: BlockKeeperOptions) {
    this.#options = options;
    this.#times = { ...usualTimes, ...options.times };
    this.#lost = new LostBlocks({
      ...options,
      own: () => this.#own,
      claimAgain: (cidr, pool) => this.#claimAgain(cidr, pool),
    });
    const { registry } = options;
    if (registry === undefined) return;
    this.#lender = new Lender({
      ...options,
      registry,
      blocks: () => options.state().ipamBlocks.values(),
      persist: options.persist ?? (() => Promise.resolve()),
      mayLend: ({ spec: { cidr, pool } }) =>
        this.#usable().includes(cidr) && options.state().ipPools.get(pool)?.spec.strictAffinity === false,
      isGone: (node) => this.#isGone(node),
    });
    this.#borrower = new Borrower({
      ...options,
      registry,
      reserved: () => options.node().reserved,
      usable: () => this.#usable(),
      nextChange: (milliseconds) => this.#nextChange(milliseconds),
    });
  }

  /** Begins to look after the blocks; the source has told everything that it has, and addresses in use are restored. */
  start(): void {
    this.onBlocksChanged();
    this.#started = true;
    this.#lend();
    void this.#check();
  }

  close(): void {
    this.#closed = true;
    this.#cancelCheck?.();
    for (const wake of this.#waiting) wake();
  }

  /** Routing knows of the blocks, pools and nodes as ClusterState has them now. */
  onBlocksChanged(): void {
    const { nodeName, state, clock } = this.#options;
    const { ipamBlocks, nodes } = state();
    const blocks = [...ipamBlocks.values()];
    this.#own = blocksInForce(blocks)
      .filter(({ spec }) => spec.node === nodeName)
      .sort(byAge);
    const own = new Set(this.#own.map(({ spec }) => spec.cidr));
    for (const cidr of this.#leaving) {
      if (own.has(cidr)) continue;
      this.#leaving.delete(cidr);
      this.#lost.forget(cidr);
    }
    for (const cidr of this.#emptySince.keys()) if (!own.has(cidr)) this.#emptySince.delete(cidr);
    const fresh = this.#lost.remember(this.#own);
    if (this.#started) for (const { spec } of fresh) this.#keep(spec.cidr);
    const absent = new Set(blocks.map(({ spec }) => spec.node).filter((name) => !nodes.has(name)));
    for (const name of this.#goneSince.keys()) if (!absent.has(name)) this.#goneSince.delete(name);
    for (const name of absent) if (!this.#goneSince.has(name)) this.#goneSince.set(name, clock.now());
    this.#lend();
    for (const wake of this.#waiting) wake();
  }

  #lend(): void {
    if (!this.#started) return;
    this.#setRanges();
    this.#lender?.review();
  }

  #keep(cidr: string): void {
    const { persist } = this.#options;
    if (persist === undefined) return;
    this.#unkept.add(cidr);
    void persist().then(() => {
      this.#unkept.delete(cidr);
      for (const wake of this.#waiting) wake();
    });
  }

  async allocate(request: AddressRequest): Promise<Allocation> {
    const borrowed: string[] = [];
    try {
      return await this.#allocate(request, borrowed);
    } finally {
      for (const cidr of borrowed) this.#borrower?.settle(cidr);
    }
  }

  /** @param borrowed is told what was borrowed meanwhile */
  async #allocate({ owner, requested, object }: AddressRequest, borrowed: string[]): Promise<Allocation> {
    const { allocator, clock } = this.#options;
    const choice = this.#choose(object);
    if (choice.kind === 'refused') return choice;
    const { pools } = choice;
    const deadline = clock.now() + this.#times.patience;
    const asked = await this.#claimRequested(requested, pools, borrowed);
    if (asked !== undefined) return asked;
    // A pool serves when those before it have nothing left, also nothing to claim; to an address by name its place is nothing.
    const serving = { ipv4: 1, ipv6: 1 };
    for (const address of requested) serving[familyOfText(address)] = Number.POSITIVE_INFINITY;
    const reasons = new Set<string>();
    const full = new Set<IpPool>();
    for (;;) {
      this.#setRanges();
      const ranges = this.#usable().filter((cidr) => {
        const family = familyOfText(cidr);
        return lies(cidr, pools[family].slice(0, serving[family]));
      });
      const request = { owner, requested, ranges, families: familiesOf(pools) };
      const allocation = allocator.allocate({ ...request, onlyRested: true, now: clock.now() });
      if (allocation.kind === 'allocated' || allocation.exhausted === undefined) return allocation;
      const family = allocation.exhausted;
      const growth: Growth =
        clock.now() < deadline && !this.#closed
          ? await this.#grow(pools[family][serving[family] - 1])
          : { kind: 'none', full: false, reason: 'others were faster for too long' };
      if (growth.kind === 'grown') continue;
      reasons.add(growth.reason);
      if (growth.full) full.add(pools[family][serving[family] - 1]);
      if (serving[family] < pools[family].length) {
        serving[family]++;
        continue;
      }
      this.#setRanges();
      const last = allocator.allocate({ ...request, now: clock.now() });
      if (last.kind === 'allocated' || last.exhausted === undefined) return last;
      const loan = await this.#borrower?.borrow([...full], last.exhausted, deadline);
      if (loan?.kind !== 'lent') {
        return { ...last, reason: [last.reason, ...reasons, ...(loan?.reasons ?? [])].join('; ') };
      }
      borrowed.push(loan.cidr);
    }
  }

  problem(): string | undefined {
    const serving = this.#pools();
    return serving.length === 0 ? `no IPPool serves node ${this.#options.nodeName}` : undefined;
  }

  /** For people: blocks that are no longer this node's, and that pods have addresses of. */
  lost(): readonly LostBlock[] {
    return this.#lost.list();
  }

  usage(): RangeUsage[] {
    this.#setRanges();
    return this.#options.allocator.usage(this.#options.clock.now());
  }

  #choose(object: Pod | undefined): PoolChoice {
    const { state, nodeName } = this.#options;
    const { ipPools, namespaces, nodes } = state();
    const name = object?.metadata.namespace;
    const namespace = name === undefined ? undefined : namespaces.get(name)?.metadata;
    return choosePools({
      pools: ipPools.values(),
      nodeName,
      nodeLabels: nodes.get(nodeName)?.metadata.labels ?? {},
      ...(name !== undefined && {
        namespace: { name, labels: namespace?.labels ?? {}, annotations: namespace?.annotations ?? {} },
      }),
      podAnnotations: object?.metadata.annotations,
    });
  }

  /** Pools of which this node claims blocks; those of all namespaces first, which are of use to most pods. */
  #pools(): IpPool[] {
    const { state, nodeName } = this.#options;
    const labels = state().nodes.get(nodeName)?.metadata.labels ?? {};
    return [...state().ipPools.values()].filter((pool) => servesNode(pool, labels)).sort((a, b) => bySpeciality(b, a));
  }

  /** Of this node, without what it borrowed. */
  #blocks(): IpamBlock[] {
    return this.#own.filter(({ spec }) => !isSingleAddress(spec.cidr));
  }

  #usable(): string[] {
    return this.#own
      .map(({ spec }) => spec.cidr)
      .filter((cidr) => !this.#leaving.has(cidr) && !this.#unkept.has(cidr) && !this.#borrower?.isReturning(cidr));
  }

  #setRanges(): void {
    const usable = this.#usable();
    const blocks = usable.filter((cidr) => !isSingleAddress(cidr));
    this.#options.allocator.setRanges(blocks, this.#options.node().reserved, usable.filter(isSingleAddress));
  }

  /** An address that a pod names is had by claiming the block in which it lies. @returns why it cannot be had */
  async #claimRequested(
    requested: readonly string[],
    pools: Readonly<Record<Family, readonly IpPool[]>>,
    borrowed: string[],
  ): Promise<(Allocation & { kind: 'refused' }) | undefined> {
    for (const address of requested) {
      if (this.#usable().some((cidr) => covers(cidr, address))) continue;
      const other = [...this.#options.state().ipamBlocks.values()].find(({ spec }) => covers(spec.cidr, address));
      const pool = pools[familyOfText(address)].find((candidate) => blockOf(candidate, address) !== undefined);
      if (other !== undefined && other.spec.node !== this.#options.nodeName) {
        const loan = pool && (await this.#borrower?.ask(address, pool));
        if (loan?.kind === 'lent') {
          borrowed.push(loan.cidr);
          continue;
        }
        const why = loan === undefined ? '' : `: ${loan.reason}`;
        const reason = `${address} lies in block ${other.spec.cidr} of node ${other.spec.node}${why}`;
        return { kind: 'refused', reason, passing: true };
      }
      const cidr = pool && blockOf(pool, address);
      // The allocator says what is wrong with an address of no pool.
      if (pool === undefined || cidr === undefined || !this.#isFree(cidr)) continue;
      const claim = await this.#claim(pool.metadata.name, cidr);
      if (claim.kind === 'claimed') continue;
      const why = claim.kind === 'taken' ? `it is of node ${claim.node}` : claim.reason;
      return { kind: 'refused', reason: `${address}: block ${cidr} cannot be claimed: ${why}`, passing: true };
    }
    return undefined;
  }

  #isFree(cidr: string): boolean {
    const block = parsePrefix(cidr)!;
    return ![...this.#taken()].some((other) => prefixesOverlap(parsePrefix(other)!, block));
  }

  /** Blocks of everyone, and the pod ranges of other nodes, which may have pods of a time before the pools. */
  *#taken(): Iterable<string> {
    const { state, nodeName } = this.#options;
    for (const { spec } of state().ipamBlocks.values()) yield spec.cidr;
    for (const [name, { spec }] of state().nodes) if (name !== nodeName) yield* spec.podCIDRs;
  }

  /** One more block of the pool; those who ask meanwhile wait for the same. */
  #grow(pool: IpPool): Promise<Growth> {
    const { name } = pool.metadata;
    const under = this.#growing.get(name);
    if (under !== undefined) return under;
    const growth = this.#claimNext(pool).finally(() => this.#growing.delete(name));
    this.#growing.set(name, growth);
    return growth;
  }

  async #claimNext(pool: IpPool): Promise<Growth> {
    const { nodeName, node, registry } = this.#options;
    if (registry === undefined) {
      const reason = 'blocks are claimed at an API server; those of a folder are given by hand';
      return { kind: 'none', full: false, reason };
    }
    const coming = [...this.#unkept].find((cidr) => lies(cidr, [pool]));
    if (coming !== undefined && (await this.#told(coming))) return { kind: 'grown' };
    // Of others by the server's word, which the source has not told yet.
    const others: string[] = [];
    for (;;) {
      const taken = [...this.#taken(), ...others];
      const { reserved } = node();
      const cidr = nextBlock({ pool, nodeName, taken, reserved }) ?? (await this.#takeOver(pool, reserved));
      if (cidr === undefined || others.includes(cidr)) return { kind: 'none', full: true, reason: describePool(pool) };
      const claim = await this.#claim(pool.metadata.name, cidr);
      if (claim.kind === 'claimed') return { kind: 'grown' };
      if (claim.kind === 'failed')
        return { kind: 'none', full: false, reason: `no block can be claimed: ${claim.reason}` };
      others.push(cidr);
    }
  }

  /** @returns claimed: the source has told of it. */
  async #claim(pool: string, cidr: string): Promise<Claim> {
    const { registry, nodeName, log } = this.#options;
    if (registry === undefined) return { kind: 'failed', reason: 'blocks of a folder are given by hand' };
    const claim = await registry.claim({ cidr, node: nodeName, pool });
    if (claim.kind !== 'claimed') return claim;
    log.info({ block: cidr, pool }, 'block claimed');
    return (await this.#told(cidr)) ? claim : { kind: 'failed', reason: `block ${cidr} is claimed, not told of yet` };
  }

  /** Waits until the source tells that the block is ours, and that is kept. */
  async #told(cidr: string): Promise<boolean> {
    const { clock } = this.#options;
    const deadline = clock.now() + this.#times.patience;
    while (!this.#own.some(({ spec }) => spec.cidr === cidr) || this.#unkept.has(cidr)) {
      const left = deadline - clock.now();
      if (left <= 0 || this.#closed) return false;
      await this.#nextChange(left);
    }
    return true;
  }

  /** Resolves when blocks have changed, or after so many milliseconds. */
  #nextChange(milliseconds: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = () => {
        cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      const cancel = this.#options.clock.after(milliseconds, wake);
      this.#waiting.add(wake);
    });
  }

  /** A pool without a free block: one of a Node that is gone is set free. @returns its CIDR, free to be claimed */
  async #takeOver(pool: IpPool, reserved: readonly string[]): Promise<string | undefined> {
    const { state, registry, log, nodeName } = this.#options;
    for (const { spec } of state().ipamBlocks.values()) {
      if (!this.#isGone(spec.node) || !lies(spec.cidr, [pool])) continue;
      const taken = [...this.#taken()].filter((cidr) => cidr !== spec.cidr);
      // One of another size, or one that is reserved, is of no use.
      if (nextBlock({ pool, nodeName, taken, reserved }) !== spec.cidr) continue;
      const problem = await registry?.release(spec.cidr, spec.node);
      if (problem === undefined) {
        log.info({ block: spec.cidr, node: spec.node }, 'the block of a node that is gone is taken over');
        return spec.cidr;
      }
      log.warn({ block: spec.cidr, node: spec.node, problem }, 'the block of a node that is gone cannot be taken over');
    }
    return undefined;
  }

  #isGone(node: string): boolean {
    const since = this.#goneSince.get(node);
    return since !== undefined && this.#options.clock.now() >= since + this.#times.gone;
  }

  async #check(): Promise<void> {
    await this.#claimFirst();
    await this.#lost.recover();
    await this.#giveBack();
    await this.#borrower?.giveBack();
    this.#lend();
    if (!this.#closed) this.#cancelCheck = this.#options.clock.after(this.#times.check, () => void this.#check());
  }

  /** The first block of a family holds the tunnel's address: the node has one also before its first pod. */
  async #claimFirst(): Promise<void> {
    const { registry, log } = this.#options;
    if (registry === undefined) return;
    const problems: string[] = [];
    for (const family of families) {
      if (this.#blocks().some(({ spec }) => familyOfText(spec.cidr) === family)) continue;
      for (const pool of this.#pools().filter(({ spec }) => familyOfText(spec.cidr) === family)) {
        const growth = await this.#grow(pool);
        if (growth.kind === 'grown') break;
        problems.push(growth.reason);
      }
    }
    const reason = problems.join('; ');
    if (reason !== '' && reason !== this.#firstProblem) log.warn({ reason }, 'the node has no block yet');
    this.#firstProblem = reason;
  }

  /** A single address is asked for, of the node that has its block now. */
  async #claimAgain(cidr: string, poolName: string): Promise<Claim> {
    const pool = this.#options.state().ipPools.get(poolName);
    if (!isSingleAddress(cidr) || pool === undefined || this.#borrower === undefined) {
      return this.#claim(poolName, cidr);
    }
    const loan = await this.#borrower.ask(addressOf(cidr), pool);
    this.#borrower.settle(cidr);
    return loan.kind === 'lent' ? { kind: 'claimed' } : { kind: 'failed', reason: loan.reason };
  }

  /** Blocks that have been empty for long, but for the oldest of a family: it holds the tunnel's address. */
  async #giveBack(): Promise<void> {
    const { registry, nodeName, clock, log } = this.#options;
    if (registry === undefined) return;
    const now = clock.now();
    const busy = new Set(
      this.usage()
        .filter(({ held, coolingDown }) => held + coolingDown > 0)
        .map(({ range }) => range),
    );
    const kept = new Set(
      families.map((family) => this.#blocks().find(({ spec }) => familyOfText(spec.cidr) === family)?.spec.cidr),
    );
    for (const { spec } of this.#blocks()) {
      const { cidr } = spec;
      if (!this.#leaving.has(cidr)) {
        if (busy.has(cidr) || kept.has(cidr)) {
          this.#emptySince.delete(cidr);
          continue;
        }
        const since = this.#emptySince.get(cidr) ?? now;
        this.#emptySince.set(cidr, since);
        if (now < since + this.#times.empty) continue;
        this.#leaving.add(cidr);
      }
      const problem = await registry.release(cidr, nodeName);
      if (problem === undefined) log.info({ block: cidr }, 'an empty block is given back');
      else log.warn({ block: cidr, problem }, 'an empty block cannot be given back yet');
    }
  }
}

function lies(cidr: string, pools: readonly IpPool[]): boolean {
  return pools.some(({ spec }) => covers(spec.cidr, cidr.slice(0, cidr.indexOf('/'))));
}
