/**
 * The commands of the control socket: text to values. The words are birdc's, and our own `show policy` and `show why`.
 * Leaves out: what would make the agent's state differ from the manifests for longer than it runs (`configure soft`, `undo`, `timeout`, `down`), and
 *   BIRD's own affairs (`debug`, `mrtdump`, `eval`).
 * Holds: a command is understood whole or refused with the word that was not; a beginning that only one word has is enough, as with birdc.
 */

import { unreachable } from '../unreachable.ts';
import { bird2Tables } from './bird-form.ts';
import type { BirdForm } from './bird-form.ts';
import { CommandError, noMore, wordOf } from './command-error.ts';
import type { PeerChange } from './model.ts';
import { addressOrPrefix, parseRoute } from './route-command.ts';
import type { RouteCommand } from './route-command.ts';

export type Command =
  | { readonly kind: 'showStatus' }
  | ({ readonly kind: 'showProtocols' } & ProtocolsCommand)
  | ({ readonly kind: 'showRoute' } & RouteCommand)
  | { readonly kind: 'showPolicy'; readonly pod: string }
  | { readonly kind: 'showWhy'; readonly target: string }
  | { readonly kind: 'showMemory' }
  | { readonly kind: 'showBfdSessions' }
  | { readonly kind: 'showInterfaces'; readonly summary: boolean }
  | { readonly kind: 'showSymbols' }
  | ({ readonly kind: 'changePeers' } & ChangeCommand)
  | { readonly kind: 'configure'; readonly check: boolean }
  | { readonly kind: 'echo'; readonly on: boolean }
  | { readonly kind: 'help' }
  | { readonly kind: 'restrict' }
  | { readonly kind: 'denied'; readonly word: string };

export interface ProtocolsCommand {
  readonly all: boolean;
  /** A name, with `*` and `?` as wild cards. */
  readonly pattern: string | undefined;
}

export interface ChangeCommand {
  readonly change: PeerChange;
  /** undefined: all. */
  readonly pattern: string | undefined;
  /** For the peers' operators. */
  readonly text: string;
}

/** Commands of birdc that are refused, whoever asks. */
const denied = ['down', 'graceful', 'debug', 'mrtdump', 'eval'] as const;

const verbs = [
  'show',
  'enable',
  'disable',
  'restart',
  'reload',
  'configure',
  'echo',
  'help',
  'restrict',
  ...denied,
] as const;

const shows = ['status', 'protocols', 'route', 'policy', 'why', 'memory', 'bfd', 'interfaces', 'symbols'] as const;

/** One line each, for `help`. */
export const helpLines = (tables: BirdForm['tables']): readonly string[] => [
  'show status',
  'show protocols [all] [NAME | "PATTERN"]',
  `show route [all] [PREFIX | for ADDRESS | for PREFIX | in PREFIX] [table ${Object.keys(tables).join('|')}]`,
  '           [protocol NAME | import NAME | export NAME | noexport NAME | filtered] [primary]',
  '           [where CONDITION [&& CONDITION]…] [count | stats]',
  'show policy [NAMESPACE/]POD',
  'show why PREFIX|ADDRESS',
  'show memory',
  'show bfd sessions',
  'show interfaces [summary]',
  'show symbols',
  'enable|disable|restart NAME|"PATTERN"|all ["TEXT FOR THE PEERS"]',
  'reload [in|out] NAME|"PATTERN"|all',
  'configure [check]',
  'restrict',
];

/**
 * @param words from splitWords, or a shell's.
 * @param tables those that there are; BIRD 2's unless told.
 * @throws CommandError
 */
export function parseCommand(words: readonly string[], tables: BirdForm['tables'] = bird2Tables): Command {
  const [first, ...rest] = words;
  if (first === undefined) throw new CommandError('syntax error, empty command');
  if (first === '?') return { kind: 'help' };
  const verb = verbOf(first);
  switch (verb) {
    case 'show':
      return parseShow(rest, tables);
    case 'enable':
    case 'disable':
    case 'restart':
      return { kind: 'changePeers', change: verb, ...parseTarget(verb, rest) };
    case 'reload':
      return parseReload(rest);
    case 'configure':
      return parseConfigure(rest);
    case 'echo':
      return parseEcho(rest);
    case 'help':
      return { kind: 'help' };
    case 'restrict':
      return noMore(rest, { kind: 'restrict' });
    case 'down':
    case 'graceful':
    case 'debug':
    case 'mrtdump':
    case 'eval':
      return { kind: 'denied', word: verb };
    default:
      return unreachable(verb);
  }
}

function verbOf(word: string): (typeof verbs)[number] {
  try {
    return wordOf(word, verbs, 'the agent');
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(`syntax error, unknown command '${word}' (try 'help')`, { cause: error });
  }
}

function parseShow([what, ...rest]: readonly string[], tables: BirdForm['tables']): Command {
  if (what === undefined) throw new CommandError(`syntax error, show needs one of ${shows.join(', ')}`);
  const subject = wordOf(what, shows, 'show');
  switch (subject) {
    case 'status':
      return noMore(rest, { kind: 'showStatus' });
    case 'memory':
      return noMore(rest, { kind: 'showMemory' });
    case 'bfd':
      return parseBfd(rest);
    case 'protocols':
      return { kind: 'showProtocols', ...parseProtocols(rest) };
    case 'route':
      return { kind: 'showRoute', ...parseRoute(rest, tables) };
    case 'policy':
      return parsePolicy(rest);
    case 'why':
      return parseWhy(rest);
    case 'interfaces':
      return parseInterfaces(rest);
    case 'symbols':
      return noMore(rest, { kind: 'showSymbols' });
    default:
      return unreachable(subject);
  }
}

function parseTarget(verb: string, words: readonly string[]): Omit<ChangeCommand, 'change'> {
  const [target, text = '', ...rest] = words;
  if (target === undefined) throw new CommandError(`syntax error, ${verb} needs a name, a "PATTERN" or all`);
  return noMore(rest, { pattern: target === 'all' ? undefined : target, text });
}

function parseReload(words: readonly string[]): Command {
  const directions = { in: 'reloadIn', out: 'reloadOut' } as const;
  const [first, ...rest] = words;
  const direction = (first === 'in' || first === 'out') && rest.length > 0 ? first : undefined;
  const change = direction === undefined ? 'reload' : directions[direction];
  const { text, ...target } = parseTarget('reload', direction === undefined ? words : rest);
  return noMore(text === '' ? [] : [text], { kind: 'changePeers', change, ...target, text });
}

/** There is one configuration, the manifests: nothing to keep a second one of. */
function parseConfigure([word, ...rest]: readonly string[]): Command {
  if (word === undefined) return { kind: 'configure', check: false };
  wordOf(word, ['check'], 'configure');
  return noMore(rest, { kind: 'configure', check: true });
}

function parseEcho([word]: readonly string[]): Command {
  if (word === undefined) throw new CommandError("syntax error, echo needs 'all' or 'off'");
  return { kind: 'echo', on: word !== 'off' };
}

function parseInterfaces([word, ...rest]: readonly string[]): Command {
  if (word === undefined) return { kind: 'showInterfaces', summary: false };
  wordOf(word, ['summary'], 'show interfaces');
  return noMore(rest, { kind: 'showInterfaces', summary: true });
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

/** Whether a protocol's name is meant by the pattern of `show protocols`. */
export function nameMatcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  // A run of stars is one star: otherwise a pattern of many takes exponential time.
  const expression = new RegExp(`^${escaped.replace(/\*+/g, '.*').replace(/\?/g, '.')}$`);
  return (name) => expression.test(name);
}
