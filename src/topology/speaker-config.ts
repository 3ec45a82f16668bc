/**
 * From cluster state to what the BGP speaker of this node is told.
 * Implements: the values that RFC 4271 §10, RFC 4724, RFC 5082 and RFC 5880 leave to configuration.
 * Holds: pure, and deterministic down to the order of neighbours: equal states give equal settings.
 */

import type { BfdSettings, NeighborSettings, RouteFilter, RoutePolicy, SpeakerSettings } from '../../bgp/index.ts';
import { families } from '../../bgp/ip.ts';
import { bgpConfigurationOf, type EffectiveBgpConfiguration } from '../resources/bgp-configuration.ts';
import type { BgpPeer } from '../resources/bgp-peer.ts';
import type { ClusterState } from '../resources/cluster-state.ts';
import { toAddPaths } from './add-paths.ts';
import { toAdvertisements } from './advertisements.ts';
import { refused, type Condition } from './condition.ts';
import { toDefaultPolicies, type DefaultPolicies } from './default-policy.ts';
import { toInventory, type Inventory, type Self } from './inventory.ts';
import { originOf, toPeerings, transportFamily, type Peering, type PeeringOrigin } from './peering.ts';
import { toRouteFilter } from './route-filters.ts';
import { passwordConditions, toSessionPassword } from './session-password.ts';
import { toSessionPolicy } from './session-policy.ts';

export interface SpeakerConfig {
  readonly settings: SpeakerSettings;
  readonly conditions: readonly Condition[];
  readonly inventory: Inventory;
  /** Interfaces at whose other end a router is to be found: see Self.linkRouters. */
  readonly linkInterfaces: readonly string[];
  /** Name of a neighbour → name of the BGPPeer that asks for it; the mesh's are missing. */
  readonly owners: ReadonlyMap<string, string>;
  /** Name of a neighbour → why there is a session with it. */
  readonly origins: ReadonlyMap<string, PeeringOrigin>;
}

/** RFC 4271 §10 suggests 120 s; a cluster's nodes come and go together, and wait for each other. */
const meshConnectRetrySeconds = 5;

/** Between nodes of different AS numbers any number of routers may lie. */
const clusterTtl = 255;

export function toSpeakerSettings(state: ClusterState, self: Self): SpeakerConfig {
  const inventory = toInventory(state, self);
  const node = inventory.self;
  const configuration = bgpConfigurationOf(state.bgpConfigurations, self.nodeName);
  const { peerings, conditions } = toPeerings(
    inventory,
    state.bgpPeers,
    configuration.nodeToNodeMeshEnabled,
    self.linkRouters,
  );
  const advertisements = toAdvertisements(inventory, peerings.some(isLinkLocalPeering));
  const reflects = node.clusterId !== undefined || peerings.some((peering) => peering.reflectorClient);
  const context: NeighborContext = {
    inventory,
    configuration,
    reflects,
    filters: state.bgpFilters,
    secrets: state.secrets,
    policies: toDefaultPolicies(inventory, peerings.some(isEbgp)),
    nextHopSelf: advertisements.nextHopSelf,
  };
  return {
    settings: {
      asNumber: node.asNumber,
      routerId: node.routerId,
      // RFC 4456 §7: the router id, where no cluster id is configured.
      ...(reflects && { clusterId: node.clusterId ?? node.routerId }),
      ...(reflects && !configuration.clientToClientReflection && { clientsMesh: true }),
      ...(node.shuttingDown && { gracefulShutdown: true }),
      listenPort: node.listenPort,
      gracefulRestartSeconds: configuration.nodeMeshMaxRestartTime,
      longLivedStaleSeconds: configuration.longLivedStaleTime,
      // Only the kernel uses equal paths; a speaker without kernel routes need not look for them.
      maximumPaths: self.roles.includes('routes') ? configuration.maximumPaths : 1,
      neighbors: peerings.map((peering) => toNeighbor(peering, context)),
      originated: advertisements.originated,
    },
    conditions: [
      ...inventory.conditions,
      ...conditions,
      ...advertisements.conditions,
      ...missingFilters(peerings, state),
      ...passwordConditions(peerings, configuration, state.secrets),
    ],
    inventory,
    linkInterfaces: peerings.flatMap(({ peer }) =>
      peer?.spec.interface === undefined || peer.spec.peerRange !== undefined ? [] : [peer.spec.interface],
    ),
    owners: new Map(peerings.flatMap(({ name, peer }) => (peer === undefined ? [] : [[name, peer.metadata.name]]))),
    origins: new Map(peerings.map((peering) => [peering.name, originOf(peering)])),
  };
}

