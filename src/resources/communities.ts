/**
 * Communities as users write them: numbers, names, extended ones.
 * Implements: RFC 1997, RFC 8092, RFC 4360 and RFC 5668 in text; names of IANA's registry of well-known communities.
 * Holds: the value is the text that the speaker shows: a name becomes its numbers.
 */

import { z } from 'zod';
import { upTo4294967295, upTo65535 } from './fields.ts';
import { show } from './problems.ts';

/** IANA, BGP Well-known Communities. */
const wellKnown: Readonly<Record<string, string>> = {
  'graceful-shutdown': '65535:0',
  'accept-own': '65535:1',
  'llgr-stale': '65535:6',
  'no-llgr': '65535:7',
  blackhole: '65535:666',
  'no-export': '65535:65281',
  'no-advertise': '65535:65282',
  'no-export-subconfed': '65535:65283',
  'no-peer': '65535:65284',
};

const octet = '(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])';
const numbers = `${upTo65535}:${upTo65535}|${upTo4294967295}:${upTo4294967295}:${upTo4294967295}`;
const administered = `${upTo65535}:${upTo4294967295}|${upTo4294967295}:${upTo65535}|(${octet}[.]){3}${octet}:${upTo65535}`;
const extended = `!?(rt|ro|soo|0x[0-9a-f]{2}):(${administered})|!?lb:${upTo65535}:[1-9][0-9]{0,14}|generic:0x[0-9a-f]{8}:0x[0-9a-f]{8}`;
const names = Object.keys(wellKnown).join('|');
const some = `${upTo65535}:[*]|[*]:[*]|${upTo4294967295}:(${upTo4294967295}:[*]|[*]:[*])|[*]:[*]:[*]|!?(rt|ro|soo|lb):([0-9.]+:[*]|[*]:[*])`;

const onePattern = new RegExp(`^(${numbers}|${names}|${extended})$`);
const somePattern = new RegExp(`^(${numbers}|${names}|${extended}|${some})$`);

export const communityForms =
  '`aa:nn`, `aa:nn:mm` (large), `rt:aa:nn` or `ro:aa:nn` (extended), or a name such as `no-export`';

function text(pattern: RegExp, more: string) {
  return z
    .string()
    .refine((value) => pattern.test(value), {
      error: ({ input }) => `${show(input)} is not a community (${communityForms.replaceAll('`', '')}${more})`,
    })
    .transform(canonical)
    .meta({ type: 'string', pattern: pattern.source, maxLength: 40 });
}

/** One community. */
export function community() {
  return text(onePattern, '');
}

/** One community, or with `*` in place of its last numbers all that begin so. */
export function communityPattern() {
  return text(somePattern, '; its last numbers may be *');
}

function canonical(value: string): string {
  const bandwidth = /^(!?lb:\d+:)(\d+)$/.exec(value);
  // The speaker has 32 bits for it.
  if (bandwidth !== null) return `${bandwidth[1]}${Math.fround(Number(bandwidth[2]))}`;
  return wellKnown[value] ?? value.replace(/^(!?)soo:/, '$1ro:');
}
