/**
 * From the ruleset the kernel holds to the one it shall hold: the commands of one transaction.
 * Leaves out: how commands are written (transaction.ts).
 * Holds: adds come before what refers to them, deletions after the last reference is gone; a chain or set that did not
 * change is not touched, so its counters go on.
 */

import type { NftChain, NftElement, NftSet, Ruleset } from './ruleset.ts';

export type NftCommand =
  /** The table is made anew, empty: whatever was in it is gone. */
  | { readonly kind: 'renewTable' }
  /** No error where there is none. */
  | { readonly kind: 'removeTable' }
  | { readonly kind: 'addSet'; readonly name: string; readonly set: NftSet }
  | { readonly kind: 'addChain'; readonly name: string; readonly chain: NftChain }
  | { readonly kind: 'flushChain'; readonly name: string }
  | { readonly kind: 'addRules'; readonly name: string; readonly chain: NftChain }
  | { readonly kind: 'deleteElements'; readonly name: string; readonly set: NftSet; readonly keys: readonly string[] }
  | {
      readonly kind: 'addElements';
      readonly name: string;
      readonly set: NftSet;
      readonly elements: readonly (readonly [string, NftElement])[];
    }
  | { readonly kind: 'deleteChain'; readonly name: string }
  | { readonly kind: 'deleteSet'; readonly name: string };

/**
 * Between two rulesets, the ones to go by, each a transaction of its own: first what is new comes, then what refers to it changes over,
 * last what is no longer referred to goes. A packet reads the kernel's generation of rules once a base chain and again with every
 * lookup: one that is on its way while a map's element changes may follow it into a chain of the new generation, and must find it filled.
 */
export function waypoints(before: Ruleset, after: Ruleset): Ruleset[] {
  const widened = { sets: union(before.sets, after.sets), chains: union(before.chains, after.chains) };
  const switched = { sets: union(after.sets, before.sets), chains: union(after.chains, before.chains) };
  return [widened, switched, after];
}

/** The first's objects, and the second's of other names. */
function union<T>(first: ReadonlyMap<string, T>, second: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map([...first, ...[...second].filter(([name]) => !first.has(name))]);
}

/** @returns the commands in the order they must be given; none where nothing changed. */
export function diffRulesets(before: Ruleset, after: Ruleset): NftCommand[] {
  const sets = changes(before.sets, after.sets, sameShape);
  const chains = changes(before.chains, after.chains, sameHook);
  const commands: NftCommand[] = [];
  // A set or chain of another shape under the same name cannot be changed in place: it would need a new name.
  for (const name of [...sets.reshaped, ...chains.reshaped]) {
    throw new Error(`nftables object ${name} changed its type; a changed object needs a new name`);
  }

  for (const name of sets.added) {
    // A set's element may jump to a chain that is not there yet: elements come after the chains.
    commands.push({ kind: 'addSet', name, set: after.sets.get(name)! });
  }
  for (const name of chains.added) commands.push({ kind: 'addChain', name, chain: after.chains.get(name)! });

  for (const name of chains.changed) commands.push({ kind: 'flushChain', name });
  for (const name of chains.removed) commands.push({ kind: 'flushChain', name });
  for (const name of [...chains.added, ...chains.changed]) {
    const chain = after.chains.get(name)!;
    if (chain.rules.length > 0) commands.push({ kind: 'addRules', name, chain });
  }
  for (const name of sets.changed) {
    commands.push(...diffElements(name, before.sets.get(name)!.elements, after.sets.get(name)!));
  }
  for (const name of sets.added) {
    const set = after.sets.get(name)!;
    if (set.elements.size > 0) commands.push({ kind: 'addElements', name, set, elements: [...set.elements] });
  }

  // A removed map goes with its elements, and with them its references to chains.
  for (const name of sets.removed) commands.push({ kind: 'deleteSet', name });
  for (const name of chains.removed) commands.push({ kind: 'deleteChain', name });
  return commands;
}

function diffElements(name: string, before: ReadonlyMap<string, NftElement>, set: NftSet): NftCommand[] {
  const after = set.elements;
  const keys: string[] = [];
  const elements: [string, NftElement][] = [];
  for (const [key, element] of before) {
    const wanted = after.get(key);
    if (wanted === undefined || !sameElement(element, wanted)) keys.push(key);
  }
  for (const [key, element] of after) {
    const held = before.get(key);
    if (held === undefined || !sameElement(held, element)) elements.push([key, element]);
  }
  const commands: NftCommand[] = [];
  if (keys.length > 0) commands.push({ kind: 'deleteElements', name, set, keys });
  if (elements.length > 0) commands.push({ kind: 'addElements', name, set, elements });
  return commands;
}

interface Changes {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly reshaped: readonly string[];
  readonly removed: readonly string[];
}

function changes<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  sameShape: (a: T, b: T) => boolean,
): Changes {
  const added: string[] = [];
  const changed: string[] = [];
  const reshaped: string[] = [];
  const removed: string[] = [];
  for (const [name, wanted] of after) {
    const held = before.get(name);
    if (held === undefined) added.push(name);
    else if (held !== wanted) (sameShape(held, wanted) ? changed : reshaped).push(name);
  }
  for (const name of before.keys()) if (!after.has(name)) removed.push(name);
  return { added, changed, reshaped, removed };
}

function sameShape(a: NftSet, b: NftSet): boolean {
  return (
    a.keyTypes.join() === b.keyTypes.join() &&
    a.interval === b.interval &&
    a.counter === b.counter &&
    a.verdicts === b.verdicts &&
    a.comment === b.comment
  );
}

function sameHook(a: NftChain, b: NftChain): boolean {
  return a.hook?.name === b.hook?.name && a.hook?.priority === b.hook?.priority;
}

function sameElement(a: NftElement, b: NftElement): boolean {
  if (a === b) return true;
  if (a.comment !== b.comment || a.verdict?.kind !== b.verdict?.kind) return false;
  const target = (verdict: NftElement['verdict']) => (verdict && 'chain' in verdict ? verdict.chain : undefined);
  return target(a.verdict) === target(b.verdict);
}
