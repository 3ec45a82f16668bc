/**
 * The conditions of a BGPFilter's rule, each as a function of the route.
 * Holds: every one ends in time that grows with the rule and the route alone; nothing is a regular expression of the user's.
 */

import type { FilteredRoute, RouteChanges } from '../../bgp/index.ts';
import { parseAddress, parsePrefix, prefixContains, splitScope } from '../../bgp/ip.ts';
import { priorityBase, type BgpFilterRule } from '../resources/bgp-filter.ts';
import type { AsPathElement } from '../resources/fields.ts';
import { unreachable } from '../unreachable.ts';

export type Matcher = (route: FilteredRoute) => boolean;

/** All of them must hold. `peerType` is left out: it is known before there is a route. */
export function toMatchers(rule: BgpFilterRule): readonly Matcher[] {
  const matchers: Matcher[] = [];
  if (rule.cidr !== undefined && rule.matchOperator !== undefined) {
    matchers.push(prefixMatcher(rule.cidr, rule.matchOperator));
  }
  if (rule.prefixLength !== undefined) {
    const { min = 0, max = 128 } = rule.prefixLength;
    matchers.push((route) => route.prefixLength >= min && route.prefixLength <= max);
  }
  if (rule.source === 'RemotePeers') matchers.push((route) => route.peerType !== 'local');
  if (rule.interface !== undefined) matchers.push(interfaceMatcher(rule.interface));
  if (rule.nextHop !== undefined) matchers.push(nextHopMatcher(rule.nextHop));
  if (rule.priority !== undefined) matchers.push((route) => priorityOf(route) === rule.priority);
  if (rule.communities !== undefined) matchers.push(communitiesMatcher(rule.communities.values));
  if (rule.asPathPrefix !== undefined) {
    const beginning = rule.asPathPrefix;
    matchers.push((route) => beginning.every((asNumber, at) => route.asPath[at] === asNumber));
  }
  if (rule.asPath !== undefined) {
    const pattern = rule.asPath;
    matchers.push((route) => matchesAsPath(pattern, route.asPath));
  }
  return matchers;
}

/** Ours where an import rule gave one; else the one that a node of Calico's tells by LOCAL_PREF. */
function priorityOf({ fibMetric, localPref }: FilteredRoute): number | undefined {
  return fibMetric ?? (localPref === undefined ? undefined : priorityBase - localPref);
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

function interfaceMatcher(name: string): Matcher {
  if (!name.endsWith('*')) return (route) => route.peerInterface === name;
  const beginning = name.slice(0, -1);
  return (route) => route.peerInterface?.startsWith(beginning) === true;
}

function nextHopMatcher(cidr: string): Matcher {
  const prefix = parsePrefix(cidr)!;
  return (route) => {
    const address = parseAddress(splitScope(route.nextHop).address);
    return address !== undefined && prefixContains(prefix, address);
  };
}

function communitiesMatcher(patterns: readonly string[]): Matcher {
  const matches = communityMatcher(patterns);
  return (route) =>
    route.communities.some(matches) || route.largeCommunities.some(matches) || route.extendedCommunities.some(matches);
}

/** Whether a community, as text, is one of these, where `*` in place of the last numbers means any. */
export function communityMatcher(patterns: readonly string[]): (community: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const beginnings = patterns
    .filter((pattern) => pattern.includes('*'))
    .map((pattern) => ({ text: pattern.slice(0, pattern.indexOf('*')), kind: communityKind(pattern) }));
  if (beginnings.length === 0) return (community) => exact.has(community);
  return (community) =>
    exact.has(community) ||
    beginnings.some(({ text, kind }) => community.startsWith(text) && communityKind(community) === kind);
}

export type CommunityKind = NonNullable<RouteChanges['clearCommunities']>[number];

/** Of a community as text, or of a pattern of some. */
export function communityKind(text: string): CommunityKind {
  if (/^[!a-z]|^0x/.test(text)) return 'extended';
  return text.split(':').length === 3 ? 'large' : 'standard';
}

/** Whether the whole path is as the pattern says. A run takes as few as it can, and more where the rest asks for it. */
export function matchesAsPath(pattern: readonly AsPathElement[], path: readonly number[]): boolean {
  let at = 0;
  let element = 0;
  /** After the last run that was met: where the pattern and the path go on. */
  let resumeElement = -1;
  let resumeAt = 0;
  while (at < path.length) {
    const wanted = pattern[element];
    if (wanted === 'run') {
      resumeElement = ++element;
      resumeAt = at;
    } else if (wanted !== undefined && path[at] >= wanted.least && path[at] <= wanted.most) {
      element++;
      at++;
    } else if (resumeElement >= 0) {
      element = resumeElement;
      at = ++resumeAt;
    } else return false;
  }
  while (pattern[element] === 'run') element++;
  return element === pattern.length;
}
