/** How many routes of each routing daemon the kernel holds, ours included. For whoever looks for strangers. */

import { families } from '../bgp/ip.ts';
import { dumpRoutes } from './netlink/route-dump.ts';
import type { Rtnetlink } from './netlink/rtnetlink.ts';
import { routingDaemons } from './ownership.ts';

/** @returns by rtnetlink protocol number; daemons without a route are absent. @throws KernelError */
export function countDaemonRoutes(kernel: Rtnetlink): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const protocol of routingDaemons.keys()) {
    for (const family of families) {
      const { length } = dumpRoutes(kernel.commands, family, { protocol });
      if (length > 0) counts[protocol] = (counts[protocol] ?? 0) + length;
    }
  }
  return counts;
}
