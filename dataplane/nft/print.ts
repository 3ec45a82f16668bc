/**
 * Rules in nft's own words: for people, and for the tests, which hold our messages against what nft makes of the same text.
 * Holds: comments cannot leave their quotes, and names are names: both are checked, not trusted.
 */

import { checkComment, checkName, nftFields, type NftMatch, type NftRule, type NftVerdict } from './ruleset.ts';
import { unreachable } from '../unreachable.ts';

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
    case 'equals':
      return `${nftFields[match.field]} ${match.value}`;
    case 'inPrefix':
      return `${nftFields[match.field]} ${match.prefix}`;
    case 'hasState':
      return `${nftFields.connectionState} ${match.states.join(',')}`;
    default:
      return unreachable(match);
  }
}

/** As in a rule or a map's element. */
export function printVerdict(verdict: NftVerdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${checkName(verdict.chain)}` : verdict.kind;
}

export function quote(comment: string): string {
  return `"${checkComment(comment)}"`;
}
