import { expect, test } from 'vitest';
import { parseAddressList, parseReservedList } from '../../../src/ipam/annotations.ts';

test.each<[string, readonly string[]]>([
  ['10.244.1.7', ['10.244.1.7']],
  [' 10.244.1.7 , FD00:1::7 ', ['10.244.1.7', 'fd00:1::7']],
  ['["10.244.1.7","fd00:1:0::7"]', ['10.244.1.7', 'fd00:1::7']],
])('%s is a list of addresses', (text, addresses) => {
  expect(parseAddressList(text)).toEqual({ addresses });
});

test.each<[string, string]>([
  ['', '"" is no IP address'],
  ['10.244.1.7/24', '"10.244.1.7/24" is no IP address'],
  ['10.244.1.7;10.244.1.8', '"10.244.1.7;10.244.1.8" is no IP address'],
  ['["10.244.1.7"', '"[\\"10.244.1.7\\"" is no list of addresses'],
  ['[7]', '"[7]" is no list of addresses'],
])('%s is none', (text, reason) => {
  expect(parseAddressList(text)).toEqual({ reason });
});

test('a reservation takes CIDRs too', () => {
  expect(parseReservedList('10.244.1.0/28,fd00:1::53')).toEqual({ addresses: ['10.244.1.0/28', 'fd00:1::53'] });
  expect(parseReservedList('10.244.1.0/33')).toEqual({ reason: '"10.244.1.0/33" is no IP address or CIDR' });
});
