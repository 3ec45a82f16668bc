/** UPDATE bodies by hand, and a neighbour that believes what it is told: an encoder and a decoder apart from the product's. */

import { formatAddress, formatPrefix, maskAddress, parseAddress, parsePrefix } from '../../../bgp/ip.ts';
import type { Family } from '../../../bgp/ip.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibPeer, RibPolicy } from '../../../bgp/rib/rib-types.ts';

export const local = { asNumber: 65000, routerId: '10.0.0.254', maximumPaths: 1 } as const;

/** A RIB of `local`, but for what differs. */
export function ribOf(differing: Partial<ConstructorParameters<typeof Rib>[0]['local']> = {}): Rib {
  return new Rib({ local: { ...local, ...differing }, seed: 7 });
}

export function peer(name: string, number: number, differing: Partial<RibPeer> = {}): RibPeer {
  return {
    name,
    address: `10.0.0.${number}`,
    localAddress: '10.0.0.254',
    remoteAs: 65000,
    localAs: 65000,
    peerType: 'iBGP',
    remoteRouterId: `10.0.0.${number}`,
    reflectorClient: false,
    families: ['ipv4', 'ipv6'],
    fourOctetAs: true,
    extendedNextHop: false,
    ipv6NextHopForIpv4: false,
    maximumMessageSize: 4096,
    nextHopMode: 'auto',
    nextHopSelf: { ipv6: '2001:db8::254' },
    allowedOwnAs: 0,
    ...differing,
  };
}

/** Nothing is asked but what a test says. */
export function policy(differing: Partial<RibPolicy> = {}): RibPolicy {
  return {
    allowedOwnAs: 0,
    importFilter: undefined,
    exportFilter: undefined,
    localAsMode: undefined,
    removePrivateAs: undefined,
    asOverride: undefined,
    marksGracefulShutdown: undefined,
    lowers: undefined,
    limits: undefined,
    ...differing,
  };
}

export const client = (name: string, number: number, differing: Partial<RibPeer> = {}) =>
  peer(name, number, { reflectorClient: true, ...differing });

export const external = (name: string, number: number, remoteAs: number, differing: Partial<RibPeer> = {}) =>
  peer(name, number, { peerType: 'eBGP', remoteAs, ...differing });

export interface Route {
  readonly nextHop?: string;
  readonly origin?: number;
  readonly asPath?: readonly number[];
  readonly med?: number;
  readonly localPref?: number;
  readonly communities?: readonly string[];
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
  /** Whole attributes in hex, put at the end. */
  readonly raw?: string;
}

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const u16 = (value: number) => [(value >> 8) & 255, value & 255];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];

export function attribute(flags: number, code: number, value: readonly number[]): number[] {
  return value.length > 255
    ? [flags | 0x10, code, ...u16(value.length), ...value]
    : [flags, code, value.length, ...value];
}

/** @param prefixes where it has one, the path identifier follows: `10.0.0.0/8#7` */
function nlri(prefixes: readonly string[]): number[] {
  return prefixes.flatMap((text) => {
    const [prefixText, pathId] = text.split('#');
    const prefix = parsePrefix(prefixText)!;
    return [
      ...(pathId === undefined ? [] : u32(Number(pathId))),
      prefix.length,
      ...prefix.bytes.subarray(0, Math.ceil(prefix.length / 8)),
    ];
  });
}

export function attributesOf(route: Route, asSize: 2 | 4 = 4): number[] {
  const { asPath = [], communities = [], clusterList = [] } = route;
  const as = asSize === 4 ? u32 : u16;
  const address = (text: string) => [...parseAddress(text)!];
  const present = <T>(value: T | undefined, flags: number, code: number, bytes: (value: T) => number[]) =>
    value === undefined ? [] : attribute(flags, code, bytes(value));
  return [
    ...attribute(0x40, 1, [route.origin ?? 0]),
    ...attribute(0x40, 2, asPath.length === 0 ? [] : [2, asPath.length, ...asPath.flatMap(as)]),
    ...(route.nextHop === undefined || route.nextHop.includes(':') ? [] : attribute(0x40, 3, address(route.nextHop))),
    ...present(route.med, 0x80, 4, u32),
    ...present(route.localPref, 0x40, 5, u32),
    ...present(communities.length === 0 ? undefined : communities, 0xc0, 8, (all) =>
      all.flatMap((text) => text.split(':').flatMap((part) => u16(Number(part)))),
    ),
    ...present(route.originatorId, 0x80, 9, address),
    ...present(clusterList.length === 0 ? undefined : clusterList, 0x80, 10, (all) => all.flatMap(address)),
    ...hex(route.raw ?? ''),
  ];
}

