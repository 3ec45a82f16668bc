/**
 * Routes as filters and people see them: text made on demand from the tables.
 */

import { addressLength, formatAddress, isLinkLocal } from '../ip.ts';
import type { Family } from '../ip.ts';
import type { FilteredRoute } from '../filter/filter.ts';
import type { BestPath, RouteStatus } from '../status.ts';
import { addressOfWords } from '../wire/nlri.ts';
import type { PrefixKey } from '../wire/nlri.ts';
import type { AttributeView } from '../wire/attributes/attribute-set.ts';
import { Rung, rungName } from './best-path.ts';
import type { FamilyTable } from './family-table.ts';
import { localPeer } from './peer-table.ts';
import type { PeerEntry } from './peer-table.ts';
import { rowMask } from './rows.ts';

/** Valid while the filter runs. */
export class RouteView implements FilteredRoute {
  readonly family: Family;
  readonly prefixBytes: Uint8Array;
  readonly prefixLength: number;
  #attributes: AttributeView;
  #peer: PeerEntry;
  #fibMetric: number;

  /** @param fibMetric 0: none */
  constructor(family: Family, key: PrefixKey, attributes: AttributeView, peer: PeerEntry, fibMetric = 0) {
    this.family = family;
    this.prefixBytes = addressOfWords(key.words, 0, family);
    this.prefixLength = key.length;
    this.#attributes = attributes;
    this.#peer = peer;
    this.#fibMetric = fibMetric;
  }

  get prefix(): string {
    return `${formatAddress(this.prefixBytes)}/${this.prefixLength}`;
  }

  get nextHop(): string {
    return this.#attributes.nextHop;
  }

  get asPath(): readonly number[] {
    return this.#attributes.asPath;
  }

  get communities(): readonly string[] {
    return this.#attributes.communities;
  }

  get largeCommunities(): readonly string[] {
    return this.#attributes.largeCommunities;
  }

  get extendedCommunities(): readonly string[] {
    return this.#attributes.extendedCommunities;
  }

  get originatorId(): string | undefined {
    return this.#attributes.originatorId;
  }

  get localPref(): number | undefined {
    return this.#attributes.localPref;
  }

  get med(): number | undefined {
    return this.#attributes.med;
  }

  get fibMetric(): number | undefined {
    return this.#fibMetric || undefined;
  }

  get peerName(): string {
    return this.#peer.id === localPeer ? '' : this.#peer.peer.name;
  }

  get peerAddress(): string {
    return this.#peer.peer.address;
  }

  get peerType(): 'iBGP' | 'eBGP' | 'local' {
    return peerType(this.#peer);
  }

  get peerRouterId(): string {
    return this.#peer.peer.remoteRouterId;
  }

  get peerInterface(): string | undefined {
    return this.#peer.peer.link?.interfaceName;
  }
}

function peerType(peer: PeerEntry): 'iBGP' | 'eBGP' | 'local' {
  return peer.id === localPeer ? 'local' : peer.peer.peerType;
}

/** As a peer was told it. */
export interface ToldRoute {
  readonly attributes: AttributeView;
  /** RFC 7911; undefined: it was told without. */
  readonly pathId: number | undefined;
}

/**
 * @param sourceName of an originated route
 * @param told what a peer was told of it: shown instead of the path's own
 */
export function routeStatus(table: FamilyTable, path: number, sourceName: string, told?: ToldRoute): RouteStatus {
  const chunk = table.paths.chunk(path);
  const row = path & rowMask;
  const peer = table.peers.get(chunk.peer[row]);
  const rung = chunk.rung[row];
  const lostAt = rungName(rung);
  const rule = table.paths.ruleOf(path);
  // What a peer was told has none: it is this speaker's own affair.
  const fibMetric = told === undefined ? table.paths.fibMetricOf(path) : 0;
  const attributes = told?.attributes ?? table.pool.view(table.paths.attributesOf(path));
  const pathId = told === undefined ? receivedPathId(table, path, peer) : told.pathId;
  return {
    family: table.family,
    prefix: table.prefixes.text(chunk.prefix[row]),
    peerName: peer.id === localPeer ? sourceName : peer.peer.name,
    peerType: peerType(peer),
    peerAddress: peer.peer.address,
    peerRouterId: peer.peer.remoteRouterId,
    ...(pathId === undefined ? {} : { pathId }),
    nextHop: attributes.nextHop,
    ...linkLocalNextHop(attributes, peer),
    origin: attributes.origin,
    asPath: attributes.asPathText,
    localPref: attributes.localPref,
    med: attributes.med,
    communities: attributes.communities,
    largeCommunities: attributes.largeCommunities,
    extendedCommunities: attributes.extendedCommunities,
    onlyToCustomer: attributes.onlyToCustomer,
    originatorId: attributes.originatorId,
    clusterList: attributes.clusterList,
    selected: rung === Rung.best ? 'best' : rung === Rung.multipath ? 'multipath' : 'no',
    ...(lostAt === undefined ? {} : { lostAt }),
    ...(rule === '' ? {} : { rule }),
    ...(fibMetric === 0 ? {} : { fibMetric }),
    stale: table.isStale(path),
  };
}

function receivedPathId(table: FamilyTable, path: number, peer: PeerEntry): number | undefined {
  const pathId = table.paths.pathIdOf(path);
  // A path may be kept from an earlier session, which had them.
  return pathId > 0 || peer.session.pathIds[table.family] ? pathId : undefined;
}

/** With the interface that it is on. */
function linkLocalNextHop(attributes: AttributeView, peer: PeerEntry): Pick<RouteStatus, 'linkLocalNextHop'> {
  const address = attributes.linkLocalNextHop;
  const scope = peer.peer.link?.interfaceName;
  if (address === undefined) return {};
  return { linkLocalNextHop: scope === undefined ? address : `${address}%${scope}` };
}

/**
 * Where packets go: to the link-local next hop where there is no other or the session runs between link-local addresses, for then
 * nothing says that the global one is on any subnet of ours.
 */
function gateway(attributes: AttributeView, peer: PeerEntry): string {
  const isOnly = attributes.bytes[0] === addressLength.ipv6 && isLinkLocal(attributes.bytes, 1);
  const preferred = isOnly || peer.scope !== undefined;
  return (preferred ? linkLocalNextHop(attributes, peer).linkLocalNextHop : undefined) ?? attributes.nextHop;
}

/** @param shares whether the prefix has other paths that are used: only then its bandwidth is looked for */
export function bestPathValue(table: FamilyTable, path: number, sourceName: string, shares: boolean): BestPath {
  const peer = table.peers.get(table.paths.chunk(path).peer[path & rowMask]);
  const attributes = table.pool.view(table.paths.attributesOf(path));
  const linkBandwidth = shares ? attributes.linkBandwidth : undefined;
  const fibMetric = table.paths.fibMetricOf(path);
  return {
    nextHop: gateway(attributes, peer),
    peerName: peer.id === localPeer ? sourceName : peer.peer.name,
    peerType: peerType(peer),
    originatorId: attributes.originatorId,
    asPath: attributes.asPath,
    stale: table.isStale(path),
    ...(linkBandwidth !== undefined && { linkBandwidth }),
    ...(fibMetric !== 0 && { fibMetric }),
  };
}
