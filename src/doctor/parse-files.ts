/** Configuration files of others: networkd.conf(5), CNI network configurations. */

import type { CniConfiguration, NetworkdFacts } from './facts.ts';

/** @param texts the files in the order in which they apply: what a later one says counts. */
export function parseNetworkd(texts: readonly string[]): Omit<NetworkdFacts, 'running'> {
  const settings = new Map<string, boolean>();
  for (const text of texts) {
    let section = '';
    for (const line of text.split('\n').map((raw) => raw.trim())) {
      section = /^\[(.*)\]$/.exec(line)?.[1] ?? section;
      const setting = /^(\w+)\s*=\s*(\S+)$/.exec(line);
      if (section === 'Network' && setting !== null)
        settings.set(setting[1], /^(1|yes|true|on|y|t)$/i.test(setting[2]));
    }
  }
  return {
    manageForeignRoutes: settings.get('ManageForeignRoutes') ?? true,
    manageForeignRoutingPolicyRules: settings.get('ManageForeignRoutingPolicyRules') ?? true,
  };
}

/** @param text of a `.conf` (one plugin) or `.conflist` file. */
export function parseCniConfiguration(file: string, text: string): CniConfiguration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { file, types: [] };
  }
  const { type, plugins } = (value ?? {}) as { readonly type?: unknown; readonly plugins?: unknown };
  const types = Array.isArray(plugins)
    ? plugins.map((plugin: { readonly type?: unknown } | null) => plugin?.type)
    : [type];
  return { file, types: types.filter((name) => typeof name === 'string') };
}
