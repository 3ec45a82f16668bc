/**
 * Work that visits many rows, done in slices: sweeping what is stale, judging again, deciding again.
 * Implements: RFC 4724 §4.2, RFC 7313 §4 (stale routes are removed), in slices.
 */

import type { Family } from '../ip.ts';
import { hasRoom, isBeyondLimit } from './admission.ts';
import type { AdjRibIn } from './adj-rib-in.ts';
import type { FamilyTable } from './family-table.ts';
import type { PeerEntry } from './peer-table.ts';
import { rowMask } from './rows.ts';

/** Rows visited between two looks at the deadline. */
const slice = 512;

export interface Walk {
  /** A walk with the same key starts this one over. */
  readonly key: string;
  /** Visits some rows. @returns whether it has ended */
  step(): boolean;
  onEnd?: () => void;
}

export class Walks {
  #walks = new Map<string, Walk>();

  get waiting(): boolean {
    return this.#walks.size > 0;
  }

  isUnderWay(key: string): boolean {
    return this.#walks.has(key);
  }

  start(walk: Walk): void {
    this.#walks.set(walk.key, walk);
  }

  /** Ends a walk now, where it is under way. */
  finish(key: string): void {
    const walk = this.#walks.get(key);
    if (walk === undefined) return;
    while (!walk.step());
    this.#end(walk);
  }

  /** @returns whether there is more to do */
  work(deadline: () => boolean): boolean {
    for (const walk of this.#walks.values()) {
      do if (deadline()) return true;
      while (!walk.step());
      this.#end(walk);
    }
    return false;
  }

  #end(walk: Walk): void {
    if (this.#walks.get(walk.key) === walk) this.#walks.delete(walk.key);
    walk.onEnd?.();
  }
}

export function sweepKey(peer: PeerEntry, family: Family): string {
  return `sweep ${peer.id} ${family}`;
}

/** Removes the peer's paths that are neither fresh nor kept. */
export function sweepWalk(table: FamilyTable, peer: PeerEntry, onEnd: () => void): Walk {
  const counts = peer.families[table.family];
  const { oldestAfterSweep } = counts;
  const step = pathSteps(table, peer.id, (path) => {
    if (!counts.stays(table.paths.chunk(path).epoch[path & rowMask])) table.removePath(path);
  });
  return {
    key: sweepKey(peer, table.family),
    step: () => counts.paths === counts.fresh || step(),
    onEnd: () => {
      counts.oldest = oldestAfterSweep;
      onEnd();
    },
  };
}

/** At once, and rarely: see PeerFamily. */
export function renumberEpochs(table: FamilyTable, peer: PeerEntry): void {
  peer.families[table.family].renumber((toNew) => {
    const step = pathSteps(table, peer.id, (path) => {
      const { epoch } = table.paths.chunk(path);
      epoch[path & rowMask] = toNew(epoch[path & rowMask]);
    });
    while (!step());
  });
}

/** Judges the paths again: of one peer, or of all. */
export function judgeWalk(table: FamilyTable, adjRibIn: AdjRibIn, peer: PeerEntry | undefined): Walk {
  const step = pathSteps(table, peer?.id, (path) => adjRibIn.judgeAgain(table, path));
  return { key: `judge ${peer?.id ?? 'all'} ${table.family}`, step };
}

export function admitKey(peer: PeerEntry, family: Family): string {
  return `admit ${peer.id} ${family}`;
}

/** Judges the peer's paths that are beyond a limit again, while there is room. */
export function admitWalk(table: FamilyTable, adjRibIn: AdjRibIn, peer: PeerEntry): Walk {
  const counts = peer.families[table.family];
  const steps = () =>
    pathSteps(table, peer.id, (path) => {
      if (isBeyondLimit(table.rung(path)) && hasRoom(counts)) adjRibIn.judgeAgain(table, path);
    });
  let step = steps();
  return {
    key: admitKey(peer, table.family),
    step: () => {
      if (!hasRoom(counts)) return true;
      // Room that came after its rows were passed: from the beginning.
      if (step()) step = steps();
      return !hasRoom(counts);
    },
  };
}

/** Decides every prefix again. */
export function decideWalk(table: FamilyTable): Walk {
  let next = 1;
  const step = () => {
    const stop = Math.min(next + slice, table.prefixes.limit);
    for (; next < stop; next++) if (table.prefixes.isUsed(next)) table.redecide(next);
    return next >= table.prefixes.limit;
  };
  return { key: `decide ${table.family}`, step };
}

/** Enters everything that is there into a log of paths that was just opened. */
export function pathLogWalk(table: FamilyTable, onEnd: () => void): Walk {
  const pathLog = table.pathLog!;
  const usable: number[] = [];
  let next = 1;
  const step = () => {
    const stop = Math.min(next + slice, table.prefixes.limit);
    for (; next < stop; next++) {
      if (!table.prefixes.isUsed(next) || pathLog.versionOf(next) !== 0) continue;
      table.readUsablePaths(next, usable);
      if (usable.length > 0) pathLog.append(next);
    }
    return next >= table.prefixes.limit;
  };
  return { key: `path log ${table.family}`, step, onEnd };
}

function pathSteps(table: FamilyTable, peer: number | undefined, visit: (path: number) => void): () => boolean {
  let next = 1;
  return () => {
    const stop = Math.min(next + slice, table.paths.limit);
    for (; next < stop; next++) {
      if (!table.paths.isUsed(next)) continue;
      const owner = table.paths.chunk(next).peer[next & rowMask];
      if (peer === undefined ? owner !== 0 : owner === peer) visit(next);
    }
    return next >= table.paths.limit;
  };
}
