/**
 * How answers are laid out: as BIRD 2 does it, one process for both families, or as BIRD 1 does, one process for each. Calico's readers know
 * the second (docs/adr/0016-bird-1.md).
 * Leaves out: the lines themselves, which are made in show-protocols.ts, show-route.ts and their neighbours.
 */

import type { Family } from '../../bgp/ip.ts';
import { shortTimeText, timeText } from './time-text.ts';

export interface BirdForm {
  /** 1: a gateway stands on its route's line, there is one table without a heading, and a session's one family needs no channel. */
  readonly generation: 1 | 2;
  /** Name of each table → its family. */
  readonly tables: Readonly<Record<string, Family>>;
  /** What the program calls itself, in the greeting and in `show status`. */
  readonly program: (version: string) => string;
  /** A time in a table; milliseconds since the epoch. */
  readonly time: (time: number) => string;
  readonly protocols: {
    readonly titles: readonly string[];
    /** Of all columns but the last. */
    readonly widths: readonly number[];
    /** Whether the first column grows with the longest name. */
    readonly grows: boolean;
    /** Of a protocol that has no table of its own. */
    readonly noTable: string;
  };
  readonly routes: {
    readonly prefixWidth: number;
    /** Behind the kind, in the line `Type`. */
    readonly scope: string;
    readonly notFound: string;
  };
  /** The columns of addresses are as many as there are families. */
  readonly interfaces: { readonly titles: readonly string[]; readonly widths: readonly number[] };
  readonly bfdSinceWidth: number;
}

/** @param now milliseconds since the epoch: how a time is written may depend on how long ago it was. */
export type FormAt = (now: number) => BirdForm;

export const bird2Tables = { master4: 'ipv4', master6: 'ipv6' } as const satisfies BirdForm['tables'];

export const bird2Form: FormAt = () => ({
  generation: 2,
  tables: bird2Tables,
  program: (version) => `Godwit ${version}`,
  time: timeText,
  protocols: {
    titles: ['Name', 'Proto', 'Table', 'State', 'Since', 'Info'],
    widths: [10, 10, 10, 6, 13],
    grows: true,
    noTable: '---',
  },
  routes: { prefixWidth: 20, scope: 'univ', notFound: 'Network not found' },
  interfaces: { titles: ['Interface', 'State', 'IPv4 address', 'IPv6 address'], widths: [10, 6, 18] },
  bfdSinceWidth: 12,
});

/** Calico's probes want a program that is called BIRD; its node status takes what follows for the version where that begins with `v`. */
const bird1Program = (version: string): string => `BIRD v1.6 (Godwit ${version})`;

/** The one of a process for this family. */
export const bird1Form =
  (family: Family): FormAt =>
  (now) => ({
    generation: 1,
    tables: { master: family },
    program: bird1Program,
    time: (time) => shortTimeText(time, now),
    protocols: {
      titles: ['name', 'proto', 'table', 'state', 'since', 'info'],
      widths: [8, 8, 8, 6, 11],
      grows: false,
      noTable: 'master',
    },
    routes: { prefixWidth: 18, scope: 'unicast univ', notFound: 'Network not in table' },
    interfaces: { titles: ['interface', 'state', 'address'], widths: [9, 5] },
    bfdSinceWidth: 10,
  });

/** The table's name. */
export function tableOf({ tables }: BirdForm, family: Family): string {
  return Object.keys(tables).find((name) => tables[name] === family) ?? '---';
}

/** Cells of one row, each but the last filled up to its column's width. */
export function tableRow(cells: readonly string[], widths: readonly number[]): string {
  return cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' ');
}
