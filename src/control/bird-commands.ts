/**
 * The commands of the control socket: text to values. The words are birdc's, and our own `show policy` and `show why`.
 * Leaves out: everything that changes state (the socket is read-only), filters (`where …`), tables that we do not have.
 * Holds: a command is understood whole or refused with the word that was not.
 */

import { canonicalAddress, familyOfText, formatPrefix, parseAddress, parsePrefix, prefixCovers } from '../../bgp/ip.ts';
import type { Family, Prefix } from '../../bgp/ip.ts';
import type { RouteDetail, RouteQuery } from './model.ts';

export type Command =
  | { readonly kind: 'showStatus' }
  | ({ readonly kind: 'showProtocols' } & ProtocolsCommand)
  | ({ readonly kind: 'showRoute' } & RouteCommand)
  | { readonly kind: 'showPolicy'; readonly pod: string }
  | { readonly kind: 'showWhy'; readonly target: string }
  | { readonly kind: 'showMemory' }
  | { readonly kind: 'showBfdSessions' }
  | { readonly kind: 'help' }
  | { readonly kind: 'restrict' }
  | { readonly kind: 'denied'; readonly word: string };

export interface ProtocolsCommand {
  readonly all: boolean;
  /** A name, with `*` and `?` as wild cards. */
  readonly pattern: string | undefined;
}

export interface RouteCommand {
  readonly all: boolean;
  /** Only numbers. */
  readonly count: boolean;
  readonly query: RouteQuery;
  /** Canonical text: only prefixes inside this one. */
  readonly within: string | undefined;
}

/** The command was not understood. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Commands of birdc that would change something. */
const changing = [
  'configure',
  'disable',
  'enable',
  'restart',
  'reload',
  'down',
  'graceful',
  'debug',
  'mrtdump',
  'eval',
];

const shows = ['status', 'protocols', 'route', 'policy', 'why', 'memory', 'bfd'] as const;

/** One line each, for `help`. */
export const helpLines: readonly string[] = [
  'show status',
  'show protocols [all] [NAME | "PATTERN"]',
  'show route [all] [PREFIX | for ADDRESS | for PREFIX | in PREFIX] [table master4|master6]',
  '           [protocol NAME | export NAME | filtered] [primary] [count]',
  'show policy [NAMESPACE/]POD',
  'show why PREFIX|ADDRESS',
  'show memory',
  'show bfd sessions',
  'restrict',
];

/**
 * @param words from splitWords, or a shell's.
 * @throws CommandError
 */
export function parseCommand(words: readonly string[]): Command {
  const [verb, ...rest] = words;
  if (verb === undefined) throw new CommandError('syntax error, empty command');
  if (changing.includes(verb)) return { kind: 'denied', word: verb };
  if (verb === 'help' || verb === '?') return { kind: 'help' };
  if (verb === 'restrict') return noMore(rest, { kind: 'restrict' });
  if (verb === 'show') return parseShow(rest);
  throw new CommandError(`syntax error, unknown command '${verb}' (try 'help')`);
}

function parseShow([what, ...rest]: readonly string[]): Command {
  if (what === undefined) throw new CommandError(`syntax error, show needs one of ${shows.join(', ')}`);
  // Like birdc, a beginning that only one word has is enough.
  const found = shows.filter((word) => word === what || (what !== '' && word.startsWith(what)));
  if (found.length !== 1) throw new CommandError(`syntax error, show knows ${shows.join(', ')}, not '${what}'`);
  switch (found[0]) {
    case 'status':
      return noMore(rest, { kind: 'showStatus' });
    case 'memory':
      return noMore(rest, { kind: 'showMemory' });
    case 'bfd':
      return parseBfd(rest);
    case 'protocols':
      return { kind: 'showProtocols', ...parseProtocols(rest) };
    case 'route':
      return { kind: 'showRoute', ...parseRoute(rest) };
    case 'policy':
      return parsePolicy(rest);
    case 'why':
      return parseWhy(rest);
  }
}

function parseBfd([what, ...rest]: readonly string[]): Command {
  if (what === undefined || !'sessions'.startsWith(what))
    throw new CommandError("syntax error, show bfd needs 'sessions'");
  return noMore(rest, { kind: 'showBfdSessions' });
}

function parseProtocols(words: readonly string[]): ProtocolsCommand {
  const all = words[0] === 'all';
  const [pattern, ...rest] = all ? words.slice(1) : words;
  return noMore(rest, { all, pattern });
}

