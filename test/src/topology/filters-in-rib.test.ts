/** BGPFilters as the RIB runs them: each condition and operation on routes that are there, changed while the session goes on. */

import { describe, expect, test } from 'vitest';
import type { RouteStatus } from '../../../bgp/index.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import { toRouteFilter, type Direction } from '../../../src/topology/route-filters.ts';
import { Neighbor, announce, client, local, policy, settle, withdraw } from '../../bgp/rib/kit.ts';
import { clusterOf, ours } from '../../kit/cluster.ts';

const P = '10.1.0.0/24';

/** A route target, and a link bandwidth of 1 Gbit/s; a large community. */
const raw = 'c010 10 0002fde800000007 4004fde84cee6b28 c020 0c 0000fde80000000100000002';

function filterOf(direction: Direction, rule: string) {
  const bgpFilters = clusterOf(ours('BGPFilter', 'f', `{ ${direction}V4: [${rule}] }`)).bgpFilters;
  return toRouteFilter({ direction, peerType: 'iBGP', names: ['f'], filters: bgpFilters, defaultPolicy: undefined });
}

/** A peer on eth0 tells one route, which another peer hears. */
function ribWithRoute() {
  const rib = new Rib({ local });
  const link = { interfaceName: 'eth0', linkLocalAddress: undefined };
  const x = new Neighbor(rib, client('x', 1, { link }));
  const y = new Neighbor(rib, client('y', 2));
  x.says(announce([P], { asPath: [65001, 64600], communities: ['65000:1', '65535:65284'], med: 5, raw }));
  return { rib, x, y };
}

describe('a filter that comes later is run over what the peer told, and its end too', () => {
  test.each([
    'cidr: 10.0.0.0/8, matchOperator: In',
    'cidr: 10.0.0.0/8, matchOperator: In, prefixLength: { min: 24 }',
    "communities: { values: ['65000:1'] }",
    'communities: { values: [no-peer] }',
    "communities: { values: ['65000:1:*'] }",
    "communities: { values: ['rt:65000:7'] }",
    'asPathPrefix: [65001]',
    "asPath: '* 64512-65534'",
    'nextHop: 192.0.2.0/24',
    "interface: 'eth*'",
    'peerType: iBGP',
    'source: RemotePeers',
  ])('%s', (condition) => {
    const { rib, x, y } = ribWithRoute();
    expect(y.listen().prefixes()).toEqual([P]);
    rib.setPolicy(x.id, policy({ importFilter: filterOf('import', `{ action: Reject, ${condition} }`) }));
    settle(rib);
    expect(y.listen().prefixes()).toEqual([]);
    expect([...rib.routes({ filtered: true })]).toMatchObject([{ prefix: P, rule: 'f importV4[0]' }]);
    rib.setPolicy(x.id, policy({ importFilter: filterOf('import', '{ action: Reject, asPathPrefix: [9] }') }));
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    rib.setPolicy(y.id, policy({ exportFilter: filterOf('export', `{ action: Reject, ${condition} }`) }));
    expect(y.listen().prefixes()).toEqual([]);
    rib.setPolicy(y.id, policy());
    expect(y.listen().prefixes()).toEqual([P]);
  });
});

