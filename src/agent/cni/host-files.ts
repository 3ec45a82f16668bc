/**
 * Files of ours on the host: the network configuration list and the forwarder. Each is replaced as a whole: a runtime that looks
 * meanwhile sees the old one or the new one.
 */

import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const conflistName = '10-godwit.conflist';
export const forwarderName = 'godwit-cni';

/** @returns whether the file was another. @throws the system's error */
export async function writeConflist(folder: string, text: string): Promise<boolean> {
  const path = join(folder, conflistName);
  if ((await readIfThere(path)) === text) return false;
  await mkdir(folder, { recursive: true });
  await replace(path, (temporary) => writeFile(temporary, text, { mode: 0o644 }));
  return true;
}

/** Copies the forwarder to where the runtime looks for plugins. @throws the system's error */
export async function installForwarder(from: string, folder: string): Promise<string> {
  const path = join(folder, forwarderName);
  await mkdir(folder, { recursive: true });
  await replace(path, async (temporary) => {
    await copyFile(from, temporary);
    await chmod(temporary, 0o755);
  });
  return path;
}

/** @returns whether it was there. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The temporary name begins with a dot and has no ending that a runtime reads. */
async function replace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const slash = path.lastIndexOf('/');
  const temporary = `${path.slice(0, slash)}/.${path.slice(slash + 1)}.${process.pid}`;
  try {
    await make(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
