/**
 * The decision: which path of a prefix is used, and at which rung the others lost.
 * Implements: RFC 4271 §9.1.2 (degree of preference, tie breaking), RFC 4456 §9 (ORIGINATOR_ID, CLUSTER_LIST length),
 *   RFC 9494 §4.4 (long-lived stale paths are the last resort), multipath over paths that are equal down to the IGP metric.
 * Leaves out: the IGP metric (all next hops count alike); the age of a path.
 * Holds: each rung narrows the set of candidates, so the result does not depend on the order of arrival.
 */

import { compareBytes } from '../ip.ts';
import type { AttributePool } from './attribute-pool.ts';
import { AttributeTrait } from './attribute-pool.ts';
import type { PathStore } from './path-store.ts';
import type { PeerTable } from './peer-table.ts';
import { localPeer } from './peer-table.ts';
import type { RibPeer } from './rib-types.ts';
import { rowMask } from './rows.ts';

/** What the ladder reads of a peer: equal keys, equal decisions. */
export function decisionKey({ peerType, remoteRouterId, address }: RibPeer): string {
  return [peerType, remoteRouterId, address].join(' ');
}

/** What the ladder reads. */
export interface DecisionTables {
  readonly paths: PathStore;
  readonly pool: AttributePool;
  readonly peers: PeerTable;
}

/** Candidates: path numbers; the first `count` are still in. */
interface Rung {
  readonly name: string;
  readonly rfc: string;
  /** Smaller is better. */
  readonly rank?: (tables: DecisionTables, path: number) => number;
  /** For a rung that is no comparison of numbers: moves what stays to the front. @returns how many stay */
  readonly narrow?: (tables: DecisionTables, candidates: number[], count: number) => number;
}

const attribute = (column: (pool: AttributePool, id: number) => number) => (tables: DecisionTables, path: number) =>
  column(tables.pool, tables.paths.attributesOf(path));

const peerOf = (tables: DecisionTables, path: number) => tables.paths.chunk(path).peer[path & rowMask];

const ladder = [
  {
    name: 'notLongLivedStale',
    rfc: '9494 §4.4',
    rank: attribute((pool, id) => pool.traitsOf(id) & AttributeTrait.longLivedStale),
  },
  {
    name: 'higherLocalPref',
    rfc: '4271 §9.1.1',
    rank: attribute((pool, id) => 0xffffffff - pool.chunk(id).localPref[id & rowMask]),
  },
  {
    name: 'locallyOriginated',
    rfc: '4271 §9.1.1',
    rank: (tables, path) => (peerOf(tables, path) === localPeer ? 0 : 1),
  },
  {
    name: 'shorterAsPath',
    rfc: '4271 §9.1.2.2 a',
    rank: attribute((pool, id) => pool.chunk(id).asPathLength[id & rowMask]),
  },
  {
    name: 'lowerOrigin',
    rfc: '4271 §9.1.2.2 b',
    rank: attribute((pool, id) => pool.chunk(id).origin[id & rowMask]),
  },
  { name: 'lowerMed', rfc: '4271 §9.1.2.2 c', narrow: keepLowestMeds },
  {
    name: 'externalOverInternal',
    rfc: '4271 §9.1.2.2 d',
    rank: (tables, path) => {
      const peer = peerOf(tables, path);
      return peer === localPeer || tables.peers.get(peer).external ? 0 : 1;
    },
  },
  { name: 'lowerRouterId', rfc: '4271 §9.1.2.2 f, 4456 §9', rank: originator },
  {
    name: 'shorterClusterList',
    rfc: '4456 §9',
    rank: attribute((pool, id) => pool.chunk(id).clusterListLength[id & rowMask]),
  },
  { name: 'lowerPeerAddress', rfc: '4271 §9.1.2.2 g', narrow: keepLowestPeer },
  // RFC 7911 leaves it open; what follows the identifier of one peer is the same whatever came first.
  { name: 'lowerPathId', rfc: '7911 §3', rank: ({ paths }, path) => paths.pathIdOf(path) },
] as const satisfies readonly Rung[];

/** Paths equal up to and including this rung may share the traffic. */
const multipathDepth = ladder.findIndex((rung) => rung.name === 'externalOverInternal') + 1;

/** Values of the rung column: 0 the best path, 1 one that shares with it, then the ladder, then what takes no part at all. */
export const Rung = {
  best: 0,
  multipath: 1,
  firstOfLadder: 2,
  /** From here on the path is no candidate. */
  filtered: 32,
  ownAsInPath: 33,
  ownOriginatorId: 34,
  ownClusterId: 35,
  nextHopIsOurs: 36,
  nextHopOffLink: 37,
  /** RFC 9234 §5. */
  leaked: 38,
  beyondReceiveLimit: 39,
  beyondImportLimit: 40,
} as const;

