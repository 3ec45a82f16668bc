/**
 * The peers as the RIB knows them, by number. Number 0 is this speaker itself, for what it originates.
 * Holds: a number is given anew only when no path carries it.
 */

import { addressLength, families, parseAddress, splitScope } from '../ip.ts';
import type { Family } from '../ip.ts';
import { roles } from '../role.ts';
import type { RoleEntry } from '../role.ts';
import { readU32 } from '../wire/byte-reader.ts';
import type { SessionClass } from '../wire/attributes/table.ts';
import { PeerFamily } from './peer-family.ts';
import { PeerLimits, setAdmission } from './prefix-limits.ts';
import type { RibLocal, RibPeer, RibPolicy } from './rib-types.ts';

export const localPeer = 0;

/** The path store keeps 16 bits of a peer's number. */
const highestId = 0xffff;

export class PeerEntry {
  readonly id: number;
  peer: RibPeer;
  open = true;
  external: boolean;
  routerId: number;
  address: Uint8Array;
  /** The interface, where the session runs between link-local addresses. */
  scope: string | undefined;
  session: SessionClass;
  role: RoleEntry | undefined;
  /** Whether received sets may be changed before or without a filter: else nobody needs to look. */
  editsImports = false;
  limits: PeerLimits | undefined;
  /** Our addresses on the session: a next hop among them would send packets in a circle. */
  #ours: Uint8Array[];
  readonly families: Record<Family, PeerFamily> = { ipv4: new PeerFamily(), ipv6: new PeerFamily() };
  updatesSent = 0;

  constructor(id: number, peer: RibPeer) {
    this.id = id;
    this.peer = peer;
    this.external = peer.peerType === 'eBGP';
    this.routerId = identifier(peer.remoteRouterId);
    const { address, scope } = splitScope(peer.address);
    this.address = parseAddress(address) ?? new Uint8Array(4);
    this.scope = scope;
    this.session = sessionClass(peer);
    this.role = peer.role && roles[peer.role];
    this.#applyPolicy(peer);
    this.#ours = ownAddresses(peer);
  }

  /** The peer is back with a new session, perhaps negotiated otherwise. */
  reopen(peer: RibPeer): void {
    const fresh = new PeerEntry(this.id, peer);
    this.peer = peer;
    this.external = fresh.external;
    this.routerId = fresh.routerId;
    this.address = fresh.address;
    this.scope = fresh.scope;
    this.session = fresh.session;
    this.role = fresh.role;
    this.limits = undefined;
    this.#applyPolicy(peer);
    this.#ours = fresh.#ours;
    this.open = true;
    this.updatesSent = 0;
  }

  setPolicy(policy: RibPolicy): void {
    this.peer = { ...this.peer, ...policy };
    this.#applyPolicy(this.peer);
  }

  #applyPolicy(peer: RibPeer): void {
    this.editsImports = editsImports(peer);
    const { limits = [] } = peer;
    // What was told of limits that stay is not told again.
    if (JSON.stringify(limits) === JSON.stringify(this.limits?.limits ?? [])) return;
    this.limits = limits.length === 0 ? undefined : new PeerLimits(limits);
    setAdmission(this.families, limits);
  }

  /** Whether the next hop of a canonical set (its length, then its bytes), or one of two, is one of our own addresses. */
  isOurAddress(set: Uint8Array, start: number): boolean {
    const length = set[start];
    for (const address of this.#ours) {
      if (address.length === addressLength.ipv4 ? length !== addressLength.ipv4 : length < addressLength.ipv6) continue;
      if (startsWith(set, start + 1, address)) return true;
      if (length > address.length && startsWith(set, start + 1 + address.length, address)) return true;
    }
    return false;
  }

  get idle(): boolean {
    return !this.open && families.every((family) => this.families[family].paths === 0);
  }
}

