/**
 * Who peers with whom, seen from this node: the mesh, and the BGPPeers that concern it.
 * Implements: the two-sided reading of `peerSelector`, RFC 4456 §1 (who is whose client), one session a pair for both families.
 * Leaves out: what is told on a session (advertisements.ts, default-policy.ts) and its timers (speaker-config.ts).
 * Holds: one session for one address. An explicit BGPPeer wins over the mesh; of two that disagree the older stays, and the
 * newer gets a condition.
 */

import { familyOfText, type Family } from '../../bgp/ip.ts';
import { isPassive, type BgpPeer } from '../resources/bgp-peer.ts';
import { parseSelector, type LabelPredicate } from '../resources/selector.ts';
import { accepted, refused, type Condition } from './condition.ts';
import { fingerprint } from './hash.ts';
import type { ClusterNode, Inventory } from './inventory.ts';

export interface Peering {
  /** Unique; made of letters, digits and `_` alone, so that it is one symbol to BIRD's users. */
  readonly name: string;
  /** undefined: the mesh. */
  readonly peer: BgpPeer | undefined;
  readonly remote:
    | { readonly kind: 'address'; readonly address: string; readonly port: number }
    | { readonly kind: 'range'; readonly prefix: string; readonly interfaceName?: string };
  /** The peer, where it is a node of this cluster. */
  readonly node: ClusterNode | undefined;
  readonly remoteAs: number | 'external';
  readonly localAs: number;
  readonly passive: boolean;
  readonly reflectorClient: boolean;
  /** Whom the BGPPeer told to peer: what it says is of that end. undefined: this node alone. */
  readonly told?: 'other' | 'both';
  /** Why no session can be yet, in words. */
  readonly heldDown?: string;
}

export interface Peerings {
  /** BGPPeers first, the oldest first; then the mesh in order of node name. */
  readonly peerings: readonly Peering[];
  /** One for each BGPPeer that concerns this node. */
  readonly conditions: readonly Condition[];
}

/** What a session is for, seen from this node. */
export interface PeeringOrigin {
  /** global: a BGPPeer for all nodes; node: one for some, this among them, or by which another node peers with this one. */
  readonly kind: 'mesh' | 'node' | 'global';
  /** Of the peer, where it is a node of this cluster. */
  readonly addresses?: ClusterNode['addresses'];
}

export function originOf({ peer, node, told }: Peering): PeeringOrigin {
  const selects = peer?.spec.node !== undefined || peer?.spec.nodeSelector !== undefined;
  const kind = peer === undefined ? 'mesh' : selects || told === 'other' ? 'node' : 'global';
  return { kind, ...(node !== undefined && { addresses: node.addresses }) };
}

/** @param linkRouters see Self; undefined: nobody looks for any */
export function toPeerings(
  inventory: Inventory,
  bgpPeers: ReadonlyMap<string, BgpPeer>,
  meshEnabled: boolean,
  linkRouters?: ReadonlyMap<string, string>,
): Peerings {
  const conditions: Condition[] = [];
  const taken = new Map<string, Peering>();
  const names = new Set<string>();
  for (const peer of [...bgpPeers.values()].sort(olderFirst)) {
    const candidates = candidatesOf(peer, inventory, linkRouters);
    if (candidates === undefined) continue;
    conditions.push(admit(peer, candidates, inventory, taken, names));
  }
  for (const peering of meshEnabled ? meshOf(inventory) : []) {
    if (!taken.has(remoteText(peering))) taken.set(remoteText(peering), named(peering, names));
  }
  return { peerings: [...taken.values()], conditions };
}

/** The addresses of both ends for one session: over IPv4 where both have it. */
export function commonFamily(a: ClusterNode, b: ClusterNode): Family | undefined {
  return (['ipv4', 'ipv6'] as const).find(
    (family) => a.addresses[family] !== undefined && b.addresses[family] !== undefined,
  );
}

