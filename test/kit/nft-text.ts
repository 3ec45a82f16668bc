/**
 * Rulesets and commands in nft's own text, and nft itself: the reference that the tests hold our messages against.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { diffRulesets, type NftCommand } from '../../dataplane/nft/diff.ts';
import { printRule, printVerdict, quote } from '../../dataplane/nft/print.ts';
import { emptyRuleset, hookTypes, type NftElement, type NftSet, type Ruleset } from '../../dataplane/nft/ruleset.ts';

/** A script that makes the table anew. @param table name of the table in family inet */
export function printReplacement(table: string, ruleset: Ruleset): string {
  return printCommands(table, [{ kind: 'renewTable' }, ...diffRulesets(emptyRuleset, ruleset)]);
}

/** @returns one command a line. */
export function printCommands(table: string, commands: readonly NftCommand[]): string {
  return commands.map((command) => `${printCommand(table, command).join('\n')}\n`).join('');
}

function printCommand(table: string, command: NftCommand): string[] {
  if (command.kind === 'renewTable') return [...removal(table), `add table inet ${table}`];
  if (command.kind === 'removeTable') return removal(table);
  const name = `inet ${table} ${command.name}`;
  switch (command.kind) {
    case 'addSet':
      return [`add ${command.set.verdicts ? 'map' : 'set'} ${name} ${printSetHead(command.set)}`];
    case 'addChain': {
      const { hook } = command.chain;
      const head = hook
        ? ` { type ${hookTypes[hook.name]} hook ${hook.name} priority ${hook.priority}; policy accept; }`
        : '';
      return [`add chain ${name}${head}`];
    }
    case 'flushChain':
      return [`flush chain ${name}`];
    case 'addRules':
      return command.chain.rules.map((rule) => `add rule ${name} ${printRule(rule)}`);
    case 'deleteElements':
      return [`delete element ${name} { ${command.keys.join(', ')} }`];
    case 'addElements':
      return [
        `add element ${name} { ${command.elements.map(([key, element]) => printElement(key, element)).join(', ')} }`,
      ];
    case 'deleteChain':
      return [`delete chain ${name}`];
    case 'deleteSet':
      // The kernel has one object for both: `delete set` takes maps too.
      return [`delete set ${name}`];
  }
}

function removal(table: string): string[] {
  return [`add table inet ${table}`, `delete table inet ${table}`];
}

function printSetHead(set: NftSet): string {
  const type = set.keyTypes.join(' . ') + (set.verdicts ? ' : verdict' : '');
  const parts = [`type ${type};`];
  if (set.interval) parts.push('flags interval;');
  if (set.counter) parts.push('counter;');
  if (set.comment !== undefined) parts.push(`comment ${quote(set.comment)};`);
  return `{ ${parts.join(' ')} }`;
}

function printElement(key: string, element: NftElement): string {
  const comment = element.comment === undefined ? '' : ` comment ${quote(element.comment)}`;
  const verdict = element.verdict === undefined ? '' : ` : ${printVerdict(element.verdict)}`;
  return `${key}${comment}${verdict}`;
}

/** Runs nft in a network namespace. @throws Error with its words */
export function loadText(namespace: string, script: string): void {
  const { status, stderr } = spawnSync('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { input: script });
  if (status !== 0) throw new Error(`nft: ${stderr.toString()}`);
}

/** `nft -j list table inet NAME`, parsed. */
export function listJson(namespace: string, table: string): unknown {
  const words = ['netns', 'exec', namespace, 'nft', '-j', 'list', 'table', 'inet', table];
  return JSON.parse(execFileSync('ip', words, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })) as unknown;
}
