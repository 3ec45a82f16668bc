/** The network configuration list that makes a node's runtime call this plugin, and those that are chained after it. */

import type { CniVersion } from './versions.ts';

export const networkName = 'godwit';
export const defaultCniSocket = '/run/godwit/cni.sock';

/** Plugins of the CNI project, each with what it must be told. */
const chainable = {
  /** hostPort */
  portmap: { snat: true, capabilities: { portMappings: true } },
  /** kubernetes.io/ingress-bandwidth and egress-bandwidth */
  bandwidth: { capabilities: { bandwidth: true } },
  /** Sysctls that the runtime cannot set. */
  tuning: {},
} as const;

export type ChainedPlugin = keyof typeof chainable;

export const chainedPlugins = Object.keys(chainable) as readonly ChainedPlugin[];

export interface ConflistOptions {
  readonly version: CniVersion;
  readonly socket: string;
  readonly chain: readonly ChainedPlugin[];
}

export function formatConflist({ version, socket, chain }: ConflistOptions): string {
  const own = {
    type: 'godwit-cni',
    ...(socket !== defaultCniSocket && { socket }),
    capabilities: { ips: true, mac: true },
  };
  const chained = chain.map((type) => ({ type, ...chainable[type] }));
  return `${JSON.stringify({ cniVersion: version, name: networkName, plugins: [own, ...chained] }, undefined, 2)}\n`;
}
