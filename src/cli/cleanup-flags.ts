/** The flags of `godwit cleanup`. */

import { resolve } from 'node:path';
import { defaultCniBinDir, defaultCniConfDir, defaultStateFolder } from './agent-flags.ts';
import { parseFlags } from './parse-flags.ts';
import { UsageError } from './usage.ts';

/** @throws UsageError */
export function parseCleanupFlags(args: readonly string[]): {
  readonly stateFolder: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  /** Settings of the kernel become what they were before Godwit. */
  readonly restoreSettings: boolean;
} {
  const { values, positionals } = parseFlags(args, {
    state: { type: 'string' },
    'cni-conf-dir': { type: 'string' },
    'cni-bin-dir': { type: 'string' },
    'restore-settings': { type: 'boolean' },
  });
  if (positionals.length > 0) throw new UsageError(`cleanup takes only flags, not '${positionals[0]}'`);
  return {
    stateFolder: resolve(values.state ?? defaultStateFolder),
    cniConfDir: resolve(values['cni-conf-dir'] ?? defaultCniConfDir),
    cniBinDir: resolve(values['cni-bin-dir'] ?? defaultCniBinDir),
    restoreSettings: values['restore-settings'] ?? false,
  };
}
