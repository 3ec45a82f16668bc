/** node:util's parseArgs with errors for the user: the flag first, then the reason. */

import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';
import { UsageError } from './usage.ts';

/**
 * Strict: an unknown flag, a missing value and a flag given twice are refused.
 * @throws UsageError
 */
export function parseFlags<const O extends ParseArgsOptionsConfig>(args: readonly string[], options: O) {
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true, tokens: true });
    const seen = new Set<string>();
    for (const token of parsed.tokens) {
      if (token.kind !== 'option') continue;
      if (seen.has(token.name) && options[token.name].multiple !== true) {
        throw new UsageError(`--${token.name}: is given twice`);
      }
      seen.add(token.name);
    }
    return parsed;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(plainReason(error, args), { cause: error });
  }
}

function plainReason(error: unknown, args: readonly string[]): string {
  const { code, message } = error as { code?: string; message: string };
  const quoted = /'([^']*)'/.exec(message)?.[1] ?? args.join(' ');
  const flag = quoted.replace(/ <value>$/, '').replace(/^-\w, /, '');
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${flag}: there is no such flag`;
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    return /does not take an argument/.test(message) ? `${flag}: takes no value` : `${flag}: needs a value`;
  }
  return message;
}
