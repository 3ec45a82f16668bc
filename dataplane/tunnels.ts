/**
 * Our tunnel devices: made, kept as told, and taken away.
 * Implements: IP-in-IP (RFC 2003) with any remote, where the gateway of an onlink route is the outer destination; VXLAN (RFC 7348)
 * with static forwarding and neighbour entries instead of flooding and learning.
 * Leaves out: routes into the tunnels (route-table.ts).
 * Holds: only devices with our own names are touched, and of those only the ones of the kind that we would have made; entries
 * are added before others are deleted.
 */

import { canonicalAddress, familyOf, familyOfText, formatAddress, parseAddress, type Prefix } from '../bgp/ip.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { Coalesced } from './coalesced.ts';
import { difference } from './delta.ts';
import type { LinkMonitor } from './links.ts';
import { readInterfaceAddress, writeDeleteAddress, writeDumpAddresses, writeNewAddress } from './netlink/address.ts';
import { KernelError } from './netlink/kernel-error.ts';
import {
  LinkFlag,
  readLink,
  writeDeleteLink,
  writeGetLink,
  writeNewTunnel,
  writeSetLink,
  type LinkMessage,
  type NewTunnelLink,
} from './netlink/link.ts';
import type { MessageWriter } from './netlink/message.ts';
import { parseMac } from './netlink/message.ts';
import {
  readNeighbor,
  writeDeleteNeighbor,
  writeDumpNeighbors,
  writeNewNeighbor,
  type NeighborMessage,
  type NeighborRequest,
} from './netlink/neighbor.ts';
import type { Rtnetlink } from './netlink/rtnetlink.ts';
import { devicePrefix, isOurDevice } from './ownership.ts';
import type { Tunnel, TunnelFailure, TunnelSupport } from './types.ts';

const repairDelayMilliseconds = 5;
/** IFNAMSIZ without its closing zero. */
const longestName = 15;
const probeName = `${devicePrefix}probe`;

export class TunnelDevices {
  readonly #kernel: Rtnetlink;
  readonly #links: LinkMonitor;
  readonly #failures: Backoff<string>;
  readonly #repair: Coalesced;
  readonly #stopListening: () => void;
  #tunnels = new Map<string, Tunnel>();
  /** Interface index to name, of the devices made or found. */
  #indexes = new Map<number, string>();

