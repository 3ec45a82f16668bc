/**
 * What is taken and told where no BGPFilter says otherwise.
 * Import: origin validation. On sessions inside the cluster a pod prefix is valid when its next hop is an address of the
 * node that owns it, or its ORIGINATOR_ID is that node's router id. An eBGP peer outside the cluster may not tell
 * prefixes of the cluster, unless its BGPPeer has importClusterRoutes; then their origin AS must be the owning node's.
 * Export: a node tells its own ranges; a reflector reflects iBGP; what was learned by eBGP is used and not passed on.
 * Holds: a filter exists only where there is something to check, and equal keys decide alike.
 */

import type { FilteredRoute, FilterVerdict, RouteFilter } from '../../bgp/index.ts';
import type { Prefix } from '../../bgp/ip.ts';
import { fingerprint } from './hash.ts';
import { ipv4Mapped, type ClusterNode, type Inventory } from './inventory.ts';

const accept = (rule: string): FilterVerdict => ({ kind: 'accept', rule });
const reject = (rule: string): FilterVerdict => ({ kind: 'reject', rule });

const verdicts = {
  notOurs: accept('not a cluster prefix'),
  valid: accept('origin valid'),
  unknownOwner: accept('origin unknown: no node has a pod range'),
  noOwner: reject('origin invalid: no node owns it'),
  clusterPrefix: reject('a prefix of the cluster from outside (importClusterRoutes is off)'),
  own: accept('own'),
  notOwn: reject('not our own'),
  notExported: reject('its pool has disableBGPExport'),
  reflected: accept('iBGP'),
  learnedByEbgp: reject('learned by eBGP'),
} as const;

export interface DefaultPolicies {
  /** From a peer of our AS, or from a node of the cluster in whatever AS. */
  readonly importInside: RouteFilter | undefined;
  readonly importOutside: RouteFilter | undefined;
  /** The same with importClusterRoutes. */
  readonly importFabric: RouteFilter | undefined;
  readonly exportIbgp: RouteFilter | undefined;
  readonly exportEbgpNode: RouteFilter;
  readonly exportEbgpOutside: RouteFilter;
}

/** @param anyEbgp whether this speaker has an eBGP peer at all; where not, iBGP exports need no filter. */
export function toDefaultPolicies(inventory: Inventory, anyEbgp: boolean): DefaultPolicies {
  const filter = (name: string, facts: unknown, evaluate: RouteFilter['evaluate']) => ({
    name,
    key: `${name} ${fingerprint(JSON.stringify(facts))}`,
    evaluate,
  });
  const owners = [...inventory.nodes.values()].filter((node) => node.podPrefixes.length > 0);
  const ranges = [
    inventory.pools.map(({ prefix }) => [...prefix.bytes, prefix.length]),
    owners.map(({ name, podPrefixes }) => [name, podPrefixes.map(({ text }) => text)]),
  ];
  const anything = inventory.pools.length + owners.length > 0;
  return {
    importInside: anything
      ? filter(
          'origin validation',
          [ranges, owners.map(({ addresses, routerId }) => [addresses.ipv4, addresses.ipv6, routerId])],
          originByNode(inventory),
        )
      : undefined,
    importOutside: anything
      ? filter('no cluster prefixes', ranges, (route) =>
          inventory.isClusterPrefix(toPrefix(route)) ? verdicts.clusterPrefix : verdicts.notOurs,
        )
      : undefined,
    importFabric: anything
      ? filter(
          'origin validation by AS',
          [ranges, inventory.self.name, owners.map(({ asNumber }) => asNumber)],
          originByAs(inventory),
        )
      : undefined,
    exportIbgp: anyEbgp
      ? {
          name: 'nothing learned by eBGP',
          key: 'nothing learned by eBGP',
          evaluate: ({ peerType }) =>
            peerType === 'eBGP' ? verdicts.learnedByEbgp : peerType === 'local' ? verdicts.own : verdicts.reflected,
        }
      : undefined,
    exportEbgpNode: {
      name: 'own ranges',
      key: 'own ranges',
      evaluate: ({ peerType }) => (peerType === 'local' ? verdicts.own : verdicts.notOwn),
    },
    exportEbgpOutside: ownExportedRanges(inventory),
  };
}

function originByNode(inventory: Inventory): RouteFilter['evaluate'] {
  const foreign = new Map<ClusterNode, FilterVerdict>();
  const ownersKnown = hasOwners(inventory);
  return (route) => {
    const prefix = toPrefix(route);
    const owner = inventory.ownerOf(prefix);
    if (owner === undefined) {
      if (inventory.poolOf(prefix) === undefined) return verdicts.notOurs;
      return ownersKnown ? verdicts.noOwner : verdicts.unknownOwner;
    }
    const { ipv4, ipv6 } = owner.addresses;
    const { nextHop } = route;
    if (nextHop === ipv4 || nextHop === ipv6 || (ipv4 !== undefined && nextHop === ipv4Mapped(ipv4))) {
      return verdicts.valid;
    }
    if (route.originatorId === owner.routerId) return verdicts.valid;
    return memo(foreign, owner, () => reject(`origin invalid: it is node ${owner.name}'s, the next hop is not`));
  };
}

function originByAs(inventory: Inventory): RouteFilter['evaluate'] {
  const foreign = new Map<ClusterNode, FilterVerdict>();
  const ownersKnown = hasOwners(inventory);
  return (route) => {
    const prefix = toPrefix(route);
    if (!inventory.isClusterPrefix(prefix)) return verdicts.notOurs;
    const owner = inventory.ownerOf(prefix);
    if (owner === undefined) return ownersKnown ? verdicts.noOwner : verdicts.unknownOwner;
    if (owner !== inventory.self && route.asPath.at(-1) === owner.asNumber) return verdicts.valid;
    return memo(foreign, owner, () =>
      reject(
        owner === inventory.self
          ? "origin invalid: it is this node's own"
          : `origin invalid: it is node ${owner.name}'s, its AS is ${owner.asNumber}`,
      ),
    );
  };
}

function ownExportedRanges({ pools, poolOf }: Inventory): RouteFilter {
  const kept = pools.filter((pool) => !pool.exported).map((pool) => [...pool.prefix.bytes, pool.prefix.length]);
  return {
    name: 'own exported ranges',
    key: `own exported ranges ${kept.length === 0 ? '' : fingerprint(JSON.stringify(kept))}`,
    evaluate(route) {
      if (route.peerType !== 'local') return verdicts.notOwn;
      return kept.length > 0 && poolOf(toPrefix(route))?.exported === false ? verdicts.notExported : verdicts.own;
    },
  };
}

/** Where no node has a pod range, ranges come from elsewhere: nothing can be said of origins. */
function hasOwners({ nodes }: Inventory): boolean {
  return [...nodes.values()].some((node) => node.podPrefixes.length > 0);
}

function toPrefix(route: FilteredRoute): Prefix {
  return { family: route.family, bytes: route.prefixBytes, length: route.prefixLength };
}

function memo(cache: Map<ClusterNode, FilterVerdict>, node: ClusterNode, make: () => FilterVerdict): FilterVerdict {
  let verdict = cache.get(node);
  if (verdict === undefined) cache.set(node, (verdict = make()));
  return verdict;
}
