/**
 * Commands of a transaction in nft's own text, for `nft -f -`.
 * Holds: comments cannot leave their quotes, and names are names: both are checked, not trusted.
 */

import { diffRulesets, type NftCommand } from './diff.ts';
import {
  emptyRuleset,
  hookTypes,
  longestName,
  type NftElement,
  type NftMatch,
  type NftRule,
  type NftSet,
  type NftVerdict,
  nftComment,
  nftFields,
  type Ruleset,
} from './ruleset.ts';
import { unreachable } from '../unreachable.ts';

/** Elements in one command: a netlink attribute holds 64 KiB, and nft splits what is longer itself; this keeps its lines readable. */
const elementsPerCommand = 1000;

/**
 * A script that makes the table anew in one transaction: packets see the old table or the new one, never none.
 * @param table name of the table in family inet
 */
export function printReplacement(table: string, ruleset: Ruleset): string {
  // `add` first: deleting a table that is not there is an error.
  return [
    `add table inet ${checkName(table)}`,
    `delete table inet ${table}`,
    `add table inet ${table}`,
    printCommands(table, diffRulesets(emptyRuleset, ruleset)),
  ].join('\n');
}

/** A script that takes the table away; no error where there is none. */
export function printRemoval(table: string): string {
  return `add table inet ${checkName(table)}\ndelete table inet ${table}\n`;
}

/** @returns one command a line (large element lists: several). */
export function printCommands(table: string, commands: readonly NftCommand[]): string {
  const lines: string[] = [];
  for (const command of commands) {
    const name = `inet ${table} ${checkName(command.name)}`;
    switch (command.kind) {
      case 'addSet':
        lines.push(`add ${command.set.verdicts ? 'map' : 'set'} ${name} ${printSetHead(command.set)}`);
        break;
      case 'addChain': {
        const hook = command.chain.hook;
        const head = hook
          ? ` { type ${hookTypes[hook.name]} hook ${hook.name} priority ${hook.priority}; policy accept; }`
          : '';
        lines.push(`add chain ${name}${head}`);
        break;
      }
      case 'flushChain':
        lines.push(`flush chain ${name}`);
        break;
      case 'addRules':
        for (const rule of command.chain.rules) lines.push(`add rule ${name} ${printRule(rule)}`);
        break;
      case 'deleteElements':
        for (const part of slices(command.keys)) lines.push(`delete element ${name} { ${part.join(', ')} }`);
        break;
      case 'addElements':
        for (const part of slices(command.elements)) {
          lines.push(`add element ${name} { ${part.map(([key, element]) => printElement(key, element)).join(', ')} }`);
        }
        break;
      case 'deleteChain':
        lines.push(`delete chain ${name}`);
        break;
      case 'deleteSet':
        // The kernel has one object for both: `delete set` takes maps too.
        lines.push(`delete set ${name}`);
        break;
      default:
        unreachable(command);
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
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

/** One rule as `nft list` shows it, without counters' values. */
export function printRule(rule: NftRule): string {
  const parts = rule.matches.map(printMatch);
  if (rule.log) {
    parts.push(`limit rate ${rule.log.perSecond}/second log prefix ${quote(rule.log.prefix)}`);
  }
  if (rule.counter) parts.push('counter');
  if (rule.verdict) {
    parts.push(printRuleVerdict(rule.verdict));
  }
  if (rule.comment !== undefined) parts.push(`comment ${quote(rule.comment)}`);
  return parts.join(' ');
}

function printRuleVerdict(verdict: NonNullable<NftRule['verdict']>): string {
  if (verdict.kind === 'verdictMap') return `${nftFields[verdict.field]} vmap @${checkName(verdict.map)}`;
  // Random ports: where two connections begin at one time, the next free port would be given to both, and one would fail.
  return verdict.kind === 'masquerade' ? 'masquerade fully-random' : printVerdict(verdict);
}

function printMatch(match: NftMatch): string {
  switch (match.kind) {
    case 'inSet':
    case 'notInSet': {
      const operator = match.kind === 'inSet' ? '' : '!= ';
      return `${match.fields.map((field) => nftFields[field]).join(' . ')} ${operator}@${checkName(match.set)}`;
    }
    case 'isOneOf': {
      const values =
        match.values.length === 1
          ? match.values[0]
          : match.field === 'connectionState'
            ? match.values.join(',')
            : `{ ${match.values.join(', ')} }`;
      return `${nftFields[match.field]} ${values}`;
    }
    default:
      return unreachable(match);
  }
}

function printVerdict(verdict: NftVerdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${checkName(verdict.chain)}` : verdict.kind;
}

function quote(comment: string): string {
  if (comment !== nftComment(comment)) throw new Error(`not a comment for nftables: ${JSON.stringify(comment)}`);
  return `"${comment}"`;
}

function checkName(name: string): string {
  if (!/^[A-Za-z][A-Za-z0-9/._-]*$/.test(name) || name.length > longestName) {
    throw new Error(`not a name for an nftables object: ${JSON.stringify(name)}`);
  }
  return name;
}

function* slices<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < list.length; i += elementsPerCommand) yield list.slice(i, i + elementsPerCommand);
}
