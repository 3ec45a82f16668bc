/**
 * kube-router's configuration into our objects: annotations of Nodes, flags in its DaemonSet.
 * Leaves out: what kube-router-fields.ts says has no counterpart; the pool, whose range no object of kube-router's tells.
 * Holds: nodes that say the same of a peer share one BGPPeer.
 */

import { parse } from 'yaml';
import { canonicalAddress, canonicalPrefix } from '../../bgp/ip.ts';
import { godwitApiVersion } from '../resources/define.ts';
import { asNumberAnnotation, clusterIdAnnotation } from '../resources/node.ts';
import { longestSelector } from '../resources/selector.ts';
import { convertFields, Unconvertible, wholeSeconds } from './field-rule.ts';
import { kubeRouterTables } from './kube-router-fields.ts';
import { isRecord, MigrationBuilder, sourceName, stringMapOf, type Manifest, type Migration } from './migration.ts';

const prefix = 'kube-router.io/';
const tables = {
  Node: kubeRouterTables['Node: annotations kube-router.io/…'],
  Service: kubeRouterTables['Service: annotations kube-router.io/…'],
  DaemonSet: kubeRouterTables['DaemonSet: flags of the container'],
} as const;

export function migrateKubeRouter(objects: readonly Manifest[]): Migration {
  const builder = new MigrationBuilder();
  const peers: WantedPeer[] = [];
  const reflectors: NodeFacts[] = [];
  const configuration: Record<string, unknown> = {};
  for (const object of objects) {
    const source = sourceName(object);
    if (object.kind === 'Node') convertNode(object, peers, reflectors, builder);
    else if (object.kind === 'DaemonSet') convertFlags(object, configuration, peers, builder);
    else if (object.kind === 'Service') {
      convertFields(annotationsOf(object), tables.Service, builder, source, ['metadata', 'annotations'], prefix);
    } else if (object.kind === 'NetworkPolicy') builder.note('note', source, 'enforced as it is: nothing to convert');
    else builder.note('note', source, 'kube-router has nothing in it: left out');
  }
  if (reflectors.length > 0) {
    configuration.nodeToNodeMeshEnabled = false;
    const where = { peerSelector: selectorOf(reflectors) ?? '' };
    if (where.peerSelector === '') {
      const text = 'not converted: without the label kubernetes.io/hostname a selector cannot find the reflectors';
      builder.note('failed', 'Node', text, `metadata.annotations["${prefix}rr.server"]`);
    } else builder.add(ours('BGPPeer', 'route-reflectors', where), 'Node');
  }
  if (Object.keys(configuration).length > 0) {
    builder.add(ours('BGPConfiguration', 'default', configuration), 'DaemonSet');
  }
  addFilters(peers, builder);
  addPeers(peers, builder);
  return builder.finish();
}

function ours(kind: string, name: string, spec: Readonly<Record<string, unknown>>): Manifest {
  return { apiVersion: godwitApiVersion, kind, metadata: { name }, spec };
}

/** Ours of kube-router's annotations, by the name without the prefix. */
function annotationsOf(object: Manifest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(stringMapOf(object, 'annotations')).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}

interface NodeFacts {
  readonly name: string;
  readonly hostname: string | undefined;
}

/** One peer as one node has it; a flag's has no node. */
interface WantedPeer {
  readonly source: string;
  readonly node: NodeFacts | undefined;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly filters: readonly Filter[];
}

