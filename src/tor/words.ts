/** What the dialects share: names that every switch takes, and texts that cannot break out of their line. */

import type { Family } from '../../bgp/ip.ts';
import type { AllowedPrefix, SwitchSide } from './switch-side.ts';

/** `GODWIT-TOR-A` for the BGPPeer `tor.a`: letters, digits and `-`. */
export function upperName({ name }: SwitchSide): string {
  return `GODWIT-${name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '-')}`;
}

/** `tor_a`: letters, digits and `_`. */
export function symbol(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]+/g, '_');
}

export function ofFamily({ prefixes }: SwitchSide, family: Family): readonly AllowedPrefix[] {
  return prefixes.filter((prefix) => prefix.family === family);
}

export function prefixLength({ prefix }: AllowedPrefix): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1));
}

/** Everything longer than a default route. */
export const everything = { ipv4: '0.0.0.0/0', ipv6: '::/0' } as const satisfies Record<Family, string>;
export const longestPrefix = { ipv4: 32, ipv6: 128 } as const satisfies Record<Family, number>;

/** How long routes of a restarting node are kept after it is back: until it has told them all. */
export const staleSeconds = 300;

/** @param comment how the dialect's comments begin. */
export function heading(side: SwitchSide, comment: string): string[] {
  const target = side.address === undefined ? '' : `, address ${side.address}`;
  return [
    `The switch's side of the BGPPeer ${side.name}: AS ${side.asNumber}${target}. Written by godwit tor-config.`,
    ...side.remarks,
  ].map((line) => `${comment} ${line}`);
}

/** As BIRD writes roles; FRR has `-` for `_`. */
export const roleWords = {
  provider: 'provider',
  customer: 'customer',
  routeServer: 'rs_server',
  routeServerClient: 'rs_client',
  peer: 'peer',
} as const satisfies Record<NonNullable<SwitchSide['role']>, string>;
