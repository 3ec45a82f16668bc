/** tcpdump's lines as it prints them with -n -t. */

import { expect, test } from 'vitest';
import { TcpdumpReader } from '../../../src/lab/wire.ts';

function readAll(...lines: string[]): unknown[] {
  const reader = new TcpdumpReader();
  return lines.map((line) => reader.read(line)).filter((sighting) => sighting !== undefined);
}

test('a request without an outer packet went plain', () => {
  expect(readAll('IP 10.244.1.11 > 10.244.2.11: ICMP echo request, id 25, seq 1, length 64')).toEqual([
    { from: '10.244.1.11', to: '10.244.2.11', carriage: 'plain' },
  ]);
  expect(readAll('IP6 fd00:10:244:1::11 > fd00:10:244:2::11: ICMP6, echo request, id 25, seq 1, length 64')).toEqual([
    { from: 'fd00:10:244:1::11', to: 'fd00:10:244:2::11', carriage: 'plain' },
  ]);
});

test('the line after a VXLAN header is the packet inside, and only that line', () => {
  expect(
    readAll(
      'IP 10.1.1.11.44222 > 10.1.2.13.4789: VXLAN, flags [I] (0x08), vni 4096',
      'IP 10.244.1.11 > 10.244.3.11: ICMP echo request, id 3, seq 1, length 64',
      'IP 10.244.1.11 > 10.244.2.11: ICMP echo request, id 4, seq 1, length 64',
      'IP6 fd00:10:1:1::11.33970 > fd00:10:1:2::13.4789: VXLAN, flags [I] (0x08), vni 4096',
      'IP6 fd00:10:244:1::11 > fd00:10:244:3::11: ICMP6, echo request, id 5, seq 1, length 64',
    ),
  ).toEqual([
    { from: '10.244.1.11', to: '10.244.3.11', carriage: 'vxlan' },
    { from: '10.244.1.11', to: '10.244.2.11', carriage: 'plain' },
    { from: 'fd00:10:244:1::11', to: 'fd00:10:244:3::11', carriage: 'vxlan' },
  ]);
});

test('IP-in-IP stands on one line with its outer addresses', () => {
  expect(
    readAll('IP 10.1.1.11 > 10.1.2.13: IP 10.244.1.11 > 10.244.3.11: ICMP echo request, id 3, seq 1, length 64'),
  ).toEqual([{ from: '10.244.1.11', to: '10.244.3.11', carriage: 'ipip' }]);
});

test('anything but an echo request is no sighting', () => {
  expect(
    readAll(
      'IP 10.244.2.11 > 10.244.1.11: ICMP echo reply, id 25, seq 1, length 64',
      'IP6 fe80::1 > ff02::1:ff00:11: ICMP6, neighbor solicitation, who has fd00:10:1:1::11, length 32',
      'IP 10.1.1.11.44222 > 10.1.2.13.4789: VXLAN, flags [I] (0x08), vni 4096',
      'IP 10.244.1.11.50000 > 10.244.3.11.8080: Flags [S], seq 1, win 64240, length 0',
    ),
  ).toEqual([]);
});
