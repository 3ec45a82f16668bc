/** Communities of three kinds: text, bytes, changes. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  changedCommunities,
  communitySize,
  formatCommunities,
  parseCommunity,
} from '../../../bgp/wire/attributes/communities.ts';
import type { CommunityChanges, CommunityKind } from '../../../bgp/wire/attributes/communities.ts';
import { hex, toHex } from '../rib/kit.ts';

describe('text and bytes', () => {
  test.each<[string, CommunityKind, string]>([
    ['RFC 1997', 'standard', 'fde9000b'],
    ['RFC 8326', 'standard', 'ffff0000'],
    ['RFC 8092', 'large', 'fa56ea01 0000000d 0000000e'],
    ['RFC 4360 §4, two octets of AS', 'extended', '0002 fde9 0000000c'],
    ['RFC 4360 §4, an IPv4 address', 'extended', '0102 0a000001 000c'],
    ['RFC 5668, four octets of AS', 'extended', '0202 fa56ea01 000c'],
    ['RFC 4360 §5', 'extended', '0003 fde9 0000000c'],
    ['not transitive', 'extended', '4002 fde9 0000000c'],
    ['another subtype', 'extended', '0009 fde9 0000000c'],
    ['link bandwidth, 1 Gbit/s', 'extended', '4004 fde9 4cee6b28'],
    ['link bandwidth that is no number', 'extended', '4004 fde9 7fc00000'],
    ['RFC 5668 with a number of two octets', 'extended', '0202 0000fde9 000c'],
    ['opaque', 'extended', '030c 000000000008'],
  ])('%s', (_name, kind, text) => {
    const bytes = hex(text);
    const [formatted] = formatCommunities(kind, bytes);
    expect({ formatted, bytes: toHex(parseCommunity(formatted).bytes) }).toEqual({
      formatted: texts[toHex(bytes)],
      bytes: toHex(bytes),
    });
  });

  const texts: Record<string, string> = {
    fde9000b: '65001:11',
    ffff0000: '65535:0',
    fa56ea010000000d0000000e: '4200000001:13:14',
    '0002fde90000000c': 'rt:65001:12',
    '01020a000001000c': 'rt:10.0.0.1:12',
    '0202fa56ea01000c': 'rt:4200000001:12',
    '0003fde90000000c': 'ro:65001:12',
    '4002fde90000000c': '!rt:65001:12',
    '0009fde90000000c': '0x09:65001:12',
    '4004fde94cee6b28': '!lb:65001:125000000',
    '4004fde97fc00000': 'generic:0x4004fde9:0x7fc00000',
    '02020000fde9000c': 'generic:0x02020000:0xfde9000c',
    '030c000000000008': 'generic:0x030c0000:0x00000008',
  };

  test.each([
    '65536:1',
    '1:65536',
    'x',
    '',
    '1:2:3:4',
    '1:4294967296:2',
    'rt:1',
    'rt:65001:4294967296',
    'rt:4200000001:65536',
    'rt:4294967296:1',
    'rt:10.0.0:1',
    'rt:65001:1.5',
    'generic:0x1',
    '64512:*',
  ])('%j is none', (text) => expect(() => parseCommunity(text)).toThrow(`'${text}'`));

  test('any bytes of any kind are read back from their text', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<CommunityKind>('standard', 'extended', 'large'),
        fc.infiniteStream(fc.nat(255)),
        (kind, stream) => {
          const bytes = Uint8Array.from(stream.take(communitySize[kind]));
          // Types that are read, too, not only opaque ones.
          if (kind === 'extended') bytes[0] &= 0x43;
          const [text] = formatCommunities(kind, bytes);
          expect(parseCommunity(text)).toEqual({ kind, bytes });
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('changes', () => {
  const present = hex('00010002 00010003 00020001');

  test.each<[CommunityChanges, string | undefined]>([
    [{}, undefined],
    [{ addCommunities: ['1:2:3'] }, undefined],
    [{ addCommunities: ['1:2'] }, '000100020001000300020001'],
    [{ addCommunities: ['1:9', '1:9'] }, '00010002000100030002000100010009'],
    [{ removesCommunity: (text) => text.startsWith('1:') }, '00020001'],
    [{ removesCommunity: () => true }, ''],
    [{ removesCommunity: (text) => text === '1:3', addCommunities: ['1:3'] }, '000100020002000100010003'],
    [{ clearCommunities: ['standard'], addCommunities: ['7:7', '1:2:3'] }, '00070007'],
    [{ clearCommunities: ['large'] }, undefined],
  ])('%j', (changes, expected) => {
    const changed = changedCommunities('standard', present, changes);
    expect(changed && toHex(changed)).toBe(expected);
  });
});
