/**
 * What the process takes of the machine's memory besides what it needs.
 */

import { setFlagsFromString } from 'node:v8';

/**
 * To be called before anything large is loaded. The young generation of the heap stays at the two MiB that it starts with, where V8
 * would let it grow to 48: routes lie in typed arrays, and what is made besides them dies at once. It also bounds the pause of a
 * collection.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
