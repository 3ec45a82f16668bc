/**
 * Best paths, cluster and links in; kernel routes and tunnels out, as changes.
 * Implements: architecture §5: one merge of BGP and the floor, own blocks as blackholes, tunnels by pool.
 * Leaves out: the kernel (dataplane/route-table.ts, tunnels.ts) and its failures; waiting for other nodes, which may for a while
 * send into a tunnel that this node has left already: whoever calls `onApplied` late enough is safe from it.
 * Holds:
 *   - What the sink has been told in the end depends on the state alone, not on the order of events.
 *   - Nothing unroutable is dropped in silence: it is listed with its reason, and tried again when anything it depends on changes.
 *   - A change of encapsulation replaces routes in place: devices are added first, routes moved, and only when the kernel
 *     holds the moved routes are devices taken away.
 *   - Work is bounded: `advance(n)` looks at n prefixes, however many have changed.
 */

import type { BestPath, BestPathChange, PeerStatus, RouteStatus } from '../../bgp/index.ts';
import { familyOfText, parsePrefix, type Family } from '../../bgp/ip.ts';
import type { KernelRoute, Tunnel } from '../../dataplane/index.ts';
import type { Inventory, Pool } from '../topology/inventory.ts';
import { refused, type Condition } from '../topology/condition.ts';
import { toTunnels, type TunnelSupports, type Underlay } from './encapsulation.ts';
import { Floor, mergeFloor } from './floor.ts';
import { toForwarding, unroutableReason, type Forwarding } from './kernel-route.ts';
import { weightsOf } from './weights.ts';
import { explainRoute, type RouteDecision, type RouteStep } from './why.ts';

/** Where the results go. Calls are cheap notes of what is wanted; applying them to the kernel is the owner's affair. */
export interface RouteSink {
  setDesired(route: KernelRoute): void;
  removeDesired(prefix: string): void;
  /** All tunnels that shall exist now. To be applied before the routes that were set after it. */
  setTunnels(tunnels: readonly Tunnel[]): void;
}

export interface UnroutablePrefix {
  readonly prefix: string;
  readonly reason: string;
}

export interface RouteProgrammerOptions {
  readonly sink: RouteSink;
  readonly inventory: Inventory;
  readonly underlay: Underlay;
  readonly tunnelSupport: TunnelSupports;
  /** Prefixes of the kernel routes that a former run left. */
  readonly adopted?: ReadonlySet<string>;
}

/** What the best paths of a prefix say of its route. */
interface Ways {
  /** The best path's first; none: the prefix is our own. */
  readonly nextHops: readonly string[];
  /** Of each next hop in its place; undefined: they share alike. */
  readonly weights: readonly number[] | undefined;
  /** The best path's; undefined: our own. */
  readonly metric: number | undefined;
}

/** An answer for all prefixes of a pool with the same next hops. */
interface SharedForwarding {
  readonly family: Family;
  readonly pool: Pool | undefined;
  readonly nextHops: readonly string[];
  readonly weights: readonly number[] | undefined;
  readonly forwarding: Forwarding;
}

/** Shared values beyond this number are forgotten and made anew as needed. */
const mostShared = 65_536;

export class RouteProgrammer {
  readonly #sink: RouteSink;
  readonly #underlay: Underlay;
  readonly #floor: Floor;
  #inventory: Inventory;
  #tunnelSupport: TunnelSupports;
  #ownBlocks: ReadonlySet<string>;
  /** Of BGP's best paths. Equal ones are one object. */
  readonly #best = new Map<string, Ways>();
  readonly #sharedWays = new Map<string, Ways>();
  #forwardings = new Map<string, SharedForwarding>();
  /** What the sink holds, as keys of forwardings. */
  readonly #told = new Map<string, string>();
  readonly #unroutable = new Map<string, string>();
  readonly #dirty = new Set<string>();
  /** A walk over all best paths that is under way. */
  #walk: Iterator<string> | undefined;
  #wantedTunnels: readonly Tunnel[] = [];
  #toldTunnels: readonly Tunnel[] | undefined;

  constructor({ sink, inventory, underlay, tunnelSupport, adopted = new Set() }: RouteProgrammerOptions) {
    this.#sink = sink;
    this.#underlay = underlay;
    this.#inventory = inventory;
    this.#tunnelSupport = tunnelSupport;
    this.#floor = new Floor(inventory, adopted);
    this.#ownBlocks = ownBlocksOf(inventory);
    this.#refreshTunnels();
    this.#mark(this.#ownBlocks);
    this.#mark(this.#floor.prefixes());
  }

  onBestPathsChanged(changes: readonly BestPathChange[]): void {
    for (const { prefix, paths } of changes) {
      if (paths.length === 0) this.#best.delete(prefix);
      else this.#best.set(prefix, this.#waysOf(paths));
      this.#dirty.add(prefix);
    }
  }

