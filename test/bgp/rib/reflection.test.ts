/** RFC 4456: who hears what, and what is written into it. */

import { expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import { Neighbor, announce, client, external, local, peer } from './kit.ts';

const P = '192.168.1.0/24';
const classes = {
  client: (name: string, number: number) => client(name, number),
  nonClient: (name: string, number: number) => peer(name, number),
  external: (name: string, number: number) => external(name, number, 65000 + number),
};

test.each([
  ['client', 'client', 'reflected'],
  ['client', 'nonClient', 'reflected'],
  ['client', 'external', 'told'],
  ['nonClient', 'client', 'reflected'],
  ['nonClient', 'nonClient', 'kept'],
  ['nonClient', 'external', 'told'],
  ['external', 'client', 'told'],
  ['external', 'nonClient', 'told'],
  ['external', 'external', 'told'],
] as const)('§6: from %s to %s: %s', (from, to, outcome) => {
  const rib = new Rib({ local: { ...local, clusterId: '1.1.1.1' } });
  const x = new Neighbor(rib, classes[from]('x', 1));
  const y = new Neighbor(rib, classes[to]('y', 2));
  x.says(announce([P], { asPath: [7] }));
  const told = y.listen().routes.get(P);
  if (outcome === 'kept') expect(told).toBeUndefined();
  else if (outcome === 'told') {
    expect(told).toBeDefined();
    expect(told).not.toHaveProperty('originatorId');
    expect(told).not.toHaveProperty('clusterList');
  } else expect(told).toMatchObject({ originatorId: '10.0.0.1', clusterList: ['1.1.1.1'] });
});

test.each([
  ['client', 'client', undefined],
  ['client', 'nonClient', 'told'],
  ['client', 'external', 'told'],
  ['nonClient', 'client', 'told'],
  ['external', 'client', 'told'],
] as const)('§10: clients mesh: from %s to %s: %s', (from, to, outcome) => {
  const rib = new Rib({ local: { ...local, clientsMesh: true } });
  const x = new Neighbor(rib, classes[from]('x', 1));
  const y = new Neighbor(rib, classes[to]('y', 2));
  x.says(announce([P], { asPath: [7] }));
  expect(y.listen().routes.has(P)).toBe(outcome === 'told');
});

test('§10: clients that begin to mesh are told a withdraw, and the routes again when they no longer do', () => {
  const rib = new Rib({ local });
  const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
  x.says(announce([P]));
  expect(y.listen().prefixes()).toEqual([P]);
  rib.setLocal({ ...local, clientsMesh: true });
  expect(y.listen().prefixes()).toEqual([]);
  rib.setLocal(local);
  expect(y.listen().prefixes()).toEqual([P]);
});

test('§8: an ORIGINATOR_ID that is there stays; the cluster id goes in front; the rest is unchanged', () => {
  const rib = new Rib({ local });
  const x = new Neighbor(rib, client('x', 1));
  const y = new Neighbor(rib, client('y', 2));
  const route = { nextHop: '192.0.2.7', origin: 1, asPath: [7, 8], med: 9, localPref: 300, communities: ['1:2'] };
  x.says(announce([P], { ...route, originatorId: '10.0.0.99', clusterList: ['2.2.2.2'] }));
  expect(y.listen().routes.get(P)).toEqual({
    ...route,
    communities: '00010002',
    originatorId: '10.0.0.99',
    // Without a cluster id of its own the router id serves (§7).
    clusterList: ['10.0.0.254', '2.2.2.2'],
  });
});