function startsWith(bytes: Uint8Array, at: number, address: Uint8Array): boolean {
  for (let i = 0; i < address.length; i++) if (bytes[at + i] !== address[i]) return false;
  return true;
}

function editsImports({ peerType, role, localAsMode, lowers }: RibPeer): boolean {
  return lowers !== undefined || (peerType === 'eBGP' && (role !== undefined || localAsMode === 'prepend'));
}

/** 32 bits of an identifier in IPv4 form. */
export function identifier(text: string): number {
  const bytes = parseAddress(text);
  if (bytes?.length !== 4) throw new RangeError(`'${text}' is not an identifier in IPv4 form`);
  return readU32(bytes, 0);
}

function ownAddresses(peer: RibPeer): Uint8Array[] {
  const { localAddress, nextHopSelf = {}, link } = peer;
  const texts = new Set([
    splitScope(localAddress).address,
    ...Object.values(nextHopSelf),
    link?.linkLocalAddress ?? '',
  ]);
  return [...texts].map(parseAddress).filter((bytes) => bytes !== undefined);
}

function sessionClass({ peerType, fourOctetAs, extendedNextHop, addPath }: RibPeer): SessionClass {
  const hasPathIds = (family: Family) => addPath?.receive.includes(family) ?? false;
  return {
    external: peerType === 'eBGP',
    fourOctetAs,
    extendedNextHop,
    pathIds: { ipv4: hasPathIds('ipv4'), ipv6: hasPathIds('ipv6') },
  };
}

/** This speaker in the table of peers: the source of what it originates. */
export function ourselves(local: RibLocal): RibPeer {
  return {
    name: '',
    address: local.routerId,
    localAddress: local.routerId,
    remoteAs: local.asNumber,
    localAs: local.asNumber,
    peerType: 'iBGP',
    remoteRouterId: local.routerId,
    reflectorClient: false,
    families,
    fourOctetAs: true,
    extendedNextHop: false,
    ipv6NextHopForIpv4: false,
    maximumMessageSize: 4096,
    nextHopMode: 'auto',
    allowedOwnAs: 0,
  };
}

export class PeerTable {
  #entries: (PeerEntry | undefined)[] = [];
  #byName = new Map<string, PeerEntry>();
  /** Numbers are given in turn, so that one that was just freed does not soon mean another peer. */
  #lastId = localPeer;

  constructor(local: RibPeer) {
    this.#entries.push(new PeerEntry(localPeer, local));
  }

  /** @throws RangeError where the peer is open already or there are 65,535 of them. */
  open(peer: RibPeer): PeerEntry {
    const known = this.#byName.get(peer.name);
    if (known !== undefined) {
      if (known.open) throw new RangeError(`peer ${peer.name} is open already`);
      known.reopen(peer);
      return known;
    }
    if (this.#byName.size === highestId) throw new RangeError('more than 65,535 peers');
    let id = this.#lastId;
    do id = id === highestId ? 1 : id + 1;
    while (this.#entries[id] !== undefined);
    this.#lastId = id;
    const entry = new PeerEntry(id, peer);
    this.#entries[id] = entry;
    this.#byName.set(peer.name, entry);
    return entry;
  }

  /** Forgets a closed peer without paths. */
  forget(entry: PeerEntry): void {
    this.#entries[entry.id] = undefined;
    this.#byName.delete(entry.peer.name);
  }

  find(id: number): PeerEntry | undefined {
    return this.#entries[id];
  }

  /** Peers that are open or of which paths are left. */
  [Symbol.iterator](): IterableIterator<PeerEntry> {
    return this.#byName.values();
  }

  get local(): PeerEntry {
    return this.get(localPeer);
  }

  /** The entry of a number that is in use. */
  get(id: number): PeerEntry {
    const entry = this.#entries[id];
    if (entry === undefined) throw new RangeError(`no peer has the number ${id}`);
    return entry;
  }

  byName(name: string): PeerEntry | undefined {
    return this.#byName.get(name);
  }
}
