/**
 * One connection to the kernel's routing tables, shared by all parts of the dataplane: commands, and one stream of changes
 * that is read once and told to every listener.
 * Leaves out: what to do about a change (route-table.ts, links.ts, tunnels.ts).
 * Holds: changes of routes that were made through `commands` are not told.
 */

import { readInterfaceAddress, type AddressMessage } from './address.ts';
import { isBridgePort, readLink, type LinkMessage } from './link.ts';
import { MessageFlag, MessageType, type NetlinkMessage } from './message.ts';
import { readNeighbor, type NeighborMessage } from './neighbor.ts';
import { readRoute, type RouteMessage } from './route.ts';
import { NetlinkSocket, NotificationStream } from './socket.ts';

/** RTNLGRP_* */
const Group = {
  link: 1,
  neighbor: 3,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv6Address: 9,
  ipv6Route: 11,
} as const;

/** 50,000 route changes of others fit; the kernel counts about 160 bytes of bookkeeping besides each. */
const defaultReceiveBuffer = 8 * 1024 * 1024;

export interface Changed<T> {
  readonly kind: 'added' | 'replaced' | 'removed';
  readonly value: T;
}

export interface KernelListener {
  readonly onRoute?: (change: Changed<RouteMessage>) => void;
  readonly onLink?: (change: Changed<LinkMessage>) => void;
  readonly onAddress?: (change: Changed<AddressMessage>) => void;
  readonly onNeighbor?: (change: Changed<NeighborMessage>) => void;
  /** Changes were lost: read anew. */
  readonly onOverrun?: () => void;
}

export interface RtnetlinkOptions {
  /** Path of the network namespace (`/run/netns/NAME`); absent: the process's own. */
  readonly namespace?: string;
  /** Bytes of changes the kernel may queue for us before it drops them; 8 MiB unless told. */
  readonly receiveBuffer?: number;
}

export class Rtnetlink {
  readonly commands: NetlinkSocket;
  readonly #stream: NotificationStream;
  readonly #listeners = new Set<KernelListener>();

  /** @throws KernelError */
  constructor(options: RtnetlinkOptions = {}) {
    this.commands = new NetlinkSocket(options.namespace);
    this.#stream = new NotificationStream({
      namespace: options.namespace,
      groups: Object.values(Group),
      receiveBuffer: options.receiveBuffer ?? defaultReceiveBuffer,
      ignore: { types: [MessageType.newRoute, MessageType.deleteRoute], portId: this.commands.portId },
      onMessage: (message) => this.#tell(message),
      onOverrun: () => this.#each((listener) => listener.onOverrun?.()),
    });
  }

  /** @returns a function that ends the listening. */
  listen(listener: KernelListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#stream.close();
    this.commands.close();
  }

  #tell(message: NetlinkMessage): void {
    switch (message.type) {
      case MessageType.newRoute:
      case MessageType.deleteRoute: {
        const value = readRoute(message);
        if (value) this.#each((listener) => listener.onRoute?.({ kind: changeKind(message), value }));
        break;
      }
      case MessageType.newLink:
      case MessageType.deleteLink: {
        // A port that leaves its bridge is told as a deleted link of the bridge family.
        if (isBridgePort(message)) break;
        const value = readLink(message);
        this.#each((listener) => listener.onLink?.({ kind: changeKind(message), value }));
        break;
      }
      case MessageType.newAddress:
      case MessageType.deleteAddress: {
        const value = readInterfaceAddress(message);
        if (value) this.#each((listener) => listener.onAddress?.({ kind: changeKind(message), value }));
        break;
      }
      case MessageType.newNeighbor:
      case MessageType.deleteNeighbor: {
        const value = readNeighbor(message);
        if (value) this.#each((listener) => listener.onNeighbor?.({ kind: changeKind(message), value }));
        break;
      }
      default:
    }
  }

  #each(tell: (listener: KernelListener) => void): void {
    for (const listener of this.#listeners) tell(listener);
  }
}

/** The deleting types are odd: 17, 21, 25, 29. */
function changeKind(message: NetlinkMessage): Changed<unknown>['kind'] {
  if ((message.type & 1) === 1) return 'removed';
  return (message.flags & MessageFlag.replace) === 0 ? 'added' : 'replaced';
}
