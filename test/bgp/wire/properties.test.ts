/** decode(encode(v)) is v: path attributes of every kind in the table, prefixes, notifications. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { families } from '../../../bgp/ip.ts';
import { writeAttributeHeader } from '../../../bgp/wire/attributes/attribute-set.ts';
import { AttributeDecoder } from '../../../bgp/wire/attributes/decode.ts';
import type { OutgoingForm } from '../../../bgp/wire/attributes/outgoing.ts';
import { writeOutgoing } from '../../../bgp/wire/attributes/outgoing.ts';
import { AttributeCode, AttributeFlag, attributeTable } from '../../../bgp/wire/attributes/table.ts';
import { ByteWriter } from '../../../bgp/wire/byte-writer.ts';
import { newPrefixKey, nlriProblem, readPrefix, wirePrefixSize, writePrefix } from '../../../bgp/wire/nlri.ts';
import {
  decodeNotification,
  encodeNotification,
  encodeShutdownCommunication,
  shutdownCommunication,
} from '../../../bgp/wire/notification.ts';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../bgp/wire/route-refresh.ts';
import { toHex } from '../rib/kit.ts';

type Code = (typeof AttributeCode)[keyof typeof AttributeCode];

const byte = fc.nat(255);
const bytes = (length: number) => fc.array(byte, { minLength: length, maxLength: length });
const many = (size: number, most: number) => fc.integer({ min: 1, max: most }).chain((count) => bytes(count * size));
const octets = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const asNumber = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffffffff }));
const segment = (types: readonly number[]) =>
  fc
    .tuple(fc.constantFrom(...types), fc.array(asNumber, { minLength: 1, maxLength: 255 }))
    .map(([type, numbers]) => [type, numbers.length, ...numbers.flatMap(octets)]);
const path = (types: readonly number[]) =>
  fc.array(segment(types), { maxLength: 3 }).map((segments) => segments.flat());

/** The value of each attribute as the RIB keeps it; undefined: the RIB keeps none (it lies in the next hop, in prefixes, in AS_PATH). */
const values = {
  [AttributeCode.origin]: fc.nat(2).map((value) => [value]),
  [AttributeCode.asPath]: path([1, 2]),
  [AttributeCode.nextHop]: undefined,
  [AttributeCode.multiExitDisc]: bytes(4),
  [AttributeCode.localPref]: bytes(4),
  [AttributeCode.atomicAggregate]: fc.constant([]),
  [AttributeCode.aggregator]: fc.tuple(asNumber, bytes(4)).map(([number, address]) => [...octets(number), ...address]),
  [AttributeCode.communities]: many(4, 80),
  [AttributeCode.originatorId]: bytes(4),
  [AttributeCode.clusterList]: many(4, 8),
  [AttributeCode.mpReach]: undefined,
  [AttributeCode.mpUnreach]: undefined,
  [AttributeCode.extendedCommunities]: many(8, 40),
  [AttributeCode.as4Path]: undefined,
  [AttributeCode.as4Aggregator]: undefined,
  [AttributeCode.largeCommunities]: many(12, 30),
  [AttributeCode.onlyToCustomer]: asNumber.map(octets),
} satisfies Record<Code, fc.Arbitrary<number[]> | undefined>;

const kept = Object.entries(values).flatMap(([code, value]) =>
  value === undefined ? [] : [{ code: Number(code), value }],
);
const mandatory: readonly number[] = [AttributeCode.origin, AttributeCode.asPath, AttributeCode.localPref];

/** Canonical bytes of a set: the next hop, then any attributes, ascending. */
const canonicalSet = fc
  .tuple(
    fc.tuple(fc.integer({ min: 1, max: 223 }), bytes(3)),
    fc.tuple(
      ...kept.map(({ code, value }) => (mandatory.includes(code) ? value : fc.option(value, { nil: undefined }))),
    ),
    // One that nobody knows: optional, transitive, and already marked as passed on.
    fc.option(fc.array(byte, { maxLength: 300 }), { nil: undefined }),
  )
  .map(([[first, rest], found, unknown]) => {
    const writer = new ByteWriter();
    for (const octet of [4, first, ...rest]) writer.u8(octet);
    const write = (flags: number, code: number, value: readonly number[]) => {
      writeAttributeHeader(writer, flags, code, value.length);
      writer.bytes(Uint8Array.from(value));
    };
    found.forEach((value, i) => {
      const { code } = kept[i];
      if (value !== undefined) write(attributeTable[code as Code].flags, code, value);
    });
    const { optional, transitive, partial } = AttributeFlag;
    if (unknown !== undefined) write(optional | transitive | partial, 99, unknown);
    return writer.copy();
  });

