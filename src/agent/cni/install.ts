/** `godwit install-cni`: puts the forwarder where the runtime looks for plugins; the work of an init container. */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { exitCodes } from '../../cli/usage.ts';
import { parseInstallCniFlags } from '../../cli/install-cni-flags.ts';
import { installForwarder } from './host-files.ts';

/** Chained by default; of the CNI project, which every distribution of Kubernetes installs. */
const expectedBeside = ['portmap', 'bandwidth'];

/** @throws UsageError */
export async function runInstallCni(args: readonly string[]): Promise<number> {
  const { binDir, from } = parseInstallCniFlags(args);
  try {
    console.log(`installed ${await installForwarder(from, binDir)}`);
  } catch (error) {
    console.error(`godwit install-cni: ${(error as Error).message}`);
    return exitCodes.refused;
  }
  for (const plugin of expectedBeside) {
    const there = await access(join(binDir, plugin)).then(
      () => true,
      () => false,
    );
    if (!there) console.error(`${plugin} is not in ${binDir}: install the CNI plugins, or leave it out of --cni-chain`);
  }
  return exitCodes.ok;
}
