/**
 * What the process takes of the machine's memory besides what it needs.
 * Holds: where a setting cannot be had (another C library, another version of V8), nothing but memory is lost.
 */

import { readFileSync } from 'node:fs';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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
/** Of processor time between two looks, from which on it was a second of much work. */
const busyMicroseconds = 100_000;
/** Less than that, and nobody waits for an answer that a collection would hold up. */
const quietMicroseconds = 20_000;
/** Looks without much work after which a collection waits for such a second no longer. */
const mostPatience = 10;
/** A heap up to this size is collected in 10 to 20 ms: bytes. */
const smallHeap = 64 * 1024 * 1024;
/** Bytes by which a heap has grown that is worth a collection: V8 would let it grow to what it is started with. */
const muchGarbage = 8 * 1024 * 1024;

const heapUsed = () => getHeapStatistics().used_heap_size;

/**
 * Gives memory back to the system that is free already. After each second of much work, what the C library keeps: V8's compilers take
 * some MiB in each of their threads when code becomes hot. Now, and when the work is over, also Node's own code that only the start or
 * the compilers needed, and then what a table left that is gone: V8 has no reason to look for garbage, and most of it lies outside
 * its heap.
 * @returns what ends it
 */
export function returnMemory(): () => void {
  const trim = optional('int malloc_trim(size_t)');
  const advise = optional('int madvise(uintptr_t, size_t, int)');
  const giveAllBack = () => {
    trim?.(0);
    for (const { start, length } of programCode()) advise?.(start, length, dontNeed);
  };
  giveAllBack();
  let before = process.cpuUsage();
  let collectedTo = heapUsed();
  /** Looks since the last busy second that are still to do something. */
  let steps = 0;
  /** Looks since the last busy second. */
  let looks = 0;
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    const used = user + system;
    const busy = used >= busyMicroseconds;
    if (busy || heapUsed() > collectedTo + muchGarbage) steps = 2;
    looks = busy ? 0 : looks + 1;
    if (busy) trim?.(0);
    else if (steps > 0 && (used < quietMicroseconds || looks > mostPatience)) {
      // What is found is freed beside: it is given back at the next look.
      if (steps === 2) {
        if (heapUsed() < smallHeap) collect();
        collectedTo = heapUsed();
      }
      giveAllBack();
      steps--;
    }
  }, lookMilliseconds);
  timer.unref();
  return () => clearInterval(timer);
}

/** A function that other C libraries may not have. */
function optional(prototype: string): ((...values: readonly number[]) => number) | undefined {
  try {
    return koffi.load(null).func(prototype);
  } catch {
    return undefined;
  }
}

/** linux/mman.h: MADV_DONTNEED. What is needed again is mapped again, from the system's cache of the file. */
const dontNeed = 4;

/**
 * Where the code of Node's binary lies in this process, as far as no page of it was written to: such a page would be lost.
 * @returns addresses and lengths in bytes
 */
function programCode(): { readonly start: number; readonly length: number }[] {
  let smaps: string;
  try {
    smaps = readFileSync('/proc/self/smaps', 'latin1');
  } catch {
    return [];
  }
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((mapping) => {
    const [, from, to, path] = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ \d+ +(.*)$/m.exec(mapping) ?? [];
    if (path !== process.execPath || !/^Anonymous: +0 kB$/m.test(mapping)) return [];
    const start = Number.parseInt(from, 16);
    return [{ start, length: Number.parseInt(to, 16) - start }];
  });
}

let collector: (() => void) | undefined;

function collect(): void {
  if (collector === undefined) {
    // The function is there only where it is asked for, and in contexts made after that.
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collector();
}
