/**
 * The machines of a lab, with their cables, addresses and static routes, worked out from lab.yaml and the manifests.
 * Pure: what becomes of it in the kernel is namespaces.ts.
 * Holds: the underlay (switches, node addresses, default routes) never depends on a node's BGP.
 * Holds: each pod has a host route on its node, and nothing else of the cluster's routing is made here: that is the agents' work.
 */

import { routeReflectorClusterId } from '../resources/node.ts';
import type { Node } from '../resources/node.ts';
import type { Pod } from '../resources/pod.ts';
import type { IpPool } from '../resources/ip-pool.ts';
import type { Resource } from '../resources/resource.ts';
import { LabError } from './errors.ts';
import type { LabFile } from './lab-file.ts';

export interface LabTopology {
  readonly name: string;
  readonly machines: readonly Machine[];
  readonly cables: readonly (readonly [CableEnd, CableEnd])[];
  readonly switches: readonly LabSwitch[];
  readonly nodes: readonly LabNode[];
  readonly reflectors: readonly LabNode[];
  readonly pods: readonly LabPod[];
  readonly hosts: readonly LabHost[];
  readonly segments: readonly LabSegment[];
  readonly pools: readonly IpPool[];
  readonly asPaths: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export type MachineRole = 'switch' | 'node' | 'reflector' | 'host' | 'pod';

/** One network namespace. */
export interface Machine {
  /** What the user calls it: `node-1`, `shop/web-1`. */
  readonly name: string;
  readonly role: MachineRole;
  readonly forwards: boolean;
  readonly bridges: readonly string[];
  /** On interfaces and bridges. */
  readonly addresses: readonly { readonly interfaceName: string; readonly cidr: string }[];
  /** Arguments of `ip route add`, IPv4 and IPv6. */
  readonly routes: readonly string[];
  /** Permanent entries of the neighbour table. */
  readonly neighbors: readonly { readonly interfaceName: string; readonly address: string; readonly mac: string }[];
}

export interface CableEnd {
  readonly machine: string;
  readonly interfaceName: string;
  readonly mtu: number;
  readonly mac?: string;
  /** The bridge it is plugged into. */
  readonly bridge?: string;
}

export interface AddressPair {
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface LabSwitch {
  readonly name: string;
  readonly daemon: 'bird' | 'frr';
  readonly configFile: string;
  readonly asNumber: number;
}

export interface LabNode extends AddressPair {
  readonly name: string;
  readonly segment: string;
  readonly podCidrs: readonly string[];
}

export interface LabPod extends AddressPair {
  /** `NAMESPACE/NAME` */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: string;
  readonly segment: string;
}

export interface LabHost extends AddressPair {
  readonly name: string;
  readonly segment: string;
}

export interface LabSegment {
  readonly name: string;
  readonly switch: string;
}

/** The manifests and lab.yaml do not fit together; the text names the object and the field. */
export class LabFileError extends LabError {}

const underlayMtu = 1500;
/** A link-local gateway that exists only in the pods' neighbour tables. */
const podGateway = '169.254.1.1';
const podGatewayIpv6 = 'fe80::1';
const podGatewayMac = 'ee:ee:ee:ee:ee:ee';
export const segmentLabel = 'godwit.dev/segment';

/** The network namespace of a machine. */
export function namespaceOf(lab: string, machine: string): string {
  return `${namespacePrefix(lab)}${machine.replaceAll('/', '.')}`;
}

/** What the names of all namespaces of a lab begin with. */
export function namespacePrefix(lab: string): string {
  return `gw-${lab}-`;
}

/** @throws LabFileError where an object names another that does not exist, or lacks an address. */
export function toTopology(file: LabFile, manifests: readonly Resource[]): LabTopology {
  const nodeManifests = manifests.filter((manifest) => manifest.kind === 'Node');
  const isReflector = (node: Node): boolean => routeReflectorClusterId(node) !== undefined;
  const nodes = nodeManifests.filter((node) => !isReflector(node)).map((node) => toNode(node, file));
  const reflectors = nodeManifests.filter(isReflector).map((node) => toNode(node, file));
  const pods = manifests.filter((manifest) => manifest.kind === 'Pod').map((pod) => toPod(pod, nodes));
  const hosts = Object.entries(file.hosts).map(([name, host]) => {
    const [ipv4, ipv6] = host.addresses;
    return { name, segment: known(host.segment, file, `hosts.${name}.segment`), ipv4, ipv6 };
  });
  const builder = new TopologyBuilder(file);
  for (const name of Object.keys(file.switches)) builder.addSwitch(name);
  for (const [one, other] of file.cables) builder.addCable(one, other);
  for (const node of nodes) builder.addStation(node, 'node');
  for (const reflector of reflectors) builder.addStation(reflector, 'reflector');
  for (const host of hosts) builder.addStation(host, 'host');
  for (const pod of pods) builder.addPod(pod);
  return {
    name: file.name,
    machines: [...builder.machines.values()],
    cables: builder.cables,
    switches: Object.entries(file.switches).map(([name, { daemon, config, asNumber }]) => ({
      name,
      daemon,
      configFile: config,
      asNumber,
    })),
    nodes,
    reflectors,
    pods,
    hosts,
    segments: Object.entries(file.segments).map(([name, segment]) => ({ name, switch: segment.switch })),
    pools: manifests.filter((manifest) => manifest.kind === 'IPPool'),
    asPaths: file.asPaths,
  };
}

function toNode({ metadata: { name, labels }, spec, status }: Node, file: LabFile): LabNode {
  const segment = labels[segmentLabel];
  if (segment === undefined) throw new LabFileError(`Node ${name}: no label ${segmentLabel}`);
  const internal = status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
  return {
    name,
    segment: known(segment, file, `Node ${name}: label ${segmentLabel}`),
    ...bothFamilies(internal, `Node ${name}: status.addresses`),
    podCidrs: spec.podCIDRs,
  };
}

function toPod({ metadata, spec, status }: Pod, nodes: readonly LabNode[]): LabPod {
  const name = `${metadata.namespace}/${metadata.name}`;
  const node = nodes.find((candidate) => candidate.name === spec.nodeName);
  if (node === undefined) throw new LabFileError(`Pod ${name}: spec.nodeName: ${spec.nodeName} carries no pods here`);
  const addresses = status.podIPs.map(({ ip }) => ip);
  return {
    name,
    namespace: metadata.namespace,
    labels: metadata.labels,
    node: node.name,
    segment: node.segment,
    ...bothFamilies(addresses, `Pod ${name}: status.podIPs`),
  };
}

function bothFamilies(addresses: readonly string[], field: string): AddressPair {
  const ipv4 = addresses.find((address) => !address.includes(':'));
  const ipv6 = addresses.find((address) => address.includes(':'));
  if (ipv4 === undefined || ipv6 === undefined) {
    throw new LabFileError(`${field}: the lab needs an IPv4 and an IPv6 address`);
  }
  return { ipv4, ipv6 };
}

function known(segment: string, file: LabFile, field: string): string {
  if (file.segments[segment] === undefined) throw new LabFileError(`${field}: no segment ${segment} in lab.yaml`);
  return segment;
}

interface GrowingMachine extends Machine {
  readonly bridges: string[];
  readonly addresses: { interfaceName: string; cidr: string }[];
  readonly routes: string[];
  readonly neighbors: { interfaceName: string; address: string; mac: string }[];
}

class TopologyBuilder {
  readonly machines = new Map<string, GrowingMachine>();
  readonly cables: [CableEnd, CableEnd][] = [];
  private readonly file: LabFile;

