/**
 * Which of the plugins to be called after ours has the runtime?
 * Holds: a plugin that is not there is never named in the network configuration, where it would make every pod's ADD fail.
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChainedPlugin } from '../../cni/conflist.ts';

export interface Chain {
  readonly present: readonly ChainedPlugin[];
  readonly missing: readonly ChainedPlugin[];
}

/** @param binDir folder of the runtime's plugins; undefined: it cannot be looked into, and all of them are taken to be there */
export async function findChain(wanted: readonly ChainedPlugin[], binDir: string | undefined): Promise<Chain> {
  if (binDir === undefined) return { present: wanted, missing: [] };
  const there = await Promise.all(wanted.map((plugin) => isFile(join(binDir, plugin))));
  return { present: wanted.filter((_, i) => there[i]), missing: wanted.filter((_, i) => !there[i]) };
}

/** What pods are without, for a person. */
export function withoutPlugins(missing: readonly ChainedPlugin[], binDir: string | undefined): string {
  const lost = missing.map((plugin) => `${plugin} (${purposes[plugin]})`).join(', ');
  return `not in ${binDir}, left out of the network configuration: ${lost}`;
}

const purposes = {
  portmap: 'hostPort',
  bandwidth: 'the bandwidth annotations',
  tuning: 'sysctls',
} as const satisfies Record<ChainedPlugin, string>;

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
