/**
 * Calico's objects into ours.
 * Reads: projectcalico.org/v3 and crd.projectcalico.org/v1, annotations of Kubernetes' Nodes, Calico's own Node.
 * Leaves out: what calico-fields.ts says has no counterpart.
 * Holds: what is printed means to Godwit what it meant to Calico, or a note says the difference.
 */

import { canonicalPrefix } from '../../bgp/ip.ts';
import { bgpDefaults } from '../resources/bgp-configuration.ts';
import { godwitApiVersion } from '../resources/define.ts';
import { parseAsNumber } from '../resources/fields.ts';
import { asNumberAnnotation, clusterIdAnnotation } from '../resources/node.ts';
import { calicoKindsWithout, calicoTables } from './calico-fields.ts';
import { convertFields } from './field-rule.ts';
import { isRecord, MigrationBuilder, sourceName, stringMapOf, type Manifest, type Migration } from './migration.ts';

const calicoGroups: readonly string[] = ['projectcalico.org/v3', 'crd.projectcalico.org/v1'];

/** BIRD's hop limit for `multihop`, which Calico writes for every session. */
const calicoHopLimit = 64;

/** The filter that prefixAdvertisements become. */
const advertisementFilter = 'prefix-advertisements';

export function migrateCalico(objects: readonly Manifest[]): Migration {
  const builder = new MigrationBuilder();
  const cluster = toCluster(objects);
  for (const object of objects) convert(object, cluster, builder);
  return builder.finish();
}

/** What the objects say together. */
interface Cluster {
  /** Of the BGPConfiguration `default`, and of nodes that have one of their own. */
  readonly asNumbers: readonly number[];
  /** Nodes get each other's routes from the fabric alone: no mesh, no reflector. */
  readonly routedByFabric: boolean;
  readonly tagsAdvertisements: boolean;
  /** CIDRs of pools that eBGP peers are not told. */
  readonly unexported: readonly string[];
}

function toCluster(objects: readonly Manifest[]): Cluster {
  const calico = objects.filter(({ apiVersion }) => calicoGroups.includes(apiVersion));
  const specs = (kind: string) => calico.filter((object) => object.kind === kind).map(({ spec }) => spec ?? {});
  const common = calico.find(({ kind, metadata }) => kind === 'BGPConfiguration' && metadata.name === 'default')?.spec;
  const asNumber = toAsNumber(common?.asNumber) ?? bgpDefaults.asNumber;
  const inside = specs('BGPPeer').some(
    (peer) =>
      peer.peerSelector !== undefined || toAsNumber(peer.asNumber) === (toAsNumber(peer.localASNumber) ?? asNumber),
  );
  const ofNodes = objects.flatMap((object) => {
    const own = stringMapOf(object, 'annotations')['projectcalico.org/ASNumber'];
    const { bgp } = object.spec ?? {};
    return object.kind === 'Node' ? (toAsNumber(own ?? (isRecord(bgp) ? bgp.asNumber : undefined)) ?? []) : [];
  });
  return {
    asNumbers: [asNumber, ...ofNodes],
    routedByFabric: common?.nodeToNodeMeshEnabled === false && !inside,
    tagsAdvertisements: Array.isArray(common?.prefixAdvertisements) && common.prefixAdvertisements.length > 0,
    unexported: specs('IPPool').flatMap(({ cidr, disableBGPExport }) =>
      disableBGPExport === true && typeof cidr === 'string' ? [cidr] : [],
    ),
  };
}

function toAsNumber(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined;
  const parsed = parseAsNumber(String(value));
  return 'asNumber' in parsed ? parsed.asNumber : undefined;
}

function convert(object: Manifest, cluster: Cluster, builder: MigrationBuilder): void {
  const source = sourceName(object);
  if (object.apiVersion === 'v1' && object.kind === 'Node') return convertNode(object, builder);
  if (object.apiVersion === 'networking.k8s.io/v1' && object.kind === 'NetworkPolicy') {
    return builder.note('note', source, 'enforced as it is: nothing to convert');
  }
  if (object.kind.endsWith('AdminNetworkPolicy') || !calicoGroups.includes(object.apiVersion)) {
    if (Object.hasOwn(calicoKindsWithout, object.kind)) return noteWithout(object, builder);
    return builder.note('note', source, `${object.apiVersion} is not Calico's: left out`);
  }
  switch (object.kind) {
    case 'BGPPeer':
      return convertPeer(object, cluster, builder);
    case 'BGPConfiguration':
      return convertConfiguration(object, cluster, builder);
    case 'BGPFilter':
      return convertFilter(object, builder);
    case 'IPPool':
      return convertPool(object, builder);
    case 'Node':
      return convertCalicoNode(object, builder);
    default:
      return noteWithout(object, builder);
  }
}

