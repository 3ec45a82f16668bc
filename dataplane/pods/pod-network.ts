/**
 * Pods' links in the kernel: made in two steps, so that whoever decides may put policy in force between them; compared; removed.
 * Leaves out: which address a pod has and what policy says (src/ipam, src/policy).
 * Holds: the pod sends and receives nothing before `connect`; removing the host's end removes everything, also what a failed
 * step left, since the kernel takes the other end, the routes and the neighbours with it.
 */

import { families, familyOfText, formatPrefix, parsePrefix, type Family, type Prefix } from '../../bgp/ip.ts';
import { readInterfaceAddress, writeDumpAddresses, writeNewAddress } from '../netlink/address.ts';
import { KernelError } from '../netlink/kernel-error.ts';
import {
  LinkFlag,
  readLink,
  writeDeleteLink,
  writeDumpLinks,
  writeGetLink,
  writeSetLink,
  type LinkMessage,
} from '../netlink/link.ts';
import { MessageFlag, type MessageWriter } from '../netlink/message.ts';
import { writeNewNeighbor } from '../netlink/neighbor.ts';
import { mainTable, NextHopFlag, RouteType, writeNewRoute, type RouteMessage } from '../netlink/route.ts';
import { dumpRoutes } from '../netlink/route-dump.ts';
import type { Rtnetlink } from '../netlink/rtnetlink.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { inNamespace, withNamespace } from '../netlink/sys.ts';
import { writeNewVeth } from '../netlink/veth.ts';
import { isPodLink, podLinkGroup, podRouteProtocol } from '../ownership.ts';
import { Sysctl } from '../sysctl.ts';
import { familiesOf, hostPrefix, podGateway, podRoutes, type PodLink } from './pod-link.ts';

/** Routes of the pod's end: made at boot and by hand, as far as the pod can see. */
const staticProtocol = 4;
/** IPv4 prefers the least; IPv6's 0 means 1024. */
const hostRouteMetric = { ipv4: 0, ipv6: 1024 } as const satisfies Record<Family, number>;

interface Change {
  readonly operation: string;
  write(writer: MessageWriter, sequence: number): void;
}

/** The kernel waits about 30 ms for all processors before a link is gone, and the threads that wait are everybody's. */
const removalsAtOnce = 2;

export class PodNetwork {
  readonly #kernel: Rtnetlink;
  readonly #home: string | undefined;
  readonly #idle: NetlinkSocket[] = [];
  readonly #waiting: ((socket: NetlinkSocket) => void)[] = [];

  /** @param options.namespace path of the host's network namespace, where it is not the process's own */
  constructor(options: { kernel: Rtnetlink; namespace?: string }) {
    this.#kernel = options.kernel;
    this.#home = options.namespace;
    for (let i = 0; i < removalsAtOnce; i++) this.#idle.push(new NetlinkSocket(options.namespace));
  }

