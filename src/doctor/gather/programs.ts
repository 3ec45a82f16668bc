/** Other programs' answers: `nft`, `iptables-legacy`, `ip`. One that is missing is told, not an error. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Fact, FirewallFacts, ForwardChain, PolicyRule } from '../facts.ts';
import { parseLegacyForward, parseRuleset } from '../parse-ruleset.ts';

export async function gatherFirewall(): Promise<Fact<FirewallFacts>> {
  // Terse: the elements of large sets are of no interest.
  const ruleset = await run('nft', ['-j', '-t', 'list', 'ruleset']);
  if ('unknown' in ruleset) return ruleset;
  const facts = parseRuleset(JSON.parse(ruleset.value));
  const legacy = await Promise.all([legacyForward('ip'), legacyForward('ip6')]);
  return { value: { ...facts, forward: [...facts.forward, ...legacy.filter((chain) => chain !== undefined)] } };
}

/** Asked only where the kernel has the table: the question itself would make it. */
async function legacyForward(family: 'ip' | 'ip6'): Promise<ForwardChain | undefined> {
  if (!tableNames(family).includes('filter')) return undefined;
  const text = await run(family === 'ip' ? 'iptables-legacy' : 'ip6tables-legacy', ['-S', 'FORWARD']);
  return 'value' in text ? parseLegacyForward(text.value, family) : undefined;
}

function tableNames(family: 'ip' | 'ip6'): readonly string[] {
  try {
    return readFileSync(`/proc/net/${family}_tables_names`, 'utf8').split('\n');
  } catch (error) {
    // A kernel without the legacy tables has no such file; one that is not for us tells nothing.
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

export async function gatherRules(): Promise<Fact<readonly PolicyRule[]>> {
  const texts = [await run('ip', ['-j', 'rule']), await run('ip', ['-j', '-6', 'rule'])];
  const rules: PolicyRule[] = [];
  for (const text of texts) {
    if ('unknown' in text) return text;
    const list = JSON.parse(text.value || '[]') as readonly { readonly priority?: number; readonly table?: string }[];
    rules.push(...list.map(({ priority, table }) => ({ priority: priority ?? 0, table: table ?? '' })));
  }
  return { value: rules };
}

function run(program: string, args: readonly string[]): Promise<Fact<string>> {
  return new Promise((resolve) => {
    const options = { timeout: 30_000, maxBuffer: 256 * 1024 * 1024, env: { ...process.env, LC_ALL: 'C.UTF-8' } };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ value: stdout });
      else if (error.code === 'ENOENT') resolve({ unknown: `the program ${program} is not here` });
      else resolve({ unknown: `${program}: ${stderr.trim().split('\n')[0] || error.message}` });
    });
  });
}
