/**
 * Which interface leads to a pod: whoever made the pod's veth also made a host route to it, and the kernel is asked for that.
 * Leaves out: pods behind a bridge, which have no route of their own.
 */

import type { LinkMonitor } from './links.ts';
import { RouteType, type RouteMessage } from './netlink/route.ts';

/** Behind these no pod lives: a host route into one leads to another node. */
const tunnelKinds: ReadonlySet<string> = new Set([
  'ipip',
  'sit',
  'ip6tnl',
  'gre',
  'gretap',
  'ip6gre',
  'vxlan',
  'geneve',
  'wireguard',
  'vti',
  'xfrm',
]);

export class HostRoutes {
  readonly #links: LinkMonitor;
  readonly #listeners = new Set<() => void>();
  readonly #stopListening: () => void;
  #interfaces: ReadonlyMap<string, string>;

  constructor(links: LinkMonitor) {
    this.#links = links;
    this.#interfaces = this.#read();
    this.#stopListening = links.onChange(() => {
      const before = this.#interfaces;
      this.#interfaces = this.#read();
      if (equalMaps(before, this.#interfaces)) return;
      for (const listener of this.#listeners) listener();
    });
  }

  close(): void {
    this.#stopListening();
    this.#listeners.clear();
  }

  /** Pod address to interface name: /32 and /128 routes to a link itself, tunnels and the node's own addresses excepted. */
  interfaces(): ReadonlyMap<string, string> {
    return this.#interfaces;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #read(): Map<string, string> {
    const found = new Map<string, string>();
    for (const route of this.#links.routes()) {
      const address = hostAddress(route);
      if (address === undefined || route.nextHops.length !== 1 || route.nextHops[0].gateway !== undefined) continue;
      const index = route.nextHops[0].interfaceIndex;
      const name = this.#links.nameOf(index);
      if (name === undefined || name === 'lo' || tunnelKinds.has(this.#links.kindOf(index) ?? '')) continue;
      // IPv6 lists a route for each /128 address of our own, too.
      if (!this.#links.isLocal(address)) found.set(address, name);
    }
    return found;
  }
}

function hostAddress(route: RouteMessage): string | undefined {
  const length = route.family === 'ipv4' ? '/32' : '/128';
  if (route.type !== RouteType.unicast || route.narrowed || !route.prefix.endsWith(length)) return undefined;
  return route.prefix.slice(0, -length.length);
}

function equalMaps(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