export function body(withdrawn: readonly number[], attributes: readonly number[], prefixes: readonly number[]) {
  return Uint8Array.from([
    ...u16(withdrawn.length),
    ...withdrawn,
    ...u16(attributes.length),
    ...attributes,
    ...prefixes,
  ]);
}

/** Prefixes of one family. An IPv6 next hop, or two (`2001:db8::1 fe80::1`), stands in MP_REACH_NLRI; 192.0.2.1 unless told. */
export function announce(prefixes: readonly string[], route: Route = {}, asSize: 2 | 4 = 4): Uint8Array {
  const { nextHop = prefixes[0].includes(':') ? '2001:db8::1' : '192.0.2.1' } = route;
  const attributes = attributesOf({ ...route, nextHop }, asSize);
  if (!nextHop.includes(':')) return body([], attributes, nlri(prefixes));
  const hops = nextHop.split(' ').flatMap((text) => [...parseAddress(text)!]);
  const afi = prefixes[0].includes(':') ? 2 : 1;
  const reach = attribute(0x80, 14, [0, afi, 1, hops.length, ...hops, 0, ...nlri(prefixes)]);
  return body([], [...reach, ...attributes], []);
}

export function withdraw(prefixes: readonly string[]): Uint8Array {
  if (!prefixes[0].includes(':')) return body(nlri(prefixes), [], []);
  return body([], attribute(0x80, 15, [0, 2, 1, ...nlri(prefixes)]), []);
}

/** What the neighbour was told of a prefix. */
export interface Told {
  /** `2001:db8::1 fe80::1` where there are two. */
  readonly nextHop: string;
  readonly origin: number;
  readonly asPath: readonly number[];
  readonly med?: number;
  readonly localPref?: number;
  readonly communities?: string;
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
  readonly extendedCommunities?: string;
  readonly onlyToCustomer?: number;
}

/** Who hears UPDATEs: keeps what it is told; throws where it is told nonsense. */
export class Receiver {
  /** By prefix; where it is told several paths, by `PREFIX#IDENTIFIER`. */
  readonly routes = new Map<string, Told>();
  readonly endOfRib: string[] = [];
  messages = 0;
  announcements = 0;
  withdrawals = 0;
  readonly name: string;
  #maximum: number;
  #asSize: 2 | 4;
  #pathIds: readonly Family[];

  constructor({
    name,
    maximumMessageSize = 4096,
    fourOctetAs = true,
    addPath,
  }: Partial<RibPeer> & Pick<RibPeer, 'name'>) {
    this.#pathIds = addPath?.send ?? [];
    this.name = name;
    this.#maximum = maximumMessageSize;
    this.#asSize = fourOctetAs ? 4 : 2;
  }

  /** What it was told of one prefix, in whatever order. */
  paths(prefix: string): Told[] {
    return [...this.routes].filter(([key]) => key.split('#')[0] === prefix).map(([, told]) => told);
  }

  prefixes(): string[] {
    return [...this.routes.keys()].sort();
  }

  hears(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const length = word(bytes, at + 16);
      if (length > this.#maximum) throw new Error(`message of ${length} bytes`);
      if (toHex(bytes.subarray(at, at + 16)) !== 'ff'.repeat(16) || bytes[at + 18] !== 2) throw new Error('bad header');
      if (at + length > bytes.length) throw new Error('message cut off');
      this.#update(bytes.subarray(at + 19, at + length));
      this.messages++;
      at += length;
    }
  }