interface Filter {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

function convertNode(object: Manifest, peers: WantedPeer[], reflectors: NodeFacts[], builder: MigrationBuilder): void {
  const source = sourceName(object);
  const annotations = annotationsOf(object);
  const name = String(object.metadata.name);
  const node = { name, hostname: stringMapOf(object, 'labels')['kubernetes.io/hostname'] };
  const told = { ...annotations };
  for (const key of ['pod-cidr', 'pod-cidrs']) if (hasRanges(object, annotations[key] ?? '')) delete told[key];
  convertFields(told, tables.Node, builder, source, ['metadata', 'annotations'], prefix);
  const attempt = <T>(field: string, block: () => T): T | undefined => {
    try {
      return block();
    } catch (error) {
      if (!(error instanceof Unconvertible)) throw error;
      const path = `metadata.annotations["${prefix}${field}"]`;
      builder.note('failed', source, `not converted: ${error.message}`, path);
      return undefined;
    }
  };
  const filters = [
    attempt('node.bgp.customimportreject', () => importReject(annotations['node.bgp.customimportreject'])),
    attempt('path-prepend.as', () => prepend(annotations['path-prepend.as'], annotations['path-prepend.repeat-n'])),
  ].filter((filter) => filter !== undefined);
  const specs = attempt(annotations.peers === undefined ? 'peer.ips' : 'peers', () => {
    return annotations.peers === undefined ? listedPeers(annotations) : yamlPeers(annotations.peers, source, builder);
  });
  peers.push(...(specs ?? []).map((spec) => ({ source, node, spec, filters })));

  const clusterId = attempt('rr.server', () => toClusterId(annotations['rr.server']));
  if (clusterId !== undefined) reflectors.push(node);
  const wanted = {
    ...(annotations['node.asn'] !== undefined && { [asNumberAnnotation]: annotations['node.asn'] }),
    ...(clusterId !== undefined && { [clusterIdAnnotation]: clusterId }),
  };
  if (Object.keys(wanted).length === 0) return;
  builder.add({ apiVersion: 'v1', kind: 'Node', metadata: { name, annotations: wanted } }, source);
}

function hasRanges(node: Manifest, text: string): boolean {
  const ranges = Array.isArray(node.spec?.podCIDRs) ? node.spec.podCIDRs : [node.spec?.podCIDR];
  return text !== '' && listOf(text).every((range) => ranges.includes(range));
}

function listOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));
}

/** The annotation `peers`: a list in YAML. */
function yamlPeers(text: string, source: string, builder: MigrationBuilder): readonly Record<string, unknown>[] {
  let list: unknown;
  try {
    list = parse(text);
  } catch (error) {
    throw new Unconvertible(`not YAML: ${String((error as Error).message).split('\n')[0]}`);
  }
  if (!Array.isArray(list)) throw new Unconvertible('not a list of peers');
  return list.map((entry: unknown, at) => {
    if (!isRecord(entry)) throw new Unconvertible(`entry ${at + 1} is no peer`);
    const field = `metadata.annotations["${prefix}peers"][${at}]`;
    if (entry.password !== undefined)
      builder.note('lost', source, tables.Node['peer.passwords'].instead, `${field}.password`);
    if (entry.localip !== undefined)
      builder.note('lost', source, tables.Node['peer.localips'].instead, `${field}.localip`);
    const bfd = isRecord(entry.bfd) && entry.bfd.enabled !== false ? toBfd(entry.bfd) : undefined;
    if (isRecord(entry.bfd) && ![undefined, 3784, 4784].includes(entry.bfd.port as undefined)) {
      builder.note('lost', source, 'BFD has its own ports: 3784, with multihop 4784', `${field}.bfd.port`);
    }
    return { ...peerSpec(entry.remoteip, entry.remoteasn, entry.port), ...(bfd !== undefined && { bfd }) };
  });
}

/** Comma lists of one length. */
function listedPeers(annotations: Readonly<Record<string, string>>): readonly Record<string, unknown>[] {
  return zip(listOf(annotations['peer.ips']), listOf(annotations['peer.asns']), listOf(annotations['peer.ports']));
}

function zip(addresses: readonly string[], asNumbers: readonly string[], ports: readonly string[]) {
  if (addresses.length !== asNumbers.length) {
    throw new Unconvertible(`${addresses.length} addresses and ${asNumbers.length} AS numbers`);
  }
  return addresses.map((address, at) => peerSpec(address, asNumbers[at], ports[at]));
}

function peerSpec(address: unknown, asNumber: unknown, port: unknown): Record<string, unknown> {
  const canonical = typeof address === 'string' ? canonicalAddress(address) : undefined;
  if (canonical === undefined) throw new Unconvertible(`${JSON.stringify(address)} is not an IP address`);
  const standard = port === undefined || Number(port) === 179;
  const bracketed = canonical.includes(':') ? `[${canonical}]` : canonical;
  return { peerIP: standard ? canonical : `${bracketed}:${String(port)}`, asNumber: Number(asNumber) };
}

