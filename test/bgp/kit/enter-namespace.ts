/** Puts the whole test process into a network namespace, so that every socket it makes later lies there. */

import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const setns: (fd: number, type: number) => number = koffi.load(null).func('int setns(int fd, int type)');
const networkNamespace = 0x40000000;

/** @returns what brings the process back. */
export function enterNamespace(path: string): () => void {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  enter(path);
  return () => {
    if (setns(home, networkNamespace) < 0) throw new Error('no way back to the first network namespace');
    closeSync(home);
  };
}

function enter(path: string): void {
  const fd = openSync(path, 'r');
  try {
    if (setns(fd, networkNamespace) < 0) throw new Error(`setns(${path}): errno ${koffi.errno()}`);
  } finally {
    closeSync(fd);
  }
}
