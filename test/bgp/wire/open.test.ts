import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Capabilities } from '../../../bgp/wire/capabilities.ts';
import { formatCapabilities } from '../../../bgp/wire/capabilities.ts';
import type { Open } from '../../../bgp/wire/open.ts';
import { asNumberField, decodeOpen, encodeOpen } from '../../../bgp/wire/open.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import { fromHex, messageHex, toHex } from '../kit/hex.ts';

const noCapabilities: Capabilities = {
  families: undefined,
  routeRefresh: false,
  extendedNextHop: false,
  extendedMessage: false,
  fourOctetAs: undefined,
  gracefulRestart: undefined,
  longLivedRestart: undefined,
  enhancedRouteRefresh: false,
  addPath: [],
  roles: [],
  others: [],
};

/** Version 4, AS 65001, hold time 180, identifier 192.0.2.1. */
const head = '04 fde9 00b4 c0000201';

const vectors: { name: string; body: string; open: Open; once?: 'decode' }[] = [
  {
    name: 'RFC 4271 §4.2: no optional parameters',
    body: `${head} 00`,
    open: {
      asNumberField: 65001,
      holdTimeSeconds: 180,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: noCapabilities,
    },
    once: 'decode',
  },
  {
    name: 'RFC 5492 with IPv4 and IPv6, refresh, RFC 8950, extended message, graceful restart (R, N, F; long-lived), AS 65536, ADD-PATH, enhanced refresh',
    body: `04 5ba0 005a c0000201 48 02 46
      01 04 0001 00 01  01 04 0002 00 01  02 00  05 06 0001 0001 0002  06 00
      40 0a c078 0001 01 80 0002 01 00  41 04 00010000  45 08 0001 01 01 0002 01 03
      46 00  47 0e 0001 01 80 000e10 0002 01 00 015180`,
    open: {
      asNumberField: 23456,
      holdTimeSeconds: 90,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: {
        families: ['ipv4', 'ipv6'],
        routeRefresh: true,
        extendedNextHop: true,
        extendedMessage: true,
        fourOctetAs: 65536,
        gracefulRestart: {
          restarting: true,
          notification: true,
          restartTimeSeconds: 120,
          families: [
            { family: 'ipv4', forwardingPreserved: true },
            { family: 'ipv6', forwardingPreserved: false },
          ],
        },
        longLivedRestart: [
          { family: 'ipv4', forwardingPreserved: true, staleSeconds: 3600 },
          { family: 'ipv6', forwardingPreserved: false, staleSeconds: 86_400 },
        ],
        enhancedRouteRefresh: true,
        addPath: [
          { family: 'ipv4', receive: true, send: false },
          { family: 'ipv6', receive: true, send: true },
        ],
        roles: [],
        others: [],
      },
    },
  },
  {
    name: 'one parameter a capability, with a VPN family and capabilities that we do not have',
    body: `${head} 18 02 06 01 04 0001 00 80  02 02 02 00  02 02 48 00  02 06 41 04 0000fde9`,
    open: {
      asNumberField: 65001,
      holdTimeSeconds: 180,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: { ...noCapabilities, families: [], routeRefresh: true, fourOctetAs: 65001, others: [0x48] },
    },
    once: 'decode',
  },
  {
    name: 'RFC 9234: the role customer',
    body: `${head} 05 02 03 09 01 03`,
    open: {
      asNumberField: 65001,
      holdTimeSeconds: 180,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: { ...noCapabilities, roles: [3] },
    },
  },
  {
    name: 'RFC 7911 §4: ADD-PATH of a family that is not ours, and a family named twice: the last counts',
    body: `${head} 10 02 0e 45 0c 0001 80 03 0001 01 01 0001 01 02`,
    open: {
      asNumberField: 65001,
      holdTimeSeconds: 180,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: { ...noCapabilities, addPath: [{ family: 'ipv4', receive: false, send: true }] },
    },
    once: 'decode',
  },
  {
    name: 'RFC 7911 §4: another value of Send/Receive: the capability is ignored',
    body: `${head} 0c 02 0a 45 08 0001 01 03 0002 01 04`,
    open: {
      asNumberField: 65001,
      holdTimeSeconds: 180,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: noCapabilities,
    },
    once: 'decode',
  },
  {
    name: 'RFC 9072: extended optional parameters',
    body: `${head} ff ff 0009 02 0006 01 04 0001 00 01`,
    open: {
      asNumberField: 65001,
      holdTimeSeconds: 180,
      bgpIdentifier: Uint8Array.of(192, 0, 2, 1),
      capabilities: { ...noCapabilities, families: ['ipv4'] },
    },
    once: 'decode',
  },
];

test.each(vectors)('decodes: $name', ({ body, open }) => {
  expect(decodeOpen(fromHex(body))).toEqual(open);
});

test.each(vectors.filter(({ once }) => once === undefined))('encodes: $name', ({ body, open }) => {
  expect(toHex(encodeOpen(open))).toBe(messageHex(1, body));
});

