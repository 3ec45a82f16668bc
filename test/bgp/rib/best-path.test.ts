/** The decision ladder: each rung, its order, and that no order of arrival matters. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibPeer } from '../../../bgp/rib/rib-types.ts';
import { Neighbor, announce, client, external, local, peer, withdraw } from './kit.ts';
import type { Route } from './kit.ts';

const P = '192.168.1.0/24';
type Candidate = readonly [RibPeer, Route];

function decided(candidates: readonly Candidate[], maximumPaths = 1) {
  const rib = new Rib({ local: { ...local, maximumPaths } });
  for (const [settings, route] of candidates) new Neighbor(rib, settings).says(announce([P], route));
  return Object.fromEntries([...rib.routes({})].map((route) => [route.peerName, route.lostAt ?? route.selected]));
}

const e1 = external('a', 1, 65001);
const e2 = external('b', 2, 65002);
const same2 = external('b', 2, 65001);

describe('RFC 4271 §9.1.2.2, RFC 4456 §9', () => {
  test.each<[string, Candidate, Candidate]>([
    ['higherLocalPref', [peer('a', 1), { localPref: 200, asPath: [1, 2, 3] }], [peer('b', 2), { localPref: 100 }]],
    ['higherLocalPref', [peer('a', 1), {}], [peer('b', 2), { localPref: 99 }]],
    ['shorterAsPath', [e1, { asPath: [65001], origin: 2 }], [e2, { asPath: [65002, 1], origin: 0 }]],
    // AS_SET {1 2 3} counts one; AS_CONFED_SEQUENCE counts nothing.
    ['shorterAsPath', [peer('a', 1), { asPath: [5] }], [peer('b', 2), { raw: '', asPath: [5, 6] }]],
    ['lowerOrigin', [e1, { asPath: [65001], origin: 0, med: 9 }], [e2, { asPath: [65002], origin: 1 }]],
    ['lowerMed', [e1, { asPath: [65001], med: 1 }], [same2, { asPath: [65001], med: 2 }]],
    ['lowerMed', [e1, { asPath: [65001] }], [same2, { asPath: [65001], med: 1 }]],
    ['externalOverInternal', [external('a', 9, 65001), { asPath: [65001] }], [peer('b', 2), { asPath: [65002] }]],
    ['lowerRouterId', [e1, { asPath: [65001], med: 9 }], [e2, { asPath: [65002], med: 1 }]],
    ['lowerRouterId', [peer('a', 9), { originatorId: '10.0.0.1' }], [peer('b', 2), {}]],
    [
      'shorterClusterList',
      [peer('a', 9), { originatorId: '9.9.9.9', clusterList: ['1.1.1.1'] }],
      [peer('b', 2), { originatorId: '9.9.9.9', clusterList: ['1.1.1.1', '2.2.2.2'] }],
    ],
    [
      'lowerPeerAddress',
      [peer('a', 1, { remoteRouterId: '9.9.9.9' }), {}],
      [peer('b', 2, { remoteRouterId: '9.9.9.9' }), {}],
    ],
  ])('%s', (rung, winner, loser) => {
    expect(decided([winner, loser])).toEqual({ a: 'best', b: rung });
    expect(decided([loser, winner])).toEqual({ a: 'best', b: rung });
  });

  test('a set counts as one AS, a confederation segment as none', () => {
    const rib = new Rib({ local });
    const [x, y] = [new Neighbor(rib, peer('x', 9)), new Neighbor(rib, peer('y', 2))];
    const withPath = (path: string) => {
      const plain = Buffer.from(announce([P], {})).toString('hex');
      const length = path.length / 2;
      const update = Buffer.from(plain.replace('400200', `4002${length.toString(16).padStart(2, '0')}${path}`), 'hex');
      update.writeUInt16BE(update.readUInt16BE(2) + length, 2);
      return Uint8Array.from(update);
    };
    // (64601 64602) 5 {6 7}: length 2;   5 6 7: length 3
    x.says(withPath('0302 0000fc59 0000fc5a 0201 00000005 0102 00000006 00000007'.replaceAll(' ', '')));
    y.says(withPath('0203 00000005 00000006 00000007'.replaceAll(' ', '')));
    expect([...rib.routes({})].map((route) => [route.peerName, route.asPath, route.lostAt])).toEqual([
      ['x', '(64601 64602) 5 {6 7}', undefined],
      ['y', '5 6 7', 'shorterAsPath'],
    ]);
  });

  test('MED is compared within one neighbour AS only, whatever a third path does to the order', () => {
    // The classic trap: pairwise comparison would make this depend on the order of arrival.
    const candidates: Candidate[] = [
      [external('a', 1, 65001, { remoteRouterId: '3.3.3.3' }), { asPath: [65001], med: 20 }],
      [external('b', 2, 65002, { remoteRouterId: '2.2.2.2' }), { asPath: [65002], med: 0 }],
      [external('c', 3, 65001, { remoteRouterId: '1.1.1.1' }), { asPath: [65001], med: 30 }],
    ];
    const outcome = { a: 'lowerRouterId', b: 'best', c: 'lowerMed' };
    for (const [i, j, k] of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      expect(decided([candidates[i], candidates[j], candidates[k]])).toEqual(outcome);
    }
  });
});

describe('multipath', () => {
  const equal = (name: string, number: number, nextHop: string): Candidate => [
    client(name, number),
    { asPath: [7], nextHop },
  ];

  test('paths equal down to eBGP over iBGP share, up to maximumPaths, in the order of the rungs that follow', () => {
    const candidates = [
      equal('d', 4, '192.0.2.4'),
      equal('b', 2, '192.0.2.2'),
      equal('a', 1, '192.0.2.1'),
      equal('c', 3, '192.0.2.3'),
    ];
    expect(decided(candidates, 3)).toEqual({ a: 'best', b: 'multipath', c: 'multipath', d: 'lowerRouterId' });
    expect(decided(candidates, 1)).toMatchObject({ b: 'lowerRouterId' });
  });

  test('one next hop is one path, however many peers tell of it', () => {
    const candidates = [equal('a', 1, '192.0.2.1'), equal('b', 2, '192.0.2.1'), equal('c', 3, '192.0.2.3')];
    expect(decided(candidates, 3)).toEqual({ a: 'best', b: 'lowerRouterId', c: 'multipath' });
  });

  test('maximumPaths takes effect while it runs', () => {
    const rib = new Rib({ local });
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P], { nextHop: '192.0.2.1' }));
    y.says(announce([P], { nextHop: '192.0.2.2' }));
    const reader = rib.bestPathReader();
    expect(reader.read(9)[0].paths).toHaveLength(1);
    rib.setLocal({ ...local, maximumPaths: 4 });
    while (rib.work(() => false));
    expect(reader.read(9)[0].paths).toHaveLength(2);
  });
});

test('any order of arrival, with any routes replaced on the way, ends in the same decision', () => {
  const peers = [
    external('e1', 1, 65001),
    external('e2', 2, 65001),
    external('e3', 3, 65002),
    peer('i4', 4),
    client('i5', 5),
    client('i6', 6, { remoteRouterId: '10.0.0.4' }),
  ];
  const route = fc.record({
    asPath: fc.constantFrom([65001], [65002], [65001, 9], [65002, 9]),
    origin: fc.constantFrom(0, 0, 1),
    med: fc.constantFrom(undefined, 0, 1, 2),
    localPref: fc.constantFrom(undefined, 100, 100, 200),
    nextHop: fc.constantFrom('192.0.2.1', '192.0.2.2', '192.0.2.3'),
    clusterList: fc.constantFrom<string[]>([], ['1.1.1.1']),
  });
  const routes = fc.tuple(...peers.map(() => route));
  const detour = fc.oneof(route, fc.constant('withdrawn' as const));
  const steps = fc.array(fc.tuple(fc.nat(peers.length - 1), detour), { maxLength: 12 });
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 });
  fc.assert(
    fc.property(routes, steps, order, fc.constantFrom(1, 1, 1, 2, 4), (final, detours, last, maximumPaths) => {
      const straight = decided(
        peers.map((each, i) => [each, final[i]]),
        maximumPaths,
      );
      const rib = new Rib({ local: { ...local, maximumPaths } });
      const neighbors = peers.map((each) => new Neighbor(rib, each));
      for (const [i, detour] of detours) {
        neighbors[i].says(detour === 'withdrawn' ? withdraw([P]) : announce([P], detour));
      }
      for (const i of last) neighbors[i].says(announce([P], final[i]));
      const around = [...rib.routes({})].map((each) => [each.peerName, each.lostAt ?? each.selected]);
      expect(Object.fromEntries(around)).toEqual(straight);
    }),
    { numRuns: 300 },
  );
});
