/**
 * The kernel's list of routes.
 * Holds: only routes of the family asked for. A kernel without IPv6 (`ipv6.disable=1`) answers a dump of IPv6 routes with those of
 * every family it has.
 */

import type { Family } from '../../bgp/ip.ts';
import { KernelError } from './kernel-error.ts';
import { readRoute, readRouteProtocol, writeDumpRoutes, type RouteMessage } from './route.ts';
import type { NetlinkSocket } from './socket.ts';

export interface RouteFilter {
  /** Absent: of every table. */
  readonly table?: number;
  /** Absent: of every protocol. */
  readonly protocol?: number;
  /** Protocols passed over unread. */
  readonly passOver?: ReadonlyMap<number, string>;
}

/** @throws KernelError */
export function dumpRoutes(commands: NetlinkSocket, family: Family, filter: RouteFilter): RouteMessage[] {
  try {
    return commands.dump(
      `dump of the ${family} routes`,
      (writer, sequence) => writeDumpRoutes(writer, sequence, { ...filter, family }),
      (message) => {
        if (filter.passOver?.has(readRouteProtocol(message)) === true) return undefined;
        const route = readRoute(message);
        return route?.family === family ? route : undefined;
      },
    );
  } catch (error) {
    // A table comes into being with its first route.
    if (error instanceof KernelError && error.errno === 'ENOENT') return [];
    throw error;
  }
}
