/**
 * The lab's network namespaces: made in a few `ip -batch` runs, taken away with everything in them.
 * Holds: no interface, address, route or sysctl of the host's own namespace is touched; cables are made inside the namespaces.
 */

import { readdir } from 'node:fs/promises';
import { CommandError, inNamespace, inParallel, run } from './command.ts';
import { namespaceOf, namespacePrefix } from './topology.ts';
import type { CableEnd, LabTopology, Machine } from './topology.ts';

/** Where iproute2 keeps the names of network namespaces. */
const namespaceFolder = '/run/netns';

/** @throws CommandError; what was made until then stays for removeNamespaces. */
export async function createNamespaces(topology: LabTopology): Promise<void> {
  await batch(topology.machines.map(({ name }) => `netns add ${namespaceOf(topology.name, name)}`));
  // Before the interfaces: they take their defaults over.
  await inParallel(topology.machines, 4, (machine) =>
    run(inNamespace(namespaceOf(topology.name, machine.name), ['sh', '-ec', sysctlScript(machine)])),
  );
  await batch(topology.cables.map(([one, other]) => cableCommand(topology.name, one, other)));
  await inParallel(topology.machines, 4, (machine) =>
    batch(machineCommands(topology, machine), namespaceOf(topology.name, machine.name)),
  );
}

/** Names of the lab's namespaces that exist. */
export async function existingNamespaces(lab: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(namespaceFolder);
  } catch (error) {
    // iproute2 makes the folder with the first namespace.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names.filter((name) => name.startsWith(namespacePrefix(lab)));
}

/** Processes inside a namespace. */
export async function processesInside(namespace: string): Promise<number[]> {
  try {
    return (await run(['ip', 'netns', 'pids', namespace])).split('\n').filter(Boolean).map(Number);
  } catch (error) {
    if (error instanceof CommandError) return [];
    throw error;
  }
}

/** Their interfaces go with them. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  await batch(names.map((name) => `netns del ${name}`));
}

async function batch(commands: readonly string[], namespace?: string): Promise<void> {
  if (commands.length === 0) return;
  const where = namespace === undefined ? [] : ['-n', namespace];
  await run(['ip', ...where, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** In a new namespace IPv4 takes the host's values over, IPv6 the kernel's: everything that matters is said. */
function sysctlScript(machine: Machine): string {
  const forwarding = machine.forwards ? 1 : 0;
  const values: Record<string, number> = {
    'ipv4/ip_forward': forwarding,
    'ipv6/conf/all/forwarding': forwarding,
    'ipv4/conf/all/rp_filter': 0,
    'ipv4/conf/default/rp_filter': 0,
    'ipv4/conf/all/send_redirects': 0,
    'ipv4/conf/default/send_redirects': 0,
    'ipv6/conf/all/accept_ra': 0,
    'ipv6/conf/default/accept_ra': 0,
    // Duplicate address detection would keep every IPv6 address unusable for a second.
    'ipv6/conf/all/accept_dad': 0,
    'ipv6/conf/default/accept_dad': 0,
  };
  return Object.entries(values)
    .map(([path, value]) => `echo ${value} >/proc/sys/net/${path}`)
    .join('\n');
}

function cableCommand(lab: string, one: CableEnd, other: CableEnd): string {
  const end = ({ machine, interfaceName, mtu, mac }: CableEnd): string =>
    [`name ${interfaceName} netns ${namespaceOf(lab, machine)} mtu ${mtu}`, ...(mac ? [`address ${mac}`] : [])].join(
      ' ',
    );
  return `link add ${end(one)} type veth peer ${end(other)}`;
}

function machineCommands(topology: LabTopology, machine: Machine): string[] {
  const ends = topology.cables.flat().filter((end) => end.machine === machine.name);
  const up = (name: string): string => `link set ${name} up`;
  return [
    up('lo'),
    ...machine.bridges.flatMap((name) => [`link add ${name} type bridge`, up(name)]),
    ...ends.flatMap(({ interfaceName, bridge }) => [
      ...(bridge === undefined ? [] : [`link set ${interfaceName} master ${bridge}`]),
      up(interfaceName),
    ]),
    ...machine.addresses.map(({ interfaceName, cidr }) => `addr add ${cidr} dev ${interfaceName} nodad`),
    ...machine.neighbors.map(
      ({ interfaceName, address, mac }) => `neigh add ${address} lladdr ${mac} dev ${interfaceName} nud permanent`,
    ),
    ...machine.routes.map((route) => `route add ${route}`),
  ];
}
