/**
 * The switch's side of a BGPPeer, as a value: which nodes it has as neighbours, and what passes between them.
 * Computed from what the nodes themselves will do (src/topology), so that both sides agree.
 * Leaves out: how a switch says it (dialects/).
 */

import type { BfdSettings, FilteredRoute, NeighborSettings } from '../../bgp/index.ts';
import { families, familyOfText, formatPrefix, parsePrefix, prefixCovers, type Family } from '../../bgp/ip.ts';
import type { ClusterState } from '../resources/cluster-state.ts';
import { toInventory, type ClusterNode, type Self } from '../topology/inventory.ts';
import { toPeerings } from '../topology/peering.ts';
import { bgpConfigurationOf } from '../resources/bgp-configuration.ts';
import { toSpeakerSettings } from '../topology/speaker-config.ts';

export interface SwitchSide {
  /** The BGPPeer's name. */
  readonly name: string;
  readonly asNumber: number;
  /** eBGP. */
  readonly external: boolean;
  /** The switch's own address for the sessions; undefined: any in the BGPPeer's range. */
  readonly address: string | undefined;
  readonly neighbors: readonly SwitchNeighbor[];
  /** Families with something to say. */
  readonly families: readonly Family[];
  /** What the nodes may tell. */
  readonly prefixes: readonly AllowedPrefix[];
  /** Prefixes inside `prefixes` may be told to nodes, too (BGPPeer importClusterRoutes). */
  readonly tellsClusterRoutes: boolean;
  /** Routes of one node go to others of the same AS: some switches keep those back unless told otherwise. */
  readonly returnsToSameAs: boolean;
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  /** How long the switch has to keep routes of a node whose agent restarts; 0: it need not. */
  readonly restartTimeSeconds: number;
  /** How much longer it keeps them as a last resort (RFC 9494); 0: it does not. */
  readonly longLivedStaleSeconds: number;
  /** GTSM: hops between switch and nodes. */
  readonly ttlSecurityHops: number | undefined;
  /** eBGP over several hops: the hop limit. */
  readonly multihop: number | undefined;
  /** As the nodes want it; the switch takes the same times. */
  readonly bfd: BfdSettings | undefined;
  /** RFC 9234: what the switch is to the nodes; undefined: none is told. */
  readonly role: NeighborSettings['role'];
  /** What to say to whoever reads the configuration. */
  readonly remarks: readonly string[];
}

export interface SwitchNeighbor {
  readonly nodeName: string;
  readonly address: string;
  readonly port: number;
  readonly asNumber: number;
  /** The node only accepts: the switch must connect. */
  readonly passive: boolean;
  readonly reflectorClient: boolean;
  /** Suggested most prefixes of each family. */
  readonly maximumPrefixes: Readonly<Partial<Record<Family, number>>>;
}

export interface AllowedPrefix {
  readonly family: Family;
  /** Canonical text. */
  readonly prefix: string;
  /** The longest prefix inside it that is taken. */
  readonly longest: number;
}

/** The BGPPeer has no switch's side; the message says why. */
export class NoSwitchSide extends Error {}

