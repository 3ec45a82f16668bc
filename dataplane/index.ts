/** The dataplane's door: the only file that `src/` imports from here. */

export type * from './types.ts';
export type { Clock } from './clock.ts';