function noteWithout(object: Manifest, builder: MigrationBuilder): void {
  const { kind, metadata } = object;
  const source = sourceName(object);
  // Calico's API server lists Kubernetes' own policies among its own, under this name.
  if (kind === 'NetworkPolicy' && String(metadata.name).startsWith('knp.')) {
    return builder.note('note', source, "Kubernetes' own policy as Calico lists it: enforced as it is");
  }
  const without = Object.hasOwn(calicoKindsWithout, kind) ? calicoKindsWithout[kind] : undefined;
  return without === undefined
    ? builder.note('lost', source, `the kind ${kind} is not known to this version: left out`)
    : builder.note(without.level, source, without.instead);
}

function ours(kind: string, source: Manifest, spec: Readonly<Record<string, unknown>>): Manifest {
  const labels = stringMapOf(source, 'labels');
  return {
    apiVersion: godwitApiVersion,
    kind,
    metadata: { name: source.metadata.name, ...(Object.keys(labels).length > 0 && { labels }) },
    spec,
  };
}

function convertPeer(object: Manifest, cluster: Cluster, builder: MigrationBuilder): void {
  const source = sourceName(object);
  const spec = convertFields(object.spec ?? {}, calicoTables.BGPPeer, builder, source);
  if (spec === undefined) return;
  const remoteAs = toAsNumber(spec.asNumber);
  const localAs = toAsNumber(spec.localASNumber);
  // On a node for which the peer is none of eBGP, what is written for eBGP has no effect.
  const external =
    remoteAs !== undefined && (localAs === undefined ? cluster.asNumbers : [localAs]).some((own) => own !== remoteAs);
  if (external && spec.ttlSecurity === undefined) {
    spec.ebgpMultihop = calicoHopLimit;
    builder.note(
      'note',
      source,
      `written as Calico does it, which takes every eBGP peer to be ${calicoHopLimit} hops away; remove it for a peer on a connected network`,
      'spec.ebgpMultihop',
    );
  }
  if (external && cluster.routedByFabric) {
    spec.importClusterRoutes = true;
    builder.note(
      'note',
      source,
      "without a mesh and reflectors the peer carries the nodes' routes; each is believed only with the AS number of the node that owns it",
      'spec.importClusterRoutes',
    );
  } else if (external) {
    builder.note(
      'note',
      source,
      'Calico takes every route; here prefixes inside the pools are refused from a peer outside the cluster unless importClusterRoutes is true',
    );
  }
  if (external && cluster.tagsAdvertisements) spec.filters = [...toList(spec.filters), advertisementFilter];
  builder.add(ours('BGPPeer', object, spec), source);
}

function convertConfiguration(object: Manifest, cluster: Cluster, builder: MigrationBuilder): void {
  const source = sourceName(object);
  const spec = convertFields(object.spec ?? {}, calicoTables.BGPConfiguration, builder, source);
  if (spec === undefined) return;
  const { prefixAdvertisements, communities } = object.spec ?? {};
  if (object.metadata.name === 'default' && cluster.tagsAdvertisements) {
    convertAdvertisements(toList(prefixAdvertisements), toList(communities), cluster, builder, source);
  } else if (toList(prefixAdvertisements).length > 0) {
    builder.note('lost', source, 'read in the object `default` only: left out', 'spec.prefixAdvertisements');
  }
  builder.add(ours('BGPConfiguration', object, spec), source);
}

/** Communities on what the node itself tells to eBGP peers; what it learned stays untold, as without a filter. */
function convertAdvertisements(
  advertisements: readonly unknown[],
  communities: readonly unknown[],
  { unexported }: Cluster,
  builder: MigrationBuilder,
  source: string,
): void {
  const named = new Map(
    communities.flatMap((entry): [unknown, unknown][] => (isRecord(entry) ? [[entry.name, entry.value]] : [])),
  );
  const rules: Record<'exportV4' | 'exportV6', unknown[]> = { exportV4: [], exportV6: [] };
  for (const [at, entry] of advertisements.entries()) {
    const cidr = isRecord(entry) && typeof entry.cidr === 'string' ? canonicalPrefix(entry.cidr) : undefined;
    if (!isRecord(entry) || cidr === undefined) {
      builder.note('failed', source, 'not converted: its cidr is none', `spec.prefixAdvertisements[${at}]`);
      continue;
    }
    const field = cidr.includes(':') ? 'exportV6' : 'exportV4';
    const operations = toList(entry.communities).map((name) => ({
      addCommunity: { value: named.get(name) ?? name },
    }));
    const condition = { peerType: 'eBGP', matchOperator: 'In', cidr };
    rules[field].push(
      { ...condition, action: 'Reject', source: 'RemotePeers' },
      { ...condition, action: 'Accept', operations },
    );
  }
  for (const cidr of unexported) {
    const field = cidr.includes(':') ? 'exportV6' : 'exportV4';
    rules[field].unshift({ peerType: 'eBGP', matchOperator: 'In', cidr, action: 'Reject' });
  }
  builder.add(
    { apiVersion: godwitApiVersion, kind: 'BGPFilter', metadata: { name: advertisementFilter }, spec: rules },
    source,
  );
}

const ruleFields = ['exportV4', 'importV4', 'exportV6', 'importV6'] as const;

