/** The TCP MD5 keys (RFC 2385) that the settings hold, as the driver wants them. */

import type { PeerKey } from '../driver.ts';
import { formatAddress, parsePrefix } from '../ip.ts';
import type { NeighborSettings } from '../settings.ts';

export function keysOf(neighbors: readonly NeighborSettings[]): PeerKey[] {
  return neighbors.flatMap(({ remote, password: key }): PeerKey[] => {
    if (key === undefined) return [];
    if (remote.kind === 'address') return [{ address: remote.address, key }];
    const prefix = parsePrefix(remote.prefix);
    return prefix === undefined ? [] : [{ address: formatAddress(prefix.bytes), prefixLength: prefix.length, key }];
  });
}