/** kube-router's times are in milliseconds, too; its defaults are 1000 ms and 3. */
function toBfd(bfd: Record<string, unknown>): Record<string, unknown> {
  return {
    receiveInterval: Number(bfd.required_min_rx_interval ?? 1000),
    transmitInterval: Number(bfd.desired_min_tx_interval ?? 1000),
    detectMultiplier: Number(bfd.detection_multiplier ?? 3),
    ...(bfd.port === 4784 && { multihop: true }),
  };
}

/** A number, or IPv4 form (RFC 4456 §7). */
function toClusterId(text: string | undefined): string | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return text;
  const number = Number(text);
  if (number > 0xffff_ffff) throw new Unconvertible(`${text} is no cluster id of 32 bits`);
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.');
}

function importReject(text: string | undefined): Filter | undefined {
  if (text === undefined) return undefined;
  const rules: Record<'importV4' | 'importV6', unknown[]> = { importV4: [], importV6: [] };
  for (const range of listOf(text)) {
    const cidr = canonicalPrefix(range);
    if (cidr === undefined) throw new Unconvertible(`${JSON.stringify(range)} is not a CIDR`);
    rules[cidr.includes(':') ? 'importV6' : 'importV4'].push({ action: 'Reject', matchOperator: 'In', cidr });
  }
  return { name: 'import-reject', spec: rules };
}

/** On what the node itself tells to eBGP peers; what it learned stays untold, as without a filter. */
function prepend(asNumber: string | undefined, times: string | undefined): Filter | undefined {
  if (asNumber === undefined) return undefined;
  const path = Array.from({ length: Number(times ?? 1) || 0 }, () => Number(asNumber));
  if (path.length === 0 || path.length > 10) throw new Unconvertible(`${times} times is not between 1 and 10`);
  const rules = [
    { action: 'Reject', peerType: 'eBGP', source: 'RemotePeers' },
    { action: 'Accept', peerType: 'eBGP', operations: [{ prependASPath: { prefix: path } }] },
  ];
  return { name: `prepend-${asNumber}-${path.length}`, spec: { exportV4: rules, exportV6: rules } };
}

/** One BGPFilter for each content; peers name it by that name afterwards. */
function addFilters(peers: WantedPeer[], builder: MigrationBuilder): void {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const [at, peer] of peers.entries()) {
    const filters = peer.filters.map(({ name, spec }) => {
      const content = JSON.stringify(spec);
      const known = names.get(content);
      if (known !== undefined) return known;
      const unique = uniqueName(name, taken);
      names.set(content, unique);
      builder.add(ours('BGPFilter', unique, spec), peer.source);
      return unique;
    });
    if (filters.length > 0) peers[at] = { ...peer, spec: { ...peer.spec, filters } };
  }
}

function addPeers(peers: readonly WantedPeer[], builder: MigrationBuilder): void {
  const taken = new Set<string>(['route-reflectors']);
  for (const group of Map.groupBy(
    peers,
    ({ node, spec }) => `${node === undefined} ${JSON.stringify(spec)}`,
  ).values()) {
    const [{ spec, source }] = group;
    const name = `peer-${String(spec.peerIP)
      .replaceAll(/[^a-z0-9.]+/g, '-')
      .replaceAll(/^-|-$/g, '')}`;
    for (const where of placesOf(group))
      builder.add(ours('BGPPeer', uniqueName(name, taken), { ...where, ...spec }), source);
  }
}

/** `node`, or selectors of at most the longest length. */
function placesOf(group: readonly WantedPeer[]): readonly Record<string, unknown>[] {
  const nodes = group.flatMap(({ node }) => node ?? []);
  if (nodes.length === 0) return [{}];
  if (nodes.length === 1) return [{ node: nodes[0].name }];
  const selector = selectorOf(nodes);
  if (selector !== undefined) return [{ nodeSelector: selector }];
  if (nodes.some(({ hostname }) => hostname === undefined)) return nodes.map(({ name }) => ({ node: name }));
  const half = Math.ceil(group.length / 2);
  return [...placesOf(group.slice(0, half)), ...placesOf(group.slice(half))];
}