/** @throws NoSwitchSide */
export function toSwitchSide(state: ClusterState, peerName: string): SwitchSide {
  const peer = state.bgpPeers.get(peerName);
  if (peer === undefined) {
    const known = [...state.bgpPeers.keys()].sort().join(', ');
    throw new NoSwitchSide(`there is no BGPPeer ${peerName}${known === '' ? '' : ` (there are: ${known})`}`);
  }
  const { spec } = peer;
  if (spec.peerSelector !== undefined) {
    throw new NoSwitchSide(`BGPPeer ${peerName} peers with nodes (peerSelector): both ends are Godwit's`);
  }
  if (spec.asNumber === undefined) {
    throw new NoSwitchSide(`BGPPeer ${peerName} takes any AS number (dynamicASN): the switch's own is not known`);
  }
  const address = spec.peerIP?.address;
  if (spec.interface !== undefined || address?.includes('%')) {
    throw new NoSwitchSide(
      `BGPPeer ${peerName} is for a link without addresses: the switch names its interface, not our address`,
    );
  }
  const sessions = sessionsOf(state, peerName);
  if (sessions.length === 0)
    throw new NoSwitchSide(`BGPPeer ${peerName} applies to no node that has an address for it`);
  const told = families.filter(
    (family) =>
      spec.families.includes(family) &&
      (family === familyOfText(address ?? spec.peerRange!) ||
        sessions.some(({ exported }) => exported[family].length > 0)),
  );
  const [{ settings }] = sessions;
  const everything = countByFamily(sessions[0].allRanges);
  const external = sessions[0].neighbor.asNumber !== spec.asNumber;
  const remarks = remarksOf(sessions, spec, external);
  return {
    name: peerName,
    asNumber: spec.asNumber,
    external,
    address,
    families: told,
    prefixes: allowedPrefixes(state, sessions, told),
    tellsClusterRoutes: spec.importClusterRoutes || !external,
    returnsToSameAs: external && spec.importClusterRoutes && shareAsNumber(sessions),
    holdTimeSeconds: settings.holdTimeSeconds,
    keepaliveSeconds: Math.floor(settings.holdTimeSeconds / 3),
    restartTimeSeconds: settings.gracefulRestartSeconds ?? sessions[0].restartTime,
    longLivedStaleSeconds: settings.longLivedStaleSeconds ?? sessions[0].longLivedStaleTime,
    ttlSecurityHops: spec.ttlSecurity,
    multihop: external ? spec.ebgpMultihop : undefined,
    bfd: settings.bfd,
    role: external && settings.role !== undefined ? counterparts[settings.role] : undefined,
    neighbors: sessions.map(({ neighbor, exported, reflects }) => ({
      ...neighbor,
      maximumPrefixes: Object.fromEntries(
        told.map((family) => [
          family,
          suggestedMaximum(reflects && !external ? everything[family] : exported[family].length),
        ]),
      ),
    })),
    remarks,
  };
}

const counterparts = {
  provider: 'customer',
  customer: 'provider',
  routeServer: 'routeServerClient',
  routeServerClient: 'routeServer',
  peer: 'peer',
} as const satisfies Record<NonNullable<NeighborSettings['role']>, NeighborSettings['role']>;

interface Session {
  readonly neighbor: Omit<SwitchNeighbor, 'maximumPrefixes'>;
  readonly settings: NeighborSettings;
  readonly restartTime: number;
  readonly longLivedStaleTime: number;
  readonly reflects: boolean;
  /** The node's ranges that its policy tells the switch. */
  readonly exported: Readonly<Record<Family, readonly string[]>>;
  /** Of every node. */
  readonly allRanges: readonly string[];
}

function sessionsOf(state: ClusterState, peerName: string): Session[] {
  return [...state.nodes.keys()].sort().flatMap((nodeName): Session[] => {
    const self: Self = { nodeName, nodeIps: {}, roles: ['bgp'] };
    const inventory = toInventory(state, self);
    const configuration = bgpConfigurationOf(state.bgpConfigurations, nodeName);
    const { peerings } = toPeerings(inventory, state.bgpPeers, configuration.nodeToNodeMeshEnabled);
    const peering = peerings.find(({ peer }) => peer?.metadata.name === peerName);
    if (peering === undefined) return [];
    const transport = familyOfText(peering.remote.kind === 'address' ? peering.remote.address : peering.remote.prefix);
    const address = inventory.self.addresses[transport];
    if (address === undefined) return [];
    const speaker = toSpeakerSettings(state, self).settings;
    const settings = speaker.neighbors.find(({ name }) => name === peering.name)!;
    const policy = settings.exportFilter === 'acceptAll' ? undefined : settings.exportFilter;
    const exported = speaker.originated
      .map(({ prefix }) => prefix)
      .filter((prefix) => policy?.evaluate(originated(prefix)).kind !== 'reject');
    return [
      {
        neighbor: {
          nodeName,
          address,
          port: inventory.self.listenPort,
          asNumber: peering.localAs,
          passive: peering.passive,
          // The node reflects to the switch, or the switch to the node; never both.
          reflectorClient: peering.remoteAs === peering.localAs && !reflects(inventory.self),
        },
        settings,
        restartTime: speaker.gracefulRestartSeconds,
        longLivedStaleTime: speaker.longLivedStaleSeconds ?? 0,
        reflects: reflects(inventory.self),
        exported: {
          ipv4: exported.filter((prefix) => familyOfText(prefix) === 'ipv4'),
          ipv6: exported.filter((prefix) => familyOfText(prefix) === 'ipv6'),
        },
        allRanges: [...inventory.nodes.values()].flatMap((node) => node.podPrefixes.map(({ text }) => text)),
      },
    ];
  });
}

