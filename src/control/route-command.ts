/**
 * `show route` and its words: text to a query, and to what the query cannot say.
 * Leaves out: BIRD's filter language, but for the conditions of `where` in the table below, joined by `&&`.
 * Holds: a command is understood whole or refused with the word that was not.
 */

import {
  canonicalAddress,
  canonicalScopedAddress,
  familyOfText,
  formatPrefix,
  parseAddress,
  parsePrefix,
  prefixCovers,
} from '../../bgp/ip.ts';
import type { Family, Prefix } from '../../bgp/ip.ts';
import type { BirdForm } from './bird-form.ts';
import { CommandError } from './command-error.ts';
import type { RouteDetail, RouteQuery } from './model.ts';

type RouteCondition = (route: RouteDetail) => boolean;

export interface RouteCommand {
  readonly all: boolean;
  /** count: only numbers; stats: numbers too. */
  readonly numbers: 'none' | 'count' | 'stats';
  readonly query: RouteQuery;
  /** What the query cannot say; all of them must hold. */
  readonly conditions: readonly RouteCondition[];
}

type MutableQuery = { -readonly [K in keyof RouteQuery]: RouteQuery[K] };

/**
 * @param tables those that there are: of one alone the routes are meant in any case.
 * @throws CommandError
 */
export function parseRoute(words: readonly string[], tables: BirdForm['tables']): RouteCommand {
  const families = Object.values(tables);
  const anyFamily = families.length === 1 ? families[0] : undefined;
  const query: MutableQuery = { ...(anyFamily !== undefined && { family: anyFamily }) };
  const conditions: RouteCondition[] = [];
  let all = false;
  let numbers: RouteCommand['numbers'] = 'none';
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
    switch (word) {
      case 'all':
        all = true;
        break;
      case 'count':
      case 'stats':
        numbers = word;
        break;
      case 'primary':
        query.primary = true;
        break;
      case 'filtered':
        query.filtered = true;
        break;
      case 'protocol':
        query.protocol = next(word, 'the name of a protocol');
        break;
      case 'import':
        takeTable(rest);
        [query.protocol, query.family = query.family] = channelOf(next(word, 'the name of a protocol'));
        query.refusedToo = true;
        break;
      case 'export':
        takeTable(rest);
        [query.exportedTo, query.family = query.family] = channelOf(next(word, 'the name of a protocol'));
        break;
      case 'noexport':
        [query.notExportedTo, query.family = query.family] = channelOf(next(word, 'the name of a protocol'));
        break;
      case 'where':
        conditions.push(...takeConditions(rest));
        break;
      case 'for':
        once(narrowed, word);
        query.for = addressOrPrefix(next(word, 'an address or a prefix'));
        break;
      case 'in':
        once(narrowed, word);
        within = prefix(next(word, 'a prefix'));
        break;
      case 'table': {
        const name = next(word, 'the name of a table');
        if (name !== 'all' && !Object.hasOwn(tables, name)) {
          const known = Object.keys(tables).join(' and ');
          throw new CommandError(`No such table: '${name}' (there ${families.length === 1 ? 'is' : 'are'} ${known})`);
        }
        query.family = name === 'all' ? anyFamily : tables[name];
        break;
      }
      default:
        if (!/^[0-9a-fA-F:.]+(\/|$)/.test(word) || !/[.:]/.test(word)) {
          throw new CommandError(`syntax error, unexpected '${word}' after show route`);
        }
        once(narrowed, word);
        query.prefix = prefix(word);
    }
  }
  const views = [query.filtered, query.exportedTo, query.notExportedTo, query.refusedToo];
  if (views.filter((view) => view !== undefined).length > 1) {
    throw new CommandError("syntax error, 'filtered', 'import', 'export' and 'noexport' exclude each other");
  }
  const subject = query.prefix ?? query.for ?? within;
  if (subject !== undefined) {
    const family = familyOfText(subject);
    if (query.family !== undefined && query.family !== family) {
      throw new CommandError(`${subject} does not belong into the table asked for`);
    }
    query.family = family;
  }
  if (within !== undefined) conditions.push(isInside(within));
  return { all, numbers, query, conditions };
}

