/** RFC 7606: what each attribute's errors lead to; the canonical form; 2-octet AS numbers. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AttributeView, applyRouteChanges, originatedAttributes } from '../../../bgp/wire/attributes/attribute-set.ts';
import { AttributeDecoder } from '../../../bgp/wire/attributes/decode.ts';
import { writeOutgoing } from '../../../bgp/wire/attributes/outgoing.ts';
import { ByteWriter } from '../../../bgp/wire/byte-writer.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import { hex, toHex } from '../rib/kit.ts';

const pathIds = { ipv4: false, ipv6: false };
const internal = { external: false, fourOctetAs: true, extendedNextHop: false, pathIds };
const external = { external: true, fourOctetAs: true, extendedNextHop: false, pathIds };
const extended = { external: false, fourOctetAs: true, extendedNextHop: true, pathIds };
const old = { external: true, fourOctetAs: false, extendedNextHop: false, pathIds };

const origin = '40 01 01 00';
const asPath = '40 02 06 02 01 0000fde9';
const nextHop = '40 03 04 c0000201';
const good = `${origin} ${asPath} ${nextHop}`;

type Reaction = 'accepted' | 'treatAsWithdraw' | 'discarded' | `reset 3/${number}`;

function scan(text: string, session = internal): AttributeDecoder {
  const decoder = new AttributeDecoder();
  const bytes = hex(text);
  decoder.scan(bytes, 0, bytes.length, session);
  return decoder;
}

function reaction(text: string, session = internal): Reaction {
  try {
    const decoder = scan(text, session);
    if (decoder.treatAsWithdraw ?? decoder.missing(true)) return 'treatAsWithdraw';
    return decoder.discarded === undefined ? 'accepted' : 'discarded';
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return `reset ${error.code}/${error.subcode}` as Reaction;
  }
}

/** The canonical set without next hop, in hex; session and text as received. */
function canonical(text: string, session = internal): string {
  const decoder = scan(text, session);
  expect(decoder.treatAsWithdraw).toBeUndefined();
  const set = decoder.classicSet();
  expect(toHex(set.copy(0, 5))).toBe('04c0000201');
  return toHex(set.copy(5));
}

