/**
 * BGPFilters as the RIB runs them: the rules of the named filters in order, then the default policy.
 * Leaves out: the default policy itself (default-policy.ts).
 * Holds: the first rule that matches decides; a filter that is named but missing refuses every route, because what it
 * would have kept back is unknown.
 */

import type { FilteredRoute, FilterVerdict, RouteChanges, RouteFilter } from '../../bgp/index.ts';
import { parsePrefix, prefixContains, type Family } from '../../bgp/ip.ts';
import type { BgpFilter, BgpFilterOperation, BgpFilterRule } from '../resources/bgp-filter.ts';
import { unreachable } from '../unreachable.ts';
import { fingerprint } from './hash.ts';

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

type Matcher = (route: FilteredRoute) => boolean;

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
        verdict: toVerdict(rule, `${name} ${field}[${index}]`),
      },
    ];
  });
}

function toMatchers(rule: BgpFilterRule): readonly Matcher[] {
  const matchers: Matcher[] = [];
  if (rule.cidr !== undefined && rule.matchOperator !== undefined) {
    matchers.push(prefixMatcher(rule.cidr, rule.matchOperator));
  }
  if (rule.prefixLength !== undefined) {
    const { min = 0, max = 128 } = rule.prefixLength;
    matchers.push((route) => route.prefixLength >= min && route.prefixLength <= max);
  }
  if (rule.source === 'RemotePeers') matchers.push((route) => route.peerType !== 'local');
  if (rule.communities !== undefined) {
    const wanted = new Set(rule.communities.values);
    matchers.push(
      (route) =>
        route.communities.some((community) => wanted.has(community)) ||
        route.largeCommunities.some((community) => wanted.has(community)),
    );
  }
  if (rule.asPathPrefix !== undefined) {
    const beginning = rule.asPathPrefix;
    matchers.push((route) => beginning.every((asNumber, at) => route.asPath[at] === asNumber));
  }
  return matchers;
}

function prefixMatcher(cidr: string, operator: NonNullable<BgpFilterRule['matchOperator']>): Matcher {
  const outer = parsePrefix(cidr)!;
  const inside: Matcher = (route) => route.prefixLength >= outer.length && prefixContains(outer, route.prefixBytes);
  switch (operator) {
    case 'Equal':
      return (route) => route.prefix === cidr;
    case 'NotEqual':
      return (route) => route.prefix !== cidr;
    case 'In':
      return inside;
    case 'NotIn':
      return (route) => !inside(route);
    default:
      return unreachable(operator);
  }
}

function toVerdict(rule: BgpFilterRule, name: string): FilterVerdict {
  if (rule.action === 'Reject') return { kind: 'reject', rule: name };
  return rule.operations.length === 0
    ? { kind: 'accept', rule: name }
    : { kind: 'accept', rule: name, changes: toChanges(rule.operations) };
}

/** In the order of the operations: what is prepended later stands before what was prepended first. */
function toChanges(operations: readonly BgpFilterOperation[]): RouteChanges {
  const addCommunities = operations.flatMap(({ addCommunity }) => addCommunity?.value ?? []);
  const prependAsPath = operations.toReversed().flatMap(({ prependASPath }) => prependASPath?.prefix ?? []);
  const localPref = operations.findLast(({ setLocalPreference }) => setLocalPreference)?.setLocalPreference?.value;
  const med = operations.findLast(({ setMED }) => setMED)?.setMED?.value;
  return {
    ...(addCommunities.length > 0 && { addCommunities }),
    ...(prependAsPath.length > 0 && { prependAsPath }),
    ...(localPref !== undefined && { localPref }),
    ...(med !== undefined && { med }),
  };
}
