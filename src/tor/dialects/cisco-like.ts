/** What FRR, EOS and NX-OS have in common: prefix lists and route maps. */

import type { Family } from '../../../bgp/ip.ts';
import type { AllowedPrefix, SwitchSide } from '../switch-side.ts';
import { everything, longestPrefix, ofFamily, prefixLength, upperName } from '../words.ts';

/** Names of the prefix lists of a family. */
export function listNames(side: SwitchSide, family: Family): { readonly inbound: string; readonly outbound: string } {
  const base = `${upperName(side)}-${family === 'ipv4' ? 'V4' : 'V6'}`;
  return { inbound: `${base}-IN`, outbound: `${base}-OUT` };
}

/** `permit 10.244.0.0/16 le 32` */
export function entryOf(action: 'permit' | 'deny', entry: AllowedPrefix): string {
  const le = entry.longest > prefixLength(entry) ? ` le ${entry.longest}` : '';
  return `${action} ${entry.prefix}${le}`;
}

/** The entries of both lists, in order; numbered by ten. */
export function listEntries(side: SwitchSide, family: Family) {
  const pods = ofFamily(side, family);
  const all: AllowedPrefix = { family, prefix: everything[family], longest: longestPrefix[family] };
  const number = (entries: readonly string[]) => entries.map((entry, at) => `seq ${10 * (at + 1)} ${entry}`);
  return {
    inbound: number(pods.length === 0 ? [entryOf('deny', all)] : pods.map((entry) => entryOf('permit', entry))),
    outbound: number([
      ...(side.tellsClusterRoutes ? [] : pods.map((entry) => entryOf('deny', entry))),
      entryOf('permit', all),
    ]),
  };
}

export const listWord = { ipv4: 'ip', ipv6: 'ipv6' } as const satisfies Record<Family, string>;