  setInventory(inventory: Inventory): void {
    this.#inventory = inventory;
    this.#mark(this.#ownBlocks);
    this.#ownBlocks = ownBlocksOf(inventory);
    this.#mark(this.#ownBlocks);
    this.#mark(this.#floor.setInventory(inventory));
    this.#mark(this.#floor.prefixes());
    this.#refreshTunnels();
    this.#reconsiderAll();
  }

  setTunnelSupport(tunnelSupport: TunnelSupports): void {
    this.#tunnelSupport = tunnelSupport;
    this.#refreshTunnels();
    this.#mark(this.#floor.prefixes());
    this.#reconsiderAll();
  }

  /** Links, addresses, connected or static routes changed. Costs one look-up for each set of next hops in use. */
  onLinksChanged(): void {
    this.#refreshTunnels();
    let changed = false;
    for (const [key, shared] of this.#forwardings) {
      const forwarding = this.#toForwarding(shared.family, shared.pool, shared.nextHops, shared.weights);
      changed ||=
        forwarding.key !== shared.forwarding.key ||
        unroutableReason(forwarding) !== unroutableReason(shared.forwarding);
      this.#forwardings.set(key, { ...shared, forwarding });
    }
    if (!changed) return;
    this.#mark(this.#floor.prefixes());
    this.#walk = this.#best.keys();
  }

  /**
   * @param peers as the speaker tells them now. To be called after the best-path changes of before have been handed in to the
   * last: what a lost session had told, and what a complete one has, must be known by then.
   */
  setPeers(peers: readonly PeerStatus[]): void {
    this.#mark(this.#floor.setPeers(peers, (prefix) => this.#best.has(prefix)));
  }

  /** The routes of the run before are no longer held: the graceful restart is over (RFC 4724). */
  releaseAdopted(): void {
    this.#mark(this.#floor.releaseAdopted());
  }

  /**
   * Tells the sink what has changed, for at most `most` prefixes.
   * @returns whether more is waiting.
   */
  advance(most: number): boolean {
    let left = most;
    for (const prefix of this.#dirty) {
      if (left-- <= 0) return true;
      this.#dirty.delete(prefix);
      this.#settle(prefix);
    }
    while (this.#walk !== undefined) {
      if (left-- <= 0) return true;
      const { done, value } = this.#walk.next();
      if (done) this.#walk = undefined;
      else this.#settle(value);
    }
    return false;
  }

  /** The kernel holds every route that the sink was told of: tunnels that no route uses any more can go. */
  onApplied(): void {
    if (this.#dirty.size > 0 || this.#walk !== undefined) return;
    this.#tellTunnels(this.#wantedTunnels);
  }

  *unroutable(): Generator<UnroutablePrefix, void> {
    for (const [prefix, reason] of this.#unroutable) yield { prefix, reason };
  }

  unroutableCount(): number {
    return this.#unroutable.size;
  }

  /** Pools whose tunnels this kernel cannot make. */
  conditions(): readonly Condition[] {
    return this.#inventory.pools.flatMap(({ name, tunnel }) => {
      if (tunnel === undefined) return [];
      const { supported, reason = 'the kernel has no such device' } = this.#tunnelSupport[tunnel.kind];
      if (supported) return [];
      const message = `${tunnel.kind}Mode ${tunnel.mode}: ${reason}; what only the tunnel could carry is unroutable`;
      return [refused('IPPool', name, 'TunnelUnsupported', message)];
    });
  }

