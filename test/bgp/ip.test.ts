import { isIPv4, isIPv6 } from 'node:net';
import { assert, ipV4, ipV6, integer, property, string, stringMatching, oneof } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addressPlus,
  canonicalAddress,
  canonicalPrefix,
  compareBytes,
  formatAddress,
  parseAddress,
  parsePrefix,
  prefixCovers,
  prefixesOverlap,
} from '../../bgp/ip.ts';

describe('addresses in text', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ])('%s is %s (RFC 5952)', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  test.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '010.0.0.1',
    '00.0.0.0',
    '256.0.0.1',
    '1.2.3.4 ',
    '0x7f.0.0.1',
    '1.2.3.-4',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:2:3:4:5:6:7::8:9',
    'g::',
    '12345::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
  ])('%j is no address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('what is taken is what the C library takes, leading zeros and zones aside', () => {
    const text = oneof(ipV4(), ipV6(), stringMatching(/^[0-9a-f:.]{1,20}$/), string());
    assert(
      property(text, (candidate) => {
        const expected = isIPv4(candidate) || (isIPv6(candidate) && !candidate.includes('%'));
        if (/(^|[.:])0\d+/.test(candidate) && candidate.includes('.')) return;
        expect(parseAddress(candidate) !== undefined).toBe(expected);
      }),
    );
  });

  test('text → bytes → text → bytes ends in the same bytes', () => {
    assert(
      property(oneof(ipV4(), ipV6()), (text) => {
        const bytes = parseAddress(text)!;
        expect(parseAddress(formatAddress(bytes))).toEqual(bytes);
      }),
    );
  });
});

describe('prefixes', () => {
  test.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['1.2.3.4/0', '0.0.0.0/0'],
    ['2001:db8::1/33', '2001:db8::/33'],
    ['::/0', '::/0'],
  ])('%s is the network %s', (text, canonical) => {
    expect(canonicalPrefix(text)).toBe(canonical);
  });

  test.each(['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/-1', '::/129', '/8', '10.0.0.0/8/8'])(
    '%j is no prefix',
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );

  test.each([
    ['10.0.0.0/8', '10.2.0.0/16', true],
    ['10.2.0.0/16', '10.0.0.0/8', false],
    ['10.0.0.0/8', '10.0.0.0/8', true],
    ['10.0.0.0/9', '10.128.0.0/9', false],
    ['0.0.0.0/0', '::/0', false],
    ['10.0.0.0/31', '10.0.0.2/32', false],
  ])('%s covers %s: %s', (outer, inner, covers) => {
    expect(prefixCovers(parsePrefix(outer)!, parsePrefix(inner)!)).toBe(covers);
  });

  test('two prefixes overlap where one covers the other', () => {
    const prefix = property(
      ipV4(),
      integer({ min: 0, max: 32 }),
      ipV4(),
      integer({ min: 0, max: 32 }),
      (a, m, b, n) => {
        const [first, second] = [parsePrefix(`${a}/${m}`)!, parsePrefix(`${b}/${n}`)!];
        const shorter = Math.min(m, n);
        expect(prefixesOverlap(first, second)).toBe(
          canonicalPrefix(`${a}/${shorter}`) === canonicalPrefix(`${b}/${shorter}`),
        );
      },
    );
    assert(prefix);
  });

  test.each([
    ['10.0.0.255', 1, '10.0.1.0'],
    ['255.255.255.255', 1, '0.0.0.0'],
    ['2001:db8::ffff', 65_537, '2001:db8::2:0'],
  ])('%s and %d more is %s', (text, offset, sum) => {
    expect(formatAddress(addressPlus(parseAddress(text)!, offset))).toBe(sum);
  });

  test('addresses are ordered as numbers, IPv4 before IPv6', () => {
    const order = (a: string, b: string) => Math.sign(compareBytes(parseAddress(a)!, parseAddress(b)!));
    expect([order('9.0.0.0', '10.0.0.0'), order('::', '255.0.0.0'), order('::1', '::1')]).toEqual([-1, 1, 0]);
  });
});