interface NeighborContext {
  readonly inventory: Inventory;
  readonly configuration: EffectiveBgpConfiguration;
  readonly reflects: boolean;
  readonly filters: ClusterState['bgpFilters'];
  readonly secrets: ClusterState['secrets'];
  readonly policies: DefaultPolicies;
  readonly nextHopSelf: NonNullable<NeighborSettings['nextHopSelf']>;
}

const nextHopModes = { Auto: 'auto', Self: 'self', Keep: 'keep' } as const satisfies Record<
  BgpPeer['spec']['nextHopMode'],
  NeighborSettings['nextHopMode']
>;

const extendedNextHops = {
  Auto: {},
  Always: { extendedNextHop: 'always' },
  Never: { extendedNextHop: 'never' },
} as const satisfies Record<BgpPeer['spec']['extendedNextHop'], Pick<NeighborSettings, 'extendedNextHop'>>;

function toNeighbor(peering: Peering, context: NeighborContext): NeighborSettings {
  const { inventory, configuration, nextHopSelf, secrets } = context;
  const { self } = inventory;
  const spec = peering.peer?.spec;
  const chosenByKernel = spec?.sourceAddress === 'None' || isLinkLocalPeering(peering);
  const localAddress = chosenByKernel ? undefined : self.addresses[transportFamily(peering)];
  const ttl = ttlOf(peering);
  const bfd = bfdOf(peering, configuration);
  return {
    name: peering.name,
    remote: peering.remote,
    remoteAs: peering.remoteAs,
    ...(peering.localAs !== self.asNumber && { localAs: peering.localAs }),
    ...(localAddress !== undefined && { localAddress }),
    // An IPv4 address in IPv6's form is for those who have the VXLAN tunnel.
    nextHopSelf: isLinkLocalPeering(peering) ? self.addresses : nextHopSelf,
    passive: peering.passive,
    reflectorClient: peering.reflectorClient,
    families: spec?.families ?? families,
    ...toAddPaths(peering),
    ...extendedNextHops[spec?.extendedNextHop ?? 'Auto'],
    holdTimeSeconds: spec?.holdTime ?? configuration.holdTime,
    ...(spec?.keepaliveTime !== undefined && { keepaliveTimeSeconds: spec.keepaliveTime }),
    connectRetrySeconds: spec?.connectRetryTime ?? meshConnectRetrySeconds,
    ...(spec?.maxRestartTime !== undefined && { gracefulRestartSeconds: spec.maxRestartTime }),
    ...(spec?.longLivedStaleTime !== undefined && { longLivedStaleSeconds: spec.longLivedStaleTime }),
    ...(ttl !== undefined && { ttl }),
    ...(spec?.ttlSecurity !== undefined && { ttlSecurityHops: spec.ttlSecurity }),
    ...toSessionPassword(peering, configuration, secrets),
    ...(peering.heldDown !== undefined && { heldDown: peering.heldDown }),
    ...(bfd !== undefined && { bfd }),
    nextHopMode: nextHopModes[spec?.nextHopMode ?? 'Auto'],
    allowedOwnAs: spec?.numAllowedLocalASNumbers ?? 0,
    ...(spec !== undefined && toSessionPolicy(spec)),
    ...policyOf(peering, context),
    ...(spec?.description !== undefined && { description: spec.description }),
  };
}

function isEbgp({ remoteAs, localAs }: Peering): boolean {
  return remoteAs !== localAs;
}

/** @returns undefined: the speaker's own rule (1 to an eBGP peer). */
function ttlOf(peering: Peering): number | undefined {
  if (!isEbgp(peering) || peering.peer?.spec.ttlSecurity !== undefined) return undefined;
  return peering.peer?.spec.ebgpMultihop ?? (peering.node === undefined ? undefined : clusterTtl);
}

