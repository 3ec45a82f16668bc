import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CommandError, nameMatcher, parseCommand, routeFilter } from '../../../src/control/bird-commands.ts';
import type { RouteCommand } from '../../../src/control/bird-commands.ts';
import { splitWords } from '../../../src/control/bird-protocol.ts';
import { fakeRoutes } from './fake-model.ts';

const plain = { kind: 'showRoute', all: false, count: false, within: undefined };

test.each([
  ['show status', { kind: 'showStatus' }],
  ['show pro', { kind: 'showProtocols', all: false, pattern: undefined }],
  ['show protocols all rr-1', { kind: 'showProtocols', all: true, pattern: 'rr-1' }],
  ['show route', { ...plain, query: {} }],
  ['show route all primary', { ...plain, all: true, query: { primary: true } }],
  ['show route table all', { ...plain, query: {} }],
  ['show route 10.1.0.0/16 count', { ...plain, count: true, query: { prefix: '10.1.0.0/16', family: 'ipv4' } }],
  ['show route for FD00::0:1', { ...plain, query: { for: 'fd00::1', family: 'ipv6' } }],
  ['show route in 10.0.0.0/8', { ...plain, within: '10.0.0.0/8', query: { family: 'ipv4' } }],
  ['show route export tor table master6', { ...plain, query: { exportedTo: 'tor', family: 'ipv6' } }],
  ['show route filtered protocol tor', { ...plain, query: { filtered: true, protocol: 'tor' } }],
  ['show policy kube-system/dns', { kind: 'showPolicy', pod: 'kube-system/dns' }],
  ['show policy web', { kind: 'showPolicy', pod: 'default/web' }],
  ['show why 10.244.0.0/16', { kind: 'showWhy', target: '10.244.0.0/16' }],
  ['enable all', { kind: 'denied', word: 'enable' }],
  ['show bfd sessions', { kind: 'showBfdSessions' }],
  ['show b sess', { kind: 'showBfdSessions' }],
])('%s', (line, command) => {
  expect(parseCommand(splitWords(line))).toEqual(command);
});

test.each([
  ['show p', "syntax error, show knows status, protocols, route, policy, why, memory, bfd, not 'p'"],
  ['show status now', "syntax error, unexpected 'now'"],
  ['show route for', "syntax error, 'for' needs an address or a prefix"],
  ['show route for nowhere', 'Invalid address or prefix nowhere'],
  ['show route 10.0.0.0/8 in 10.0.0.0/8', "syntax error, 'in': only one of prefix, for and in"],
  ['show route filtered export tor', "syntax error, 'filtered' and 'export' exclude each other"],
  ['show route fd00::1/64', 'Invalid IPv6 prefix fd00::1/64, maybe you wanted fd00::/64'],
  ['show why', 'syntax error, show why needs a prefix or an address'],
  ['show bfd', "syntax error, show bfd needs 'sessions'"],
  ['show bfd sessions all', "syntax error, unexpected 'all'"],
  ['show policy', 'syntax error, show policy needs [NAMESPACE/]POD'],
])('refused: %s', (line, message) => {
  expect(() => parseCommand(splitWords(line))).toThrow(new CommandError(message));
});

test('whatever the line: a command, or a CommandError', () => {
  const known =
    'show status protocols route all count for in table master4 filtered export protocol primary policy why bfd sessions memory';
  const word = fc.oneof(
    fc.constantFrom(
      ...known.split(' '),
      '10.0.0.0/8',
      'fd00::/64',
      '10.0.0.1',
      '"',
      "'",
      '*',
      'restrict',
      'help',
      'quit',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      try {
        expect(parseCommand(splitWords(words.join(' ')))).toHaveProperty('kind');
      } catch (error) {
        expect(error).toBeInstanceOf(CommandError);
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  [undefined, 'anything', true],
  ['tor-*', 'tor-a', true],
  ['tor-?', 'tor-ab', false],
  ['t.r', 'tor', false],
  ['[a', '[a', true],
])('the pattern %s and the name %s: %s', (pattern, name, matches) => {
  expect(nameMatcher(pattern)(name)).toBe(matches);
});

test('in PREFIX keeps what lies inside', () => {
  const command = parseCommand(splitWords('show route in 10.244.1.0/24')) as RouteCommand;
  expect(fakeRoutes.filter(routeFilter(command)).map(({ prefix }) => prefix)).toEqual([
    '10.244.1.0/24',
    '10.244.1.0/24',
  ]);
});
