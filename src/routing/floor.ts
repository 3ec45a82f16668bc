/**
 * The floor under BGP: ways to other nodes' pod ranges, read off the Node objects, for as long as BGP cannot know better.
 *
 * Two sources, one table. Where BGP has a path, it wins. Where it has none, that is BGP's word too, once a session was
 * complete (established, End-of-RIB received) that could have carried the prefix: such a prefix has no floor. So a
 * withdrawn route does not come back.
 *   - Could have carried it: a session with the owning node itself, or with anyone who passes on the routes of others (a
 *     reflector, a peer outside the cluster). A mesh session with another plain node says nothing of the prefix.
 *   - A session that goes away leaves its word behind, until every session of the family is gone. From then on the
 *     floor carries again what BGP had carried to the end; what was absent then was withdrawn, and stays away until a
 *     session speaks again or the Node object changes.
 *   - Routes that were adopted from the run before are BGP's last word, better than the floor's guess: while they are
 *     held, their prefixes have no floor, so that a restart changes no route.
 * Leaves out: memory over a restart (adopted routes are that memory).
 * Holds: paths of BGP and of the floor never stand in the kernel side by side for one prefix.
 */

import type { PeerStatus } from '../../bgp/index.ts';
import { families, type Family } from '../../bgp/ip.ts';
import { ipv4Mapped, type ClusterNode, type Inventory } from '../topology/inventory.ts';

interface FloorRoute {
  readonly family: Family;
  readonly node: string;
  readonly nextHop: string;
}

/** What completed sessions have spoken for: all prefixes, or those of some nodes. */
interface Coverage {
  anyComplete: boolean;
  everything: boolean;
  readonly nodes: Set<string>;
}

/** What a prefix is to be forwarded by. */
export interface Merged {
  readonly source: 'bgp' | 'floor' | 'none';
  readonly nextHops: readonly string[];
}

/**
 * @param best next hops of BGP's best paths; undefined: BGP has no path
 * @param floor next hop of the floor while it counts for the prefix
 */
export function mergeFloor(best: readonly string[] | undefined, floor: string | undefined): Merged {
  if (best !== undefined) return { source: 'bgp', nextHops: best };
  return floor === undefined ? { source: 'none', nextHops: [] } : { source: 'floor', nextHops: [floor] };
}

export class Floor {
  #inventory: Inventory;
  #routes: ReadonlyMap<string, FloorRoute>;
  #adopted: ReadonlySet<string>;
  readonly #withdrawn = new Set<string>();
  readonly #coverage: Record<Family, Coverage> = { ipv4: uncovered(), ipv6: uncovered() };

  /** @param adopted prefixes of kernel routes that a former run left */
  constructor(inventory: Inventory, adopted: ReadonlySet<string>) {
    this.#inventory = inventory;
    this.#routes = floorRoutes(inventory);
    this.#adopted = adopted;
  }

  /** @returns the next hop for the prefix, where the floor has one and it counts. */
  nextHop(prefix: string): string | undefined {
    const route = this.#routes.get(prefix);
    if (route === undefined || this.#adopted.has(prefix) || this.#withdrawn.has(prefix)) return undefined;
    const { everything, nodes } = this.#coverage[route.family];
    return everything || nodes.has(route.node) ? undefined : route.nextHop;
  }

  /** @returns the prefixes for which the answer may have changed. */
  setInventory(inventory: Inventory): Iterable<string> {
    const before = this.#routes;
    this.#inventory = inventory;
    this.#routes = floorRoutes(inventory);
    const changed = new Set<string>();
    for (const prefix of new Set([...before.keys(), ...this.#routes.keys()])) {
      const [was, is] = [before.get(prefix), this.#routes.get(prefix)];
      if (was?.nextHop === is?.nextHop && was?.node === is?.node) continue;
      this.#withdrawn.delete(prefix);
      changed.add(prefix);
    }
    return changed;
  }

  /**
   * @param peers as the speaker tells them now; every best-path change of before must have been handed in already
   * @param hasBest whether BGP has a path to the prefix
   * @returns the prefixes for which the answer may have changed
   */
  setPeers(peers: readonly PeerStatus[], hasBest: (prefix: string) => boolean): Iterable<string> {
    return families.flatMap((family) => {
      const complete = peers.filter((peer) => isComplete(peer, family)).map(({ address }) => address);
      const coverage = this.#coverage[family];
      const prefixes = () => [...this.#routes].filter(([, route]) => route.family === family).map(([prefix]) => prefix);
      if (complete.length > 0) return this.#cover(coverage, complete) ? prefixes() : [];
      if (!coverage.anyComplete) return [];
      for (const prefix of prefixes()) {
        if (this.#isCovered(prefix) && !hasBest(prefix)) this.#withdrawn.add(prefix);
      }
      this.#coverage[family] = uncovered();
      return prefixes();
    });
  }

  /** The adopted routes have been replaced or swept. @returns their prefixes. */
  releaseAdopted(): Iterable<string> {
    const released = this.#adopted;
    this.#adopted = new Set();
    return released;
  }

  prefixes(): Iterable<string> {
    return this.#routes.keys();
  }

  #isCovered(prefix: string): boolean {
    const { family, node } = this.#routes.get(prefix)!;
    const { everything, nodes } = this.#coverage[family];
    return everything || nodes.has(node);
  }

  /** @returns whether it covers more than before. */
  #cover(coverage: Coverage, addresses: readonly string[]): boolean {
    const before = coverage.everything ? -1 : coverage.nodes.size;
    coverage.anyComplete = true;
    for (const address of addresses) {
      const node = this.#inventory.nodeByAddress(address);
      if (node === undefined || node.clusterId !== undefined) coverage.everything = true;
      else coverage.nodes.add(node.name);
    }
    const after = coverage.everything ? -1 : coverage.nodes.size;
    if (before === after) return false;
    // A session speaks again: what it does not tell is absent by its word, not by memory.
    for (const [prefix, route] of this.#routes) {
      if (coverage.everything || coverage.nodes.has(route.node)) this.#withdrawn.delete(prefix);
    }
    return true;
  }
}

function uncovered(): Coverage {
  return { anyComplete: false, everything: false, nodes: new Set() };
}

function isComplete({ state, families: statuses }: PeerStatus, family: Family): boolean {
  return (
    state === 'established' &&
    statuses.some((status) => status.family === family && status.negotiated && status.endOfRibReceived)
  );
}

/** The pod ranges of every other node, by way of that node's address. */
function floorRoutes({ self, nodes }: Inventory): ReadonlyMap<string, FloorRoute> {
  const routes = new Map<string, FloorRoute>();
  for (const node of nodes.values()) {
    if (node === self) continue;
    for (const { text, prefix } of node.podPrefixes) {
      const nextHop = nextHopOf(node, prefix.family);
      if (nextHop !== undefined) routes.set(text, { family: prefix.family, node: node.name, nextHop });
    }
  }
  return routes;
}

/** As the node itself would tell it: each family by way of the other where the node has nothing else. */
function nextHopOf({ addresses }: ClusterNode, family: Family): string | undefined {
  if (family === 'ipv4') return addresses.ipv4 ?? addresses.ipv6;
  return addresses.ipv6 ?? (addresses.ipv4 && ipv4Mapped(addresses.ipv4));
}