  constructor(options: { kernel: Rtnetlink; links: LinkMonitor; clock: Clock }) {
    this.#kernel = options.kernel;
    this.#links = options.links;
    this.#failures = new Backoff(options.clock, (names) => this.#reconcileAll(names));
    this.#repair = new Coalesced(options.clock, repairDelayMilliseconds, () =>
      this.#reconcileAll([...this.#tunnels.keys()]),
    );
    this.#stopListening = this.#kernel.listen({
      onLink: ({ value }) => {
        if (this.#tunnels.has(value.name) || this.#indexes.has(value.index)) this.#repair.request();
      },
      onAddress: ({ value }) => this.#entryChanged(value.interfaceIndex),
      onNeighbor: ({ value }) => this.#entryChanged(value.interfaceIndex),
      onOverrun: () => this.#repair.request(),
    });
  }

  close(): void {
    this.#stopListening();
    this.#repair.cancel();
    this.#failures.clear();
  }

  /**
   * Makes the devices and their entries as told, or mends them; from then on they are kept so. Devices that are no longer
   * told stay until `removeUnused`: first move the routes, then remove what they left.
   * @returns what could not be done; it is retried.
   * @throws TypeError where a tunnel is told with a name, address or MAC that cannot be.
   */
  apply(tunnels: readonly Tunnel[]): TunnelFailure[] {
    for (const tunnel of tunnels) checkTunnel(tunnel);
    this.#tunnels = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
    for (const { key } of this.#failures.list()) if (!this.#tunnels.has(key)) this.#failures.delete(key);
    this.#reconcileAll([...this.#tunnels.keys()]);
    return this.failures();
  }

  /**
   * Removes the devices of ours that the last `apply` did not tell.
   * @returns their names.
   * @throws KernelError
   */
  removeUnused(): string[] {
    this.#links.refresh();
    const unused = this.#links.links().filter((link) => isOurDevice(link) && !this.#tunnels.has(link.name));
    for (const { index, name } of unused) {
      this.#indexes.delete(index);
      this.#execute(`removal of ${name}`, (writer, sequence) => writeDeleteLink(writer, sequence, index));
    }
    if (unused.length > 0) this.#links.refresh();
    return unused.map(({ name }) => name);
  }

  failures(): TunnelFailure[] {
    return this.#failures.list().map(({ key, errno, message, since }) => ({ name: key, errno, message, since }));
  }

  /** Asks the kernel by making a device of the kind, and removing it. */
  supported(kind: Tunnel['kind']): TunnelSupport {
    if (this.#links.links().some((link) => link.kind === kind)) return { supported: true };
    const local = '127.0.0.1';
    const probe: NewTunnelLink =
      kind === 'ipip'
        ? { kind, name: probeName, local }
        : { kind, name: probeName, local, vni: 0xfffffe, port: 0xfffe };
    try {
      this.#execute(`making of a ${kind} device`, (writer, sequence) => writeNewTunnel(writer, sequence, probe));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.errno !== 'EEXIST') return { supported: false, reason: error.detail ?? error.errno };
    }
    const link = this.#link(probeName);
    if (link) {
      this.#execute(`removal of ${probeName}`, (writer, sequence) => writeDeleteLink(writer, sequence, link.index));
    }
    return { supported: true };
  }

  #reconcileAll(names: readonly string[]): void {
    let changed = false;
    for (const name of names) {
      const tunnel = this.#tunnels.get(name);
      if (tunnel === undefined) continue;
      try {
        changed = this.#reconcile(tunnel) || changed;
        this.#failures.delete(name);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        const reason = error.detail ?? `the kernel gives no reason beyond ${error.errno}`;
        this.#failures.add(name, { errno: error.errno, message: `${error.operation}: ${reason}` });
        changed = true;
      }
    }
    // Routes into a new device are applied at once, before its notification comes.
    if (changed) this.#links.refresh();
  }

  /** @returns whether links or addresses were changed. @throws KernelError */
  #reconcile(tunnel: Tunnel): boolean {
    const before = this.#link(tunnel.name);
    const link = this.#device(tunnel, before);
    this.#indexes.set(link.index, tunnel.name);
    const set = {
      mtu: link.mtu === tunnel.mtu ? undefined : tunnel.mtu,
      mac: tunnel.kind === 'vxlan' && link.mac !== tunnel.mac.toLowerCase() ? tunnel.mac : undefined,
      up: (link.flags & LinkFlag.up) === 0 ? true : undefined,
    };
    const differs = set.mtu !== undefined || set.mac !== undefined || set.up !== undefined;
    if (differs) {
      this.#execute(`setting of ${tunnel.name}`, (writer, sequence) =>
        writeSetLink(writer, sequence, { index: link.index, ...set }),
      );
    }
    const addressesChanged = this.#reconcileAddresses(tunnel, link.index);
    if (tunnel.kind === 'vxlan') {
      this.#reconcileEntries(tunnel.name, 'forwarding', forwardingEntries(tunnel, link.index), link.index);
      this.#reconcileEntries(tunnel.name, 'neighbor', neighborEntries(tunnel, link.index), link.index);
    }
    return before?.index !== link.index || differs || addressesChanged;
  }

  /** The device of that name and kind; one of ours with another identity (VNI, port, local address) is made anew. */
  #device(tunnel: Tunnel, found: LinkMessage | undefined): LinkMessage {
    if (found && found.kind !== tunnel.kind) {
      const kind = found.kind ?? 'unknown';
      throw new KernelError(`making of ${tunnel.name}`, 17, 'EEXIST', `a device of kind ${kind} has this name`);
    }
    if (found && isSameIdentity(tunnel, found)) return found;
    if (found) {
      this.#execute(`removal of ${tunnel.name}`, (writer, sequence) => writeDeleteLink(writer, sequence, found.index));
      this.#indexes.delete(found.index);
    }
    this.#execute(`making of ${tunnel.name}`, (writer, sequence) => writeNewTunnel(writer, sequence, tunnel));
    const made = this.#link(tunnel.name);
    if (made === undefined)
      throw new KernelError(`making of ${tunnel.name}`, 19, 'ENODEV', 'somebody removed it at once');
    return made;
  }

  #reconcileAddresses(tunnel: Tunnel, index: number): boolean {
    const actual = this.#kernel.commands
      .dump('dump of the addresses', writeDumpAddresses, readInterfaceAddress)
      // The kernel's own link-local address is no affair of ours.
      .filter((address) => address.interfaceIndex === index && !address.linkScope)
      .map(({ address }) => address);
    const delta = difference(tunnel.addresses, actual, { desired: itself, actual: itself }, () => true);
    for (const address of delta.writes) {
      this.#execute(`adding of ${address} to ${tunnel.name}`, (writer, sequence) =>
        writeNewAddress(writer, sequence, index, parseInterfaceAddress(address)),
      );
    }
    for (const address of delta.removals) {
      this.#execute(`removal of ${address} from ${tunnel.name}`, (writer, sequence) =>
        writeDeleteAddress(writer, sequence, index, parseInterfaceAddress(address)),
      );
    }
    return delta.writes.length > 0 || delta.removals.length > 0;
  }

  #reconcileEntries(
    name: string,
    table: NeighborMessage['table'],
    desired: readonly NeighborRequest[],
    index: number,
  ): void {
    const actual = this.#kernel.commands
      .dump(
        `dump of the ${table} entries of ${name}`,
        (w, sequence) => writeDumpNeighbors(w, sequence, table, index),
        readNeighbor,
      )
      .filter((entry) => entry.table === table && entry.interfaceIndex === index && isStatic(entry));
    const key = (entry: { mac: string; address: string | undefined }) =>
      table === 'forwarding' ? entry.mac.toLowerCase() : (entry.address ?? '');
    const delta = difference(
      desired,
      actual,
      { desired: key, actual: key },
      (wanted, there) => there.address === wanted.address && there.mac === wanted.mac.toLowerCase(),
    );
    this.#batch(`adding of a ${table} entry to ${name}`, delta.writes, writeNewNeighbor);
    const removals = delta.removals.map((entry) => ({
      table,
      interfaceIndex: index,
      address: entry.address ?? '',
      mac: entry.mac,
    }));
    this.#batch(`removal of a ${table} entry from ${name}`, removals, writeDeleteNeighbor);
  }

  /** All are tried; then the first refusal is thrown. An entry that is already gone is no refusal. */
  #batch(
    operation: string,
    entries: readonly NeighborRequest[],
    write: (writer: MessageWriter, sequence: number, entry: NeighborRequest) => void,
  ): void {
    const refusals = this.#kernel.commands.batch(entries.length, (i, writer, sequence) =>
      write(writer, sequence, entries[i]),
    );
    for (const [i, { code, errno, detail }] of refusals) {
      if (errno === 'ENOENT') continue;
      throw new KernelError(`${operation} (${entries[i].mac} ${entries[i].address})`, code, errno, detail);
    }
  }

  #entryChanged(index: number): void {
    if (this.#indexes.has(index)) this.#repair.request();
  }

  #link(name: string): LinkMessage | undefined {
    return this.#kernel.commands.get(
      `question for the link ${name}`,
      (writer, sequence) => writeGetLink(writer, sequence, name),
      readLink,
    );
  }

  #execute(operation: string, write: (writer: MessageWriter, sequence: number) => void): void {
    this.#kernel.commands.execute(operation, write);
  }
}

