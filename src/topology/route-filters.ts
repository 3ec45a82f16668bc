/**
 * BGPFilters as the RIB runs them: the rules of the named filters in order, then the default policy.
 * Leaves out: the default policy itself (default-policy.ts).
 * Holds: the first rule that matches decides; a filter that is named but missing refuses every route, because what it
 * would have kept back is unknown.
 */

import type { FilteredRoute, FilterVerdict, RouteChanges, RouteFilter } from '../../bgp/index.ts';
import type { Family } from '../../bgp/ip.ts';
import { priorityBase, type BgpFilter, type BgpFilterOperation, type BgpFilterRule } from '../resources/bgp-filter.ts';
import { fingerprint } from './hash.ts';
import { communityKind, communityMatcher, toMatchers, type CommunityKind } from './route-matchers.ts';

export type Direction = 'import' | 'export';

export interface FilterRequest {
  readonly direction: Direction;
  /** Of the session. */
  readonly peerType: 'iBGP' | 'eBGP';
  /** Names of BGPFilters, in order. */
  readonly names: readonly string[];
  readonly filters: ReadonlyMap<string, BgpFilter>;
  /** Decides where no rule matches; undefined: every route is accepted. */
  readonly defaultPolicy: RouteFilter | undefined;
}

interface CompiledRule {
  matches(route: FilteredRoute): boolean;
  readonly verdict: FilterVerdict;
}

const specFields = {
  import: { ipv4: 'importV4', ipv6: 'importV6' },
  export: { ipv4: 'exportV4', ipv6: 'exportV6' },
} as const satisfies Record<Direction, Record<Family, keyof BgpFilter['spec']>>;

const acceptedByDefault: FilterVerdict = { kind: 'accept', rule: 'default' };

/** @returns undefined where nothing is to be checked: the RIB then calls no function at all. */
export function toRouteFilter(request: FilterRequest): RouteFilter | undefined {
  const { direction, peerType, names, filters, defaultPolicy } = request;
  const relevant = names.filter((name) => hasRules(filters.get(name), direction));
  if (relevant.length === 0) return defaultPolicy;
  const rules = {
    ipv4: relevant.flatMap((name) => compileFilter(name, filters.get(name), direction, 'ipv4', peerType)),
    ipv6: relevant.flatMap((name) => compileFilter(name, filters.get(name), direction, 'ipv6', peerType)),
  };
  const source = relevant.map((name) => {
    const spec = filters.get(name)?.spec;
    return [name, spec && [spec[specFields[direction].ipv4], spec[specFields[direction].ipv6]]];
  });
  return {
    name: relevant.join(', '),
    key: `${fingerprint(JSON.stringify([direction, peerType, source]))} ${defaultPolicy?.key ?? ''}`,
    evaluate(route) {
      for (const rule of rules[route.family]) if (rule.matches(route)) return rule.verdict;
      return defaultPolicy?.evaluate(route) ?? acceptedByDefault;
    },
  };
}

/** A missing filter has a rule too: the one that refuses. */
function hasRules(filter: BgpFilter | undefined, direction: Direction): boolean {
  if (filter === undefined) return true;
  const { ipv4, ipv6 } = specFields[direction];
  return filter.spec[ipv4].length + filter.spec[ipv6].length > 0;
}

function compileFilter(
  name: string,
  filter: BgpFilter | undefined,
  direction: Direction,
  family: Family,
  peerType: FilterRequest['peerType'],
): readonly CompiledRule[] {
  if (filter === undefined) {
    return [{ matches: () => true, verdict: { kind: 'reject', rule: `BGPFilter ${name} is missing` } }];
  }
  const field = specFields[direction][family];
  return filter.spec[field].flatMap((rule, index) => {
    // The type of the session is known now: such a rule is either without this condition or never asked.
    if (rule.peerType !== undefined && rule.peerType !== peerType) return [];
    const matchers = toMatchers(rule);
    return [
      {
        matches: (route: FilteredRoute) => matchers.every((matches) => matches(route)),
        verdict: toVerdict(rule, `${name} ${field}[${index}]`, direction),
      },
    ];
  });
}

function toVerdict(rule: BgpFilterRule, name: string, direction: Direction): FilterVerdict {
  if (rule.action === 'Reject') return { kind: 'reject', rule: name };
  return rule.operations.length === 0
    ? { kind: 'accept', rule: name }
    : { kind: 'accept', rule: name, changes: toChanges(rule.operations, direction) };
}

/** In the order of the operations: what is prepended later stands before what was prepended first. */
function toChanges(operations: readonly BgpFilterOperation[], direction: Direction): RouteChanges {
  const prependAsPath = operations.toReversed().flatMap(({ prependASPath }) => prependASPath?.prefix ?? []);
  const localPref = operations
    .map((operation) => localPrefOf(operation, direction))
    .findLast((value) => value !== undefined);
  const med = operations.findLast(({ setMED }) => setMED)?.setMED?.value;
  const priority = operations.findLast(({ setPriority }) => setPriority)?.setPriority?.value;
  return {
    ...communityChanges(operations),
    ...(prependAsPath.length > 0 && { prependAsPath }),
    ...(localPref !== undefined && { localPref }),
    ...(med !== undefined && { med }),
    ...(priority !== undefined && direction === 'import' && { fibMetric: priority }),
  };
}

/** A priority is told as Calico's nodes understand it. */
function localPrefOf(operation: BgpFilterOperation, direction: Direction): number | undefined {
  const { setLocalPreference, setPriority } = operation;
  if (setPriority !== undefined && direction === 'export') return priorityBase - setPriority.value;
  return setLocalPreference?.value;
}

type CommunityChanges = Pick<RouteChanges, 'clearCommunities' | 'removesCommunity' | 'addCommunities'>;

/** One after the other as the operations say, brought into the order of the speaker: cleared, removed, added. */
function communityChanges(operations: readonly BgpFilterOperation[]): CommunityChanges {
  const cleared = new Set<CommunityKind>();
  const removed: string[] = [];
  let added: readonly string[] = [];
  for (const { addCommunity, removeCommunity, setCommunities } of operations) {
    if (addCommunity !== undefined) added = [...added, addCommunity.value];
    if (removeCommunity !== undefined) {
      const matches = communityMatcher([removeCommunity.value]);
      added = added.filter((community) => !matches(community));
      removed.push(removeCommunity.value);
    }
    if (setCommunities !== undefined) {
      const kinds = new Set(setCommunities.values.map(communityKind));
      for (const kind of kinds) cleared.add(kind);
      added = [...added.filter((community) => !kinds.has(communityKind(community))), ...setCommunities.values];
    }
  }
  return {
    ...(cleared.size > 0 && { clearCommunities: [...cleared] }),
    ...(removed.length > 0 && { removesCommunity: communityMatcher(removed) }),
    ...(added.length > 0 && { addCommunities: added }),
  };
}
