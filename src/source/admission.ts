/**
 * Which of the objects that lie in a folder, or in an API server, are in force where they exclude each other: one object
 * of a name, pools that do not overlap. Pure.
 * Holds: what is in force stays in force against a newcomer, and against a change of its own that is refused.
 */

import { isDeepStrictEqual } from 'node:util';
import { poolsOverlap, type IpPool } from '../resources/ip-pool.ts';
import { resourceKey, type Resource, type ResourceChange } from '../resources/resource.ts';

export interface Candidate {
  readonly resource: Resource;
  /** Where it lies in the folder; absent of an API server's object. */
  readonly file?: string;
  readonly document?: number;
  readonly line?: number;
}

export interface Refusal {
  readonly candidate: Candidate;
  readonly field?: string;
  readonly reason: string;
}

export interface Admission {
  /** By resourceKey. */
  readonly inForce: ReadonlyMap<string, Candidate>;
  readonly refusals: readonly Refusal[];
}

/**
 * @param candidates every object, ordered by file and document.
 * @param before what was in force until now.
 */
export function admit(candidates: readonly Candidate[], before: ReadonlyMap<string, Candidate>): Admission {
  const refusals: Refusal[] = [];
  const chosen = oneOfAName(candidates, before, refusals);
  const inForce = withoutOverlaps(chosen, before, refusals);
  return { inForce, refusals };
}

/** Deletes first: what takes the place of something finds it free. */
export function changesBetween(
  before: ReadonlyMap<string, Candidate>,
  after: ReadonlyMap<string, Candidate>,
): ResourceChange[] {
  const changes: ResourceChange[] = [];
  for (const [key, { resource }] of before) if (!after.has(key)) changes.push({ kind: 'delete', object: resource });
  for (const [key, { resource }] of after) {
    const old = before.get(key);
    if (old !== undefined && isDeepStrictEqual(old.resource, resource)) continue;
    changes.push({ kind: 'upsert', object: resource });
  }
  return changes;
}

function oneOfAName(
  candidates: readonly Candidate[],
  before: ReadonlyMap<string, Candidate>,
  refusals: Refusal[],
): Map<string, Candidate> {
  const byKey = Map.groupBy(candidates, ({ resource }) => resourceKey(resource));
  const chosen = new Map<string, Candidate>();
  for (const [key, rivals] of byKey) {
    const old = before.get(key);
    const inOldFile = rivals.filter(({ file }) => old !== undefined && old.file === file);
    const inOldPlace = inOldFile.filter(({ document }) => old?.document === document);
    const unchanged = ({ resource }: Candidate) => old !== undefined && equal(old, resource);
    const winner =
      inOldPlace.find(unchanged) ?? inOldFile.find(unchanged) ?? inOldPlace[0] ?? inOldFile[0] ?? rivals[0];
    chosen.set(key, winner);
    for (const candidate of rivals) {
      if (candidate === winner) continue;
      refusals.push({ candidate, reason: `${key} is already defined in ${place(winner)}, which stays in force` });
    }
  }
  return chosen;
}

/**
 * Refuses pools one by one, the newest first, until none overlap; a refused change leaves the pool as it was.
 * What is left of `before` never overlaps in itself, so this ends, and no pool in force is lost to another's change.
 */
function withoutOverlaps(
  chosen: ReadonlyMap<string, Candidate>,
  before: ReadonlyMap<string, Candidate>,
  refusals: Refusal[],
): Map<string, Candidate> {
  const pools = new Map([...chosen].filter(([, { resource }]) => resource.kind === 'IPPool'));
  for (;;) {
    const clash = firstOverlap([...pools.values()].sort(byAge(before)));
    if (clash === undefined) break;
    const { candidate, rival } = clash;
    refusals.push({
      candidate,
      field: 'spec.cidr',
      reason: `${cidrOf(candidate)} overlaps ${cidrOf(rival)} of ${resourceKey(rival.resource)}${rival.file === undefined ? '' : ` in ${place(rival)}`}`,
    });
    const key = resourceKey(candidate.resource);
    const old = before.get(key);
    if (old === undefined) pools.delete(key);
    else pools.set(key, old);
  }
  const others = [...chosen].filter(([, { resource }]) => resource.kind !== 'IPPool');
  return new Map([...others, ...pools]);
}

function firstOverlap(oldestFirst: readonly Candidate[]): { candidate: Candidate; rival: Candidate } | undefined {
  for (const [i, candidate] of oldestFirst.entries()) {
    const rival = oldestFirst.slice(0, i).find((older) => overlap(older, candidate));
    if (rival !== undefined) return { candidate, rival };
  }
  return undefined;
}

/** What is in force as it is, then what changed, then what is new; among equals the time of creation, else the place. */
function byAge(before: ReadonlyMap<string, Candidate>): (a: Candidate, b: Candidate) => number {
  const age = (candidate: Candidate) => {
    const old = before.get(resourceKey(candidate.resource));
    return old === undefined ? 2 : equal(old, candidate.resource) ? 0 : 1;
  };
  return (a, b) => age(a) - age(b) || compareText(created(a), created(b));
}

function equal(old: Candidate, resource: Resource): boolean {
  return isDeepStrictEqual(old.resource, resource);
}

function overlap(a: Candidate, b: Candidate): boolean {
  return a.resource.kind === 'IPPool' && b.resource.kind === 'IPPool' && poolsOverlap(a.resource, b.resource);
}

function cidrOf({ resource }: Candidate): string {
  return (resource as IpPool).spec.cidr;
}

/** Objects without a time are newer than those with one; RFC 3339 in UTC orders as text. */
function created({ resource }: Candidate): string {
  return resource.metadata.creationTimestamp ?? '~';
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function place({ file, document, line }: Candidate): string {
  return document === 1 ? `${file}, line ${line}` : `${file}, document ${document}, line ${line}`;
}