  close(): void {
    for (const socket of this.#idle.splice(0)) socket.close();
  }

  /**
   * Makes the pair and everything on the pod's side. The host's end is down: nothing passes.
   * @throws KernelError: EEXIST where a name is taken, ENOENT where the pod's namespace is gone, EINVAL where it is none.
   */
  prepare(link: PodLink): void {
    withNamespace(link.namespace, this.#home, (namespace) => {
      this.#kernel.commands.execute(`new link ${link.hostName}`, (writer, sequence) =>
        writeNewVeth(writer, sequence, {
          here: { name: link.hostName, mac: link.hostMac },
          there: { name: link.podName, mac: link.podMac },
          mtu: link.mtu,
          group: podLinkGroup,
          namespaceDescriptor: namespace.fd,
        }),
      );
      this.#setHostSettings(link);
      inNamespace(namespace.path, () => setUpPodEnd(link));
    });
  }

  /** Sets the host's end up, with the routes to the pod. @throws KernelError */
  connect(link: PodLink): void {
    const index = this.#indexOf(link.hostName);
    execute(this.#kernel.commands, [
      {
        operation: `${link.hostName} up`,
        write: (writer, sequence) => writeSetLink(writer, sequence, { index, up: true }),
      },
      ...(familiesOf(link).includes('ipv6') ? [newAddress(index, `${podGateway.ipv6}/64`)] : []),
      ...link.addresses.flatMap((address) => [newNeighbor(index, address, link.podMac), newHostRoute(index, address)]),
    ]);
  }

  /** @returns whether there was such a link of a pod. @throws KernelError */
  async remove(hostName: string): Promise<boolean> {
    const found = this.#find(hostName);
    if (found === undefined || !isPodLink(found)) return false;
    const socket = await this.#take();
    try {
      await socket.executeAside(`removal of ${hostName}`, (writer, sequence) =>
        writeDeleteLink(writer, sequence, found.index),
      );
    } catch (error) {
      // The pod's namespace ended in the meantime, and the pair with it.
      if (!(error instanceof KernelError) || error.errno !== 'ENODEV') throw error;
    } finally {
      this.#giveBack(socket);
    }
    return true;
  }

  /** The pods' links that there are, each with the addresses that are routed to it. @throws KernelError */
  hostLinks(): { name: string; addresses: string[] }[] {
    const routes = mainRoutes(this.#kernel.commands, podRouteProtocol);
    return this.#kernel.commands
      .dump('dump of the links', writeDumpLinks, readLink)
      .filter(isPodLink)
      .map(({ name, index }) => ({
        name,
        addresses: routes
          .filter(({ nextHops }) => nextHops[0]?.interfaceIndex === index)
          .map(({ prefix }) => prefix.slice(0, prefix.indexOf('/'))),
      }));
  }

  /** What of the link is not as it shall be, in words; empty: all is well. @throws KernelError */
  differences(link: PodLink): string[] {
    const host = this.#find(link.hostName);
    if (host === undefined) return [`the host has no link ${link.hostName}`];
    const found = linkDifferences(host, { name: link.hostName, mac: link.hostMac, mtu: link.mtu });
    const routes = mainRoutes(this.#kernel.commands, podRouteProtocol);
    for (const address of link.addresses) {
      const there = routes.some(
        ({ prefix, nextHops }) => prefix === hostPrefix(address) && nextHops[0]?.interfaceIndex === host.index,
      );
      if (!there) found.push(`the host has no route to ${address} through ${link.hostName}`);
    }
    try {
      return withNamespace(link.namespace, this.#home, ({ path }) => [
        ...found,
        ...inNamespace(path, () => podDifferences(link)),
      ]);
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== 'ENOENT') throw error;
      return [...found, `the network namespace ${link.namespace} is gone`];
    }
  }

  #find(hostName: string): LinkMessage | undefined {
    return findLink(this.#kernel.commands, hostName);
  }

  #indexOf(hostName: string): number {
    const found = this.#find(hostName);
    if (found === undefined) throw new KernelError(`question for ${hostName}`, 19, 'ENODEV');
    return found.index;
  }

  #take(): Promise<NetlinkSocket> {
    const socket = this.#idle.pop();
    if (socket !== undefined) return Promise.resolve(socket);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #giveBack(socket: NetlinkSocket): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(socket);
    else this.#idle.push(socket);
  }

  #setHostSettings(link: PodLink): void {
    const name = link.hostName;
    const settings = new Sysctl(this.#home);
    writeSettings(settings, [
      [`net/ipv4/conf/${name}/forwarding`, '1'],
      // RFC 3704: what comes from the pod has an address that leads to the pod.
      [`net/ipv4/conf/${name}/rp_filter`, '1'],
      // For who asks for the gateway all the same: a pod that flushed its neighbours, a guest behind a virtual machine.
      [`net/ipv4/conf/${name}/proxy_arp`, '1'],
      [`net/ipv4/neigh/${name}/proxy_delay`, '0'],
    ]);
    if (!familiesOf(link).includes('ipv6')) {
      writeSettings(settings, [[`net/ipv6/conf/${name}/disable_ipv6`, '1']], 'wherePresent');
      return;
    }
    writeSettings(settings, [
      [`net/ipv6/conf/${name}/disable_ipv6`, '0'],
      [`net/ipv6/conf/${name}/forwarding`, '1'],
      [`net/ipv6/conf/${name}/accept_ra`, '0'],
      [`net/ipv6/conf/${name}/accept_dad`, '0'],
      // fe80::1 is the one address: none is made from the MAC.
      [`net/ipv6/conf/${name}/addr_gen_mode`, '1'],
    ]);
  }
}

/** Runs in the pod's namespace. */
function setUpPodEnd(link: PodLink): void {
  const settings = new Sysctl();
  if (familiesOf(link).includes('ipv6')) {
    writeSettings(settings, [
      [`net/ipv6/conf/${link.podName}/disable_ipv6`, '0'],
      [`net/ipv6/conf/${link.podName}/accept_ra`, '0'],
      [`net/ipv6/conf/${link.podName}/accept_dad`, '0'],
    ]);
  }
  const socket = new NetlinkSocket();
  try {
    const index = findLink(socket, link.podName)?.index ?? 0;
    execute(socket, [
      {
        operation: `${link.podName} up in the pod`,
        write: (writer, sequence) => writeSetLink(writer, sequence, { index, up: true }),
      },
      ...link.addresses.map((address) => newAddress(index, hostPrefix(address))),
      ...familiesOf(link).map((family) => newNeighbor(index, podGateway[family], link.hostMac)),
      // Of a further link too: routes that others add through the gateway (the plugin sbr) need it on the link. The default link's goes before.
      ...(familiesOf(link).includes('ipv4')
        ? [newPodRoute(index, `${podGateway.ipv4}/32`, undefined, link.defaultRoute ? 0 : index)]
        : []),
      ...podRoutes(link).map((prefix) => newPodRoute(index, prefix, podGateway[familyOfText(prefix)])),
    ]);
  } finally {
    socket.close();
  }
}