/** @returns undefined: too long, or a node has no label to be found by. */
function selectorOf(nodes: readonly NodeFacts[]): string | undefined {
  if (nodes.some(({ hostname }) => hostname === undefined)) return undefined;
  const text = `kubernetes.io/hostname in {${nodes.map(({ hostname }) => `'${hostname}'`).join(', ')}}`;
  return text.length > longestSelector ? undefined : text;
}

function uniqueName(name: string, taken: Set<string>): string {
  let unique = name;
  for (let count = 2; taken.has(unique); count++) unique = `${name}-${count}`;
  taken.add(unique);
  return unique;
}

function convertFlags(
  object: Manifest,
  configuration: Record<string, unknown>,
  peers: WantedPeer[],
  builder: MigrationBuilder,
): void {
  const source = sourceName(object);
  const flags = flagsOf(object);
  if (flags === undefined) return builder.note('note', source, 'not kube-router: left out');
  const quiet: Readonly<Record<string, string>> = {
    'enable-overlay': 'false',
    'override-nexthop': 'false',
    'enable-pod-egress': 'false',
    'run-service-proxy': 'false',
    'advertise-cluster-ip': 'false',
    'advertise-external-ip': 'false',
    'advertise-loadbalancer-ip': 'false',
  };
  // Flags of kube-router that are none of BGP's (kubeconfig, sync periods, …) concern its own process.
  const told = Object.entries(flags).filter(
    ([name, value]) => Object.hasOwn(tables.DaemonSet, name) && quiet[name] !== value,
  );
  convertFields(Object.fromEntries(told), tables.DaemonSet, builder, source, ['args']);
  try {
    Object.assign(configuration, configurationOf(flags));
    const hops = Number(flags['peer-router-multihop-ttl'] ?? 0);
    const specs = zip(
      listOf(flags['peer-router-ips']),
      listOf(flags['peer-router-asns']),
      listOf(flags['peer-router-ports']),
    );
    for (const spec of specs) {
      peers.push({ source, node: undefined, spec: { ...spec, ...(hops > 1 && { ebgpMultihop: hops }) }, filters: [] });
    }
  } catch (error) {
    if (!(error instanceof Unconvertible)) throw error;
    builder.note('failed', source, `not converted: ${error.message}`, 'args');
  }
  return undefined;
}

function configurationOf(flags: Readonly<Record<string, string>>): Record<string, unknown> {
  return {
    ...(flags['cluster-asn'] !== undefined && { asNumber: Number(flags['cluster-asn']) }),
    ...((flags['nodes-full-mesh'] === 'false' || flags['enable-ibgp'] === 'false') && { nodeToNodeMeshEnabled: false }),
    ...(flags['bgp-port'] !== undefined && { listenPort: Number(flags['bgp-port']) }),
    ...(flags['bgp-holdtime'] !== undefined && { holdTime: wholeSeconds(flags['bgp-holdtime']) }),
    ...(flags['bgp-graceful-restart-time'] !== undefined && {
      nodeMeshMaxRestartTime: wholeSeconds(flags['bgp-graceful-restart-time']),
    }),
  };
}

/** The flags of the container that runs kube-router; a flag without a value is `true`. */
function flagsOf({ spec }: Manifest): Record<string, string> | undefined {
  const template = isRecord(spec?.template) && isRecord(spec.template.spec) ? spec.template.spec : {};
  for (const container of Array.isArray(template.containers) ? template.containers : []) {
    if (!isRecord(container) || !/kube-router/.test(`${String(container.name)} ${String(container.image)}`)) continue;
    const words = [container.command, container.args].flatMap((list) => (Array.isArray(list) ? list.map(String) : []));
    return Object.fromEntries(
      words.flatMap((word, at): [string, string][] => {
        const flag = /^--([a-z0-9-]+)(?:=(.*))?$/s.exec(word);
        if (flag === null) return [];
        const next = words[at + 1];
        return [[flag[1], flag[2] ?? (next === undefined || next.startsWith('--') ? 'true' : next)]];
      }),
    );
  }
  return undefined;
}
