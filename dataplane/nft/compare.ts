/**
 * Does the kernel still hold what was applied?
 * Holds: something removed, added or changed by others, in any chain, rule, set or map, is found: rules are compared by every
 * expression, elements by key, verdict and comment. What only counts (packets, bytes) is no difference.
 */

import { noPause, type Pause } from '../clock.ts';
import { holdsAttributes } from './attributes.ts';
import { toExpressions } from './expressions.ts';
import type { HeldChain, HeldElement, HeldRule, HeldSet, HeldTable } from './held.ts';
import { formatKey, intervalBytes, keyBytes, keyTypeNumber } from './keys.ts';
import { printRule } from './print.ts';
import { hookTypes, type NftChain, type NftRule, type NftSet, type NftVerdict, type Ruleset } from './ruleset.ts';
import { setFlags } from './transaction.ts';

/** @returns the first difference in words, or undefined where all is as it should be */
export async function findDifference(
  held: HeldTable,
  ruleset: Ruleset,
  pause: Pause = noPause,
): Promise<string | undefined> {
  if (held.flags !== 0) return `the table has flags (${held.flags}); 1 puts it to sleep`;
  const difference = namesDiffer('set', held.sets, ruleset.sets) ?? namesDiffer('chain', held.chains, ruleset.chains);
  if (difference !== undefined) return difference;
  for (const [name, set] of ruleset.sets) {
    const found = await setDiffers(name, held.sets.get(name)!, set, pause);
    if (found !== undefined) return found;
  }
  for (const [name, chain] of ruleset.chains) {
    const found = chainDiffers(name, held.chains.get(name)!, chain);
    if (found !== undefined) return found;
    const waiting = pause();
    if (waiting) await waiting;
  }
  return undefined;
}

async function setDiffers(name: string, held: HeldSet, wanted: NftSet, pause: Pause): Promise<string | undefined> {
  const sameType = held.keyType === keyTypeNumber(wanted.keyTypes) && held.flags === setFlags(wanted);
  if (!sameType || held.counter !== (wanted.counter ?? false)) return `set ${name} is of another type`;
  const found = new Map(held.elements.map((element) => [idOf(element.key, element.isIntervalEnd), element]));
  for (const [key, { verdict, comment }] of wanted.elements) {
    const { start, end } = wanted.interval
      ? intervalBytes(wanted.keyTypes[0], key)
      : { start: keyBytes(wanted.keyTypes, key), end: undefined };
    const element = take(found, idOf(start, false));
    if (element === undefined || (end !== undefined && take(found, idOf(end, true)) === undefined)) {
      return `set ${name} lacks the element ${key}`;
    }
    const expected = verdict && verdictText(verdict);
    if (element.verdict !== expected) return `map ${name} has ${key} : ${element.verdict} in place of ${expected}`;
    const waiting = pause();
    if (waiting) await waiting;
    if (element.comment !== comment) return `set ${name} has another comment at the element ${key}`;
  }
  const [foreign] = found.values();
  return foreign && `set ${name} has a foreign element ${formatKey(wanted.keyTypes, foreign.key)}`;
}

function idOf(key: Uint8Array, isIntervalEnd: boolean): string {
  return `${Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')}${isIntervalEnd ? '!' : ''}`;
}

function take(elements: Map<string, HeldElement>, id: string): HeldElement | undefined {
  const element = elements.get(id);
  elements.delete(id);
  return element;
}

function verdictText(verdict: NftVerdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

function chainDiffers(name: string, held: HeldChain, wanted: NftChain): string | undefined {
  const hook = wanted.hook && `${hookTypes[wanted.hook.name]} ${wanted.hook.name} ${wanted.hook.priority} accept`;
  if (held.hook !== hook) return `chain ${name} is hooked to ${held.hook ?? 'nothing'}`;
  if (held.rules.length !== wanted.rules.length) {
    return `chain ${name} has ${held.rules.length} rules in place of ${wanted.rules.length}`;
  }
  const at = wanted.rules.findIndex((rule, i) => ruleDiffers(held.rules[i], rule));
  return at < 0
    ? undefined
    : `chain ${name} has another rule in place of number ${at + 1}, ${printRule(wanted.rules[at])}`;
}

function ruleDiffers(held: HeldRule, wanted: NftRule): boolean {
  const expressions = toExpressions(wanted);
  return (
    held.comment !== wanted.comment ||
    held.expressions.length !== expressions.length ||
    expressions.some(({ name, attributes }, i) => {
      const { name: heldName, attributes: heldAttributes } = held.expressions[i];
      return heldName !== name || !holdsAttributes(heldAttributes, attributes);
    })
  );
}

function namesDiffer(
  word: string,
  held: ReadonlyMap<string, unknown>,
  wanted: ReadonlyMap<string, unknown>,
): string | undefined {
  for (const name of wanted.keys()) if (!held.has(name)) return `${word} ${name} is gone`;
  for (const name of held.keys()) if (!wanted.has(name)) return `${word} ${name} is foreign`;
  return undefined;
}
