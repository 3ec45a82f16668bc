/** UPDATE bodies against the RIB: vectors, lengths, and any bytes at all. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibAddPath } from '../../../bgp/rib/rib-types.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import { endOfRibMessage } from '../../../bgp/wire/update.ts';
import { newPrefixKey, nlriProblem, readPrefix, writePrefix } from '../../../bgp/wire/nlri.ts';
import { Neighbor, client, external, hex, local, toHex } from '../rib/kit.ts';

const attributes = '400101004002060201 0000fde9 400304c0000201'.replaceAll(' ', '');
const P = '192.168.1.0/24';

function rib(addPath?: RibAddPath) {
  const rib = new Rib({ local });
  const x = new Neighbor(rib, external('x', 1, 65001, { addPath }));
  const y = new Neighbor(rib, client('y', 2));
  return { rib, x, y };
}

function thrown(run: () => unknown): ProtocolError {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('vector: one route by eBGP becomes one UPDATE within the AS', () => {
  const { rib: table, x, y } = rib();
  y.listen();
  expect(x.says(hex(`0000 0014 ${attributes} 18 c0a801`))).toEqual({});
  const sent = table.takeOutput(y.id, 65_536).map(toHex).join('');
  expect(sent).toBe(
    `${'ff'.repeat(16)}003602` +
      '0000' +
      '001b' +
      '40010100' +
      '40020602010000fde9' +
      '400304c0000201' +
      '40050400000064' +
      '18c0a801',
  );
});

test.each([
  ['ipv4', `${'ff'.repeat(16)}00170200000000`],
  ['ipv6', `${'ff'.repeat(16)}001e0200000007900f0003000201`],
] as const)('vector: End-of-RIB of %s', (family, bytes) => expect(toHex(endOfRibMessage(family))).toBe(bytes));

describe('lengths (RFC 4271 §6.3, RFC 7606 §3)', () => {
  test.each([
    ['too short', '0000 00', 1],
    ['withdrawn routes run past', '0005 00 0000', 1],
    ['withdrawn routes leave no room for the attributes', '0002 0000 00', 1],
    ['attributes run past', '0000 0004 400101', 1],
    ['withdrawn prefix of 33 bits', '0006 21 c0a8010101 0000', 10],
    ['withdrawn prefix cut off', '0002 18 c0 0000', 10],
    ['NLRI of 33 bits', `0000 0014 ${attributes} 21 c0a8010101`, 10],
    ['NLRI cut off', `0000 0014 ${attributes} 18 c0a8`, 10],
    // RFC 7606 §5.2: treat-as-withdraw, but nothing to withdraw
    ['malformed and without prefixes', '0000 0004 40010103', 1],
  ])('%s: session reset', (_name, text, subcode) => {
    const { x } = rib();
    expect(thrown(() => x.says(hex(text)))).toMatchObject({ code: 3, subcode });
  });

  test('an UPDATE that resets the session changed nothing before', () => {
    const { rib: table, x, y } = rib();
    x.says(hex(`0000 0014 ${attributes} 18 c0a801`));
    y.listen();
    thrown(() => x.says(hex(`0004 18 c0a801 0014 ${attributes} 18 c0a8`)));
    expect(table.hasOutput(y.id)).toBe(false);
  });
});

test('RFC 7606 §2: treat-as-withdraw withdraws what the UPDATE would announce, and keeps the session', () => {
  const { x, y } = rib();
  x.says(hex(`0000 0014 ${attributes} 18 c0a801 18 c0a802`));
  expect(y.listen().routes.size).toBe(2);
  const bad = attributes.replace('40010100', '40010103');
  expect(x.says(hex(`0000 0014 ${bad} 18 c0a801`))).toEqual({ treatedAsWithdraw: 'ORIGIN: undefined value 3' });
  expect(y.listen().prefixes()).toEqual(['192.168.2.0/24']);
});

test('RFC 7606 §2: attribute discard keeps the route', () => {
  const { x, y } = rib();
  expect(x.says(hex(`0000 0018 ${attributes} 40060100 18 c0a801`))).toEqual({
    discarded: 'ATOMIC_AGGREGATE: length 1',
  });
  expect(y.listen().prefixes()).toEqual([P]);
});

test('IPv4 prefixes in MP_REACH_NLRI are read as well, and withdrawn by MP_UNREACH_NLRI', () => {
  const { x, y } = rib();
  x.says(hex('0000 001d 800e0d 0001 01 04 c0000205 00 18c0a801 40010100 40020602010000fde9'));
  expect(y.listen().routes.get(P)?.nextHop).toBe('192.0.2.5');
  x.says(hex('0000 000a 800f07 0001 01 18c0a801'));
  expect(y.listen().prefixes()).toEqual([]);
});

test('RFC 2545: of two IPv6 next hops the global one counts', () => {
  const { x, y } = rib();
  const reach = `800e2c 0002 01 20 20010db8${'00'.repeat(11)}05 fe80${'00'.repeat(13)}01 00 30 20010db80001`;
  x.says(hex(`0000 003c ${reach} 40010100 40020602010000fde9`));
  expect(y.listen().routes.get('2001:db8:1::/48')?.nextHop).toBe('2001:db8::5');
});

test('a family that was not negotiated is not taken', () => {
  const table = new Rib({ local });
  const x = new Neighbor(table, client('x', 1, { families: ['ipv6'] }));
  x.says(hex(`0000 0014 ${attributes} 18 c0a801`));
  expect(table.totals('ipv4').paths).toBe(0);
});

test('a prefix is the same whatever bits follow its length, and comes back as it was written', () => {
  const key = newPrefixKey();
  fc.assert(
    fc.property(fc.boolean(), fc.nat(128), fc.uint8Array({ minLength: 16, maxLength: 16 }), (ipv6, bits, address) => {
      const family = ipv6 ? 'ipv6' : 'ipv4';
      const length = ipv6 ? bits : bits % 33;
      const bytes = Uint8Array.from([length, ...address.subarray(0, Math.ceil(length / 8))]);
      expect(nlriProblem(bytes, 0, bytes.length, family, false)).toBeUndefined();
      const withPathId = Uint8Array.from([0, 0, 0, 7, ...bytes]);
      expect(nlriProblem(withPathId, 0, withPathId.length, family, true)).toBeUndefined();
      expect(readPrefix(bytes, 0, family, key)).toBe(bytes.length);
      const out = new Uint8Array(17);
      expect(writePrefix(out, 0, key.words, 0, length)).toBe(bytes.length);
      const masked = Uint8Array.from(bytes);
      if (length % 8 !== 0) masked[masked.length - 1] &= 0xff00 >> (length % 8);
      expect(toHex(out.subarray(0, bytes.length))).toBe(toHex(masked));
    }),
  );
});

test.each([
  ['', undefined],
  [' with path identifiers', { receive: ['ipv4', 'ipv6'], send: [], sendMaximum: 0 } as const],
])('any bytes as UPDATE body%s: nothing but ProtocolError, and the tables stay sound', (_, addPath) => {
  const { rib: table, x, y } = rib(addPath);
  const z = new Neighbor(table, client('z', 3, { addPath: { receive: [], send: ['ipv4', 'ipv6'], sendMaximum: 2 } }));
  const reader = table.bestPathReader();
  const best = new Set<string>();
  const seeds = [
    hex(`0000 0014 ${attributes} 18 c0a801`),
    hex('0004 18 c0a801 0000'),
    hex('0000 001d 800e0d 0001 01 04 c0000205 00 18c0a801 40010100 40020602010000fde9'),
    hex(`0000 0014 ${attributes} 00000001 18 c0a801 00000002 18 c0a801 00000001 10 c0a8`),
    hex('0010 00000002 18 c0a801 00000001 18 c0a801 0000'),
    hex('0000 000e 800f0b 0001 01 00000002 18 c0a801'),
  ];
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }), fc.nat(60))
    .map(([seed, changes, cut]) => {
      const bytes = Uint8Array.from(seed);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return cut < bytes.length ? bytes.subarray(0, cut) : bytes;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      try {
        x.says(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
      y.listen();
      for (const { prefix, paths } of reader.read(1000)) {
        if (paths.length > 0) best.add(prefix);
        else best.delete(prefix);
      }
      expect(y.prefixes()).toEqual([...best].sort());
      z.listen();
      const usable = [...table.routes({})].map(({ prefix }) => prefix);
      expect(new Set(z.prefixes().map((key) => key.split('#')[0]))).toEqual(new Set(usable));
      const several = [...Map.groupBy(usable, (prefix) => prefix).values()].map(({ length }) => Math.min(2, length));
      expect(z.routes.size).toBe(several.reduce((sum, count) => sum + count, 0));
    }),
    { numRuns: 3000 },
  );
});
