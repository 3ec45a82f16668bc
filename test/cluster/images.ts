/**
 * The images that the nodes are given: docker-archive files, as `ctr images import` takes them. There is no registry.
 * Ours has the layout of deploy/Dockerfile, from the tree as it is; the programs beneath are this machine's instead of the base image's
 * (`npm run test:image` tries the real one).
 */

import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './programs.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));

export const images = {
  godwit: 'docker.io/godwit/test:1',
  busybox: 'docker.io/test/busybox:1',
  pause: 'docker.io/test/pause:1',
} as const;

/** @returns the files. */
export async function makeImages(folder: string): Promise<readonly string[]> {
  mkdirSync(folder, { recursive: true });
  return Promise.all([makeGodwit(folder), makeBusybox(folder), makePause(folder)]);
}

async function makeGodwit(folder: string): Promise<string> {
  const root = join(folder, 'godwit');
  const home = join(root, 'opt/godwit');
  mkdirSync(join(home, 'bin'), { recursive: true });
  await Promise.all([
    compile(join(top, 'deploy/cni/godwit-cni.c'), join(home, 'bin/godwit-cni')),
    compile(join(top, 'deploy/image/godwit-probe.c'), join(home, 'bin/godwit-probe')),
    run([
      join(top, 'scripts/with-node'),
      'rolldown',
      '-c',
      join(top, 'rolldown.config.ts'),
      '--dir',
      join(home, 'dist'),
    ]),
  ]);
  cpSync(process.execPath, join(home, 'bin/node'));
  cpSync(join(top, 'deploy/image/godwit'), join(home, 'bin/godwit'));
  const needed = (path: string): boolean => !/\.([cm]?ts|map|md|bare)$/.test(path);
  for (const path of await productionPackages())
    cpSync(join(top, path), join(home, path), { recursive: true, filter: needed });
  for (const program of ['/usr/sbin/nft']) await copyProgram(program, root);
  await copyLibraries(process.execPath, root);
  cpSync('/etc/protocols', join(root, 'etc/protocols'));
  addBusybox(root);
  mkdirSync(join(root, 'usr/libexec'), { recursive: true });
  symlinkSync('/opt/godwit/bin', join(root, 'usr/libexec/godwit'));
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  symlinkSync('/opt/godwit/bin/godwit', join(root, 'usr/local/bin/godwit'));
  return pack(root, images.godwit, ['/opt/godwit/bin/godwit']);
}

async function makeBusybox(folder: string): Promise<string> {
  const root = join(folder, 'busybox');
  addBusybox(root);
  return pack(root, images.busybox, ['/bin/sh']);
}

/** What holds a pod's namespaces, and takes in the processes that others leave behind. */
async function makePause(folder: string): Promise<string> {
  const root = join(folder, 'pause');
  mkdirSync(root);
  const source = join(folder, 'pause.c');
  writeFileSync(
    source,
    `#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, NULL, WNOHANG) > 0); }
int main(void) { signal(SIGTERM, end); signal(SIGINT, end); signal(SIGCHLD, reap); for (;;) pause(); }
`,
  );
  await compile(source, join(root, 'pause'));
  return pack(root, images.pause, ['/pause']);
}

function compile(source: string, to: string): Promise<string> {
  return run(['gcc', '-static', '-Os', '-s', source, '-o', to]);
}

/** The packages that `npm prune --omit=dev` leaves, without those that carry a Node. @returns paths below the top */
async function productionPackages(): Promise<readonly string[]> {
  const lock = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; os?: string[]; cpu?: string[] }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && !/node_modules\/node-linux-/.test(path))
    .filter(([, { os, cpu }]) => (os ?? ['linux']).includes('linux') && (cpu ?? [process.arch]).includes(process.arch))
    .map(([path]) => path);
}

function addBusybox(root: string): void {
  const folder = join(root, 'bin');
  mkdirSync(folder, { recursive: true });
  cpSync('/bin/busybox', join(folder, 'busybox'));
  for (const name of applets) symlinkSync('busybox', join(folder, name));
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
  // As in Debian; runtimes name network namespaces by the one path or the other.
  mkdirSync(join(root, 'var'));
  symlinkSync('/run', join(root, 'var/run'));
}

const applets = [
  'sh',
  'sleep',
  'cat',
  'ls',
  'ping',
  'nc',
  'ip',
  'readlink',
  'dirname',
  'wget',
  'httpd',
  'timeout',
  'true',
  'echo',
  'mkdir',
];

async function copyProgram(path: string, root: string): Promise<void> {
  copyInto(path, root);
  await copyLibraries(path, root);
}

/** The libraries of a dynamic program, where its loader will look for them. */
async function copyLibraries(program: string, root: string): Promise<void> {
  for (const [, path] of (await run(['ldd', program])).matchAll(/(\/\S+) \(0x/g)) copyInto(path, root);
}

function copyInto(path: string, root: string): void {
  const to = join(root, path);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(path, to);
}

/** One layer, its configuration and the list of both, in a tar; the tree is removed. */
async function pack(root: string, name: string, entrypoint: readonly string[]): Promise<string> {
  const parts = `${root}.parts`;
  mkdirSync(parts);
  await run([
    'tar',
    '--create',
    '--file',
    join(parts, 'layer.tar'),
    '--directory',
    root,
    '--owner=0',
    '--group=0',
    '.',
  ]);
  const config = JSON.stringify({
    architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as string],
    os: 'linux',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Entrypoint: entrypoint },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(readFileSync(join(parts, 'layer.tar')))}`] },
  });
  writeFileSync(join(parts, 'config.json'), config);
  writeFileSync(
    join(parts, 'manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  );
  const file = `${root}.tar`;
  await run(['tar', '--create', '--file', file, '--directory', parts, 'manifest.json', 'config.json', 'layer.tar']);
  for (const folder of [root, parts]) rmSync(folder, { recursive: true });
  return file;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
