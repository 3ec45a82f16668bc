/**
 * A desired route in the kernel's terms, and whether what the kernel lists is that route. Pure.
 * Holds: `isAsDesired(route, toRouteMessage(toRouteRequest(route)))`.
 */

import type { Prefix } from '../bgp/ip.ts';
import {
  NextHopFlag,
  RouteScope,
  RouteType,
  type RouteMessage,
  type RouteNextHop,
  type RouteRequest,
} from './netlink/route.ts';
import { formatPrefix } from '../bgp/ip.ts';
import type { KernelNextHop, KernelRoute } from './types.ts';

type IndexOf = (interfaceName: string) => number | undefined;

export function toRouteRequest(
  route: KernelRoute,
  prefix: Prefix,
  indexOf: IndexOf,
  owner: { table: number; protocol: number; metric: number },
): RouteRequest {
  return {
    ...owner,
    prefix,
    type: RouteType[route.kind],
    preferredSource: route.preferredSource,
    nextHops: desiredHops(route).map((hop) => ({
      gateway: hop.gateway,
      interfaceIndex: hop.interfaceName === undefined ? 0 : (indexOf(hop.interfaceName) ?? 0),
      flags: hop.onLink === true ? NextHopFlag.onLink : 0,
      weight: hop.weight ?? 1,
    })),
  };
}

/** The acknowledged request as the kernel will list it. */
export function toRouteMessage(request: RouteRequest): RouteMessage {
  const { prefix, ...rest } = request;
  return {
    ...rest,
    family: prefix.family,
    prefix: formatPrefix(prefix),
    scope: RouteScope.universe,
    narrowed: false,
  };
}

/** The order of a multipath route's next hops means nothing; an interface that was not told may be any. */
export function isAsDesired(route: KernelRoute, actual: RouteMessage, indexOf: IndexOf): boolean {
  if (actual.type !== RouteType[route.kind] || actual.preferredSource !== route.preferredSource) return false;
  if (route.kind === 'blackhole') return true;
  const desired = desiredHops(route);
  if (desired.length !== actual.nextHops.length) return false;
  const left = [...actual.nextHops];
  for (const hop of desired) {
    const index = hop.interfaceName === undefined ? undefined : (indexOf(hop.interfaceName) ?? -1);
    const at = left.findIndex((there) => isSameHop(hop, index, there));
    if (at < 0) return false;
    left.splice(at, 1);
  }
  return true;
}

function isSameHop(hop: KernelNextHop, index: number | undefined, there: RouteNextHop): boolean {
  return (
    there.gateway === hop.gateway &&
    (index === undefined || there.interfaceIndex === index) &&
    ((there.flags & NextHopFlag.onLink) !== 0) === (hop.onLink === true) &&
    there.weight === (hop.weight ?? 1)
  );
}

/** A blackhole has none; the same next hop twice is once (IPv6 refuses the second). */
function desiredHops(route: KernelRoute): readonly KernelNextHop[] {
  if (route.kind === 'blackhole' || route.nextHops.length < 2) return route.kind === 'blackhole' ? [] : route.nextHops;
  const seen = new Set<string>();
  return route.nextHops.filter((hop) => {
    const key = `${hop.gateway} ${hop.interfaceName}`;
    return seen.size < seen.add(key).size;
  });
}