describe('RFC 7606 §7, attribute by attribute', () => {
  test.each<[string, string, Reaction, typeof internal?]>([
    ['all that is mandatory', good, 'accepted'],
    ['§3 d ORIGIN missing', `${asPath} ${nextHop}`, 'treatAsWithdraw'],
    ['§3 d AS_PATH missing', `${origin} ${nextHop}`, 'treatAsWithdraw'],
    ['§3 d NEXT_HOP missing', `${origin} ${asPath}`, 'treatAsWithdraw'],
    ['§7.1 ORIGIN of two bytes', `40 01 02 0000 ${asPath} ${nextHop}`, 'treatAsWithdraw'],
    ['§7.1 ORIGIN 3', `40 01 01 03 ${asPath} ${nextHop}`, 'treatAsWithdraw'],
    ['§7.2 an empty AS_PATH', `${origin} 40 02 00 ${nextHop}`, 'accepted'],
    ['§7.2 AS_PATH: unknown segment type', `${origin} 40 02 06 05 01 0000fde9 ${nextHop}`, 'treatAsWithdraw'],
    ['§7.2 AS_PATH: segment overrun', `${origin} 40 02 06 02 02 0000fde9 ${nextHop}`, 'treatAsWithdraw'],
    ['§7.2 AS_PATH: segment underrun', `${origin} 40 02 07 02 01 0000fde9 02 ${nextHop}`, 'treatAsWithdraw'],
    ['§7.2 AS_PATH: empty segment', `${origin} 40 02 02 02 00 ${nextHop}`, 'treatAsWithdraw'],
    ['RFC 7607 AS_PATH with AS 0', `${origin} 40 02 06 02 01 00000000 ${nextHop}`, 'treatAsWithdraw'],
    ['RFC 5065 confederation segment, inside', `${origin} 40 02 06 03 01 0000fde9 ${nextHop}`, 'accepted'],
    [
      'RFC 5065 confederation segment, outside',
      `${origin} 40 02 06 03 01 0000fde9 ${nextHop}`,
      'treatAsWithdraw',
      external,
    ],
    ['§7.3 NEXT_HOP of five bytes', `${origin} ${asPath} 40 03 05 c000020101`, 'treatAsWithdraw'],
    ['RFC 4271 §6.3 NEXT_HOP 0.0.0.0', `${origin} ${asPath} 40 03 04 00000000`, 'treatAsWithdraw'],
    ['RFC 4271 §6.3 NEXT_HOP multicast', `${origin} ${asPath} 40 03 04 e0000001`, 'treatAsWithdraw'],
    ['§7.4 MED', `${good} 80 04 04 00000001`, 'accepted'],
    ['§7.4 MED of three bytes', `${good} 80 04 03 000001`, 'treatAsWithdraw'],
    ['§7.5 LOCAL_PREF', `${good} 40 05 04 00000064`, 'accepted'],
    ['§7.5 LOCAL_PREF of three bytes', `${good} 40 05 03 000064`, 'treatAsWithdraw'],
    ['§7.5 LOCAL_PREF from outside, even malformed', `${good} 40 05 03 000064`, 'discarded', external],
    ['§7.6 ATOMIC_AGGREGATE', `${good} 40 06 00`, 'accepted'],
    ['§7.6 ATOMIC_AGGREGATE with a value', `${good} 40 06 01 00`, 'discarded'],
    ['§7.7 AGGREGATOR', `${good} c0 07 08 00000001 01010101`, 'accepted'],
    ['§7.7 AGGREGATOR of six bytes with 4-octet AS', `${good} c0 07 06 0001 01010101`, 'discarded'],
    ['RFC 7607 AGGREGATOR with AS 0', `${good} c0 07 08 00000000 01010101`, 'discarded'],
    ['§7.8 COMMUNITIES', `${good} c0 08 08 00010002 00010003`, 'accepted'],
    ['§7.8 COMMUNITIES of six bytes', `${good} c0 08 06 000100020001`, 'treatAsWithdraw'],
    ['§7.8 COMMUNITIES of none', `${good} c0 08 00`, 'treatAsWithdraw'],
    ['§7.9 ORIGINATOR_ID', `${good} 80 09 04 01010101`, 'accepted'],
    ['§7.9 ORIGINATOR_ID of five bytes', `${good} 80 09 05 0101010101`, 'treatAsWithdraw'],
    ['§7.9 ORIGINATOR_ID from outside', `${good} 80 09 04 01010101`, 'discarded', external],
    ['§7.10 CLUSTER_LIST', `${good} 80 0a 08 01010101 02020202`, 'accepted'],
    ['§7.10 CLUSTER_LIST of five bytes', `${good} 80 0a 05 0101010102`, 'treatAsWithdraw'],
    ['§7.10 CLUSTER_LIST from outside', `${good} 80 0a 04 01010101`, 'discarded', external],
    ['§7.11 MP_REACH_NLRI', `${good} 80 0e 16 0002 01 10 20010db8000000000000000000000001 00 00`, 'accepted'],
    [
      '§7.11 MP_REACH_NLRI: 32-byte next hop',
      `${good} 80 0e 26 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 00`,
      'accepted',
    ],
    [
      'RFC 8950 §3: IPv4 with an IPv6 next hop',
      `${good} 80 0e 16 0001 01 10 20010db8000000000000000000000001 00 00`,
      'accepted',
      extended,
    ],
    [
      'RFC 8950 §4: the same where it was not negotiated',
      `${good} 80 0e 16 0001 01 10 20010db8000000000000000000000001 00 00`,
      'reset 3/9',
    ],
    ['RFC 4760 §3: IPv4 in MP_REACH_NLRI', `${good} 80 0e 0a 0001 01 04 c0000201 00 00`, 'accepted'],
    ['RFC 8950 §3: IPv6 with an IPv4 next hop', `${good} 80 0e 0a 0002 01 04 c0000201 00 00`, 'reset 3/9', extended],
    [
      'MP_REACH_NLRI: unspecified next hop, alone',
      `${good} 80 0e 16 0002 01 10 00000000000000000000000000000000 00 00`,
      'treatAsWithdraw',
    ],
    [
      '§7.11 MP_REACH_NLRI: next hop of 15',
      `${good} 80 0e 15 0002 01 0f 20010db80000000000000000000000 00 00`,
      'reset 3/9',
    ],
    ['§7.11 MP_REACH_NLRI: cut off', `${good} 80 0e 04 0002 01 10`, 'reset 3/9'],
    ['§7.11 MP_REACH_NLRI: next hop runs past', `${good} 80 0e 09 0002 01 10 20010db800`, 'reset 3/9'],
    [
      '§5.3 MP_REACH_NLRI: prefix length 129',
      `${good} 80 0e 16 0002 01 10 20010db8000000000000000000000001 00 81`,
      'reset 3/9',
    ],
    [
      '§5.3 MP_REACH_NLRI: prefix cut off',
      `${good} 80 0e 16 0002 01 10 20010db8000000000000000000000001 00 20`,
      'reset 3/9',
    ],
    [
      'MP_REACH_NLRI: multicast next hop',
      `${good} 80 0e 16 0002 01 10 ff020000000000000000000000000001 00 00`,
      'treatAsWithdraw',
    ],
    ['MP_REACH_NLRI of another family', `${good} 80 0e 09 0019 46 00 00 01020304`, 'discarded'],
    [
      '§5.3 MP_REACH_NLRI: transitive',
      `${good} c0 0e 16 0002 01 10 20010db8000000000000000000000001 00 00`,
      'reset 3/9',
    ],
    ['§5.3 MP_UNREACH_NLRI: not optional', `${good} 00 0f 03 0002 01`, 'reset 3/9'],
    ['§7.12 MP_UNREACH_NLRI: cut off', `${good} 80 0f 02 0002`, 'reset 3/9'],
    ['§5.3 MP_UNREACH_NLRI: prefix cut off', `${good} 80 0f 04 0002 01 08`, 'reset 3/9'],
    ['§7.14 EXTENDED_COMMUNITIES', `${good} c0 10 08 0002fde800000001`, 'accepted'],
    ['§7.14 EXTENDED_COMMUNITIES of seven bytes', `${good} c0 10 07 0002fde8000000`, 'treatAsWithdraw'],
    [
      'RFC 6793 §6 AS4_PATH malformed',
      `${origin} 40 02 04 02 01 fde9 ${nextHop} c0 11 05 02 01 000001`,
      'discarded',
      old,
    ],
    ['RFC 6793 §4.1 AS4_PATH with 4-octet AS', `${good} c0 11 06 02 01 00000001`, 'discarded'],
    [
      'RFC 6793 §6 AS4_AGGREGATOR of seven bytes',
      `${origin} 40 02 04 02 01 fde9 ${nextHop} c0 12 07 00000001010101`,
      'discarded',
      old,
    ],
    ['RFC 8092 §6 LARGE_COMMUNITY', `${good} c0 20 0c 000000010000000200000003`, 'accepted'],
    ['RFC 8092 §6 LARGE_COMMUNITY of eleven bytes', `${good} c0 20 0b 0000000100000002000000`, 'treatAsWithdraw'],
    ['RFC 9234 §5 OTC', `${good} c0 23 04 0000fde9`, 'accepted'],
    ['RFC 9234 §5 OTC of three bytes', `${good} c0 23 03 00fde9`, 'treatAsWithdraw'],
    ['RFC 9234 §5 OTC of eight bytes', `${good} c0 23 08 0000fde90000fdea`, 'treatAsWithdraw'],
    ['RFC 4271 §6.3 unknown well-known', `${good} 40 63 01 00`, 'reset 3/2'],
    ['RFC 4271 §9 unknown optional', `${good} 80 63 01 00`, 'accepted'],
    ['§3 c ORIGIN with the optional bit', `c0 01 01 00 ${asPath} ${nextHop}`, 'treatAsWithdraw'],
    ['§3 c COMMUNITIES without the transitive bit', `${good} 80 08 04 00010002`, 'treatAsWithdraw'],
    ['§3 g a second ORIGIN', `${good} 40 01 01 02`, 'discarded'],
    ['§3 g a second MP_UNREACH_NLRI', `${good} 80 0f 03 000201 80 0f 03 000201`, 'reset 3/1'],
    ['§4 an attribute runs past the list', `${good} 80 04 05 00000001`, 'treatAsWithdraw'],
    ['§4 one byte is left', `${good} 80`, 'treatAsWithdraw'],
    ['§4 an extended length is cut off', `${good} 90 04 00`, 'treatAsWithdraw'],
  ])('%s', (_name, text, expected, session) => {
    expect(reaction(text, session)).toBe(expected);
  });
});

