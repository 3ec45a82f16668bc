/**
 * The chains that decide on forwarded packets, out of `nft -j list ruleset`, and of `iptables-legacy -S FORWARD`.
 * Leaves out: our own table; rules that look at more than addresses.
 */

import type { FirewallFacts, ForwardAccept, ForwardChain } from './facts.ts';

const ourTable = 'godwit';
const addressBits = { ip: 32, ip6: 128 } as const;
/** Jumps that are followed. */
const deepest = 5;

type Json = Readonly<Record<string, unknown>>;

interface Chain {
  readonly key: string;
  readonly hook?: unknown;
  readonly type?: unknown;
  readonly policy?: unknown;
}

/** @param ruleset the parsed JSON. */
export function parseRuleset(ruleset: unknown): FirewallFacts {
  const entries = isJson(ruleset) && Array.isArray(ruleset.nftables) ? ruleset.nftables.filter(isJson) : [];
  const chains = entries.flatMap(({ chain }): Chain[] =>
    isJson(chain) && chain.table !== ourTable ? [{ key: keyOf(chain, chain.name), ...chain }] : [],
  );
  const rules = new Map<string, (readonly Json[])[]>();
  for (const { rule } of entries) {
    if (!isJson(rule) || !Array.isArray(rule.expr)) continue;
    const key = keyOf(rule, rule.chain);
    rules.set(key, [...(rules.get(key) ?? []), rule.expr.filter(isJson)]);
  }
  return {
    chains: chains.map(({ key }) => key),
    forward: chains.flatMap(({ key, hook, type, policy }): ForwardChain[] => {
      if (hook !== 'forward' || type !== 'filter') return [];
      const last = rules.get(key)?.at(-1);
      const endsClosed = last !== undefined && last.every((part) => !isMatch(part)) && last.some(isRefusal);
      const rest = policy === 'drop' || endsClosed ? 'drop' : 'accept';
      return [{ name: key, rest, accepts: acceptsOf(key, rules, deepest) }];
    }),
  };
}

/** @param text what `iptables-legacy -S FORWARD` (or ip6tables-legacy) prints. */
export function parseLegacyForward(text: string, family: 'ip' | 'ip6'): ForwardChain | undefined {
  const policy = /^-P FORWARD (\w+)$/m.exec(text)?.[1];
  if (policy === undefined) return undefined;
  const accepts = [...text.matchAll(/^-A FORWARD((?: -[sd] \S+)*) -j ACCEPT$/gm)].map(([, words]): ForwardAccept => {
    const [source, destination] = ['s', 'd'].map((flag) => new RegExp(` -${flag} (\\S+)`).exec(words)?.[1]);
    return { ...(source !== undefined && { source }), ...(destination !== undefined && { destination }) };
  });
  return { name: `${family} filter FORWARD (iptables-legacy)`, rest: policy === 'DROP' ? 'drop' : 'accept', accepts };
}

function keyOf({ family, table }: Json, name: unknown): string {
  return `${String(family)} ${String(table)} ${String(name)}`;
}

function acceptsOf(key: string, rules: ReadonlyMap<string, (readonly Json[])[]>, depth: number): ForwardAccept[] {
  if (depth === 0) return [];
  return (rules.get(key) ?? []).flatMap((rule) => {
    const matches = rule.filter(isMatch);
    const jump = rule.map(({ jump, goto }) => jump ?? goto).find(isJson);
    if (jump !== undefined) {
      const target = `${key.split(' ').slice(0, 2).join(' ')} ${String(jump.target)}`;
      return matches.length === 0 ? acceptsOf(target, rules, depth - 1) : [];
    }
    if (!rule.some((part) => 'accept' in part)) return [];
    const read = matches.map(addressMatch);
    return read.includes(undefined) ? [] : [Object.assign({}, ...read) as ForwardAccept];
  });
}

/** Anything that narrows a rule: what nft cannot print of iptables' own (`xt`) may be a match, too. */
function isMatch(part: Json): boolean {
  if ('match' in part || 'vmap' in part || 'limit' in part) return true;
  return isJson(part.xt) && part.xt.type === 'match' && part.xt.name !== 'comment';
}

function isRefusal(part: Json): boolean {
  return 'drop' in part || 'reject' in part || (isJson(part.xt) && part.xt.name === 'REJECT');
}

/** @returns undefined: it looks at something else. */
function addressMatch({ match }: Json): ForwardAccept | undefined {
  if (!isJson(match) || match.op !== '==' || !isJson(match.left) || !isJson(match.left.payload)) return undefined;
  const { protocol, field } = match.left.payload;
  if ((protocol !== 'ip' && protocol !== 'ip6') || (field !== 'saddr' && field !== 'daddr')) return undefined;
  const { right } = match;
  const text =
    typeof right === 'string'
      ? `${right}/${addressBits[protocol]}`
      : isJson(right) && isJson(right.prefix)
        ? `${String(right.prefix.addr)}/${String(right.prefix.len)}`
        : undefined;
  if (text === undefined) return undefined;
  return field === 'saddr' ? { source: text } : { destination: text };
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
