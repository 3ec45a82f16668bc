/**
 * A pod's link as it shall be: a veth pair without a bridge, the pod's addresses as /32 and /128, the host as its gateway.
 *
 *     pod   ADDRESS/32 on eth0, default via 169.254.1.1 and fe80::1      host   ADDRESS/32 dev gw…, fe80::1 on gw…
 *
 * Both ends know each other's MAC (permanent neighbours): no packet waits for ARP or neighbour discovery.
 */

import { familyOfText, type Family } from '../../bgp/ip.ts';

/** The host as a pod sees it, on every pod's link the same. */
export const podGateway = { ipv4: '169.254.1.1', ipv6: 'fe80::1' } as const satisfies Record<Family, string>;

export interface PodLink {
  /** Path of the pod's network namespace. */
  readonly namespace: string;
  /** Name of the pod's end, in its namespace. */
  readonly podName: string;
  readonly podMac: string;
  /** Name of the host's end. */
  readonly hostName: string;
  readonly hostMac: string;
  readonly mtu: number;
  /** Canonical text; at least one. */
  readonly addresses: readonly string[];
  /** The pod's default routes lead through this link. */
  readonly defaultRoute: boolean;
  /** Further prefixes that lead through this link; canonical text. */
  readonly routes: readonly string[];
}

/** The families that the link has an address of. */
export function familiesOf(link: PodLink): Family[] {
  return (['ipv4', 'ipv6'] as const).filter((family) =>
    link.addresses.some((address) => familyOfText(address) === family),
  );
}

/** The prefixes that lead through the link; those of a family without an address are left out. */
export function podRoutes(link: PodLink): string[] {
  const here = familiesOf(link);
  const defaults = link.defaultRoute ? here.map((family) => (family === 'ipv4' ? '0.0.0.0/0' : '::/0')) : [];
  const further = link.routes.filter((prefix) => here.includes(familyOfText(prefix)));
  return [...new Set([...defaults, ...further])];
}

export function hostPrefix(address: string): string {
  return `${address}/${familyOfText(address) === 'ipv4' ? 32 : 128}`;
}
