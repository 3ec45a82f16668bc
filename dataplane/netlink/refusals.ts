/** What an errno means for the one who reconciles. */

import { KernelError } from './kernel-error.ts';

/** A table comes into being with its first route; before, the kernel answers a dump with ENOENT. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof KernelError && error.errno === 'ENOENT';
}