function reflects({ clusterId }: ClusterNode): boolean {
  return clusterId !== undefined;
}

/** A range of the node's own as its export filter sees it. */
function originated(text: string): FilteredRoute {
  const { family, bytes, length } = parsePrefix(text)!;
  return {
    family,
    prefix: text,
    prefixBytes: bytes,
    prefixLength: length,
    nextHop: '',
    asPath: [],
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    peerInterface: undefined,
    originatorId: undefined,
    localPref: undefined,
    med: undefined,
    fibMetric: undefined,
    peerName: '',
    peerAddress: '',
    peerType: 'local',
    peerRouterId: '',
  };
}

const addressBits = { ipv4: 32, ipv6: 128 } as const satisfies Record<Family, number>;

/** The pools, which outlive nodes; ranges of nodes where no pool holds them. */
function allowedPrefixes(state: ClusterState, sessions: readonly Session[], told: readonly Family[]): AllowedPrefix[] {
  const pools = [...state.ipPools.values()].flatMap(({ spec }) =>
    spec.disableBGPExport ? [] : [parsePrefix(spec.cidr)!],
  );
  const ranges = sessions.flatMap(({ exported }) => [...exported.ipv4, ...exported.ipv6]).filter(onlyFirst);
  const alone = ranges
    .map((text) => parsePrefix(text)!)
    .filter((range) => !pools.some((pool) => prefixCovers(pool, range)));
  return [
    ...pools.map((pool) => ({ family: pool.family, prefix: formatPrefix(pool), longest: addressBits[pool.family] })),
    ...alone.map((range) => ({ family: range.family, prefix: formatPrefix(range), longest: range.length })),
  ].filter(({ family }) => told.includes(family));
}

function countByFamily(texts: readonly string[]): Record<Family, number> {
  const ipv6 = texts.filter((text) => familyOfText(text) === 'ipv6').length;
  return { ipv4: texts.length - ipv6, ipv6 };
}

function onlyFirst<T>(value: T, at: number, values: readonly T[]): boolean {
  return values.indexOf(value) === at;
}

/** Room for a node that gets more ranges; far from what a leak of the whole table would be. */
function suggestedMaximum(count: number): number {
  return Math.max(32, 4 * count);
}

function remarksOf(
  sessions: readonly Session[],
  spec: {
    readonly importClusterRoutes: boolean;
    readonly numAllowedLocalASNumbers: number;
    readonly peerRange?: string | undefined;
    readonly role?: string | undefined;
    readonly roleStrict?: boolean;
    readonly addPaths?: { readonly receive: boolean; readonly send: string } | undefined;
  },
  external: boolean,
): string[] {
  const remarks =
    sessions[0].settings.bfd === undefined
      ? ['BFD: none, because the BGPPeer has no bfd; with BFD required the session would not come up.']
      : [];
  if (spec.peerRange !== undefined) {
    remarks.push(
      `The nodes accept every switch in ${spec.peerRange} and never call: the switch connects from an address in it.`,
    );
  }
  if (external && spec.importClusterRoutes && shareAsNumber(sessions) && spec.numAllowedLocalASNumbers === 0) {
    remarks.push(
      "Nodes share an AS number: they take each other's routes from this switch only with numAllowedLocalASNumbers: 1 in the BGPPeer.",
      "Not with as-override here: the nodes check the AS number of a route's origin.",
    );
  }
  if (external && spec.role !== undefined) {
    const strict = spec.roleStrict ? '; with roleStrict in the BGPPeer, one that knows none has no session' : '';
    remarks.push(
      `The nodes are ${spec.role} to this switch (RFC 9234): it is told the counterpart where it knows roles${strict}.`,
    );
  }
  if (spec.addPaths?.receive) {
    remarks.push(
      'The nodes take several paths of a prefix (ADD-PATH): the switch sends them only where it is told to.',
    );
  }
  if (spec.addPaths !== undefined && spec.addPaths.send !== 'None') {
    remarks.push('The nodes send several paths of a prefix (ADD-PATH) to a switch that is told to receive them.');
  }
  if (sessions.some(({ neighbor }) => neighbor.passive)) {
    remarks.push('The nodes are passive: the switch must not be, too.');
  }
  return remarks;
}

function shareAsNumber(sessions: readonly Session[]): boolean {
  return new Set(sessions.map(({ neighbor }) => neighbor.asNumber)).size < sessions.length;
}