const excluded: Readonly<Record<number, string>> = {
  [Rung.filtered]: 'filtered',
  [Rung.ownAsInPath]: 'ownAsInPath',
  [Rung.ownOriginatorId]: 'ownOriginatorId',
  [Rung.ownClusterId]: 'ownClusterId',
  [Rung.nextHopIsOurs]: 'nextHopIsOurs',
  [Rung.nextHopOffLink]: 'nextHopOffLink',
  [Rung.leaked]: 'leaked',
  [Rung.beyondReceiveLimit]: 'beyondReceiveLimit',
  [Rung.beyondImportLimit]: 'beyondImportLimit',
};

/** Where a path lost, or why it takes no part; undefined: it is selected. */
export function rungName(rung: number): string | undefined {
  if (rung < Rung.firstOfLadder) return undefined;
  return excluded[rung] ?? ladder[rung - Rung.firstOfLadder].name;
}

/**
 * Sorts the candidates out: writes the rung of each into the path store.
 * @param candidates path numbers, at least one; reordered, the best first
 */
export function decide(tables: DecisionTables, candidates: number[], maximumPaths: number): void {
  let count = candidates.length;
  const first = tables.pool.longLivedStale > 0 ? 0 : 1;
  for (let i = first; i < multipathDepth && count > 1; i++) count = climb(tables, ladder[i], i, candidates, count);
  const equal = maximumPaths > 1 && count > 1 ? candidates.slice(0, count) : [];
  for (let i = multipathDepth; i < ladder.length && count > 1; i++) {
    count = climb(tables, ladder[i], i, candidates, count);
  }
  const best = candidates[0];
  setRung(tables, best, Rung.best);
  if (equal.length > 0) shareWithBest(tables, best, equal, maximumPaths);
}

const rungOf = (name: (typeof ladder)[number]['name']): number =>
  Rung.firstOfLadder + ladder.findIndex((rung) => rung.name === name);
const higherLocalPref = rungOf('higherLocalPref');
const shorterAsPath = rungOf('shorterAsPath');
const lowerOrigin = rungOf('lowerOrigin');

/**
 * A new path against the best one, where that alone decides: at one of the first rungs, which compare two paths whatever the others are (at
 * lowerMed they matter). Then the one that lost has its place, and so have the losers of later rungs where that was the best one: what
 * `decide` would find is the same.
 * @param best the only path of the prefix that is selected, and the first of its list
 * @param next the path after one in the list, 0: none
 * @returns the better one; its rung is written, and those of the others; 0: all have to be looked at
 */
export function challenge(
  tables: DecisionTables,
  best: number,
  challenger: number,
  next: (path: number) => number,
): number {
  const { paths, pool } = tables;
  if (pool.longLivedStale > 0) return 0;
  if (peerOf(tables, best) === localPeer || peerOf(tables, challenger) === localPeer) return 0;
  const difference = compareFirstRungs(pool, paths.attributesOf(challenger), paths.attributesOf(best));
  if (difference === 0) return 0;
  if (difference > 0) {
    setRung(tables, challenger, difference);
    return best;
  }
  const lost = -difference;
  for (let path = best; path !== 0; path = next(path)) {
    const { rung } = paths.chunk(path);
    const row = path & rowMask;
    if (rung[row] < Rung.filtered && (path === best || rung[row] > lost)) rung[row] = lost;
  }
  setRung(tables, challenger, Rung.best);
  return challenger;
}

/** The rung at which the first set is worse, or minus the one at which it is better; 0: at none of these three. */
function compareFirstRungs(pool: AttributePool, a: number, b: number): number {
  if (a === b) return 0;
  const [chunkA, rowA] = [pool.chunk(a), a & rowMask];
  const [chunkB, rowB] = [pool.chunk(b), b & rowMask];
  const preference = chunkB.localPref[rowB] - chunkA.localPref[rowA];
  if (preference !== 0) return preference > 0 ? higherLocalPref : -higherLocalPref;
  const length = chunkA.asPathLength[rowA] - chunkB.asPathLength[rowB];
  if (length !== 0) return length > 0 ? shorterAsPath : -shorterAsPath;
  const origin = chunkA.origin[rowA] - chunkB.origin[rowB];
  if (origin !== 0) return origin > 0 ? lowerOrigin : -lowerOrigin;
  return 0;
}

/** Brings the best of the candidates from place `start` on to that place; nothing is written into the path store. */
export function bringBestForward(tables: DecisionTables, candidates: number[], start: number): void {
  rest.length = 0;
  for (let i = start; i < candidates.length; i++) rest.push(candidates[i]);
  let count = rest.length;
  for (let i = 0; i < ladder.length && count > 1; i++) count = narrow(tables, ladder[i], rest, count);
  swap(candidates, start, candidates.indexOf(rest[0], start));
}

/** Reused. */
const rest: number[] = [];

