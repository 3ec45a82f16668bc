/** What FRR 8.4's vtysh prints as JSON. */

import { expect, test } from 'vitest';
import { parseFrrNeighbors, parseFrrRoutes } from '../../../../src/lab/routers/frr.ts';

test('neighbours become sessions', () => {
  const json = {
    '10.1.2.13': { remoteAs: 64512, peerGroup: 'nodes', bgpState: 'Established' },
    '10.1.2.14': { remoteAs: 64512, peerGroup: 'nodes', bgpState: 'Active' },
  };
  expect(parseFrrNeighbors(json)).toEqual([
    { neighbor: '10.1.2.13', address: '10.1.2.13', established: true, state: 'Established' },
    { neighbor: '10.1.2.14', address: '10.1.2.14', established: false, state: 'Active' },
  ]);
});

test('routes carry the AS path as text and the global next hop; the switch’s own path is empty', () => {
  const json = {
    vrfName: 'default',
    routes: {
      'fd00:10:244:1::/64': [
        {
          valid: true,
          bestpath: true,
          path: '65000 65001 64512',
          nexthops: [
            { ip: 'fe80::2c76:5fff:fe14:4091', scope: 'link-local', used: true },
            { ip: 'fd00:10:0:2::1', scope: 'global' },
          ],
        },
      ],
      '10.0.2.0/30': [
        { valid: true, path: '65000', nexthops: [{ ip: '10.0.2.1' }] },
        { valid: true, bestpath: true, path: '', nexthops: [{ ip: '0.0.0.0' }] },
      ],
    },
  };
  expect(parseFrrRoutes(json)).toEqual([
    { prefix: 'fd00:10:244:1::/64', best: true, asPath: '65000 65001 64512', nextHop: 'fd00:10:0:2::1' },
    { prefix: '10.0.2.0/30', best: false, asPath: '65000', nextHop: '10.0.2.1' },
    { prefix: '10.0.2.0/30', best: true, asPath: '', nextHop: '0.0.0.0' },
  ]);
});

test('an empty table is no routes', () => {
  expect(parseFrrRoutes({})).toEqual([]);
});
