/**
 * The node's links and their addresses, and how the kernel reaches an address without the help of a routing daemon.
 * Leaves out: policy routing rules and other tables than main; nexthop recursion (the kernel demands gateways on a link).
 * Holds: the answers are those of the kernel's tables as last notified; what a routing daemon installed, ours included, never
 * counts, so that a BGP next hop is never resolved through a BGP route.
 */

import { families, familyOf, formatAddress, maskAddress, parseAddress, splitScope, type Family } from '../bgp/ip.ts';
import type { Clock } from './clock.ts';
import { Coalesced } from './coalesced.ts';
import { readInterfaceAddress, writeDumpAddresses, type AddressMessage } from './netlink/address.ts';
import { LinkFlag, readLink, writeDumpLinks, writeGetLink, type LinkMessage } from './netlink/link.ts';
import { mainTable, NextHopFlag, RouteType, type RouteMessage } from './netlink/route.ts';
import { dumpRoutes } from './netlink/route-dump.ts';
import type { Rtnetlink } from './netlink/rtnetlink.ts';
import { routingDaemons } from './ownership.ts';
import type { LinkStatus, ResolvedNextHop } from './types.ts';

/** A pod's veth comes with a dozen notifications; listeners hear of them once. */
const changeDelayMilliseconds = 10;

export class LinkMonitor {
  readonly #kernel: Rtnetlink;
  readonly #listeners = new Set<() => void>();
  readonly #tell: Coalesced;
  readonly #stopListening: () => void;
  #links = new Map<number, LinkMessage>();
  #addresses = new Map<number, Set<string>>();
  /** By name; undefined after a change of links. */
  #indexes: Map<string, number> | undefined;
  /** Undefined: something changed, read anew when next asked. */
  #routes: RouteMessage[] | undefined;
  #resolution: Record<Family, LengthTable[]> | undefined;