/** The equal paths next in order become multipath, each with a next hop of its own. */
function shareWithBest(tables: DecisionTables, best: number, equal: number[], maximumPaths: number): void {
  const selected = [best];
  equal.sort((a, b) => byLastRungs(tables, a, b));
  for (const path of equal) {
    if (selected.length === maximumPaths) return;
    if (selected.some((other) => sameNextHop(tables, other, path))) continue;
    setRung(tables, path, Rung.multipath);
    selected.push(path);
  }
}

/** Equal link-local next hops are two where they are on two links. */
function sameNextHop(tables: DecisionTables, a: number, b: number): boolean {
  const { paths, pool, peers } = tables;
  if (!pool.sameNextHop(paths.attributesOf(a), paths.attributesOf(b))) return false;
  return peers.get(peerOf(tables, a)).scope === peers.get(peerOf(tables, b)).scope;
}

function byLastRungs(tables: DecisionTables, a: number, b: number): number {
  for (const rung of ladder.slice(multipathDepth) as readonly Rung[]) {
    if (rung.rank === undefined) continue;
    const difference = rung.rank(tables, a) - rung.rank(tables, b);
    if (difference !== 0) return difference;
  }
  return comparePeers(tables, a, b) || tables.paths.pathIdOf(a) - tables.paths.pathIdOf(b);
}

/** Of each candidate: its rank at the rung looked at. Reused, since rungs are climbed all the time. */
const ranks: number[] = [];

/** Narrows the candidates by a rung, and writes it to its losers. @returns how many stay */
function climb(tables: DecisionTables, rung: Rung, index: number, candidates: number[], count: number): number {
  const kept = narrow(tables, rung, candidates, count);
  for (let i = kept; i < count; i++) setRung(tables, candidates[i], Rung.firstOfLadder + index);
  return kept;
}

/** Moves the losers of a rung behind the candidates that stay. @returns how many stay */
function narrow(tables: DecisionTables, rung: Rung, candidates: number[], count: number): number {
  const { rank } = rung;
  if (rank === undefined) return rung.narrow!(tables, candidates, count);
  let least = Infinity;
  for (let i = 0; i < count; i++) {
    ranks[i] = rank(tables, candidates[i]);
    if (ranks[i] < least) least = ranks[i];
  }
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (ranks[i] === least) swap(candidates, i, kept++);
  }
  return kept;
}

function swap(candidates: number[], i: number, j: number): void {
  const path = candidates[i];
  candidates[i] = candidates[j];
  candidates[j] = path;
}

function setRung(tables: DecisionTables, path: number, rung: number): void {
  tables.paths.chunk(path).rung[path & rowMask] = rung;
}

/** The neighbour ASes of the candidates, and the lowest MED of each. Reused. */
const neighbors: number[] = [];
const lowestMeds: number[] = [];

/** MED compares only among paths from one neighbour AS; one that is missing counts as 0. */
function keepLowestMeds({ paths, pool }: DecisionTables, candidates: number[], count: number): number {
  neighbors.length = 0;
  for (let i = 0; i < count; i++) {
    const attributes = paths.attributesOf(candidates[i]);
    const chunk = pool.chunk(attributes);
    const neighborAs = chunk.neighborAs[attributes & rowMask];
    const med = chunk.med[attributes & rowMask];
    const at = neighbors.indexOf(neighborAs);
    if (at < 0) lowestMeds[neighbors.push(neighborAs) - 1] = med;
    else if (med < lowestMeds[at]) lowestMeds[at] = med;
  }
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const attributes = paths.attributesOf(candidates[i]);
    const chunk = pool.chunk(attributes);
    const lowest = lowestMeds[neighbors.indexOf(chunk.neighborAs[attributes & rowMask])];
    if (chunk.med[attributes & rowMask] === lowest) swap(candidates, i, kept++);
  }
  return kept;
}

function originator(tables: DecisionTables, path: number): number {
  const attributes = tables.paths.attributesOf(path);
  const originatorId = tables.pool.chunk(attributes).originatorId[attributes & rowMask];
  return originatorId || tables.peers.get(peerOf(tables, path)).routerId;
}

/** One peer's paths stay, however many they are. */
function keepLowestPeer(tables: DecisionTables, candidates: number[], count: number): number {
  let lowest = candidates[0];
  for (let i = 1; i < count; i++) if (comparePeers(tables, candidates[i], lowest) < 0) lowest = candidates[i];
  const peer = peerOf(tables, lowest);
  let kept = 0;
  for (let i = 0; i < count; i++) if (peerOf(tables, candidates[i]) === peer) swap(candidates, i, kept++);
  return kept;
}

/** By address; two peers behind one address (other ports) by their number. */
function comparePeers(tables: DecisionTables, a: number, b: number): number {
  const [peerA, peerB] = [tables.peers.get(peerOf(tables, a)), tables.peers.get(peerOf(tables, b))];
  return compareBytes(peerA.address, peerB.address) || peerA.id - peerB.id;
}
