/** `godwit install-cni`: puts the forwarder where the runtime looks for plugins; the work of an init container. */

import { exitCodes } from '../../cli/usage.ts';
import { parseInstallCniFlags } from '../../cli/install-cni-flags.ts';
import { installForwarder } from './host-files.ts';

/** @throws UsageError */
export async function runInstallCni(args: readonly string[]): Promise<number> {
  const { binDir, from } = parseInstallCniFlags(args);
  try {
    console.log(`installed ${await installForwarder(from, binDir)}`);
  } catch (error) {
    console.error(`godwit install-cni: ${(error as Error).message}`);
    return exitCodes.refused;
  }
  return exitCodes.ok;
}
