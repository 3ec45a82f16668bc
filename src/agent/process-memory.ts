/**
 * What the process takes of the machine's memory besides what it needs.
 * Holds: where a setting cannot be had (another C library, another version of V8), nothing but memory is lost.
 */

import { setFlagsFromString } from 'node:v8';
import koffi from 'koffi';

/**
 * To be called before anything large is loaded. The young generation of the heap stays at the two MiB that it starts with, where V8
 * would let it grow to 48: routes lie in typed arrays, and what is made besides them dies at once. It also bounds the pause of a
 * collection, which is not worth the help of other threads then.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-parallel-scavenge');
}

const lookMilliseconds = 1000;
/** Of processor time between two looks, from which on it is worth while. */
const busyMicroseconds = 100_000;

/**
 * After each second of much work, gives back to the system what the C library keeps of freed memory: V8's compilers take some MiB in
 * each of their threads when code becomes hot, and glibc keeps them for these threads.
 * @returns what ends it
 */
export function trimAllocator(): () => void {
  let trim: (pad: number) => number;
  try {
    trim = koffi.load(null).func('int malloc_trim(size_t)');
  } catch {
    return () => {};
  }
  let before = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    if (user + system >= busyMicroseconds) trim(0);
  }, lookMilliseconds);
  timer.unref();
  return () => clearInterval(timer);
}