  constructor(file: LabFile) {
    this.file = file;
  }

  addSwitch(name: string): void {
    const machine = this.add(name, 'switch', true);
    for (const [segment, { switch: owner, addresses }] of Object.entries(this.file.segments)) {
      if (owner !== name) continue;
      machine.bridges.push(segment);
      for (const cidr of addresses) machine.addresses.push({ interfaceName: segment, cidr });
    }
  }

  addCable(...ends: LabFile['cables'][number]): void {
    const [one, other] = ends.map(({ switch: machine, interface: interfaceName, addresses }): CableEnd => {
      for (const cidr of addresses) this.machine(machine).addresses.push({ interfaceName, cidr });
      return { machine, interfaceName, mtu: underlayMtu };
    });
    this.cables.push([one, other]);
  }

  /** A machine on a segment, with the switch as its gateway. */
  addStation(station: AddressPair & { name: string; segment: string }, role: 'node' | 'reflector' | 'host'): void {
    const segment = this.file.segments[station.segment];
    const machine = this.add(station.name, role, role === 'node');
    this.cables.push([
      { machine: station.name, interfaceName: 'eth0', mtu: underlayMtu },
      { machine: segment.switch, interfaceName: station.name, mtu: underlayMtu, bridge: station.segment },
    ]);
    for (const gatewayCidr of segment.addresses) {
      const [gateway, length] = gatewayCidr.split('/');
      const address = gateway.includes(':') ? station.ipv6 : station.ipv4;
      machine.addresses.push({ interfaceName: 'eth0', cidr: `${address}/${length}` });
      machine.routes.push(`default via ${gateway} dev eth0 proto static`);
    }
  }

  addPod(pod: LabPod): void {
    const machine = this.add(pod.name, 'pod', false);
    const node = this.machine(pod.node);
    const interfaceName = podInterfaceName(pod.name);
    const mtu = this.file.podMtu;
    this.cables.push([
      { machine: pod.name, interfaceName: 'eth0', mtu },
      { machine: pod.node, interfaceName, mtu, mac: podGatewayMac },
    ]);
    machine.addresses.push(
      { interfaceName: 'eth0', cidr: `${pod.ipv4}/32` },
      { interfaceName: 'eth0', cidr: `${pod.ipv6}/128` },
    );
    machine.neighbors.push(
      { interfaceName: 'eth0', address: podGateway, mac: podGatewayMac },
      { interfaceName: 'eth0', address: podGatewayIpv6, mac: podGatewayMac },
    );
    machine.routes.push(`default via ${podGateway} dev eth0 onlink`, `default via ${podGatewayIpv6} dev eth0`);
    node.routes.push(`${pod.ipv4}/32 dev ${interfaceName}`, `${pod.ipv6}/128 dev ${interfaceName}`);
  }

  private add(name: string, role: MachineRole, forwards: boolean): GrowingMachine {
    if (this.machines.has(name)) throw new LabFileError(`two machines are called ${name}`);
    const machine = { name, role, forwards, bridges: [], addresses: [], routes: [], neighbors: [] };
    this.machines.set(name, machine);
    return machine;
  }

  private machine(name: string): GrowingMachine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new LabFileError(`no switch ${name} in lab.yaml`);
    return machine;
  }
}

/** Node side of a pod's veth pair: `pod-web-1`, at most 15 characters. */
export function podInterfaceName(pod: string): string {
  return `pod-${pod.slice(pod.indexOf('/') + 1)}`.slice(0, 15);
}
