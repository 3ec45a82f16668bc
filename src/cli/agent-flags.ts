/**
 * The flags of `godwit agent`.
 * Holds: a flag that cannot be honoured is refused, naming the flag and the reason; nothing is guessed.
 */

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { canonicalAddress, familyOfText } from '../../bgp/ip.ts';
import type { Family } from '../../bgp/ip.ts';
import { chainedPlugins, defaultCniSocket } from '../cni/conflist.ts';
import type { ChainedPlugin } from '../cni/conflist.ts';
import { cniVersions } from '../cni/versions.ts';
import type { CniVersion } from '../cni/versions.ts';
import { apiPathBeside, defaultSocketPath } from '../control/socket-path.ts';
import { parseFlags } from './parse-flags.ts';
import { UsageError } from './usage.ts';

export const roles = ['bgp', 'routes', 'policy', 'cni'] as const;
export type Role = (typeof roles)[number];

/** A node has one CNI plugin: this one is it only where it is told so. */
const usualRoles: readonly Role[] = ['bgp', 'routes', 'policy'];

/** Roles of later versions: refused with that reason. */
const laterRoles: readonly string[] = ['services'];

export const defaultStateFolder = '/var/lib/godwit';
export const defaultCniConfDir = '/etc/cni/net.d';
export const defaultCniBinDir = '/opt/cni/bin';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface AgentFlags {
  readonly nodeName: string;
  readonly source: SourceFlag;
  /** In the order of `roles`, without duplicates; never empty. */
  readonly roles: readonly Role[];
  /** Path of the socket that speaks BIRD's protocol. */
  readonly socket: string;
  /** Path of the socket that speaks framed JSON. */
  readonly api: string;
  /** Folder of the sockets that speak BIRD 1's protocol, as Calico's readers know them; undefined: there are none. */
  readonly calicoSockets?: string;
  readonly stateFolder: string;
  /** Canonical text; families that are absent come from the Node object. */
  readonly nodeIps: Readonly<Partial<Record<Family, string>>>;
  readonly logLevel: LogLevel;
  /** Where /metrics, /livez and /readyz are answered; undefined: nowhere. */
  readonly metrics?: HostPort;
  readonly cni: CniFlags;
}

/** Of the role cni. */
export interface CniFlags {
  /** Path of the socket that the plugin's forwarder calls. */
  readonly socket: string;
  /** Folder of the runtime's network configuration; undefined: none is written there. */
  readonly confDir: string | undefined;
  /** Folder of the runtime's plugins, as the agent sees it; undefined: it does not see it. */
  readonly binDir: string | undefined;
  /** Plugins that the runtime calls after ours, where it has them. */
  readonly chain: readonly ChainedPlugin[];
  /** Of the network configuration. */
  readonly version: CniVersion;
  /** Where pods' addresses come from: the Node's ranges, or blocks of IPPools that the node claims. */
  readonly ipam: IpamMode;
}

const ipamModes = ['node', 'pools'] as const;
export type IpamMode = (typeof ipamModes)[number];

/** An IP address, canonical text, and a TCP port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export type SourceFlag =
  | { readonly kind: 'directory'; readonly path: string }
  /** kubeconfig undefined: that of $KUBECONFIG, else the pod's service account. */
  | { readonly kind: 'kube'; readonly kubeconfig?: string };

/**
 * @param args the words after `agent`.
 * @throws UsageError
 */
export function parseAgentFlags(args: readonly string[]): AgentFlags {
  const { values, positionals } = parseFlags(args, {
    node: { type: 'string' },
    source: { type: 'string' },
    kubeconfig: { type: 'string' },
    roles: { type: 'string' },
    socket: { type: 'string', short: 's' },
    api: { type: 'string' },
    'calico-sockets': { type: 'string' },
    state: { type: 'string' },
    'node-ip': { type: 'string', multiple: true },
    'log-level': { type: 'string' },
    'cni-socket': { type: 'string' },
    'cni-conf-dir': { type: 'string' },
    'cni-bin-dir': { type: 'string' },
    'cni-chain': { type: 'string' },
    'cni-version': { type: 'string' },
    ipam: { type: 'string' },
    metrics: { type: 'string' },
  });
  if (positionals.length > 0) throw new UsageError(`agent takes only flags, not '${positionals[0]}'`);
  const socket = socketFlag('socket', values.socket ?? defaultSocketPath);
  const api = socketFlag('api', values.api ?? apiPathBeside(socket));
  if (socket === api) throw new UsageError(`--api: is the same path as --socket (${api})`);
  return {
    nodeName: nodeName(values.node ?? hostname()),
    source: source(values.source, values.kubeconfig),
    roles: roleList(values.roles),
    socket,
    api,
    ...(values['calico-sockets'] !== undefined && { calicoSockets: socketFolder(values['calico-sockets']) }),
    stateFolder: path('state', values.state ?? defaultStateFolder),
    nodeIps: nodeIps(values['node-ip'] ?? []),
    logLevel: oneOf('log-level', logLevels, values['log-level'] ?? 'info'),
    cni: {
      socket: socketFlag('cni-socket', values['cni-socket'] ?? defaultCniSocket),
      confDir: folder('cni-conf-dir', values['cni-conf-dir'] ?? defaultCniConfDir),
      binDir: folder('cni-bin-dir', values['cni-bin-dir'] ?? defaultCniBinDir),
      chain: chain(values['cni-chain'] ?? 'portmap,bandwidth'),
      // What containerd 1.6 and plugins of its time speak; 1.1.0 brings GC and STATUS to those that can.
      version: oneOf('cni-version', cniVersions, values['cni-version'] ?? '1.0.0'),
      ipam: oneOf('ipam', ipamModes, values.ipam ?? 'node'),
    },
    ...(values.metrics !== undefined && { metrics: hostPort('metrics', values.metrics) }),
  };
}

