/**
 * Does the kernel still hold what was applied? Reads `nft -j list table` against a ruleset.
 * Leaves out: the expressions inside a rule. A rule is known by its place, its comment and its last statement; nft's
 * versions write the rest differently, and a difference of wording must not look like an intrusion.
 * Holds: something removed or added by others, in any chain, set or map, is found.
 */

import { asArray, asObject, elementKey, type JsonObject } from './listing.ts';
import { hookTypes, type NftChain, type NftRule, type NftSet, type NftVerdict, type Ruleset } from './ruleset.ts';

/**
 * @param listing the parsed answer of `nft -j list table inet NAME`
 * @returns the first difference in words, or undefined where all is as it should be
 */
export function findDifference(listing: unknown, ruleset: Ruleset): string | undefined {
  const held = readListing(listing);
  return (
    namesDiffer('set', held.sets, ruleset.sets) ??
    namesDiffer('chain', held.chains, ruleset.chains) ??
    firstOf(ruleset.sets, (name, set) => setDiffers(name, held.sets.get(name)!, set)) ??
    firstOf(ruleset.chains, (name, chain) => chainDiffers(name, held.chains.get(name)!, chain))
  );
}

/** nft's JSON, as far as it is read here. */
interface HeldSet {
  /** Verdict in words (`jump x`) by key; an empty text in plain sets. */
  readonly elements: ReadonlyMap<string, string>;
}
interface HeldChain {
  readonly hook: string | undefined;
  readonly rules: string[];
}

function readListing(listing: unknown): { sets: Map<string, HeldSet>; chains: Map<string, HeldChain> } {
  const sets = new Map<string, HeldSet>();
  const chains = new Map<string, HeldChain>();
  for (const entry of asArray(asObject(listing).nftables)) {
    const object = asObject(entry);
    const set = object.set ?? object.map;
    if (set !== undefined) {
      const { name, elem } = asObject(set);
      sets.set(String(name), { elements: new Map(asArray(elem ?? []).map(readElement)) });
    } else if (object.chain !== undefined) {
      const { name, type, hook, prio } = asObject(object.chain);
      const hooked = hook === undefined ? undefined : `${String(type)} ${String(hook)} ${String(prio)}`;
      chains.set(String(name), { hook: hooked, rules: [] });
    } else if (object.rule !== undefined) {
      const { chain, comment, expr } = asObject(object.rule);
      // nft lists a table's chains before their rules.
      chains.get(String(chain))?.rules.push(rulePrint(comment, lastStatement(asArray(expr))));
    }
  }
  return { sets, chains };
}

function readElement(element: unknown): [string, string] {
  if (Array.isArray(element)) return [elementKey(element[0]), verdictOf(asObject(element[1]))];
  return [elementKey(element), ''];
}

/** `jump CHAIN`, `drop`, …; other statements by their first word. */
function verdictOf(statement: JsonObject): string {
  const [kind, value] = Object.entries(statement)[0] ?? ['', null];
  const target = typeof value === 'object' && value !== null ? (value as JsonObject).target : undefined;
  return target === undefined ? kind : `${kind} ${String(target)}`;
}

function lastStatement(expressions: readonly unknown[]): string {
  return verdictOf(asObject(expressions.at(-1) ?? {}));
}

function rulePrint(comment: unknown, statement: string): string {
  return `${statement} # ${typeof comment === 'string' ? comment : ''}`;
}

function expectedRule(rule: NftRule): string {
  const { verdict } = rule;
  const last =
    verdict === undefined
      ? rule.counter
        ? 'counter'
        : 'log'
      : verdict.kind === 'verdictMap'
        ? 'vmap'
        : verdict.kind === 'masquerade'
          ? verdict.kind
          : verdictText(verdict);
  return rulePrint(rule.comment, last);
}

function verdictText(verdict: NftVerdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

function setDiffers(name: string, held: HeldSet, wanted: NftSet): string | undefined {
  for (const [key, element] of wanted.elements) {
    const verdict = held.elements.get(key);
    if (verdict === undefined) return `set ${name} lacks the element ${key}`;
    const expected = element.verdict ? verdictText(element.verdict) : '';
    if (verdict !== expected) return `map ${name} has ${key} : ${verdict} in place of ${expected}`;
  }
  if (held.elements.size === wanted.elements.size) return undefined;
  const foreign = [...held.elements.keys()].find((key) => !wanted.elements.has(key));
  return `set ${name} has a foreign element ${foreign}`;
}

function chainDiffers(name: string, held: HeldChain, wanted: NftChain): string | undefined {
  const hook = wanted.hook && `${hookTypes[wanted.hook.name]} ${wanted.hook.name} ${wanted.hook.priority}`;
  if (held.hook !== hook) return `chain ${name} is hooked to ${held.hook ?? 'nothing'}`;
  if (held.rules.length !== wanted.rules.length) {
    return `chain ${name} has ${held.rules.length} rules in place of ${wanted.rules.length}`;
  }
  const at = wanted.rules.findIndex((rule, i) => expectedRule(rule) !== held.rules[i]);
  return at < 0 ? undefined : `chain ${name} has a foreign rule at place ${at}: ${held.rules[at]}`;
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

function firstOf<T>(
  objects: ReadonlyMap<string, T>,
  question: (name: string, object: T) => string | undefined,
): string | undefined {
  for (const [name, object] of objects) {
    const answer = question(name, object);
    if (answer !== undefined) return answer;
  }
  return undefined;
}
