/** RFC 7911: several paths of one prefix from one peer. */

import { describe, expect, test } from 'vitest';
import type { Family } from '../../../bgp/ip.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibPeer } from '../../../bgp/rib/rib-types.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import {
  Neighbor,
  announce,
  attribute,
  attributesOf,
  body,
  client,
  hex,
  local,
  policy,
  settle,
  withdraw,
} from './kit.ts';

const P = '10.1.0.0/16';
const Q = '2001:db8:1::/48';
const both: readonly Family[] = ['ipv4', 'ipv6'];

/** Sends us several paths. */
const sender = (name: string, number: number, differing: Partial<RibPeer> = {}) =>
  client(name, number, { addPath: { receive: both, send: [], sendMaximum: 0 }, ...differing });

function held(rib: Rib, prefix: string) {
  return [...rib.routes({ prefix })].map(({ peerName, pathId, nextHop, selected, lostAt }) => [
    `${peerName} ${pathId}`,
    nextHop,
    lostAt ?? selected,
  ]);
}

describe('received', () => {
  test('RFC 7911 §5: a path is known by prefix and identifier, and replaced by both; 0 is an identifier like others', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${P}#1`], { nextHop: '192.0.2.1' }));
    x.says(announce([`${P}#0`], { nextHop: '192.0.2.2' }));
    x.says(announce([`${P}#4294967295`], { nextHop: '192.0.2.3' }));
    expect(held(rib, P).sort()).toEqual([
      ['x 0', '192.0.2.2', 'best'],
      ['x 1', '192.0.2.1', 'lowerPathId'],
      ['x 4294967295', '192.0.2.3', 'lowerPathId'],
    ]);
    x.says(announce([`${P}#1`], { nextHop: '192.0.2.9', localPref: 200 }));
    expect(rib.totals('ipv4')).toMatchObject({ prefixes: 1, paths: 3 });
    expect(held(rib, P)[0]).toEqual(['x 1', '192.0.2.9', 'best']);
    x.says(withdraw([`${P}#1`]));
    expect(held(rib, P).map(([name]) => name)).toEqual(['x 0', 'x 4294967295']);
    expect(rib.counters(x.id, 'ipv4').imported).toBe(2);
  });

  test('RFC 7911 §5: a withdraw of an identifier not seen before is ignored', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${P}#1`, `${P}#2`]));
    expect(x.says(withdraw([`${P}#3`, '10.99.0.0/16#1']))).toEqual({});
    expect(rib.totals('ipv4').paths).toBe(2);
  });

  test('in MP_REACH_NLRI and MP_UNREACH_NLRI as in the fields of RFC 4271', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${Q}#5`], { nextHop: '2001:db8::1' }));
    x.says(announce([`${Q}#6`], { nextHop: '2001:db8::2' }));
    expect(held(rib, Q)).toEqual([
      ['x 5', '2001:db8::1', 'best'],
      ['x 6', '2001:db8::2', 'lowerPathId'],
    ]);
    x.says(withdraw([`${Q}#5`]));
    expect(held(rib, Q)).toEqual([['x 6', '2001:db8::2', 'best']]);
  });

  test('of the families where it was negotiated, and of no other', () => {
    const rib = new Rib({ local });
    const addPath = { receive: ['ipv6'] as const, send: [], sendMaximum: 0 };
    const x = new Neighbor(rib, client('x', 1, { addPath }));
    x.says(announce([P]));
    x.says(announce([`${Q}#5`, `${Q}#6`]));
    expect(held(rib, P)).toEqual([['x undefined', '192.0.2.1', 'best']]);
    expect(held(rib, Q).map(([name]) => name)).toEqual(['x 5', 'x 6']);
  });

  test('RFC 7606 §2: what is treated as withdrawn is the one path', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${P}#1`, `${P}#2`]));
    // ORIGIN with an undefined value.
    expect(x.says(announce([`${P}#1`], { origin: 7 })).treatedAsWithdraw).toContain('ORIGIN');
    expect(held(rib, P)).toEqual([['x 2', '192.0.2.1', 'best']]);
    x.says(announce([`${Q}#1`, `${Q}#2`]));
    expect(x.says(announce([`${Q}#2`], { origin: 7 })).treatedAsWithdraw).toContain('ORIGIN');
    expect(held(rib, Q).map(([name]) => name)).toEqual(['x 1']);
  });

  test.each<[string, Uint8Array, number]>([
    ['NLRI that ends within an identifier', body([], attributesOf({ nextHop: '192.0.2.1' }), [0, 0, 0]), 10],
    ['NLRI that ends after an identifier', body([], attributesOf({ nextHop: '192.0.2.1' }), [0, 0, 0, 1]), 10],
    ['NLRI without identifiers', body([], attributesOf({ nextHop: '192.0.2.1' }), [24, 10, 1, 1]), 10],
    ['withdrawn routes that end after an identifier', body([0, 0, 0, 1], [], []), 10],
    ['a prefix length of 33 after an identifier', body([0, 0, 0, 1, 33, 1, 2, 3, 4, 5], [], []), 10],
    [
      'MP_REACH_NLRI without identifiers',
      body(
        [],
        [
          ...attribute(0x80, 14, [0, 2, 1, 16, ...hex('20010db8000000000000000000000001'), 0, 16, 32, 1]),
          ...attributesOf({}),
        ],
        [],
      ),
      9,
    ],
    ['MP_UNREACH_NLRI that ends within an identifier', body([], attribute(0x80, 15, [0, 2, 1, 0, 0]), []), 9],
  ])('RFC 7606 §5.3: %s resets the session', (_, update, subcode) => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${P}#1`]));
    let thrown: unknown;
    try {
      x.says(update);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProtocolError);
    expect(thrown).toMatchObject({ code: 3, subcode });
    expect(rib.totals('ipv4').paths).toBe(1);
  });

  test('whatever came first, the lowest identifier of equal paths is the best', () => {
    for (const order of [
      ['1', '2', '3'],
      ['3', '2', '1'],
      ['2', '3', '1'],
    ]) {
      const rib = new Rib({ local });
      const x = new Neighbor(rib, sender('x', 1));
      for (const pathId of order) x.says(announce([`${P}#${pathId}`], { nextHop: `192.0.2.${pathId}` }));
      expect(held(rib, P)[0]).toEqual(['x 1', '192.0.2.1', 'best']);
    }
  });

  test('multipath: paths of one peer with next hops of their own share the traffic, one with the same next hop does not', () => {
    const rib = new Rib({ local: { ...local, maximumPaths: 3 } });
    const x = new Neighbor(rib, sender('x', 1));
    const reader = rib.bestPathReader();
    for (const pathId of [4, 2, 1, 3]) {
      x.says(announce([`${P}#${pathId}`], { nextHop: `192.0.2.${Math.min(pathId, 3)}`, asPath: [64_500 + pathId] }));
    }
    x.says(announce([`${P}#9`], { nextHop: '192.0.2.9', asPath: [64_500, 64_501] }));
    const [{ paths }] = reader.read(10);
    expect(paths.map(({ nextHop }) => nextHop).sort()).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
    expect(held(rib, P).sort()).toEqual([
      ['x 1', '192.0.2.1', 'best'],
      ['x 2', '192.0.2.2', 'multipath'],
      ['x 3', '192.0.2.3', 'multipath'],
      ['x 4', '192.0.2.3', 'lowerPathId'],
      ['x 9', '192.0.2.9', 'shorterAsPath'],
    ]);
  });

  test('RFC 4724 §4.2: kept through a restart, fresh by prefix and identifier, gone at End-of-RIB', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${P}#1`, `${P}#2`, `${P}#3`]));
    rib.closePeer(x.id, ['ipv4']);
    settle(rib);
    const back = new Neighbor(rib, sender('x', 1));
    expect(back.id).toBe(x.id);
    back.says(announce([`${P}#2`, `${P}#7`]));
    expect(rib.counters(back.id, 'ipv4')).toMatchObject({ imported: 4, stale: 2 });
    rib.endOfRib(back.id, 'ipv4');
    settle(rib);
    expect(
      held(rib, P)
        .map(([name]) => name)
        .sort(),
    ).toEqual(['x 2', 'x 7']);
    rib.closePeer(back.id, ['ipv4']);
    // Without the capability now: its routes are others, and the old ones go.
    const plain = new Neighbor(rib, client('x', 1));
    plain.says(announce([P]));
    rib.endOfRib(plain.id, 'ipv4');
    settle(rib);
    expect(held(rib, P)).toEqual([['x undefined', '192.0.2.1', 'best']]);
    rib.closePeer(plain.id, []);
    settle(rib);
    expect(rib.totals('ipv4')).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
  });

  test('a new import filter judges every path again', () => {
    const rib = new Rib({ local });
    const x = new Neighbor(rib, sender('x', 1));
    x.says(announce([`${P}#1`], { nextHop: '192.0.2.1' }));
    x.says(announce([`${P}#2`], { nextHop: '192.0.2.2' }));
    const importFilter = {
      name: 'only .2',
      key: 'only .2',
      evaluate: ({ nextHop }: { nextHop: string }) =>
        nextHop === '192.0.2.2' ? ({ kind: 'accept', rule: 'a' } as const) : ({ kind: 'reject', rule: 'r' } as const),
    };
    rib.setPolicy(x.id, policy({ importFilter }));
    settle(rib);
    expect(held(rib, P)).toEqual([['x 2', '192.0.2.2', 'best']]);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({ imported: 1, filtered: 1 });
    rib.setPolicy(x.id, policy());
    settle(rib);
    expect(held(rib, P)).toHaveLength(2);
  });
});