/** Whether the command wants this route, as far as the query could not say it. */
export function routeFilter({ conditions }: RouteCommand): RouteCondition {
  return (route) => conditions.every((holds) => holds(route));
}

/** BIRD's users write `export table NAME.CHANNEL` where the table that is kept for it is meant. */
function takeTable(rest: string[]): void {
  if (rest[0] === 'table' && rest.length > 1) rest.shift();
}

/** `tor.ipv4`: the name of a protocol, with that of its channel. */
function channelOf(word: string): [name: string, family: Family | undefined] {
  const channel = /^(.+)\.(ipv4|ipv6)$/.exec(word);
  return channel === null ? [word, undefined] : [channel[1], channel[2] as Family];
}

/** What may stand before an operator in `where`, and what may stand behind it. */
const subjects: Readonly<Record<string, Readonly<Record<string, (value: string) => RouteCondition>>>> = {
  net: {
    '=': (value) => {
      const text = prefix(value);
      return (route) => route.prefix === text;
    },
    '~': (value) => netPattern(value),
  },
  'net.type': {
    '=': (value) => {
      const family = ({ NET_IP4: 'ipv4', NET_IP6: 'ipv6' } as const)[value];
      if (family === undefined) throw new CommandError(`syntax error, net.type is NET_IP4 or NET_IP6, not '${value}'`);
      return (route) => route.family === family;
    },
  },
  'net.len': { '=': (value) => byNumber(value, ({ prefix: text }) => Number(text.slice(text.indexOf('/') + 1))) },
  from: {
    '=': (value) => {
      const address = addressOf(value);
      return (route) => route.peerAddress === address;
    },
  },
  proto: { '=': (value) => (route) => route.peerName === value },
  'bgp_path.first': { '=': (value) => byNumber(value, ({ asPath }) => Number(asPath.split(' ').at(0) || Number.NaN)) },
  'bgp_path.last': { '=': (value) => byNumber(value, ({ asPath }) => Number(asPath.split(' ').at(-1) || Number.NaN)) },
  bgp_path: { '~': (value) => pathPattern(value) },
  bgp_next_hop: {
    '=': (value) => {
      const address = addressOf(value);
      return (route) => route.nextHop === address;
    },
  },
  bgp_community: { '~': (value) => communityPattern(value, 2, ({ communities }) => communities) },
  bgp_large_community: { '~': (value) => communityPattern(value, 3, ({ largeCommunities }) => largeCommunities) },
};

/** Words that may follow the conditions: they are no part of them. */
const following = new Set([
  'all',
  'count',
  'stats',
  'primary',
  'filtered',
  'protocol',
  'import',
  'export',
  'noexport',
  'table',
  'in',
  'for',
]);

/** @throws CommandError */
function takeConditions(rest: string[]): RouteCondition[] {
  const end = rest.findIndex((word) => following.has(word));
  const text = rest.splice(0, end < 0 ? rest.length : end).join(' ');
  return text.split('&&').map((part) => {
    const [, subject, operator, value] = /^\s*([a-z_.]+)\s*(=|~)\s*(.+?)\s*$/.exec(part) ?? [];
    const make = subjects[subject]?.[operator];
    if (make !== undefined) return make(value);
    const known = Object.entries(subjects).flatMap(([name, operators]) =>
      Object.keys(operators).map((sign) => `${name} ${sign}`),
    );
    throw new CommandError(`syntax error, '${part.trim()}': where knows ${known.join(', ')}, joined by &&`);
  });
}

function byNumber(value: string, of: (route: RouteDetail) => number): RouteCondition {
  if (!/^\d+$/.test(value)) throw new CommandError(`syntax error, '${value}' is not a number`);
  return (route) => of(route) === Number(value);
}

