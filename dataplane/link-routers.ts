/**
 * The router at the other end of a link that has no addresses but link-local ones ("unnumbered"): each side tells that it is there.
 * Implements: RFC 4861 §4.2 and §6.2.4 (unsolicited router advertisements). Ours have the lifetime 0, so that no host on the link takes us for
 *   its default router, and neither prefixes nor parameters. §4.1 and §6.3.7: a few solicitations, while no router is known.
 * Leaves out: answers to router solicitations (the next advertisement is seconds away). Reading advertisements: the kernel does, and marks the
 *   neighbour as a router, whether it accepts what is advertised or not.
 * Holds: the router once found stays the one as long as the kernel knows it; where none is known any more, it stays, too: it may be restarting.
 */

import { parseAddress, isLinkLocal } from '../bgp/ip.ts';
import type { Clock } from './clock.ts';
import type { LinkMonitor } from './links.ts';
import { KernelError } from './netlink/kernel-error.ts';
import { parseMac } from './netlink/message.ts';
import { readNeighbor, writeDumpNeighbors, type NeighborMessage } from './netlink/neighbor.ts';
import type { Rtnetlink } from './netlink/rtnetlink.ts';
import { close, inNamespace, openIcmpv6Sender, sendToAll } from './netlink/sys.ts';

/** RFC 4861 §10: the first few come faster (MAX_INITIAL_RTR_ADVERTISEMENTS). The time between the others is what FRR and others use. */
const initialAdvertisements = 3;
const initialMilliseconds = 3_000;
const usualMilliseconds = 10_000;

export interface LinkRoutersOptions {
  readonly kernel: Rtnetlink;
  readonly links: LinkMonitor;
  readonly clock: Clock;
  /** Path of the network namespace; absent: the process's own. */
  readonly namespace?: string;
  /** A router was found, or another one took its place. */
  readonly onChange: () => void;
  /** In words, once for each reason: why an interface does not tell that we are there. */
  readonly onFailed: (interfaceName: string, reason: string) => void;
}

interface Watched {
  /** Routers on the link, as the kernel knows them. */
  readonly known: Set<string>;
  router: string | undefined;
  index: number | undefined;
  lastFailure: string | undefined;
}

export class LinkRouters {
  readonly #options: LinkRoutersOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #stopListening: () => void;
  readonly #stopLinks: () => void;
  #socket: number | undefined;
  #sent = 0;
  #cancel: (() => void) | undefined;

  constructor(options: LinkRoutersOptions) {
    this.#options = options;
    this.#stopListening = options.kernel.listen({
      onNeighbor: ({ kind, value }) => this.#neighborChanged(value, kind === 'removed'),
      onOverrun: () => this.#readAll(),
    });
    this.#stopLinks = options.links.onChange(() => this.#linksChanged());
  }

  /** The interfaces that are to have a router; idempotent. */
  watch(interfaceNames: readonly string[]): void {
    const wanted = new Set(interfaceNames);
    for (const name of this.#watched.keys()) if (!wanted.has(name)) this.#watched.delete(name);
    const added = [...wanted].filter((name) => !this.#watched.has(name));
    for (const name of added) {
      this.#watched.set(name, { known: new Set(), router: undefined, index: undefined, lastFailure: undefined });
    }
    if (added.length > 0) this.#begin();
    if (wanted.size === 0) this.#cancel?.();
  }

  /** By interface: the link-local address of its router, without the interface. */
  routers(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#watched].flatMap(([name, { router }]) => (router === undefined ? [] : [[name, router] as const])),
    );
  }

  close(): void {
    this.#stopListening();
    this.#stopLinks();
    this.#cancel?.();
    if (this.#socket !== undefined) close(this.#socket);
    this.#socket = undefined;
  }

  #begin(): void {
    this.#sent = 0;
    this.#readAll();
    this.#advertise();
  }

  /** An interface came, or was made anew: its neighbours are other ones. */
  #linksChanged(): void {
    const { links } = this.#options;
    for (const [name, watched] of this.#watched) {
      if (links.indexOf(name) !== watched.index) return this.#begin();
    }
  }

  #readAll(): void {
    const { kernel, links } = this.#options;
    let changed = false;
    for (const [name, watched] of this.#watched) {
      watched.index = links.indexOf(name);
      watched.known.clear();
      if (watched.index === undefined) continue;
      const { index } = watched;
      const neighbors = kernel.commands.dump(
        `dump of the neighbours of ${name}`,
        (writer, sequence) => writeDumpNeighbors(writer, sequence, 'neighbor', index),
        readNeighbor,
      );
      for (const { address, router, interfaceIndex } of neighbors) {
        if (router && interfaceIndex === index && isLinkLocalText(address)) watched.known.add(address);
      }
      changed = choose(watched) || changed;
    }
    if (changed) this.#options.onChange();
  }

  #neighborChanged({ interfaceIndex, address, router, table }: NeighborMessage, removed: boolean): void {
    if (table !== 'neighbor' || !isLinkLocalText(address)) return;
    for (const watched of this.#watched.values()) {
      if (watched.index !== interfaceIndex) continue;
      if (router && !removed) watched.known.add(address);
      else watched.known.delete(address);
      if (choose(watched)) this.#options.onChange();
    }
  }

  #advertise(): void {
    this.#cancel?.();
    const initial = this.#sent < initialAdvertisements;
    for (const [name, watched] of this.#watched) {
      const failure = this.#advertiseOn(name, initial && watched.router === undefined);
      if (failure !== undefined && failure !== watched.lastFailure) this.#options.onFailed(name, failure);
      watched.lastFailure = failure;
    }
    const rest = ++this.#sent < initialAdvertisements ? initialMilliseconds : usualMilliseconds;
    this.#cancel = this.#options.clock.after(rest, () => this.#advertise());
  }

  /** @returns why it could not be sent. */
  #advertiseOn(name: string, solicit: boolean): string | undefined {
    const { links, namespace } = this.#options;
    const link = links.links().find((candidate) => candidate.name === name);
    if (link === undefined) return 'there is no such interface';
    try {
      this.#socket ??= namespace === undefined ? openIcmpv6Sender() : inNamespace(namespace, openIcmpv6Sender);
      sendToAll(this.#socket, 'nodes', link.index, routerAdvertisement(link.mac));
      if (solicit) sendToAll(this.#socket, 'routers', link.index, routerSolicitation(link.mac));
      return undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.message;
    }
  }
}

/** @returns whether another router is the one now. */
function choose(watched: Watched): boolean {
  const { known, router } = watched;
  if (known.size === 0 || (router !== undefined && known.has(router))) return false;
  [watched.router] = [...known].sort();
  return true;
}

function isLinkLocalText(address: string | undefined): address is string {
  const bytes = parseAddress(address ?? '');
  return bytes !== undefined && isLinkLocal(bytes);
}

/** RFC 4861 §4.2; the kernel fills in the checksum. */
function routerAdvertisement(mac: string): Uint8Array {
  const hopLimit = 64;
  return Uint8Array.of(134, 0, 0, 0, hopLimit, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...sourceLinkLayerAddress(mac));
}

/** RFC 4861 §4.1. */
function routerSolicitation(mac: string): Uint8Array {
  return Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, ...sourceLinkLayerAddress(mac));
}

/** RFC 4861 §4.6.1, of an Ethernet link. */
function sourceLinkLayerAddress(mac: string): readonly number[] {
  const address = parseMac(mac);
  return address === undefined ? [] : [1, 1, ...address];
}