  /** Reads the tables; from then on notifications keep them true. @throws KernelError */
  constructor(options: { kernel: Rtnetlink; clock: Clock }) {
    this.#kernel = options.kernel;
    this.#tell = new Coalesced(options.clock, changeDelayMilliseconds, () => {
      for (const listener of this.#listeners) listener();
    });
    this.#stopListening = this.#kernel.listen({
      onLink: ({ kind, value }) => {
        if (kind === 'removed') this.#forget(value.index);
        else this.#links.set(value.index, value);
        this.#indexes = undefined;
        this.#routesChanged();
      },
      onAddress: ({ kind, value }) => {
        if (kind === 'removed') this.#addresses.get(value.interfaceIndex)?.delete(value.address);
        else this.#addAddress(value);
        this.#routesChanged();
      },
      onRoute: ({ value }) => {
        if (value.table === mainTable && !routingDaemons.has(value.protocol)) this.#routesChanged();
      },
      onOverrun: () => {
        this.refresh();
        this.#routesChanged();
      },
    });
    this.refresh();
  }

  close(): void {
    this.#stopListening();
    this.#tell.cancel();
    this.#listeners.clear();
  }

  /** Reads everything anew, now. For one who has just changed a link and cannot wait for the notification. */
  refresh(): void {
    const { commands } = this.#kernel;
    this.#links = new Map(
      commands.dump('dump of the links', writeDumpLinks, readLink).map((link) => [link.index, link]),
    );
    this.#indexes = undefined;
    this.#addresses = new Map();
    for (const address of commands.dump('dump of the addresses', writeDumpAddresses, readInterfaceAddress)) {
      this.#addAddress(address);
    }
    this.#routes = undefined;
    this.#resolution = undefined;
  }

  links(): LinkStatus[] {
    return [...this.#links.values()].map((link) => ({
      index: link.index,
      name: link.name,
      up: isUp(link),
      mtu: link.mtu,
      mac: link.mac,
      kind: link.kind,
      addresses: [...(this.#addresses.get(link.index) ?? [])],
    }));
  }

  /** Called after links, addresses or the routes of `resolve` have changed; several changes may be one call. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The interface's index, or undefined where there is none of that name. */
  indexOf(name: string): number | undefined {
    this.#indexes ??= new Map([...this.#links.values()].map((link) => [link.name, link.index]));
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    // It may be so new that its notification still waits in the queue.
    const link = this.#kernel.commands.get(
      `question for the link ${name}`,
      (writer, sequence) => writeGetLink(writer, sequence, name),
      readLink,
    );
    if (link) {
      this.#links.set(link.index, link);
      this.#indexes.set(link.name, link.index);
    }
    return link?.index;
  }

  nameOf(index: number): string | undefined {
    return this.#links.get(index)?.name;
  }

  kindOf(index: number): string | undefined {
    return this.#links.get(index)?.kind;
  }

  /** Whether the address is one of the node's own. */
  isLocal(address: string): boolean {
    for (const addresses of this.#addresses.values()) {
      for (const own of addresses) if (own.startsWith(`${address}/`)) return true;
    }
    return false;
  }

  /** The main table's routes that no routing daemon made. */
  routes(): readonly RouteMessage[] {
    this.#routes ??= families.flatMap((family) =>
      dumpRoutes(this.#kernel.commands, family, { table: mainTable, passOver: routingDaemons }),
    );
    return this.#routes;
  }

  /**
   * How the kernel reaches the address right now through connected and static routes: the longest match, then the least metric; a
   * link-local address (`fe80::1%eth0`) over its interface, where that is up.
   * @returns undefined where no such route leads there, or the best one discards.
   */
  resolve(address: string): ResolvedNextHop | undefined {
    const { address: plain, scope } = splitScope(address);
    const bytes = parseAddress(plain);
    if (bytes === undefined) return undefined;
    if (scope !== undefined) return this.#isUp(scope) ? { interfaceName: scope, connected: true } : undefined;
    this.#resolution ??= this.#indexRoutes();
    for (const { length, routes } of this.#resolution[familyOf(bytes)]) {
      const route = routes.get(formatAddress(maskAddress(bytes, length)));
      if (route === undefined) continue;
      const hop = route.type === RouteType.unicast ? route.nextHops.find(isAlive) : undefined;
      const interfaceName = hop && this.nameOf(hop.interfaceIndex);
      if (hop === undefined || interfaceName === undefined) return undefined;
      return hop.gateway === undefined
        ? { interfaceName, connected: true }
        : { interfaceName, gateway: hop.gateway, connected: false };
    }
    return undefined;
  }

  #isUp(name: string): boolean {
    const index = this.indexOf(name);
    const link = index === undefined ? undefined : this.#links.get(index);
    return link !== undefined && isUp(link);
  }

  #indexRoutes(): Record<Family, LengthTable[]> {
    const tables: Record<Family, Map<number, LengthTable>> = { ipv4: new Map(), ipv6: new Map() };
    for (const route of this.routes()) {
      if (route.narrowed || !route.nextHops.some((hop) => isAlive(hop) || route.type !== RouteType.unicast)) continue;
      const slash = route.prefix.indexOf('/');
      const length = Number(route.prefix.slice(slash + 1));
      const network = route.prefix.slice(0, slash);
      const byLength = tables[route.family];
      const table = byLength.get(length) ?? { length, routes: new Map<string, RouteMessage>() };
      byLength.set(length, table);
      const other = table.routes.get(network);
      if (other === undefined || route.metric < other.metric) table.routes.set(network, route);
    }
    const longestFirst = (byLength: Map<number, LengthTable>) =>
      [...byLength.values()].sort((a, b) => b.length - a.length);
    return { ipv4: longestFirst(tables.ipv4), ipv6: longestFirst(tables.ipv6) };
  }

  #addAddress(address: AddressMessage): void {
    const known = this.#addresses.get(address.interfaceIndex) ?? new Set<string>();
    this.#addresses.set(address.interfaceIndex, known.add(address.address));
  }

  #forget(index: number): void {
    this.#links.delete(index);
    this.#addresses.delete(index);
  }

  #routesChanged(): void {
    this.#routes = undefined;
    this.#resolution = undefined;
    this.#tell.request();
  }
}

interface LengthTable {
  readonly length: number;
  /** By network address in text. */
  readonly routes: Map<string, RouteMessage>;
}

function isAlive(hop: RouteMessage['nextHops'][number]): boolean {
  return (hop.flags & (NextHopFlag.dead | NextHopFlag.linkDown)) === 0;
}

function isUp(link: LinkMessage): boolean {
  return (link.flags & LinkFlag.up) !== 0 && (link.flags & LinkFlag.running) !== 0;
}