function nodeName(text: string): string {
  // A Node's name is a DNS subdomain (RFC 1123); host names may hold capitals, Kubernetes lowers them.
  const name = text.toLowerCase();
  if (name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return name;
  throw new UsageError(`--node: '${text}' is not the name of a Node (letters, digits, '-' and '.')`);
}

function source(text: string | undefined, kubeconfig: string | undefined): SourceFlag {
  if (text === undefined) throw new UsageError('--source: is required: dir:PATH or kube');
  if (text === 'kube') {
    return { kind: 'kube', ...(kubeconfig !== undefined && { kubeconfig: path('kubeconfig', kubeconfig) }) };
  }
  if (kubeconfig !== undefined) throw new UsageError('--kubeconfig: only with --source kube');
  if (text.startsWith('dir:')) return { kind: 'directory', path: path('source', text.slice(4)) };
  throw new UsageError(`--source: '${text}' is neither dir:PATH nor kube`);
}

function roleList(text: string | undefined): readonly Role[] {
  if (text === undefined) return usualRoles;
  const wanted = text.split(',').map((word) => word.trim());
  for (const word of wanted) {
    if (laterRoles.includes(word)) throw new UsageError(`--roles: '${word}' is not in this version`);
    oneOf('roles', roles, word);
  }
  return roles.filter((role) => wanted.includes(role));
}

function folder(flag: string, text: string): string | undefined {
  return text === 'none' ? undefined : path(flag, text);
}

function chain(text: string): readonly ChainedPlugin[] {
  const words = text === 'none' ? [] : text.split(',').map((word) => word.trim());
  return words.map((word) => oneOf('cni-chain', chainedPlugins, word));
}

function nodeIps(texts: readonly string[]): Partial<Record<Family, string>> {
  const result: Partial<Record<Family, string>> = {};
  for (const text of texts) {
    const address = canonicalAddress(text);
    if (address === undefined) throw new UsageError(`--node-ip: '${text}' is not an IP address`);
    const family = familyOfText(address);
    const before = result[family];
    if (before !== undefined) throw new UsageError(`--node-ip: two addresses of one family, ${before} and ${address}`);
    result[family] = address;
  }
  return result;
}

/** `ADDR:PORT`, an IPv6 address in brackets. */
function hostPort(flag: string, text: string): HostPort {
  const [, v6, v4, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = canonicalAddress(v6 ?? v4 ?? '');
  const port = Number(digits);
  if (host !== undefined && (v6 !== undefined) === (familyOfText(host) === 'ipv6') && port >= 1 && port <= 65535)
    return { host, port };
  throw new UsageError(`--${flag}: '${text}' is not ADDR:PORT (127.0.0.1:9179, [::1]:9179)`);
}

/** Absolute, so that it means the same after a change of folder. */
function path(flag: string, text: string): string {
  if (text === '') throw new UsageError(`--${flag}: the path is empty`);
  return resolve(text);
}

/** The kernel's sockaddr_un holds 107 bytes of path. */
const longestSocketPath = 107;

function socketFlag(flag: string, text: string): string {
  const absolute = path(flag, text);
  if (Buffer.byteLength(absolute) <= longestSocketPath) return absolute;
  throw new UsageError(`--${flag}: the path is longer than the ${longestSocketPath} bytes of a socket's: ${absolute}`);
}

function socketFolder(text: string): string {
  const folderPath = path('calico-sockets', text);
  socketFlag('calico-sockets', `${folderPath}/bird6.ctl`);
  return folderPath;
}

function oneOf<const T extends string>(flag: string, allowed: readonly T[], word: string): T {
  const found = allowed.find((value) => value === word);
  if (found === undefined) throw new UsageError(`--${flag}: '${word}' is none of ${allowed.join(', ')}`);
  return found;
}