function parsePolicy([pod, ...rest]: readonly string[]): Command {
  if (pod === undefined) throw new CommandError('syntax error, show policy needs [NAMESPACE/]POD');
  return noMore(rest, { kind: 'showPolicy', pod: pod.includes('/') ? pod : `default/${pod}` });
}

function parseWhy([target, ...rest]: readonly string[]): Command {
  if (target === undefined) throw new CommandError('syntax error, show why needs a prefix or an address');
  return noMore(rest, { kind: 'showWhy', target: addressOrPrefix(target) });
}

type MutableQuery = { -readonly [K in keyof RouteQuery]: RouteQuery[K] };

const tableFamily: Readonly<Record<string, Family | undefined>> = { master4: 'ipv4', master6: 'ipv6' };

function parseRoute(words: readonly string[]): RouteCommand {
  const query: MutableQuery = {};
  let all = false;
  let count = false;
  let within: string | undefined;
  const rest = [...words];
  const next = (after: string, what: string): string => {
    const word = rest.shift();
    if (word === undefined) throw new CommandError(`syntax error, '${after}' needs ${what}`);
    return word;
  };
  const once = (taken: boolean, word: string): void => {
    if (taken) throw new CommandError(`syntax error, '${word}': only one of prefix, for and in`);
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const narrowed = query.prefix !== undefined || query.for !== undefined || within !== undefined;
    if (word === 'all') all = true;
    else if (word === 'count') count = true;
    else if (word === 'primary') query.primary = true;
    else if (word === 'filtered') query.filtered = true;
    else if (word === 'protocol') query.protocol = next(word, 'the name of a protocol');
    else if (word === 'export') query.exportedTo = next(word, 'the name of a protocol');
    else if (word === 'for') {
      once(narrowed, word);
      query.for = addressOrPrefix(next(word, 'an address or a prefix'));
    } else if (word === 'in') {
      once(narrowed, word);
      within = prefix(next(word, 'a prefix'));
    } else if (word === 'table') {
      const name = next(word, 'the name of a table');
      const family = tableFamily[name];
      if (family === undefined && name !== 'all') {
        throw new CommandError(`No such table: '${name}' (there are master4 and master6)`);
      }
      query.family = family;
    } else if (/^[0-9a-fA-F:.]+(\/|$)/.test(word) && /[.:]/.test(word)) {
      once(narrowed, word);
      query.prefix = prefix(word);
    } else throw new CommandError(`syntax error, unexpected '${word}' after show route`);
  }
  if (query.filtered === true && query.exportedTo !== undefined) {
    throw new CommandError("syntax error, 'filtered' and 'export' exclude each other");
  }
  const subject = query.prefix ?? query.for ?? within;
  if (subject !== undefined) {
    const family = familyOfText(subject);
    if (query.family !== undefined && query.family !== family) {
      throw new CommandError(`${subject} does not belong into the table asked for`);
    }
    query.family = family;
  }
  return { all, count, query, within };
}

/** Whether the command wants this route, as far as the query could not say it. */
export function routeFilter(command: RouteCommand): (route: RouteDetail) => boolean {
  const within = command.within === undefined ? undefined : parsePrefix(command.within);
  if (within === undefined) return () => true;
  return (route) => prefixCovers(within, parsePrefix(route.prefix) as Prefix);
}

/** Whether a protocol's name is meant by the pattern of `show protocols`. */
export function nameMatcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  // A run of stars is one star: otherwise a pattern of many takes exponential time.
  const expression = new RegExp(`^${escaped.replace(/\*+/g, '.*').replace(/\?/g, '.')}$`);
  return (name) => expression.test(name);
}

function prefix(word: string): string {
  const parsed = parsePrefix(word);
  if (parsed === undefined) throw new CommandError(`Invalid prefix ${word}${word.includes('/') ? '' : ', no length'}`);
  const text = formatPrefix(parsed);
  const written = canonicalAddress(word.slice(0, word.indexOf('/')));
  if (written !== text.slice(0, text.indexOf('/'))) {
    const name = parsed.family === 'ipv4' ? 'IPv4' : 'IPv6';
    throw new CommandError(`Invalid ${name} prefix ${word}, maybe you wanted ${text}`);
  }
  return text;
}

function addressOrPrefix(word: string): string {
  if (word.includes('/')) return prefix(word);
  if (parseAddress(word) === undefined) throw new CommandError(`Invalid address or prefix ${word}`);
  return canonicalAddress(word) as string;
}

function noMore<T>(rest: readonly string[], value: T): T {
  if (rest.length === 0) return value;
  throw new CommandError(`syntax error, unexpected '${rest[0]}'`);
}
