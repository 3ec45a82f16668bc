import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nameMatcher, parseCommand } from '../../../src/control/bird-commands.ts';
import { CommandError } from '../../../src/control/command-error.ts';
import { routeFilter } from '../../../src/control/route-command.ts';
import type { RouteCommand } from '../../../src/control/route-command.ts';
import { splitWords } from '../../../src/control/bird-protocol.ts';
import { fakeRoutes } from './fake-model.ts';

const plain = { kind: 'showRoute', all: false, numbers: 'none', conditions: [] };

test.each([
  ['show status', { kind: 'showStatus' }],
  ['show pro', { kind: 'showProtocols', all: false, pattern: undefined }],
  ['show protocols all rr-1', { kind: 'showProtocols', all: true, pattern: 'rr-1' }],
  ['show route', { ...plain, query: {} }],
  ['show route all primary', { ...plain, all: true, query: { primary: true } }],
  ['show route table all', { ...plain, query: {} }],
  ['show route 10.1.0.0/16 count', { ...plain, numbers: 'count', query: { prefix: '10.1.0.0/16', family: 'ipv4' } }],
  ['show route for FD00::0:1', { ...plain, query: { for: 'fd00::1', family: 'ipv6' } }],
  ['show route in 10.0.0.0/8', { ...plain, conditions: [expect.any(Function)], query: { family: 'ipv4' } }],
  ['show route stats', { ...plain, numbers: 'stats', query: {} }],
  ['show route import table tor.ipv6', { ...plain, query: { protocol: 'tor', family: 'ipv6', refusedToo: true } }],
  ['show route import tor', { ...plain, query: { protocol: 'tor', refusedToo: true } }],
  ['show route export tor.ipv4', { ...plain, query: { exportedTo: 'tor', family: 'ipv4' } }],
  ['show route noexport tor', { ...plain, query: { notExportedTo: 'tor' } }],
  ['show route export tor table master6', { ...plain, query: { exportedTo: 'tor', family: 'ipv6' } }],
  ['show route filtered protocol tor', { ...plain, query: { filtered: true, protocol: 'tor' } }],
  ['show policy kube-system/dns', { kind: 'showPolicy', pod: 'kube-system/dns' }],
  ['show policy web', { kind: 'showPolicy', pod: 'default/web' }],
  ['show why 10.244.0.0/16', { kind: 'showWhy', target: '10.244.0.0/16' }],
  ['enable all', { kind: 'changePeers', change: 'enable', pattern: undefined, text: '' }],
  ['disable tor "back at noon"', { kind: 'changePeers', change: 'disable', pattern: 'tor', text: 'back at noon' }],
  ['restart "t*"', { kind: 'changePeers', change: 'restart', pattern: 't*', text: '' }],
  ['reload tor', { kind: 'changePeers', change: 'reload', pattern: 'tor', text: '' }],
  ['reload in tor', { kind: 'changePeers', change: 'reloadIn', pattern: 'tor', text: '' }],
  ['reload out all', { kind: 'changePeers', change: 'reloadOut', pattern: undefined, text: '' }],
  ['reload in', { kind: 'changePeers', change: 'reload', pattern: 'in', text: '' }],
  ['conf', { kind: 'configure', check: false }],
  ['configure check', { kind: 'configure', check: true }],
  ['show interfaces', { kind: 'showInterfaces', summary: false }],
  ['sh int sum', { kind: 'showInterfaces', summary: true }],
  ['show symbols', { kind: 'showSymbols' }],
  ['echo off', { kind: 'echo', on: false }],
  ['down', { kind: 'denied', word: 'down' }],
  ['show bfd sessions', { kind: 'showBfdSessions' }],
  ['show b sess', { kind: 'showBfdSessions' }],
])('%s', (line, command) => {
  expect(parseCommand(splitWords(line))).toEqual(command);
});

