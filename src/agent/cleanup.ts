/**
 * `godwit cleanup`: takes away everything of ours from this host's kernel and state folder, and nothing else.
 * Leaves out: the settings ip_forward and forwarding, unless asked for: whoever came after Godwit may rely on them and have found them
 * set already, which nothing tells apart from nobody. It says what they were.
 */

import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  KernelError,
  NftError,
  NftSocket,
  NftTable,
  removeAll,
  removeSourceGuard,
  Rtnetlink,
  Sysctl,
} from '../../dataplane/index.ts';
import { parseCleanupFlags } from '../cli/cleanup-flags.ts';
import { exitCodes } from '../cli/usage.ts';
import { natTable } from '../nat/render.ts';
import { missingCapabilities } from './capabilities.ts';
import { readChangedSettings } from './changed-settings.ts';
import { conflistName, forwarderName, removeFile } from './cni/host-files.ts';
import { readBootId } from './run-record.ts';

/** @throws UsageError */
export async function runCleanup(args: readonly string[]): Promise<number> {
  const { stateFolder, cniConfDir, cniBinDir, restoreSettings } = parseCleanupFlags(args);
  const missing = missingCapabilities(['routes', 'policy']);
  if (missing.length > 0) {
    console.error(
      `godwit cleanup changes the kernel's routes and nftables and needs ${missing.join(' and ')}: run it as root.`,
    );
    return exitCodes.refused;
  }
  try {
    // First of all: the runtime is to ask us for nothing more.
    for (const path of [join(cniConfDir, conflistName), join(cniBinDir, forwarderName)]) {
      if (await removeFile(path)) console.log(`removed: ${path}`);
    }
    const kernel = new Rtnetlink();
    const { routes, devices, podLinks } = removeAll(kernel);
    kernel.close();
    console.log(`routes removed: ${routes}`);
    console.log(`devices removed: ${devices.join(', ') || 'none'}`);
    if (podLinks > 0) console.log(`links of pods removed: ${podLinks}; those pods have no network now`);
    const nft = new NftSocket();
    await new NftTable({ kernel: nft }).remove();
    await new NftTable({ kernel: nft, table: natTable }).remove();
    await removeSourceGuard(nft);
    nft.close();
    console.log('nftables tables inet godwit, inet godwit-nat and inet godwit-pods removed');
    const settings = new Sysctl(undefined, readChangedSettings(stateFolder, readBootId()));
    for (const { name, before, now } of settings.changed()) {
      const what = restoreSettings ? `put back to ${before}` : `left at ${now}; it was ${before} (--restore-settings)`;
      console.log(`${name}: ${what}`);
    }
    if (restoreSettings) settings.restore();
    removeFolder(stateFolder);
    console.log(`state removed: ${stateFolder}`);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof KernelError) && !(error instanceof NftError)) throw error;
    console.error(`godwit cleanup: ${error.message}`);
    return exitCodes.refused;
  }
}

/** In a container the folder is a mount of the host's in a read-only place: it can be emptied only. @throws the system's error */
function removeFolder(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EBUSY' && code !== 'EROFS') throw error;
  }
}