function decoded(sent: Uint8Array, fourOctetAs: boolean): string {
  const decoder = new AttributeDecoder();
  const pathIds = { ipv4: false, ipv6: false };
  decoder.scan(sent, 0, sent.length, { external: false, fourOctetAs, extendedNextHop: false, pathIds });
  expect([decoder.treatAsWithdraw, decoder.discarded, decoder.missing(true)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  return toHex(decoder.classicSet().copy());
}

function encoded(set: Uint8Array, form: Partial<OutgoingForm>): Uint8Array {
  const writer = new ByteWriter();
  const unchanged = { prepend: [], internal: true, fourOctetAs: true, keepMed: true };
  writeOutgoing(writer, set, 0, set.length, set.subarray(1, 5), { ...unchanged, ...form });
  return writer.copy();
}

test('attributes of every kind: what is sent within the AS is read back as it was', () => {
  fc.assert(
    fc.property(canonicalSet, (set) => {
      expect(decoded(encoded(set, {}), true)).toBe(toHex(set));
    }),
    { numRuns: 500 },
  );
});

test('RFC 6793: so it is over a peer of 2-octet AS numbers, whose AS4_ attributes put it together again', () => {
  fc.assert(
    fc.property(canonicalSet, (set) => {
      expect(decoded(encoded(set, { fourOctetAs: false }), false)).toBe(toHex(set));
    }),
    { numRuns: 500 },
  );
});

test('RFC 4456 §8: what a reflector adds is found again, and nothing else changes', () => {
  fc.assert(
    fc.property(canonicalSet, (set) => {
      const once = encoded(set, { originatorId: 0x0a000001, clusterId: 0x01010101 });
      const twice = Uint8Array.from(Buffer.from(decoded(once, true), 'hex'));
      const cluster = (bytes: Uint8Array) => valueOf(bytes, AttributeCode.clusterList);
      expect(cluster(twice)).toBe(`01010101${cluster(set)}`);
      expect(valueOf(twice, AttributeCode.originatorId)).toBe(valueOf(set, AttributeCode.originatorId) || '0a000001');
      const others = kept
        .map(({ code }) => code)
        .filter((code) => code !== AttributeCode.clusterList && code !== AttributeCode.originatorId);
      for (const code of [...others, 99]) expect(valueOf(twice, code)).toBe(valueOf(set, code));
    }),
    { numRuns: 200 },
  );
});

/** In hex; empty: it is not there. */
function valueOf(set: Uint8Array, code: number): string {
  for (let at = 1 + set[0]; at < set.length;) {
    const long = (set[at] & AttributeFlag.extendedLength) !== 0;
    const start = at + (long ? 4 : 3);
    const end = start + (long ? (set[at + 2] << 8) | set[at + 3] : set[at + 2]);
    if (set[at + 1] === code) return toHex(set.subarray(start, end));
    at = end;
  }
  return '';
}

test('prefixes of both families: written and read again, they are the same, and take the bytes that were counted', () => {
  for (const family of families) {
    const bits = family === 'ipv4' ? 32 : 128;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: bits }), bytes(bits / 8))), (prefixes) => {
        const list: number[] = [];
        const ids: number[] = [];
        const keys = prefixes.map(([length, address]) => {
          const key = newPrefixKey();
          const count = (length + 7) >> 3;
          readPrefix(Uint8Array.from([length, ...address.slice(0, count)]), 0, family, key);
          const written = new Uint8Array(wirePrefixSize(length));
          expect(writePrefix(written, 0, key.words, 0, length)).toBe(written.length);
          list.push(...written);
          ids.push(1, 2, 3, 4, ...written);
          return [...key.words, key.length];
        });
        const wire = Uint8Array.from(list);
        const withPathIds = Uint8Array.from(ids);
        expect(nlriProblem(wire, 0, wire.length, family, false)).toBeUndefined();
        expect(nlriProblem(withPathIds, 0, withPathIds.length, family, true)).toBeUndefined();
        // RFC 7911: an identifier without its prefix is none.
        if (list.length > 0) expect(nlriProblem(withPathIds, 0, withPathIds.length - 1, family, true)).toBeDefined();
        const key = newPrefixKey();
        const read: number[][] = [];
        for (let at = 0; at < wire.length;) {
          at = readPrefix(wire, at, family, key);
          read.push([...key.words, key.length]);
        }
        expect(read).toEqual(keys);
      }),
      { numRuns: 300 },
    );
  }
});

test('RFC 2918, RFC 7313: refreshes of every kind and family', () => {
  for (const family of families) {
    for (const kind of ['request', 'begins', 'ended'] as const) {
      const message = encodeRouteRefresh({ kind, family });
      expect(message).toHaveLength(23);
      expect(decodeRouteRefresh(message.subarray(19), true)).toEqual({ kind, family });
      expect(decodeRouteRefresh(message.subarray(19), false)).toEqual({ kind: 'request', family });
    }
  }
});

test('notifications: what is sent is read back; words survive whole, or cut at a character', () => {
  fc.assert(
    fc.property(byte, byte, fc.uint8Array({ maxLength: 300 }), (code, subcode, data) => {
      const { length } = encodeNotification({ code, subcode, data });
      expect(length).toBe(21 + data.length);
      expect(decodeNotification(encodeNotification({ code, subcode, data }).subarray(19))).toEqual({
        code,
        subcode,
        data,
      });
    }),
  );
  const printable = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 200 })
    .filter((text) => !/[\p{Cc}\ufeff]/u.test(text));
  fc.assert(
    fc.property(printable, (text) => {
      const words = shutdownCommunication({ code: 6, subcode: 2, data: encodeShutdownCommunication(text) }) ?? '';
      expect(text.startsWith(words)).toBe(true);
      if (Buffer.byteLength(text) <= 255) expect(words).toBe(text);
      else expect(Buffer.byteLength(words)).toBeGreaterThan(251);
    }),
  );
});
