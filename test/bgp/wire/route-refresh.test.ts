import { expect, test } from 'vitest';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import type { RouteRefresh } from '../../../bgp/wire/route-refresh.ts';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../bgp/wire/route-refresh.ts';
import { fromHex, messageHex, toHex } from '../kit/hex.ts';

const request: RouteRefresh = { kind: 'request', family: 'ipv4' };

test.each<[string, string, RouteRefresh]>([
  ['RFC 2918 §3: AFI, a reserved octet, SAFI', '00020001', { kind: 'request', family: 'ipv6' }],
  ['RFC 7313 §3.2: BoRR', '00010101', { kind: 'begins', family: 'ipv4' }],
  ['RFC 7313 §3.2: EoRR', '00020201', { kind: 'ended', family: 'ipv6' }],
])('%s', (_, body, message) => {
  expect(toHex(encodeRouteRefresh(message))).toBe(messageHex(5, body));
  expect(decodeRouteRefresh(fromHex(body), true)).toEqual(message);
});

test.each<[string, string, RouteRefresh | undefined, RouteRefresh | undefined]>([
  ['IPv4 unicast', '00010001', request, request],
  ['a family that we do not have', '00010080', undefined, undefined],
  [
    'a subtype, which is a reserved octet where the peer has no capability (RFC 2918 §3)',
    '00010101',
    request,
    { ...request, kind: 'begins' },
  ],
  ['RFC 7313 §5: a subtype that nobody knows', '00010301', request, undefined],
  ['RFC 7313 §5: subtype 255', '0001ff01', request, undefined],
])('reads %s', (_, body, plain, enhanced) => {
  expect(decodeRouteRefresh(fromHex(body), false)).toEqual(plain);
  expect(decodeRouteRefresh(fromHex(body), true)).toEqual(enhanced);
});

test.each([
  ['RFC 7313 §5: a BoRR of 5 bytes', '0001010100', true, 7, 1, messageHex(5, '0001010100')],
  ['RFC 7313 §5: an EoRR of 3 bytes', '000102', true, 7, 1, messageHex(5, '000102')],
  ['the same from a peer without the capability', '0001010100', false, 1, 2, '0018'],
  ['RFC 4271 §6.1: a request of 5 bytes', '0001000100', true, 1, 2, '0018'],
  ['nothing at all', '', true, 1, 2, '0013'],
])('refuses %s', (_, body, enhanced, code, subcode, data) => {
  let thrown: unknown;
  try {
    decodeRouteRefresh(fromHex(body), enhanced);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ProtocolError);
  expect(thrown).toMatchObject({ code, subcode, data: fromHex(data) });
});