describe('canonical form', () => {
  test('order, extended lengths and reserved flag bits of the sender do not matter', () => {
    const one = canonical(`${good} 80 04 04 00000001 40 05 04 00000064`);
    const other = canonical(
      `50 05 0004 00000064 4f 03 04 c0000201 80 04 04 00000001 40 02 06 02 01 0000fde9 40 01 01 00`.replace(
        '4f 03',
        '40 03',
      ),
    );
    expect(other).toBe(one);
    expect(one).toBe('40010100 4002060201 0000fde9 80040400000001 40050400000064'.replaceAll(' ', ''));
  });

  test('RFC 4271 §9: unknown and transitive goes on, marked partial; unknown and not transitive is dropped', () => {
    expect(canonical(`${good} c0 63 02 abcd 80 64 02 abcd`)).toBe('4001010040020602010000fde9e06302abcd');
  });

  test('the partial bit of a known optional transitive attribute stays', () => {
    expect(canonical(`${good} e0 08 04 00010002`)).toContain('e00804');
  });

  test('the first of two equal attributes counts', () => {
    expect(canonical(`${good} 40 01 01 02`).slice(0, 8)).toBe('40010100');
  });
});

describe('2-octet AS numbers (RFC 6793 §4.2.3)', () => {
  const path = (segments: string) => {
    const value = segments.replaceAll(' ', '');
    return `40 02 ${(value.length / 2).toString(16).padStart(2, '0')} ${value}`;
  };
  const as4 = (segments: string) => path(segments).replace('40 02', 'c0 11');
  const merged = (text: string) => {
    const decoder = scan(`${origin} ${nextHop} ${text}`, old);
    return new AttributeView(decoder.classicSet().copy()).asPathText;
  };

  test.each([
    ['no AS4_PATH', path('02 02 fde9 5ba0'), '65001 23456'],
    ['AS4_PATH as long', `${path('02 02 5ba0 0005')} ${as4('02 02 00011170 00000005')}`, '70000 5'],
    ['AS_PATH has more in front', `${path('02 03 fde9 5ba0 0005')} ${as4('02 02 00011170 00000005')}`, '65001 70000 5'],
    ['AS4_PATH longer: ignored', `${path('02 01 5ba0')} ${as4('02 02 00011170 00000005')}`, '23456'],
    [
      'a set counts as one',
      `${path('02 01 fde9 01 02 5ba0 0005')} ${as4('01 02 00011170 00000005')}`,
      '65001 {70000 5}',
    ],
    ['a segment is split', `${path('02 04 0001 0002 5ba0 0004')} ${as4('02 01 00000004')}`, '1 2 23456 4'],
    [
      'AGGREGATOR is newer than AS4_AGGREGATOR: both AS4_ ignored',
      `${path('02 01 5ba0')} c0 07 06 0007 01010101 ${as4('02 01 00011170')} c0 12 08 00011170 01010101`,
      '23456',
    ],
  ])('%s', (_name, text, expected) => expect(merged(text)).toBe(expected));

  test('AS4_AGGREGATOR stands in for AS_TRANS', () => {
    const wide = canonical(
      `${origin} ${path('02 01 fde9')} ${nextHop} c0 07 06 5ba0 01010101 c0 12 08 00011170 01010101`,
      old,
    );
    expect(wide).toContain('c007080001117001010101');
  });

  test('what is sent to a peer of 2-octet numbers is read back as it was', () => {
    const set = canonical(`${origin} 40 02 0a 02 02 00011170 00000005 ${nextHop} c0 07 08 00011171 01010101`);
    const bytes = hex(`04c0000201${set}`);
    const writer = new ByteWriter();
    writeOutgoing(writer, bytes, 0, bytes.length, hex('c0000201'), {
      prepend: [70_002],
      internal: false,
      fourOctetAs: false,
      keepMed: false,
    });
    const sent = toHex(writer.copy());
    expect(sent).toBe(
      '40010100' +
        '4002080203' +
        '5ba05ba00005' +
        '400304c0000201' +
        'c007065ba001010101' +
        'c0110e0203' +
        '000111720001117000000005' +
        'c012080001117101010101',
    );
    expect(canonical(sent, old)).toBe(set.replace('40020a0202', '40020e020300011172'));
  });
});