describe('an operation changes the route on its way in, and on its way out', () => {
  test.each<[string, Partial<RouteStatus>]>([
    ["addCommunity: { value: '65000:9' }", { communities: ['65000:1', '65535:65284', '65000:9'] }],
    ["addCommunity: { value: '65000:9:9' }", { largeCommunities: ['65000:1:2', '65000:9:9'] }],
    ['addCommunity: { value: blackhole }', { communities: ['65000:1', '65535:65284', '65535:666'] }],
    [
      "addCommunity: { value: 'soo:65000:3' }",
      { extendedCommunities: ['rt:65000:7', '!lb:65000:125000000', 'ro:65000:3'] },
    ],
    ["removeCommunity: { value: '65000:*' }", { communities: ['65535:65284'] }],
    ["removeCommunity: { value: 'rt:*:*' }", { extendedCommunities: ['!lb:65000:125000000'] }],
    ["removeCommunity: { value: '*:*:*' }", { largeCommunities: [] }],
    ["setCommunities: { values: ['1:1', '1:1:1'] }", { communities: ['1:1'], largeCommunities: ['1:1:1'] }],
    ['prependASPath: { prefix: [7, 8] }', { asPath: '7 8 65001 64600' }],
    ['setLocalPreference: { value: 50 }', { localPref: 50 }],
    ['setMED: { value: 77 }', { med: 77 }],
  ])('%s', (operation, expected) => {
    const rule = `{ action: Accept, operations: [{ ${operation} }] }`;
    const { rib, x, y } = ribWithRoute();
    const [before] = rib.routes({});
    rib.setPolicy(x.id, policy({ importFilter: filterOf('import', rule) }));
    settle(rib);
    expect([...rib.routes({})]).toMatchObject([{ ...before, ...expected, rule: 'f importV4[0]' }]);
    rib.setPolicy(x.id, policy());
    settle(rib);
    expect([...rib.routes({})]).toEqual([before]);
    rib.setPolicy(y.id, policy({ exportFilter: filterOf('export', rule) }));
    y.listen();
    expect([...rib.routes({ exportedTo: 'y' })]).toMatchObject([expected]);
  });
});

describe('a priority', () => {
  const setTo = (value: number) => `{ action: Accept, operations: [{ setPriority: { value: ${value} } }] }`;

  test("of a filter that comes, changes and goes is the best path's for whoever reads it; nothing else is, and nobody is told of it", () => {
    const { rib, x, y } = ribWithRoute();
    const reader = rib.bestPathReader();
    const [before] = rib.routes({});
    const told = y.listen().routes.get(P);
    const metrics = () => reader.read(9).map(({ paths }) => paths.map(({ fibMetric }) => fibMetric));
    expect(metrics()).toEqual([[undefined]]);
    for (const value of [500, 600]) {
      rib.setPolicy(x.id, policy({ importFilter: filterOf('import', setTo(value)) }));
      settle(rib);
      expect(metrics()).toEqual([[value]]);
      expect([...rib.routes({})]).toEqual([{ ...before, rule: 'f importV4[0]', fibMetric: value }]);
      expect(y.listen().routes.get(P)).toEqual(told);
      expect([...rib.routes({ exportedTo: 'y' })]).not.toHaveProperty('0.fibMetric');
    }
    x.says(announce([P], { asPath: [65001, 64600], communities: ['65000:1', '65535:65284'], med: 5, raw }));
    expect(metrics()).toEqual([]);
    rib.setPolicy(x.id, policy());
    settle(rib);
    expect(metrics()).toEqual([[undefined]]);
    expect([...rib.routes({})]).toEqual([before]);
  });

  test('of a path that is not used makes no change; when it is used, it counts', () => {
    const { rib, x } = ribWithRoute();
    const z = new Neighbor(rib, client('z', 3));
    const reader = rib.bestPathReader();
    z.says(announce([P], { asPath: [65001, 64600, 7] }));
    reader.read(9);
    rib.setPolicy(z.id, policy({ importFilter: filterOf('import', setTo(9)) }));
    settle(rib);
    expect(reader.read(9)).toEqual([]);
    x.says(withdraw([P]));
    expect(reader.read(9)).toMatchObject([{ prefix: P, paths: [{ fibMetric: 9 }] }]);
  });

  test('that an import rule gave, or a peer told by LOCAL_PREF, is what an export rule asks for', () => {
    const { rib, x, y } = ribWithRoute();
    rib.setPolicy(y.id, policy({ exportFilter: filterOf('export', '{ action: Reject, priority: 500 }') }));
    expect(y.listen().prefixes()).toEqual([P]);
    rib.setPolicy(x.id, policy({ importFilter: filterOf('import', setTo(500)) }));
    settle(rib);
    expect(y.listen().prefixes()).toEqual([]);
    rib.setPolicy(x.id, policy());
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    x.says(announce([P], { localPref: 2147483147 }));
    expect(y.listen().prefixes()).toEqual([]);
  });

  test('of an export rule is LOCAL_PREF to a peer of ours', () => {
    const { rib, y } = ribWithRoute();
    rib.setPolicy(y.id, policy({ exportFilter: filterOf('export', setTo(500)) }));
    expect(y.listen().routes.get(P)).toMatchObject({ localPref: 2147483147 });
  });
});