  /** Why packets to the prefix go where they go, as decided from the present state. */
  decide(prefix: string): RouteDecision {
    if (this.#ownBlocks.has(prefix)) {
      const route: KernelRoute = { prefix, nextHops: [], kind: 'blackhole' };
      return { prefix, source: 'own', pool: this.#poolOf(prefix), forwarding: undefined, route };
    }
    const best = this.#best.get(prefix);
    const { source, nextHops } = mergeFloor(best?.nextHops, this.#floor.nextHop(prefix));
    if (nextHops.length === 0) {
      return { prefix, source, pool: this.#poolOf(prefix), forwarding: undefined, route: undefined };
    }
    const pool = this.#poolOf(prefix);
    const forwarding = this.#forwardingOf(familyOfText(prefix), pool, nextHops, best?.weights);
    const { nextHops: hops, preferredSource } = forwarding;
    const metric = best?.metric;
    const route: KernelRoute | undefined =
      hops.length === 0
        ? undefined
        : {
            prefix,
            nextHops: hops,
            kind: 'unicast',
            ...(preferredSource !== undefined && { preferredSource }),
            ...(metric !== undefined && { metric }),
          };
    return { prefix, source, pool, forwarding, route };
  }

  /** @param paths all paths of the RIB to the prefix, the refused ones among them */
  why(prefix: string, paths: readonly RouteStatus[]): readonly RouteStep[] {
    return explainRoute(this.decide(prefix), paths, this.#inventory);
  }

  #settle(prefix: string): void {
    const { route, forwarding } = this.decide(prefix);
    const key = route && routeKey(route, forwarding);
    const told = this.#told.get(prefix);
    if (route !== undefined && key !== told) {
      this.#told.set(prefix, key!);
      this.#sink.setDesired(route);
    } else if (route === undefined && told !== undefined) {
      this.#told.delete(prefix);
      this.#sink.removeDesired(prefix);
    }
    if (route === undefined && forwarding !== undefined) this.#unroutable.set(prefix, unroutableReason(forwarding));
    else this.#unroutable.delete(prefix);
  }

  #poolOf(prefix: string): Pool | undefined {
    return this.#inventory.poolOf(parsePrefix(prefix)!);
  }

  #forwardingOf(
    family: Family,
    pool: Pool | undefined,
    nextHops: readonly string[],
    weights: readonly number[] | undefined,
  ): Forwarding {
    const key = `${family} ${pool?.name ?? ''} ${nextHops.join(' ')} ${weights?.join(' ') ?? ''}`;
    const known = this.#forwardings.get(key);
    if (known !== undefined) return known.forwarding;
    if (this.#forwardings.size >= mostShared) this.#forwardings.clear();
    const forwarding = this.#toForwarding(family, pool, nextHops, weights);
    this.#forwardings.set(key, { family, pool, nextHops, weights, forwarding });
    return forwarding;
  }

  #toForwarding(
    family: Family,
    pool: Pool | undefined,
    nextHops: readonly string[],
    weights: readonly number[] | undefined,
  ): Forwarding {
    const context = { inventory: this.#inventory, underlay: this.#underlay, tunnelSupport: this.#tunnelSupport };
    return toForwarding(family, pool, nextHops, context, weights);
  }

  #waysOf(paths: readonly BestPath[]): Ways {
    // The best path is ours: there is nothing to forward by, even where a peer tells the prefix too.
    const nextHops = paths[0].peerType === 'local' ? [] : paths.map(({ nextHop }) => nextHop);
    const weights = nextHops.length < 2 ? undefined : weightsOf(paths);
    const metric = paths[0].fibMetric;
    let key = nextHops.join(' ');
    if (weights !== undefined) key += ` ${weights.join(' ')}`;
    if (metric !== undefined) key += ` metric ${metric}`;
    const known = this.#sharedWays.get(key);
    if (known !== undefined) return known;
    if (this.#sharedWays.size >= mostShared) this.#sharedWays.clear();
    const ways: Ways = { nextHops, weights, metric };
    this.#sharedWays.set(key, ways);
    return ways;
  }

  #mark(prefixes: Iterable<string>): void {
    for (const prefix of prefixes) this.#dirty.add(prefix);
  }

  #reconsiderAll(): void {
    this.#forwardings = new Map();
    this.#walk = this.#best.keys();
  }

  /** Devices that are no longer wanted stay until `onApplied`, for routes still lead through them. */
  #refreshTunnels(): void {
    this.#wantedTunnels = toTunnels(this.#inventory, this.#underlay, this.#tunnelSupport);
    const wanted = new Set(this.#wantedTunnels.map(({ name }) => name));
    const retired = (this.#toldTunnels ?? []).filter(({ name }) => !wanted.has(name));
    this.#tellTunnels([...this.#wantedTunnels, ...retired]);
  }

  #tellTunnels(tunnels: readonly Tunnel[]): void {
    if (this.#toldTunnels !== undefined && JSON.stringify(tunnels) === JSON.stringify(this.#toldTunnels)) return;
    this.#toldTunnels = tunnels;
    this.#sink.setTunnels(tunnels);
  }
}

/** Two routes to a prefix with equal keys are the same to the kernel. */
function routeKey({ kind, metric }: KernelRoute, forwarding: Forwarding | undefined): string {
  const key = forwarding?.key ?? kind;
  return metric === undefined ? key : `${key} metric ${metric}`;
}

/**
 * This node's pod ranges that lie in a pool: what no pod has is dropped here, not sent to the default gateway and back.
 * A range outside the pools belongs to another network plug-in, whose own routes a blackhole might shadow.
 */
function ownBlocksOf({ self, poolOf }: Inventory): ReadonlySet<string> {
  return new Set(self.podPrefixes.filter(({ prefix }) => poolOf(prefix) !== undefined).map(({ text }) => text));
}