  #update(update: Uint8Array): void {
    const withdrawnEnd = 2 + word(update, 0);
    const attributesEnd = withdrawnEnd + 2 + word(update, withdrawnEnd);
    if (update.length === 4) this.endOfRib.push('ipv4');
    this.#gone(update.subarray(2, withdrawnEnd), 4);
    const values = new Map<number, Uint8Array>();
    let last = 0;
    for (let at = withdrawnEnd + 2; at < attributesEnd;) {
      const extended = (update[at] & 0x10) !== 0;
      const start = at + (extended ? 4 : 3);
      const end = start + (extended ? word(update, at + 2) : update[at + 2]);
      const code = update[at + 1];
      // RFC 7606 §5.1: MP_REACH_NLRI leads; the rest ascends.
      if (code !== 14 && code <= last) throw new Error(`attribute ${code} after ${last}`);
      if (code !== 14) last = code;
      values.set(code, update.subarray(start, end));
      at = end;
    }
    const unreach = values.get(15);
    if (unreach !== undefined && unreach.length === 3) this.endOfRib.push('ipv6');
    if (unreach !== undefined) this.#gone(unreach.subarray(3), 16);
    const reach = values.get(14);
    if (reach !== undefined) {
      const end = 4 + reach[3];
      const hops = [reach.subarray(4, Math.min(end, 20)), reach.subarray(20, Math.max(end, 20))];
      const nextHop = hops.flatMap((bytes) => (bytes.length === 0 ? [] : formatAddress(bytes))).join(' ');
      if (values.has(3)) throw new Error('NEXT_HOP beside MP_REACH_NLRI');
      this.#comes(reach.subarray(end + 1), reach[1] === 1 ? 4 : 16, this.#told(values, nextHop));
    }
    const classic = update.subarray(attributesEnd);
    if (classic.length > 0) this.#comes(classic, 4, this.#told(values, formatAddress(values.get(3)!)));
  }

  #told(values: Map<number, Uint8Array>, nextHop: string): Told {
    const number = (code: number) => (values.has(code) ? Number.parseInt(toHex(values.get(code)!), 16) : undefined);
    const path = values.get(2)!;
    const asPath: number[] = [];
    for (let at = 0; at < path.length;) {
      const count = path[at + 1];
      for (let i = 0; i < count; i++) {
        const from = at + 2 + i * this.#asSize;
        asPath.push(Number.parseInt(toHex(path.subarray(from, from + this.#asSize)), 16));
      }
      at += 2 + count * this.#asSize;
    }
    const addresses = (code: number) => {
      const value = values.get(code);
      return (
        value && Array.from({ length: value.length / 4 }, (_, i) => formatAddress(value.subarray(i * 4, i * 4 + 4)))
      );
    };
    const told = {
      nextHop,
      origin: values.get(1)![0],
      asPath,
      med: number(4),
      localPref: number(5),
      communities: values.has(8) ? toHex(values.get(8)!) : undefined,
      originatorId: addresses(9)?.[0],
      clusterList: addresses(10),
      extendedCommunities: values.has(16) ? toHex(values.get(16)!) : undefined,
      onlyToCustomer: number(35),
    };
    return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) as unknown as Told;
  }

  #gone(bytes: Uint8Array, size: 4 | 16): void {
    for (const prefix of prefixesIn(bytes, size, this.#hasPathIds(size))) {
      this.withdrawals++;
      if (!this.routes.delete(prefix)) throw new Error(`${this.name}: ${prefix} withdrawn though never told`);
    }
  }

  #hasPathIds(size: 4 | 16): boolean {
    return this.#pathIds.includes(size === 4 ? 'ipv4' : 'ipv6');
  }

  #comes(bytes: Uint8Array, size: 4 | 16, told: Told): void {
    for (const prefix of prefixesIn(bytes, size, this.#hasPathIds(size))) {
      this.announcements++;
      this.routes.set(prefix, told);
    }
  }
}

/** A receiver with a place in a RIB. */
export class Neighbor extends Receiver {
  readonly rib: Rib;
  readonly id: number;

  constructor(rib: Rib, settings: RibPeer) {
    super(settings);
    this.rib = rib;
    this.id = rib.openPeer(settings);
  }

  says(update: Uint8Array) {
    return this.rib.receiveUpdate(this.id, update);
  }

  /** Takes everything there is for it. @returns itself */
  listen(maximumBytes = 65_536): this {
    while (this.rib.hasOutput(this.id)) this.listenOnce(maximumBytes);
    return this;
  }

  listenOnce(maximumBytes: number): void {
    for (const part of this.rib.takeOutput(this.id, maximumBytes)) this.hears(part);
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function prefixesIn(bytes: Uint8Array, size: 4 | 16, withPathIds: boolean): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const pathId = withPathIds ? `#${word(bytes, at) * 65_536 + word(bytes, at + 2)}` : '';
    if (withPathIds) at += 4;
    const length = bytes[at];
    const count = Math.ceil(length / 8);
    if (at + 1 + count > bytes.length) throw new Error('NLRI cut off');
    const address = new Uint8Array(size);
    address.set(bytes.subarray(at + 1, at + 1 + count));
    const prefix = {
      family: size === 4 ? ('ipv4' as const) : ('ipv6' as const),
      bytes: maskAddress(address, length),
      length,
    };
    found.push(formatPrefix(prefix) + pathId);
    at += 1 + count;
  }
  return found;
}

/** Does all background work. */
export function settle(rib: Rib): void {
  while (rib.work(() => false));
}
