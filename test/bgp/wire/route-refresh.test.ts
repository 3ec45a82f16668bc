import { expect, test } from 'vitest';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../bgp/wire/route-refresh.ts';
import { fromHex, messageHex, toHex } from '../kit/hex.ts';

test('RFC 2918 §3: AFI, a reserved octet, SAFI', () => {
  expect(toHex(encodeRouteRefresh('ipv6'))).toBe(messageHex(5, '00020001'));
});

test.each([
  ['IPv4 unicast', '00010001', 'ipv4'],
  ['IPv6 unicast', '00020001', 'ipv6'],
  ['a family that we do not have', '00010080', undefined],
  ['RFC 7313: a beginning-of-refresh, which is no request', '00010101', undefined],
])('reads %s', (_, body, family) => {
  expect(decodeRouteRefresh(fromHex(body))).toBe(family);
});