describe('changes by filters', () => {
  const set = hex(`04c0000201 ${origin} ${asPath}`);

  test('add communities once, in front the AS numbers, new MED and LOCAL_PREF', () => {
    const changes = { addCommunities: ['1:2', '1:3', '1:2'], prependAsPath: [1, 2], med: 5, localPref: 6 };
    const view = new AttributeView(
      applyRouteChanges(applyRouteChanges(set, changes), { addCommunities: ['1:3', '0:9'] }),
    );
    expect([view.communities, view.asPath, view.med, view.localPref]).toEqual([
      ['1:2', '1:3', '0:9'],
      [1, 2, 65001],
      5,
      6,
    ]);
    expect([view.nextHop, view.origin]).toEqual(['192.0.2.1', 'IGP']);
  });

  test('communities of every kind; an attribute that is left without any goes', () => {
    const added = applyRouteChanges(set, { addCommunities: ['1:2', '1:2:3', 'rt:1:2'] });
    const view = new AttributeView(added);
    expect([view.communities, view.largeCommunities, view.extendedCommunities]).toEqual([
      ['1:2'],
      ['1:2:3'],
      ['rt:1:2'],
    ]);
    expect(toHex(applyRouteChanges(added, { removesCommunity: () => true }))).toBe(toHex(set));
  });

  test('a sequence that would pass 255 numbers begins a new one', () => {
    const long = applyRouteChanges(set, { prependAsPath: Array.from({ length: 250 }, () => 7) });
    const longer = applyRouteChanges(long, { prependAsPath: Array.from({ length: 10 }, () => 8) });
    expect(new AttributeView(longer).asPath).toHaveLength(261);
    expect(toHex(longer)).toContain('020a00000008');
  });

  test.each(['65536:1', 'x', '1:2:3:4', ''])('a community %j is refused by name', (text) => {
    expect(() => originatedAttributes([text])).toThrow(`'${text}'`);
  });
});