/** `10.0.0.0/8` and all inside it, or a set of patterns as BIRD writes them: `[ 10.0.0.0/8+, 192.0.2.0/24-, 10.1.0.0/16{24,32} ]`. */
function netPattern(value: string): RouteCondition {
  const set = /^\[(.*)\]$/.exec(value);
  if (set === null) return isInside(prefix(value));
  const patterns = set[1].split(/,(?![^{]*\})/).map((text) => {
    const [, base, mark, low, high] = /^\s*([0-9a-fA-F.:]+\/\d+)([+-]|\{(\d+),(\d+)\})?\s*$/.exec(text) ?? [];
    if (base === undefined) throw new CommandError(`syntax error, '${text.trim()}' is no pattern of prefixes`);
    const parsed = parsePrefix(prefix(base)) as Prefix;
    const exact: readonly [number, number] = [parsed.length, parsed.length];
    const bounds: readonly [number, number] =
      mark === undefined
        ? exact
        : mark === '+'
          ? [parsed.length, 128]
          : mark === '-'
            ? [0, parsed.length]
            : [Number(low), Number(high)];
    return { parsed, bounds };
  });
  return (route) => {
    const own = parsePrefix(route.prefix) as Prefix;
    return patterns.some(
      ({ parsed, bounds: [low, high] }) =>
        own.length >= low && own.length <= high && (prefixCovers(parsed, own) || prefixCovers(own, parsed)),
    );
  };
}

/** `[= * 65001 ? =]`: whole paths, `*` for any numbers, `?` for one. */
function pathPattern(value: string): RouteCondition {
  const [, inside] = /^\[=(.*)=\]$/.exec(value) ?? [];
  const pattern = inside?.split(/\s+/).filter((word) => word !== '') ?? [];
  if (inside === undefined || !pattern.every((word) => /^(\*|\?|\d+)$/.test(word))) {
    throw new CommandError(`syntax error, '${value}' is no pattern of AS paths, such as [= * 65001 =]`);
  }
  return ({ asPath }) => matchesPath(pattern, asPath === '' ? [] : asPath.split(' '));
}

/** In time of both lengths' product: `reached` are the places of the path that the pattern so far may end at. */
function matchesPath(pattern: readonly string[], path: readonly string[]): boolean {
  let reached = path.map((_, i) => i === 0).concat(path.length === 0);
  for (const word of pattern) {
    const next = reached.map(() => false);
    for (let i = 0; i <= path.length; i++) {
      if (word === '*') next[i] = reached[i] || (i > 0 && next[i - 1]);
      else if (i > 0) next[i] = reached[i - 1] && (word === '?' || word === path[i - 1]);
    }
    reached = next;
  }
  return reached[path.length];
}

/** `[ (65000,1), (65000,*) ]`: has one of these. */
function communityPattern(value: string, parts: number, of: (route: RouteDetail) => readonly string[]): RouteCondition {
  const patterns = [...value.matchAll(/\(([^()]*)\)/g)].map(([, text]) => text.split(',').map((part) => part.trim()));
  const left = value.replaceAll(/\([^()]*\)/g, '').replaceAll(/[[\],\s]/g, '');
  if (
    patterns.length === 0 ||
    left !== '' ||
    !patterns.every((each) => each.length === parts && each.every((part) => /^(\*|\d+)$/.test(part)))
  ) {
    throw new CommandError(`syntax error, '${value}' is no set of communities, such as [(65000,1), (65000,*)]`);
  }
  const matches = (text: string) => {
    const numbers = text.split(':');
    return patterns.some((pattern) => pattern.every((part, i) => part === '*' || part === numbers[i]));
  };
  return (route) => of(route).some(matches);
}

function isInside(text: string): RouteCondition {
  const outer = parsePrefix(text) as Prefix;
  return (route) => prefixCovers(outer, parsePrefix(route.prefix) as Prefix);
}

/** @throws CommandError */
function addressOf(word: string): string {
  const canonical = canonicalScopedAddress(word);
  if (canonical === undefined) throw new CommandError(`Invalid address ${word}`);
  return canonical;
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

/** @throws CommandError */
export function addressOrPrefix(word: string): string {
  if (word.includes('/')) return prefix(word);
  if (parseAddress(word) === undefined) throw new CommandError(`Invalid address or prefix ${word}`);
  return canonicalAddress(word) as string;
}