function bfdOf(peering: Peering, { nodeMeshBfd }: EffectiveBgpConfiguration): BfdSettings | undefined {
  const own = peering.peer?.spec.bfd;
  const wanted = peering.peer === undefined ? nodeMeshBfd : own;
  if (wanted === undefined || !wanted.enabled) return undefined;
  return {
    minimumTransmitMilliseconds: wanted.transmitInterval,
    minimumReceiveMilliseconds: wanted.receiveInterval,
    detectMultiplier: wanted.detectMultiplier,
    multihop: own?.multihop ?? !isOnLink(peering),
  };
}

/** Its packets cross no router, and its source address is the link's own. */
function isLinkLocalPeering({ remote }: Peering): boolean {
  return remote.kind === 'address' ? remote.address.includes('%') : remote.interfaceName !== undefined;
}

/** RFC 5881 §1 and RFC 5883 §2; switches take iBGP for multihop unless told otherwise. */
function isOnLink(peering: Peering): boolean {
  if (isLinkLocalPeering(peering)) return true;
  return isEbgp(peering) && (peering.peer?.spec.ttlSecurity ?? ttlOf(peering) ?? 1) === 1;
}

interface Policy {
  readonly importFilter: RoutePolicy;
  readonly exportFilter: RoutePolicy;
  readonly policyText: string;
}

function policyOf(peering: Peering, { filters, policies, reflects }: NeighborContext): Policy {
  const peerType = isEbgp(peering) ? 'eBGP' : 'iBGP';
  const names = peering.peer?.spec.filters ?? [];
  const defaults = defaultPolicyOf(peering, policies, reflects);
  const request = { peerType, names, filters } as const;
  const importFilter = toRouteFilter({ ...request, direction: 'import', defaultPolicy: defaults.importPolicy });
  const exportFilter = toRouteFilter({ ...request, direction: 'export', defaultPolicy: defaults.exportPolicy });
  const first = names.length === 0 ? '' : `filters ${names.join(', ')}, then `;
  return {
    // RFC 8212: towards an eBGP peer it has to be said that everything is accepted.
    importFilter: importFilter ?? 'acceptAll',
    exportFilter: exportFilter ?? 'acceptAll',
    policyText: `import: ${first}${defaults.importText}; export: ${first}${defaults.exportText}`,
  };
}

interface DefaultPolicy {
  readonly importPolicy: RouteFilter | undefined;
  readonly exportPolicy: RouteFilter | undefined;
  readonly importText: string;
  readonly exportText: string;
}

function defaultPolicyOf(peering: Peering, policies: DefaultPolicies, reflects: boolean): DefaultPolicy {
  // Without a prefix that is the cluster's there is nothing to check, and nothing to say of it.
  const allBut = (text: string) => (policies.importInside === undefined ? 'all' : `all${text}`);
  const inside = {
    importPolicy: policies.importInside,
    importText: allBut(', pod prefixes only from the node that owns them'),
  };
  if (!isEbgp(peering)) {
    const exportText = reflects ? 'own pod ranges, and iBGP routes as a route reflector' : 'own pod ranges';
    return { ...inside, exportPolicy: policies.exportIbgp, exportText };
  }
  if (peering.node !== undefined) {
    return { ...inside, exportPolicy: policies.exportEbgpNode, exportText: 'own pod ranges' };
  }
  const outside = {
    exportPolicy: policies.exportEbgpOutside,
    exportText: 'own pod ranges whose pool allows it',
  };
  return peering.peer?.spec.importClusterRoutes
    ? {
        ...outside,
        importPolicy: policies.importFabric,
        importText: allBut(', pod prefixes only with the AS of the node that owns them'),
      }
    : { ...outside, importPolicy: policies.importOutside, importText: allBut(' but prefixes of the cluster') };
}

/** Only of BGPPeers that are in use here. */
function missingFilters(peerings: readonly Peering[], state: ClusterState): readonly Condition[] {
  const peers = new Map(peerings.flatMap(({ peer }) => (peer === undefined ? [] : [[peer.metadata.name, peer]])));
  return [...peers.values()].flatMap(({ metadata, spec }) =>
    spec.filters
      .filter((name) => !state.bgpFilters.has(name))
      .map((name) =>
        refused(
          'BGPPeer',
          metadata.name,
          'FilterMissing',
          `no BGPFilter ${name}: every route is refused until there is one`,
        ),
      ),
  );
}