const global = '20010db8000000000000000000000001';
const linkLocal = 'fe800000000000000000000000000001';
test.each([
  ['a global one', global, global],
  ['a global and a link-local one', global + linkLocal, global + linkLocal],
  ['a link-local one', linkLocal, linkLocal],
  ['the unspecified and a link-local one', '0'.repeat(32) + linkLocal, linkLocal],
  ['a link-local one twice', linkLocal + linkLocal, linkLocal],
  ['a global one twice', global + global, global],
])('RFC 2545 §3, RFC 8950 §3: next hop: %s', (_name, sent, kept) => {
  const length = (sent.length / 2).toString(16);
  for (const family of ['0001', '0002']) {
    const decoder = scan(
      `${good} 90 0e 00${(sent.length / 2 + 6).toString(16)} ${family} 01 ${length} ${sent} 00 00`,
      extended,
    );
    expect(decoder.treatAsWithdraw).toBeUndefined();
    const view = new AttributeView(decoder.mpReachSet().copy());
    expect(toHex(view.bytes.subarray(1, 1 + view.bytes[0]))).toBe(kept);
    expect(view.linkLocalNextHop).toBe(kept.endsWith(linkLocal) ? 'fe80::1' : undefined);
  }
});

test('any bytes as attributes: nothing but ProtocolError leaves the decoder, and what it accepts it accepts again', () => {
  const piece = fc.oneof(
    fc.constantFrom(origin, asPath, nextHop, `${good} 80 04 04 00000001`, '80 0f 03 000201').map(hex),
    fc.uint8Array({ maxLength: 24 }),
    fc
      .tuple(
        fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x90),
        fc.integer({ min: 1, max: 34 }),
        fc.uint8Array({ maxLength: 20 }),
      )
      .map(([flags, code, value]) =>
        Uint8Array.from(
          flags & 0x10 ? [flags, code, 0, value.length, ...value] : [flags, code, value.length, ...value],
        ),
      ),
  );
  const session = fc.record({
    external: fc.boolean(),
    fourOctetAs: fc.boolean(),
    extendedNextHop: fc.boolean(),
    pathIds: fc.record({ ipv4: fc.boolean(), ipv6: fc.boolean() }),
  });
  const decoder = new AttributeDecoder();
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), session, (pieces, session) => {
      const bytes = Uint8Array.from(pieces.flatMap((part) => [...part]));
      try {
        decoder.scan(bytes, 0, bytes.length, session);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        return;
      }
      if (decoder.treatAsWithdraw !== undefined || decoder.missing(true) !== undefined) return;
      const set = decoder.classicSet().copy();
      const writer = new ByteWriter();
      const form = { prepend: [], internal: true, fourOctetAs: true, keepMed: true };
      writeOutgoing(writer, set, 0, set.length, new AttributeView(set).nextHopBytes, form);
      const again = new AttributeDecoder();
      again.scan(writer.copy(), 0, writer.length, internal);
      expect(again.treatAsWithdraw).toBeUndefined();
      const withLocalPref = applyRouteChanges(set, { localPref: new AttributeView(set).localPref ?? 100 });
      expect(toHex(again.classicSet().copy())).toBe(toHex(withLocalPref));
    }),
    { numRuns: 2000 },
  );
});
