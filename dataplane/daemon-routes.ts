/** How many routes of each other routing daemon the kernel holds. For whoever looks for strangers. */

import { families } from '../bgp/ip.ts';
import { dumpRoutes } from './netlink/route-dump.ts';
import type { Rtnetlink } from './netlink/rtnetlink.ts';
import { godwitProtocol, routingDaemons } from './ownership.ts';

/** @returns by rtnetlink protocol number; daemons without a route, and ourselves, are absent. @throws KernelError */
export function countDaemonRoutes(kernel: Rtnetlink): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const protocol of routingDaemons.keys()) {
    if (protocol === godwitProtocol) continue;
    for (const family of families) {
      const { length } = dumpRoutes(kernel.commands, family, { protocol });
      if (length > 0) counts[protocol] = (counts[protocol] ?? 0) + length;
    }
  }
  return counts;
}
