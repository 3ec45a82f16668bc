/** What BIRD 2.0.12's birdc prints. */

import { expect, test } from 'vitest';
import { parseBirdProtocols, parseBirdRoutes } from '../../../../src/lab/routers/bird.ts';

test('BGP protocols become sessions with their neighbour; other protocols do not', () => {
  const text = `BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     01:06:01.107  

kernel1    Kernel     master4    up     01:06:01.107  
  Channel ipv4
    State:          UP

core       BGP        ---        up     01:06:02.008  Established   
  BGP state:          Established
    Neighbor address: 10.0.1.1
    Neighbor AS:      65000

longer     BGP        ---        up     2026-11-27 01:06:02  Established   
  BGP state:          Established
    Neighbor address: 10.0.2.1

node1      BGP        ---        start  01:06:01.107  Active        Socket: Connection refused
  BGP state:          Active
    Neighbor address: 10.1.1.11
    Neighbor AS:      64512
  Channel ipv4
    State:          DOWN
`;
  expect(parseBirdProtocols(text)).toEqual([
    { neighbor: 'core', address: '10.0.1.1', established: true, state: 'Established' },
    { neighbor: 'longer', address: '10.0.2.1', established: true, state: 'Established' },
    { neighbor: 'node1', address: '10.1.1.11', established: false, state: 'Active Socket: Connection refused' },
  ]);
});

test('every path of a prefix is a route; a path line without a prefix belongs to the one above', () => {
  const text = `BIRD 2.0.12 ready.
Table master4:
10.244.3.0/24        unicast [core 01:10:57.580] * (100) [AS64512i]
	via 10.0.1.1 on core
	Type: BGP univ
	BGP.origin: IGP
	BGP.as_path: 65000 65002 64512
	BGP.next_hop: 10.0.1.1
	BGP.local_pref: 100
                     unicast [other 01:06:02.090] (100) [AS64512i]
	via 10.0.9.1 on other
	BGP.as_path: 65009 65000 65002 64512
	BGP.next_hop: 10.0.9.1

Table master6:
fd00:10:244:3::/64   unicast [core 01:06:02.423 from 10.0.1.1] * (100) [AS64512i]
	via fd00:10:0:1::1 on core
	BGP.as_path: 65000 65002 64512
	BGP.next_hop: fd00:10:0:1::1 fe80::1
`;
  expect(parseBirdRoutes(text)).toEqual([
    { prefix: '10.244.3.0/24', best: true, asPath: '65000 65002 64512', nextHop: '10.0.1.1' },
    { prefix: '10.244.3.0/24', best: false, asPath: '65009 65000 65002 64512', nextHop: '10.0.9.1' },
    { prefix: 'fd00:10:244:3::/64', best: true, asPath: '65000 65002 64512', nextHop: 'fd00:10:0:1::1' },
  ]);
});