function convertFilter(object: Manifest, builder: MigrationBuilder): void {
  const source = sourceName(object);
  const spec: Record<string, unknown> = {};
  let whole = true;
  for (const [field, rules] of Object.entries(object.spec ?? {})) {
    if (!ruleFields.some((known) => known === field)) {
      builder.note('lost', source, 'not known to this version: left out', `spec.${field}`);
      continue;
    }
    const converted = toList(rules).map((rule, at) =>
      convertRule(isRecord(rule) ? rule : {}, field, at, builder, source),
    );
    whole &&= converted.every((rule) => rule !== undefined);
    spec[field] = converted;
  }
  if (whole) builder.add(ours('BGPFilter', object, spec), source);
}

function convertRule(
  rule: Readonly<Record<string, unknown>>,
  field: string,
  at: number,
  builder: MigrationBuilder,
  source: string,
): Record<string, unknown> | undefined {
  const path = ['spec', field, at];
  const isExport = field.startsWith('export');
  const fields = {
    ...calicoTables['BGPFilter: a rule'],
    ...(isExport && calicoTables['BGPFilter: an export rule, where it differs']),
  };
  const operationFields = {
    ...calicoTables['BGPFilter: an operation'],
    ...(isExport && calicoTables['BGPFilter: an operation of an export rule, where it differs']),
  };
  const result = convertFields(rule, fields, builder, source, path);
  if (result === undefined || rule.operations === undefined) return result;
  const operations = toList(rule.operations).map((operation, i) =>
    convertFields(isRecord(operation) ? operation : {}, operationFields, builder, source, [...path, 'operations', i]),
  );
  const kept = operations.filter((operation) => operation !== undefined && Object.keys(operation).length > 0);
  return { ...result, ...(kept.length > 0 && { operations: kept }) };
}

function convertPool(object: Manifest, builder: MigrationBuilder): void {
  const source = sourceName(object);
  const { allowedUses } = object.spec ?? {};
  if (Array.isArray(allowedUses) && !allowedUses.includes('Workload')) {
    return builder.note('lost', source, 'no pool for pods: left out', 'spec.allowedUses');
  }
  const spec = convertFields(object.spec ?? {}, calicoTables.IPPool, builder, source);
  if (spec === undefined) return undefined;
  if (
    spec.disabled === true &&
    [spec.ipipMode, spec.vxlanMode].some((mode) => mode !== undefined && mode !== 'Never')
  ) {
    builder.note('note', source, 'a disabled pool has no tunnels here: its packets travel directly', 'spec.disabled');
  }
  return builder.add(ours('IPPool', object, spec), source);
}

/** The same of Kubernetes' Node and of Calico's own. */
interface NodeFacts {
  readonly asNumber: unknown;
  readonly clusterId: unknown;
}

function convertNode(object: Manifest, builder: MigrationBuilder): void {
  const source = sourceName(object);
  const annotations = stringMapOf(object, 'annotations');
  const calicos = Object.fromEntries(
    Object.entries(annotations).filter(([name]) => name.startsWith('projectcalico.org/')),
  );
  const known = internalAddresses(object);
  for (const family of ['IPv4', 'IPv6']) {
    const name = `projectcalico.org/${family}Address`;
    const address = calicos[name]?.split('/')[0];
    if (address !== undefined && known.includes(address)) delete calicos[name];
  }
  convertFields(calicos, calicoTables['Node: annotations'], builder, source, ['metadata', 'annotations']);
  addNode(
    String(object.metadata.name),
    {
      asNumber: calicos['projectcalico.org/ASNumber'],
      clusterId: calicos['projectcalico.org/RouteReflectorClusterID'],
    },
    builder,
    source,
  );
}

function internalAddresses(node: Manifest): readonly unknown[] {
  const { status } = node as { readonly status?: unknown };
  const addresses = isRecord(status) ? toList(status.addresses) : [];
  return addresses.flatMap((entry) => (isRecord(entry) && entry.type === 'InternalIP' ? [entry.address] : []));
}

function convertCalicoNode(object: Manifest, builder: MigrationBuilder): void {
  const { bgp, orchRefs } = object.spec ?? {};
  const kubernetes = toList(orchRefs).find((entry) => isRecord(entry) && entry.orchestrator === 'k8s');
  const name = isRecord(kubernetes) ? kubernetes.nodeName : object.metadata.name;
  const { asNumber, routeReflectorClusterID: clusterId } = isRecord(bgp) ? bgp : {};
  addNode(String(name), { asNumber, clusterId }, builder, sourceName(object));
}

/** Only the annotations: whoever applies it changes nothing else of the Node. */
function addNode(name: string, { asNumber, clusterId }: NodeFacts, builder: MigrationBuilder, source: string): void {
  const annotations = {
    ...(asNumber !== undefined && { [asNumberAnnotation]: String(asNumber) }),
    ...(clusterId !== undefined && clusterId !== '' && { [clusterIdAnnotation]: String(clusterId) }),
  };
  if (Object.keys(annotations).length === 0) return;
  builder.add({ apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } }, source);
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
