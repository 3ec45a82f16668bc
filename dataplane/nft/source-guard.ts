/**
 * Pods send from their own addresses only: a table of its own, the same for any number of pods.
 * Implements: RFC 2827, RFC 3704 §2.2 (strict reverse path) for both families; IPv6 has no rp_filter, and IPv4's is as loose
 * as the loosest of two settings.
 * Holds: one transaction; doing it again changes nothing.
 */

import { podLinkGroup } from '../ownership.ts';
import type { NftRunner } from './run.ts';

const table = 'inet godwit-pods';

// The first line makes the second one possible where there is no such table.
const removal = `table ${table}\ndelete table ${table}\n`;

const script = `${removal}table ${table} {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifgroup ${podLinkGroup} ip6 saddr { ::, fe80::/10 } accept
    iifgroup ${podLinkGroup} fib saddr . iif oif 0 drop
  }
}
`;

/** @throws NftError */
export async function installSourceGuard(run: NftRunner): Promise<void> {
  await run.load(script);
}

/** @throws NftError */
export async function removeSourceGuard(run: NftRunner): Promise<void> {
  await run.load(removal);
}