/** Runs in the pod's namespace. */
function podDifferences(link: PodLink): string[] {
  const socket = new NetlinkSocket();
  try {
    const pod = findLink(socket, link.podName);
    if (pod === undefined) return [`the pod has no link ${link.podName}`];
    const found = linkDifferences(pod, { name: `${link.podName} in the pod`, mac: link.podMac, mtu: link.mtu });
    const addresses = socket
      .dump('dump of the addresses', writeDumpAddresses, readInterfaceAddress)
      .filter(({ interfaceIndex }) => interfaceIndex === pod.index)
      .map(({ address }) => address);
    for (const address of link.addresses) {
      if (!addresses.includes(hostPrefix(address))) found.push(`${link.podName} has no address ${hostPrefix(address)}`);
    }
    const routes = mainRoutes(socket);
    for (const prefix of podRoutes(link)) {
      const there = routes.some(
        (route) => route.prefix === prefix && route.nextHops.some((hop) => hop.interfaceIndex === pod.index),
      );
      if (!there) found.push(`the pod has no route to ${prefix} through ${link.podName}`);
    }
    return found;
  } finally {
    socket.close();
  }
}

function linkDifferences(link: LinkMessage, wanted: { name: string; mac: string; mtu: number }): string[] {
  return [
    ...((link.flags & LinkFlag.up) === 0 ? [`${wanted.name} is down`] : []),
    ...(link.mac === wanted.mac ? [] : [`${wanted.name} has the MAC ${link.mac}, not ${wanted.mac}`]),
    ...(link.mtu === wanted.mtu ? [] : [`${wanted.name} has the MTU ${link.mtu}, not ${wanted.mtu}`]),
  ];
}

function findLink(socket: NetlinkSocket, name: string): LinkMessage | undefined {
  return socket.get(
    `question for the link ${name}`,
    (writer, sequence) => writeGetLink(writer, sequence, name),
    readLink,
  );
}

function mainRoutes(socket: NetlinkSocket, protocol?: number): RouteMessage[] {
  return families.flatMap((family) => dumpRoutes(socket, family, { table: mainTable, protocol }));
}

function newAddress(index: number, address: string): Change {
  const slash = address.indexOf('/');
  const prefix = parsePrefix(address)!;
  const bytes = parsePrefix(hostPrefix(address.slice(0, slash)))!.bytes;
  return {
    operation: `new address ${address}`,
    write: (writer, sequence) => writeNewAddress(writer, sequence, index, { ...prefix, bytes }),
  };
}

function newNeighbor(interfaceIndex: number, address: string, mac: string): Change {
  return {
    operation: `new neighbour ${address}`,
    write: (writer, sequence) =>
      writeNewNeighbor(writer, sequence, { table: 'neighbor', interfaceIndex, address, mac }),
  };
}

function newHostRoute(interfaceIndex: number, address: string): Change {
  const prefix = parsePrefix(hostPrefix(address))!;
  return newRoute(prefix, {
    protocol: podRouteProtocol,
    metric: hostRouteMetric[prefix.family],
    hop: { gateway: undefined, interfaceIndex, flags: 0, weight: 1 },
  });
}

function newPodRoute(interfaceIndex: number, text: string, gateway: string | undefined, metric = 0): Change {
  const prefix = parsePrefix(text)!;
  // The gateway is on the link whatever other links of the pod say.
  const flags = gateway === podGateway.ipv4 ? NextHopFlag.onLink : 0;
  return newRoute(prefix, {
    protocol: staticProtocol,
    metric,
    hop: { gateway, interfaceIndex, flags, weight: 1 },
  });
}

function newRoute(
  prefix: Prefix,
  route: { protocol: number; metric: number; hop: RouteMessage['nextHops'][number] },
): Change {
  const request = {
    prefix,
    table: mainTable,
    protocol: route.protocol,
    metric: route.metric,
    type: RouteType.unicast,
    preferredSource: undefined,
    nextHops: [route.hop],
  };
  return {
    operation: `new route to ${formatPrefix(prefix)}`,
    write: (writer, sequence) => writeNewRoute(writer, sequence, MessageFlag.create | MessageFlag.exclusive, request),
  };
}

/** @throws KernelError of the first change that was refused; those after it have been tried. */
function execute(socket: NetlinkSocket, changes: readonly Change[]): void {
  const refusals = socket.batch(changes.length, (i, writer, sequence) => changes[i].write(writer, sequence));
  for (const [i, { code, errno, detail }] of [...refusals].sort(([a], [b]) => a - b)) {
    throw new KernelError(changes[i].operation, code, errno, detail);
  }
}

/** @param mode `wherePresent`: a kernel without IPv6 has no such setting, and needs none. */
function writeSettings(
  settings: Sysctl,
  wanted: readonly (readonly [name: string, value: string])[],
  mode: 'all' | 'wherePresent' = 'all',
): void {
  for (const [name, value] of wanted) {
    try {
      settings.write(name, value);
    } catch (error) {
      if (mode === 'wherePresent' && error instanceof KernelError && error.errno === 'ENOENT') continue;
      throw error;
    }
  }
}
