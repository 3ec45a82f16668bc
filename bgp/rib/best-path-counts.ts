/**
 * How many best paths each peer has: counted when somebody asks, over two columns, so that deciding pays nothing for it.
 * Holds: bit by bit, a chunk of 65,536 paths at a time; what changes meanwhile may be counted or not.
 */

import type { Family } from '../ip.ts';
import { Rung } from './best-path.ts';
import type { FamilyTable } from './family-table.ts';
import { chunkRows, rowMask } from './rows.ts';

/** By the peer's name. */
export type BestPathCounts = Readonly<Record<string, Readonly<Record<Family, number>>>>;

export function* countBestPaths(tables: Readonly<Record<Family, FamilyTable>>): Generator<void, BestPathCounts> {
  const counts: Record<string, Record<Family, number>> = {};
  for (const table of Object.values(tables)) {
    const byPeer = new Map<number, number>();
    for (let start = 0; start < table.paths.limit; start += chunkRows) {
      countChunk(table, start, byPeer);
      yield;
    }
    for (const [id, count] of byPeer) {
      const name = table.peers.find(id)?.peer.name;
      // What we originate has other names.
      if (name) (counts[name] ??= { ipv4: 0, ipv6: 0 })[table.family] += count;
    }
  }
  return counts;
}

function countChunk({ paths }: FamilyTable, start: number, byPeer: Map<number, number>): void {
  const end = Math.min(start + chunkRows, paths.limit);
  if (!paths.hasChunk(start)) return;
  const { prefix, rung, peer } = paths.chunk(start);
  let last = -1;
  let run = 0;
  const settle = () => {
    if (run > 0) byPeer.set(last, (byPeer.get(last) ?? 0) + run);
  };
  for (let id = start; id < end; id++) {
    const row = id & rowMask;
    if (prefix[row] === 0 || rung[row] !== Rung.best) continue;
    if (peer[row] === last) run++;
    else {
      settle();
      last = peer[row];
      run = 1;
    }
  }
  settle();
}