describe('RFC 4271 §6.2: what is no OPEN', () => {
  test.each([
    ['version 3', '03 fde9 00b4 c0000201 00', 1, '0004'],
    ['a parameter other than capabilities', `${head} 03 01 01 00`, 4, ''],
    ['parameters shorter than they say', `${head} 05 02 01`, 0, ''],
    ['parameters longer than they say', `${head} 00 0202`, 0, ''],
    ['a parameter longer than the message', `${head} 03 02 02 01`, 0, ''],
    ['a capability longer than its parameter', `${head} 04 02 02 41 04`, 0, ''],
    ['a 4-octet AS capability of 2 octets', `${head} 06 02 04 41 02 fde9`, 0, ''],
    ['a graceful restart capability of 3 octets', `${head} 07 02 05 40 03 007800`, 0, ''],
    ['a long-lived graceful restart capability of 6 octets', `${head} 0a 02 08 47 06 0001010000e1`, 0, ''],
    ['an enhanced route refresh capability of 1 octet', `${head} 05 02 03 46 01 00`, 0, ''],
    ['an ADD-PATH capability of 6 octets', `${head} 0a 02 08 45 06 000101030001`, 0, ''],
    ['an empty ADD-PATH capability', `${head} 04 02 02 45 00`, 0, ''],
    ['extended parameters that are cut off', `${head} ff ff 00`, 0, ''],
  ])('%s', (_, body, subcode, data) => {
    let thrown: unknown;
    try {
      decodeOpen(fromHex(body));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProtocolError);
    expect(thrown).toMatchObject({ code: 2, subcode, data: fromHex(data) });
  });
});

test('RFC 6793 §4.2.1: AS_TRANS stands for a number of more than two octets', () => {
  expect(asNumberField(65535)).toBe(65535);
  expect(asNumberField(65536)).toBe(23456);
});

test('what is encoded is decoded to the same', () => {
  const family = fc.constantFrom('ipv4' as const, 'ipv6' as const);
  const capabilities = fc.record({
    families: fc.uniqueArray(family, { minLength: 1 }),
    routeRefresh: fc.boolean(),
    extendedNextHop: fc.boolean(),
    extendedMessage: fc.boolean(),
    fourOctetAs: fc.option(fc.integer({ min: 0, max: 0xffffffff }), { nil: undefined }),
    gracefulRestart: fc.option(
      fc.record({
        restarting: fc.boolean(),
        notification: fc.boolean(),
        restartTimeSeconds: fc.integer({ min: 0, max: 4095 }),
        families: fc.uniqueArray(fc.record({ family, forwardingPreserved: fc.boolean() }), {
          selector: (entry) => entry.family,
        }),
      }),
      { nil: undefined },
    ),
    longLivedRestart: fc.option(
      fc.uniqueArray(
        fc.record({ family, forwardingPreserved: fc.boolean(), staleSeconds: fc.integer({ min: 0, max: 0xffffff }) }),
        { selector: (entry) => entry.family },
      ),
      { nil: undefined },
    ),
    enhancedRouteRefresh: fc.boolean(),
    addPath: fc.uniqueArray(
      fc.record({ family, receive: fc.boolean(), send: fc.boolean() }).filter(({ receive, send }) => receive || send),
      { selector: (entry) => entry.family },
    ),
    roles: fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 2 }),
    others: fc.constant([]),
  });
  const open = fc.record({
    asNumberField: fc.integer({ min: 0, max: 65535 }),
    holdTimeSeconds: fc.integer({ min: 0, max: 65535 }),
    bgpIdentifier: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    capabilities,
  });
  fc.assert(
    fc.property(open, (value) => {
      expect(decodeOpen(encodeOpen(value).subarray(19))).toEqual(value);
    }),
  );
});

test('any body gives an OPEN or a ProtocolError of code 2', () => {
  const body = fc.tuple(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.uint8Array({ minLength: 1, maxLength: 60 }));
  fc.assert(
    fc.property(body, ([fixed, rest]) => {
      try {
        decodeOpen(Uint8Array.from([4, ...fixed, rest.length - 1, ...rest.subarray(1)]));
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        expect(error).toMatchObject({ code: 2 });
      }
    }),
    { numRuns: 3000 },
  );
});

test('capabilities are told in words', () => {
  expect(formatCapabilities(vectors[1].open.capabilities)).toEqual([
    'IPv4 unicast',
    'IPv6 unicast',
    'route refresh',
    'enhanced route refresh',
    'extended next hop',
    'extended message',
    'graceful restart 120 s, restarting (R), NOTIFICATIONs too (N), IPv4 forwarding preserved (F), IPv6',
    'long-lived graceful restart, IPv4 3600 s state preserved (F), IPv6 86400 s',
    '4-octet AS number 65536',
    'ADD-PATH',
    '  RX: ipv4 ipv6',
    '  TX: ipv6',
  ]);
  expect(formatCapabilities({ ...noCapabilities, others: [70, 200] })).toEqual([
    'enhanced route refresh',
    'capability 200',
  ]);
});
