/**
 * The link that both ends of a connection are on.
 * Implements: RFC 2545 §2 (who shares a subnet with whom), by the interfaces of this host.
 * Leaves out: links whose far end no subnet of ours holds (unnumbered, but for link-local addresses).
 */

import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import type { SharedLink } from '../driver.ts';
import { canonicalAddress, parseAddress, parsePrefix, prefixContains, splitScope } from '../ip.ts';

/** @param local, remote canonical text, link-local addresses with their interface */
export function sharedLink(local: string, remote: string): SharedLink | undefined {
  const { scope } = splitScope(remote);
  if (scope !== undefined) return { interfaceName: scope, linkLocalAddress: splitScope(local).address };
  const peer = parseAddress(remote);
  for (const [interfaceName, addresses = []] of Object.entries(networkInterfaces())) {
    const shared = addresses.some(({ address, cidr }) => {
      const subnet = parsePrefix(cidr ?? '');
      return canonicalAddress(address) === local && subnet && peer && prefixContains(subnet, peer);
    });
    if (shared) return { interfaceName, linkLocalAddress: linkLocalOf(addresses) };
  }
  return undefined;
}

function linkLocalOf(addresses: readonly NetworkInterfaceInfo[]): string | undefined {
  const found = addresses.find(({ family, scopeid }) => family === 'IPv6' && scopeid !== 0);
  return found && canonicalAddress(found.address);
}
