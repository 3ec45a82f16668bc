/**
 * Takes away what is ours in the kernel's routing, and nothing else: for `godwit cleanup`.
 * Leaves out: the nftables table (nft/), settings (sysctl.ts remembers those of a running agent only).
 * Holds: routes go by our protocol number in every table, devices and pods' links by our names and kinds; the routes to pods go
 * with their links.
 */

import { families, parsePrefix } from '../bgp/ip.ts';
import { KernelError } from './netlink/kernel-error.ts';
import { readLink, writeDeleteLink, writeDumpLinks } from './netlink/link.ts';
import { writeDeleteRoute } from './netlink/route.ts';
import { dumpRoutes } from './netlink/route-dump.ts';
import type { Rtnetlink } from './netlink/rtnetlink.ts';
import { godwitProtocol, isOurDevice, isPodLink } from './ownership.ts';

/**
 * @returns how many routes went, and which devices.
 * @throws KernelError where the kernel refuses; what came before is gone.
 */
export function removeAll(kernel: Rtnetlink): { routes: number; devices: string[]; podLinks: number } {
  const { commands } = kernel;
  const routes = families
    .flatMap((family) => dumpRoutes(commands, family, { protocol: godwitProtocol }))
    .flatMap((route) => {
      const prefix = parsePrefix(route.prefix);
      return prefix && route.protocol === godwitProtocol ? [{ ...route, prefix }] : [];
    });
  const refusals = commands.batch(routes.length, (i, writer, sequence) =>
    writeDeleteRoute(writer, sequence, routes[i]),
  );
  for (const { code, errno, detail } of refusals.values()) {
    if (errno !== 'ESRCH') throw new KernelError('removal of our routes', code, errno, detail);
  }
  const links = commands.dump('dump of the links', writeDumpLinks, readLink);
  const devices = links.filter(isOurDevice);
  const podLinks = links.filter(isPodLink);
  for (const { index, name } of [...devices, ...podLinks]) {
    commands.execute(`removal of ${name}`, (writer, sequence) => writeDeleteLink(writer, sequence, index));
  }
  return { routes: routes.length, devices: devices.map(({ name }) => name), podLinks: podLinks.length };
}
