/** The dialects of `godwit tor-config`, by name. */

import { bird } from './dialects/bird.ts';
import { eos } from './dialects/eos.ts';
import { frr } from './dialects/frr.ts';
import { junos } from './dialects/junos.ts';
import { nxos } from './dialects/nxos.ts';
import type { SwitchSide } from './switch-side.ts';

/** @returns the lines of the configuration. */
export type Dialect = (side: SwitchSide) => readonly string[];

export const dialects = { bird, frr, eos, junos, nxos } as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof dialects;

export const dialectNames = Object.keys(dialects) as DialectName[];

export function printSwitchSide(side: SwitchSide, name: DialectName): string {
  return `${dialects[name](side).join('\n')}\n`;
}
