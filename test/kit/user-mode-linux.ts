/**
 * Another kernel for a test: a user-mode Linux (Debian package user-mode-linux) that boots on this machine's files, read-only,
 * runs one script of ours with Node, and ends. For what this machine's kernel may lack, such as IP-in-IP.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import path from 'node:path';

import koffi from 'koffi';

const kernel = '/usr/bin/linux.uml';
const modules = '/usr/lib/uml/modules';
const mark = 'RESULT ';

export const hasUserModeLinux = existsSync(kernel);

/**
 * @param script absolute path of a TypeScript file that ends with `report`.
 * @returns what it reported.
 */
export function runInUserModeLinux(script: string): unknown {
  const folder = mkdtempSync(path.join(tmpdir(), 'godwit-uml-'));
  try {
    const init = path.join(folder, 'init');
    const lines = [
      '#!/bin/sh',
      'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run',
      'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmpfs /run; mkdir -p /run/netns',
      `"${process.execPath}" "${script}" 2>&1`,
      'echo o > /proc/sysrq-trigger; sleep 10',
    ];
    writeFileSync(init, `${lines.join('\n')}\n`, { mode: 0o755 });
    const words = ['mem=768M', 'root=/dev/root', 'rootfstype=hostfs', 'ro', `init=${init}`];
    const { stdout } = spawnSync(kernel, [...words, 'con=null', 'con0=null,fd:1', 'quiet'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 90_000,
      killSignal: 'SIGKILL',
      // Where its memory lies: a real disk would be slow.
      env: { ...process.env, TMPDIR: existsSync('/dev/shm') ? '/dev/shm' : folder },
    });
    const result = stdout.split('\n').find((line) => line.startsWith(mark));
    if (result === undefined) throw new Error(`the script in user-mode Linux reported nothing:\n${stdout}`);
    return JSON.parse(result.slice(mark.length)) as unknown;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Inside: hands the result to the test outside. */
export function report(result: unknown): void {
  console.log(mark + JSON.stringify(result));
}

/** Inside: loads modules with what they need, without modprobe, which need not be installed. */
export function loadModules(...names: string[]): void {
  const FINIT_MODULE = 313;
  const syscall = koffi.load(null).func('long syscall(long number, int fd, const char *parameters, int flags)');
  const folder = path.join(modules, release());
  const dependencies = readFileSync(path.join(folder, 'modules.dep'), 'utf8').split('\n');
  for (const name of names) {
    const line = dependencies.find((each) => each.includes(`/${name}.ko:`));
    if (line === undefined) throw new Error(`no module ${name} in ${folder}`);
    // What a module needs stands behind it; the deepest last. A module that is loaded already answers with an error.
    for (const file of line.replace(':', '').trim().split(/\s+/).reverse()) {
      syscall(FINIT_MODULE, openSync(path.join(folder, file), 'r'), '', 0);
    }
  }
}
