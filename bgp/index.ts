/** The speaker's door: the only file that `src/` imports from here (and ip.ts, a leaf). */

export type * from './settings.ts';
export type * from './status.ts';
export type * from './filter/filter.ts';