/** By creation time, then name. Objects of a folder have no time, and are older than any that has one. */
function olderFirst(a: BgpPeer, b: BgpPeer): number {
  const [timeA, timeB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

interface Candidates {
  readonly peerings: readonly Peering[];
  /** Nodes that it names, but with which no session can be. */
  readonly problems: readonly string[];
}

/** @returns undefined: the BGPPeer does not concern this node. */
function candidatesOf(
  peer: BgpPeer,
  inventory: Inventory,
  linkRouters: ReadonlyMap<string, string> | undefined,
): Candidates | undefined {
  const { self } = inventory;
  const { peerIP, peerRange, peerSelector, interface: interfaceName } = peer.spec;
  const selectsLocal = localSelector(peer);
  if (peerSelector !== undefined) return selectorCandidates(peer, selectsLocal, parseSelector(peerSelector), inventory);
  if (!selectsLocal(self)) return undefined;
  const localAs = peer.spec.localASNumber ?? self.asNumber;
  const remoteAs = remoteAsOf(peer, localAs);
  const common = { name: `peer_${peer.metadata.name}`, peer, remoteAs, localAs, passive: isPassive(peer) };
  if (peerRange !== undefined) {
    const reflectorClient = peer.spec.reflectorClient && remoteAs === localAs;
    const remote = { kind: 'range', prefix: peerRange, ...(interfaceName !== undefined && { interfaceName }) } as const;
    return { peerings: [{ ...common, remote, node: undefined, reflectorClient }], problems: [] };
  }
  if (interfaceName !== undefined) {
    const reflectorClient = peer.spec.reflectorClient && remoteAs === localAs;
    const peering = { ...common, ...linkRemote(interfaceName, linkRouters), node: undefined, reflectorClient };
    return { peerings: [peering], problems: [] };
  }
  const { address, port } = peerIP!;
  const node = inventory.nodeByAddress(address);
  const remote = { kind: 'address', address, port: port ?? node?.listenPort ?? 179 } as const;
  const reflectorClient = remoteAs === localAs && (peer.spec.reflectorClient || isClient(self, node));
  return { peerings: [{ ...common, remote, node, reflectorClient }], problems: [] };
}

function remoteAsOf({ spec }: BgpPeer, localAs: number): number | 'external' {
  if (spec.dynamicASN === undefined) return spec.asNumber!;
  return spec.dynamicASN === 'internal' ? localAs : 'external';
}

/** The router at the other end of the link; until it is found, an address that nobody has, held down. */
function linkRemote(
  interfaceName: string,
  linkRouters: ReadonlyMap<string, string> | undefined,
): Pick<Peering, 'remote' | 'heldDown'> {
  const router = linkRouters?.get(interfaceName);
  const remote = { kind: 'address', address: `${router ?? 'fe80::'}%${interfaceName}`, port: 179 } as const;
  if (router !== undefined) return { remote };
  const heldDown =
    linkRouters === undefined
      ? `nobody looks for the router on ${interfaceName}: that needs the role routes`
      : `no router on ${interfaceName} has sent a router advertisement yet`;
  return { remote, heldDown };
}

function selectorCandidates(
  peer: BgpPeer,
  selectsLocal: (node: ClusterNode) => boolean,
  selectsRemote: LabelPredicate,
  { self, nodes }: Inventory,
): Candidates | undefined {
  const { localASNumber, reversePeering } = peer.spec;
  // `a` is told by this BGPPeer to peer with `b`.
  const forward = (a: ClusterNode, b: ClusterNode) => selectsLocal(a) && selectsRemote(b.labels);
  const reverse = (a: ClusterNode, b: ClusterNode) => reversePeering === 'Auto' && forward(b, a);
  if (!selectsLocal(self) && !(reversePeering === 'Auto' && selectsRemote(self.labels))) return undefined;
  const peerings: Peering[] = [];
  const problems: string[] = [];
  for (const node of nodes.values()) {
    if (node === self || !(forward(self, node) || reverse(self, node))) continue;
    const family = commonFamily(self, node);
    if (family === undefined) {
      problems.push(`node ${node.name} and this node have no address of one family`);
      continue;
    }
    const localAs = (forward(self, node) ? localASNumber : undefined) ?? self.asNumber;
    const remoteAs = (forward(node, self) ? localASNumber : undefined) ?? node.asNumber;
    peerings.push({
      name: `peer_${peer.metadata.name}_${node.name}`,
      peer,
      remote: { kind: 'address', address: node.addresses[family]!, port: node.listenPort },
      node,
      remoteAs,
      localAs,
      // Only the side that is told to is passive; where both are, one has to call all the same.
      passive: isPassive(peer) && forward(self, node) && !(forward(node, self) && self.name < node.name),
      reflectorClient: remoteAs === localAs && isClient(self, node),
      ...(reverse(self, node) && { told: forward(self, node) ? 'both' : 'other' }),
    });
  }
  return { peerings, problems };
}

function localSelector({ spec }: BgpPeer): (node: ClusterNode) => boolean {
  if (spec.node !== undefined) return (node) => node.name === spec.node;
  if (spec.nodeSelector === undefined) return () => true;
  const selects = parseSelector(spec.nodeSelector);
  return (node) => selects(node.labels);
}

/** RFC 4456 §1: reflectors are peers of each other; every other node of the AS is a reflector's client. */
function isClient(self: ClusterNode, node: ClusterNode | undefined): boolean {
  return self.clusterId !== undefined && node !== undefined && node.clusterId === undefined;
}

/** Every node with every other; route reflectors are not in it, for they are there to replace it. */
function meshOf({ self, nodes }: Inventory): readonly Peering[] {
  if (self.clusterId !== undefined) return [];
  return [...nodes.values()].flatMap((node) => {
    const family = commonFamily(self, node);
    if (node === self || node.clusterId !== undefined || family === undefined) return [];
    return [
      {
        name: `mesh_${node.name}`,
        peer: undefined,
        remote: { kind: 'address', address: node.addresses[family]!, port: node.listenPort },
        node,
        remoteAs: node.asNumber,
        localAs: self.asNumber,
        passive: false,
        reflectorClient: false,
      },
    ];
  });
}

/** Takes the candidates whose address is free. */
function admit(
  peer: BgpPeer,
  { peerings, problems }: Candidates,
  { self }: Inventory,
  taken: Map<string, Peering>,
  names: Set<string>,
): Condition {
  const { name } = peer.metadata;
  const own = new Set(Object.values(self.addresses));
  const conflicts: string[] = [];
  let sessions = 0;
  for (const peering of peerings) {
    const remote = remoteText(peering);
    if (own.has(remote)) return refused('BGPPeer', name, 'OwnAddress', `${remote} is this node's own address`);
    const other = taken.get(remote);
    if (other === undefined) taken.set(remote, named(peering, names));
    const difference = other && differenceOf(other, peering);
    if (difference === undefined) sessions++;
    else conflicts.push(`${remote}: BGPPeer ${other!.peer!.metadata.name} is older and has another ${difference}`);
  }
  if (conflicts.length > 0) return refused('BGPPeer', name, 'Conflict', conflicts.join('; '));
  if (problems.length > 0) return refused('BGPPeer', name, 'NoCommonFamily', problems.join('; '));
  if (sessions === 0) return refused('BGPPeer', name, 'NoPeer', 'its selectors find no other node to peer with');
  if (peer.spec.reflectorClient && !peerings.every((peering) => peering.reflectorClient)) {
    return refused('BGPPeer', name, 'NotClient', 'reflectorClient has no meaning on an eBGP session, and is ignored');
  }
  return accepted('BGPPeer', name, sessions === 1 ? '1 session' : `${sessions} sessions`);
}

/** Fields of a BGPPeer that say whom and where it is for, not how the session shall be. */
const placeFields = new Set([
  'node',
  'nodeSelector',
  'peerIP',
  'peerRange',
  'peerSelector',
  'interface',
  'reversePeering',
  'description',
]);

/** @returns the first field in which two peerings with one remote differ. */
function differenceOf(a: Peering, b: Peering): string | undefined {
  if (a.remoteAs !== b.remoteAs) return 'asNumber';
  if (a.localAs !== b.localAs) return 'localASNumber';
  if (a.reflectorClient !== b.reflectorClient) return 'reflectorClient';
  if (JSON.stringify(a.remote) !== JSON.stringify(b.remote)) return 'port';
  const [specA, specB] = [a.peer!.spec, b.peer!.spec] as const;
  const fields = Object.keys({ ...specA, ...specB }) as (keyof BgpPeer['spec'])[];
  const compared = fields.filter(
    (field) => !placeFields.has(field) && field !== 'asNumber' && field !== 'localASNumber',
  );
  return compared.find((field) => JSON.stringify(specA[field]) !== JSON.stringify(specB[field]));
}

function remoteText({ remote }: Peering): string {
  if (remote.kind === 'address') return remote.address;
  return remote.interfaceName === undefined ? remote.prefix : `${remote.prefix}%${remote.interfaceName}`;
}

/** With a name of symbol characters; where two names become one so, the later gets a fingerprint of its own. */
function named(peering: Peering, names: Set<string>): Peering {
  const symbol = peering.name.replaceAll(/[^A-Za-z0-9_]/g, '_');
  const name = names.has(symbol) ? `${symbol}_${fingerprint(peering.name).slice(0, 8)}` : symbol;
  names.add(name);
  return { ...peering, name };
}

/** The family of the addresses between which a session runs. */
export function transportFamily({ remote }: Peering): Family {
  return familyOfText(remote.kind === 'address' ? remote.address : remote.prefix);
}