test.each([
  [
    'show p',
    "syntax error, show knows status, protocols, route, policy, why, memory, bfd, interfaces, symbols, not 'p'",
  ],
  ['show status now', "syntax error, unexpected 'now'"],
  ['show route for', "syntax error, 'for' needs an address or a prefix"],
  ['show route for nowhere', 'Invalid address or prefix nowhere'],
  ['show route 10.0.0.0/8 in 10.0.0.0/8', "syntax error, 'in': only one of prefix, for and in"],
  ['show route filtered export tor', "syntax error, 'filtered', 'import', 'export' and 'noexport' exclude each other"],
  ['show route fd00::1/64', 'Invalid IPv6 prefix fd00::1/64, maybe you wanted fd00::/64'],
  ['show why', 'syntax error, show why needs a prefix or an address'],
  ['show bfd', "syntax error, show bfd needs 'sessions'"],
  ['show bfd sessions all', "syntax error, unexpected 'all'"],
  ['re all', "syntax error, unknown command 're' (try 'help')"],
  ['enable', 'syntax error, enable needs a name, a "PATTERN" or all'],
  ['enable a b c', "syntax error, unexpected 'c'"],
  ['reload a text', "syntax error, unexpected 'text'"],
  ['configure soft', "syntax error, configure knows check, not 'soft'"],
  ['show interfaces all', "syntax error, show interfaces knows summary, not 'all'"],
  ['echo', "syntax error, echo needs 'all' or 'off'"],
  ['show route where', /^syntax error, '': where knows net =, net ~, .*, joined by &&$/],
  ['show route where net', /^syntax error, 'net': where knows/],
  ['show route where true && false', /^syntax error, 'true': where knows/],
  ['show route where net ~ [10.0.0.0/8', 'Invalid prefix [10.0.0.0/8'],
  ['show route where net.type = NET_VPN4', "syntax error, net.type is NET_IP4 or NET_IP6, not 'NET_VPN4'"],
  ['show route where bgp_path ~ 65000', "syntax error, '65000' is no pattern of AS paths, such as [= * 65001 =]"],
  [
    'show route where bgp_community ~ [(1,2,3)]',
    "syntax error, '[(1,2,3)]' is no set of communities, such as [(65000,1), (65000,*)]",
  ],
  ['show policy', 'syntax error, show policy needs [NAMESPACE/]POD'],
])('refused: %s', (line, message) => {
  expect(() => parseCommand(splitWords(line))).toThrow(message instanceof RegExp ? message : new CommandError(message));
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

const shown = (line: string) => {
  const command = parseCommand(splitWords(line)) as RouteCommand & { kind: 'showRoute' };
  return fakeRoutes.filter(routeFilter(command)).map(({ prefix, peerName }) => `${prefix} ${peerName}`);
};
const all = fakeRoutes.map(({ prefix, peerName }) => `${prefix} ${peerName}`);
const [own, fromReflector, fromTor, ipv6] = all;

test.each([
  ['net = 10.244.1.0/24', [fromReflector, fromTor]],
  ['net ~ 10.244.0.0/16', [own, fromReflector, fromTor]],
  ['net ~ [10.244.0.0/16]', []],
  ['net ~ [10.244.0.0/16+]', [own, fromReflector, fromTor]],
  ['net ~ [10.244.0.0/16{24,24}, fd00::/8+]', all],
  ['net ~ [10.244.0.0/16{25,32}]', []],
  ['net ~ [10.244.1.128/25-]', [fromReflector, fromTor]],
  ['net.type = NET_IP6', [ipv6]],
  ['net.len = 64', [ipv6]],
  ['from = 10.1.1.1', [fromTor]],
  ['from=10.1.1.1', [fromTor]],
  ['proto = "tor-a"', [fromTor]],
  ['bgp_path.first = 65001', [fromTor]],
  ['bgp_path.last = 65002', [fromTor]],
  ['bgp_path ~ [= * 65000 * =]', [fromTor]],
  ['bgp_path ~ [= 65001 ? 65002 =]', [fromTor]],
  ['bgp_path ~ [= 65001 =]', []],
  ['bgp_path ~ [= =]', [own, fromReflector, ipv6]],
  ['bgp_path ~ [= * =]', all],
  ['bgp_next_hop = fd00:1::12', [ipv6]],
  ['bgp_community ~ [(64512,7)]', [fromReflector]],
  ['bgp_community ~ [(1,1), (64512,*)]', [fromReflector]],
  ['bgp_large_community ~ [(64512,7,*)]', [fromReflector]],
  ['net ~ 10.0.0.0/8 && from = 10.1.1.1', [fromTor]],
])('show route where %s', (conditions, expected) => {
  expect(shown(`show route where ${conditions} all`)).toEqual(expected);
});
