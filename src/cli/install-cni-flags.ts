/** The flags of `godwit install-cni`. */

import { resolve } from 'node:path';
import { parseFlags } from './parse-flags.ts';
import { UsageError } from './usage.ts';

/** Where the image has the forwarder. */
const defaultForwarder = '/usr/libexec/godwit/godwit-cni';

/** @throws UsageError */
export function parseInstallCniFlags(args: readonly string[]): { readonly binDir: string; readonly from: string } {
  const { values, positionals } = parseFlags(args, { 'bin-dir': { type: 'string' }, from: { type: 'string' } });
  if (positionals.length > 0) throw new UsageError(`install-cni takes only flags, not '${positionals[0]}'`);
  const binDir = values['bin-dir'];
  if (binDir === undefined) throw new UsageError("--bin-dir: is required: the folder of the runtime's CNI plugins");
  return { binDir: resolve(binDir), from: resolve(values.from ?? defaultForwarder) };
}
