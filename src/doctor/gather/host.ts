/** The host: its links and routes (netlink), /proc, configuration files. */

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  countDaemonRoutes,
  HostRoutes,
  KernelError,
  LinkMonitor,
  Rtnetlink,
  type Clock,
} from '../../../dataplane/index.ts';
import type { CniConfiguration, Fact, Listener, NetworkdFacts, NetworkFacts } from '../facts.ts';
import { parseCniConfiguration, parseNetworkd } from '../parse-files.ts';
import { parseListeners, parseTcpCounters } from '../parse-proc.ts';

/** One look: nothing is waited for. */
const stillClock: Clock = { now: () => Date.now(), after: () => () => undefined };

/** @param peers addresses whose way is asked for. */
export function gatherNetwork(peers: readonly string[]): Fact<NetworkFacts> {
  let kernel: Rtnetlink | undefined;
  try {
    kernel = new Rtnetlink();
    const links = new LinkMonitor({ kernel, clock: stillClock });
    const hosts = new HostRoutes(links);
    const reach = peers.flatMap((address) => {
      const way = links.resolve(address);
      return way === undefined ? [] : [[address, way] as const];
    });
    const value = {
      links: links.links(),
      podInterfaces: [...new Set(hosts.interfaces().values())],
      reach: Object.fromEntries(reach),
      daemonRoutes: countDaemonRoutes(kernel),
    };
    hosts.close();
    links.close();
    return { value };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { unknown: error.message };
  } finally {
    kernel?.close();
  }
}

export function gatherSysctls(): Record<string, string> {
  const names = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding', 'net.ipv4.conf.all.rp_filter'];
  const links = readFolder('/proc/sys/net/ipv4/conf').filter(
    (name) => name !== 'all' && name !== 'default' && name !== 'lo',
  );
  // A link's name may have dots in it: sysctl(8) writes slashes then.
  const all = [...names, ...links.map((name) => `net/ipv4/conf/${name}/rp_filter`)];
  return Object.fromEntries(
    all.flatMap((name) => {
      const text = readText(`/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`);
      return text === undefined ? [] : [[name, text.trim()]];
    }),
  );
}

export function gatherTcpCounters(): Record<string, number> {
  return parseTcpCounters(readText('/proc/net/netstat') ?? '');
}

/** @param port the port of interest: looking for a socket's process reads every process. */
export function gatherListeners(port: number): Fact<readonly Listener[]> {
  const texts = ['/proc/net/tcp', '/proc/net/tcp6'].map(readText).filter((text) => text !== undefined);
  if (texts.length === 0) return { unknown: '/proc/net/tcp cannot be read' };
  const sockets = texts.flatMap(parseListeners).filter((socket) => socket.port === port);
  const commands =
    sockets.length === 0 ? new Map<string, string[]>() : commandsBySocket(new Set(sockets.map(({ inode }) => inode)));
  return {
    value: sockets.map(({ address, inode }) => {
      const command = commands.get(inode);
      return { port, address, ...(command !== undefined && { command }) };
    }),
  };
}

/** Command lines by socket inode, as far as this process may look. */
function commandsBySocket(inodes: ReadonlySet<string>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const process of readFolder('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of readFolder(`/proc/${process}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${process}/fd/${descriptor}`) ?? '')?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      const words = (readText(`/proc/${process}/cmdline`) ?? '').split('\0').filter((word) => word !== '');
      found.set(inode, words);
    }
  }
  return found;
}

/** @param root `/`, or a folder that stands for it. */
export function gatherNetworkd(root: string): NetworkdFacts {
  const folders = ['usr/lib', 'usr/local/lib', 'run', 'etc'].map((folder) =>
    join(root, folder, 'systemd/networkd.conf.d'),
  );
  // systemd.syntax(7): drop-ins apply in the order of their names; of one name, that of the last folder counts.
  const dropIns = new Map<string, string>();
  for (const folder of folders) {
    for (const name of readFolder(folder)) if (name.endsWith('.conf')) dropIns.set(name, join(folder, name));
  }
  const files = [
    join(root, 'etc/systemd/networkd.conf'),
    ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path),
  ];
  return {
    // networkd's own file; the folder is there without it, too.
    running: existsSync(join(root, 'run/systemd/netif/state')),
    ...parseNetworkd(files.map(readText).filter((text) => text !== undefined)),
  };
}

/** @param root `/`, or a folder that stands for it. */
export function gatherCni(root: string): Fact<readonly CniConfiguration[]> {
  const folder = join(root, 'etc/cni/net.d');
  if (!existsSync(folder)) return { unknown: `${folder} is not here (in a pod: mount the host's)` };
  const names = readFolder(folder).filter((name) => /\.(conf|conflist|json)$/.test(name));
  return { value: names.sort().map((name) => parseCniConfiguration(name, readText(join(folder, name)) ?? '')) };
}

/** @returns undefined: not there, or not for us. */
function readText(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

function readLink(path: string): string | undefined {
  return attempt(() => readlinkSync(path));
}

function readFolder(path: string): string[] {
  return attempt(() => readdirSync(path)) ?? [];
}

/** Files of /proc come and go, and some are not for everyone: what cannot be read is not there. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