function isSameIdentity(tunnel: Tunnel, link: LinkMessage): boolean {
  if (link.data?.local !== tunnel.local) return false;
  if (tunnel.kind === 'ipip') return true;
  return link.data.vni === tunnel.vni && link.data.port === tunnel.port && link.data.learning === false;
}

type VxlanTunnel = Tunnel & { kind: 'vxlan' };

function forwardingEntries(tunnel: VxlanTunnel, interfaceIndex: number): NeighborRequest[] {
  return tunnel.peers.map(({ mac, remote }) => ({ table: 'forwarding', interfaceIndex, address: remote, mac }));
}

function neighborEntries(tunnel: VxlanTunnel, interfaceIndex: number): NeighborRequest[] {
  return tunnel.peers.flatMap(({ mac, gateways }) =>
    gateways.map((address): NeighborRequest => ({ table: 'neighbor', interfaceIndex, address, mac })),
  );
}

/** Multicast neighbours and those found by ARP are the kernel's own. */
function isStatic(entry: NeighborMessage): boolean {
  return entry.permanent && entry.address !== undefined;
}

/** @throws TypeError */
function checkTunnel(tunnel: Tunnel): void {
  const problem = (what: string) => new TypeError(`tunnel ${tunnel.name}: ${what}`);
  if (!tunnel.name.startsWith(devicePrefix) || tunnel.name.length > longestName || tunnel.name === probeName) {
    throw problem(`its name must begin with ${devicePrefix} and have at most ${longestName} letters`);
  }
  if (canonicalAddress(tunnel.local) !== tunnel.local)
    throw problem(`local: not an address in canonical form: ${tunnel.local}`);
  if (tunnel.kind === 'ipip' && familyOfText(tunnel.local) !== 'ipv4') {
    throw problem('local: IP-in-IP runs over IPv4 only');
  }
  for (const address of tunnel.addresses) parseInterfaceAddress(address);
  if (tunnel.kind === 'ipip') return;
  if (parseMac(tunnel.mac) === undefined) throw problem(`mac: not a MAC address: ${tunnel.mac}`);
  for (const peer of tunnel.peers) {
    if (parseMac(peer.mac) === undefined) throw problem(`peers: not a MAC address: ${peer.mac}`);
    for (const address of [peer.remote, ...peer.gateways]) {
      if (canonicalAddress(address) !== address) throw problem(`peers: not an address in canonical form: ${address}`);
    }
  }
}

/** `10.244.1.1/24` with its host bits, canonical, since it is compared with what the kernel lists. */
function parseInterfaceAddress(text: string): Prefix {
  const slash = text.indexOf('/');
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash));
  const length = slash < 0 ? Number.NaN : Number(text.slice(slash + 1));
  if (bytes === undefined || !(length <= bytes.length * 8) || `${formatAddress(bytes)}/${length}` !== text) {
    throw new TypeError(`not an interface address in canonical form: ${text}`);
  }
  return { family: familyOf(bytes), bytes, length };
}

function itself(text: string): string {
  return text;
}
