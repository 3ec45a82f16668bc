/** What the tests of routing share: an underlay of plain values, a sink that remembers, best paths in short form. */

import type { BestPathChange, PeerStatus } from '../../../bgp/index.ts';
import { familyOfText, parseAddress, parsePrefix, prefixContains, splitScope, type Family } from '../../../bgp/ip.ts';
import type { KernelRoute, LinkStatus, ResolvedNextHop, Tunnel } from '../../../dataplane/index.ts';
import type { TunnelSupports, Underlay } from '../../../src/routing/encapsulation.ts';
import type { RouteSink } from '../../../src/routing/route-programmer.ts';
import { toInventory, type Inventory } from '../../../src/topology/inventory.ts';
import { clusterOf, selfOf } from '../../kit/cluster.ts';

export const everythingSupported: TunnelSupports = { ipip: { supported: true }, vxlan: { supported: true } };

/** Links by name with their CIDRs, and static routes `PREFIX via GATEWAY`; the longest match answers. */
export class PlainUnderlay implements Underlay {
  connected: Record<string, string[]>;
  statics: string[];
  mtu = 1500;

  constructor(connected: Record<string, string[]>, statics: string[] = []) {
    this.connected = connected;
    this.statics = statics;
  }

  links(): readonly LinkStatus[] {
    return Object.entries(this.connected).map(([name, addresses], index) => ({
      index: index + 1,
      name,
      up: true,
      mtu: this.mtu,
      mac: '02:00:00:00:00:01',
      kind: undefined,
      addresses,
    }));
  }

  resolve(address: string): ResolvedNextHop | undefined {
    const { address: plain, scope } = splitScope(address);
    if (scope !== undefined) return scope in this.connected ? { interfaceName: scope, connected: true } : undefined;
    const bytes = parseAddress(plain)!;
    const covers = (cidr: string) => prefixContains(parsePrefix(cidr)!, bytes);
    const linkOf = (covers: (cidr: string) => boolean) =>
      Object.keys(this.connected).find((name) => this.connected[name].some(covers));
    const interfaceName = linkOf(covers);
    if (interfaceName !== undefined) return { interfaceName, connected: true };
    const [, , gateway] = this.statics.find((text) => covers(text.split(' ')[0]))?.split(' ') ?? [];
    const link = gateway && linkOf((cidr) => prefixContains(parsePrefix(cidr)!, parseAddress(gateway)!));
    return link && gateway ? { interfaceName: link, gateway, connected: false } : undefined;
  }
}

/** Holds what it was told, and the order in which it was. */
export class RecordingSink implements RouteSink {
  readonly routes = new Map<string, KernelRoute>();
  tunnels: readonly Tunnel[] = [];
  log: string[] = [];

  setDesired(route: KernelRoute): void {
    this.routes.set(route.prefix, route);
    this.log.push(`set ${formatRoute(route)}`);
  }

  removeDesired(prefix: string): void {
    this.routes.delete(prefix);
    this.log.push(`remove ${prefix}`);
  }

  setTunnels(tunnels: readonly Tunnel[]): void {
    this.tunnels = tunnels;
    this.log.push(`tunnels ${tunnels.map(({ name }) => name).join(' ')}`.trimEnd());
  }

  /** In order of prefix. */
  table(): string[] {
    return [...this.routes.values()].map(formatRoute).sort();
  }

  takeLog(): string[] {
    const taken = this.log;
    this.log = [];
    return taken;
  }
}

/** As `ip route` would print it, nearly. */
export function formatRoute({ prefix, kind, nextHops, preferredSource, metric }: KernelRoute): string {
  if (kind === 'blackhole') return `blackhole ${prefix}`;
  const hops = nextHops.map(
    ({ gateway, interfaceName, onLink, weight }) =>
      `via ${gateway} dev ${interfaceName}${onLink ? ' onlink' : ''}${weight === undefined ? '' : ` weight ${weight}`}`,
  );
  const source = preferredSource === undefined ? '' : ` src ${preferredSource}`;
  return `${prefix} ${hops.join(' + ')}${source}${metric === undefined ? '' : ` metric ${metric}`}`;
}

/** @param nextHops none: the prefix is gone; `local`: it is our own */
export function best(prefix: string, ...nextHops: readonly string[]): BestPathChange {
  return {
    family: familyOfText(prefix),
    prefix,
    paths: nextHops.map((nextHop) => ({
      nextHop,
      peerName: 'peer',
      peerType: nextHop === 'local' ? 'local' : 'iBGP',
      originatorId: undefined,
      asPath: [],
      stale: false,
    })),
  };
}

/** An established session; complete in the families named. */
export function session(address: string, ...complete: readonly Family[]): PeerStatus {
  const status = (family: Family) => ({
    family,
    negotiated: true,
    imported: 0,
    filtered: 0,
    exported: 0,
    stale: 0,
    endOfRibReceived: complete.includes(family),
    limits: [],
    endOfRibSent: true,
    refreshing: false,
  });
  return {
    name: address,
    address,
    port: 179,
    peerType: 'iBGP',
    remoteAs: 64512,
    localAs: 64512,
    passive: false,
    reflectorClient: false,
    gracefulShutdown: false,
    state: 'established',
    since: 0,
    localCapabilities: [],
    remoteCapabilities: [],
    gracefulRestart: 'ready',
    families: [status('ipv4'), status('ipv6')],
    policyText: '',
    counters: {
      messagesReceived: 0,
      messagesSent: 0,
      updatesReceived: 0,
      updatesSent: 0,
      treatedAsWithdrawn: 0,
      flaps: 0,
    },
  };
}

export function inventoryOf(self: string, ...manifests: readonly object[]): Inventory {
  return toInventory(clusterOf(...manifests), selfOf(self));
}
