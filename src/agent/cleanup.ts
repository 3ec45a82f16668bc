/**
 * `godwit cleanup`: takes away everything of ours from this host's kernel and state folder, and nothing else.
 * Leaves out: the settings ip_forward and forwarding, which others on the host may need by now; it says so.
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
} from '../../dataplane/index.ts';
import { parseCleanupFlags } from '../cli/cleanup-flags.ts';
import { exitCodes } from '../cli/usage.ts';
import { natTable } from '../nat/render.ts';
import { missingCapabilities } from './capabilities.ts';
import { conflistName, forwarderName, removeFile } from './cni/host-files.ts';

/** @throws UsageError */
export async function runCleanup(args: readonly string[]): Promise<number> {
  const { stateFolder, cniConfDir, cniBinDir } = parseCleanupFlags(args);
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
    removeFolder(stateFolder);
    console.log(`state removed: ${stateFolder}`);
    console.log('left as they are: net.ipv4.ip_forward, net.ipv6.conf.all.forwarding');
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
