/** What the kernel tells of a table, as bytes: nothing but typed errors, whatever they are; and what strangers may put there. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { NetlinkFormatError } from '../../../dataplane/netlink/kernel-error.ts';
import { MessageWriter, readAcknowledgement, readMessages } from '../../../dataplane/netlink/message.ts';
import { diffRulesets } from '../../../dataplane/nft/diff.ts';
import {
  attributesOf,
  readChain,
  readElements,
  readRule,
  readSet,
  readTable,
  type HeldElement,
} from '../../../dataplane/nft/held.ts';
import { formatKey, intervalBytes, keyBytes, keyTypeNumber, keyTypesOf } from '../../../dataplane/nft/keys.ts';
import { emptyRuleset, type KeyType, type Ruleset } from '../../../dataplane/nft/ruleset.ts';
import { toMessages, writeTransactionMessage } from '../../../dataplane/nft/transaction.ts';
import { readComment } from '../../../dataplane/nft/user-data.ts';

const ruleset: Ruleset = {
  sets: new Map([
    [
      'by-pod',
      {
        keyTypes: ['ipv4_addr'],
        verdicts: true,
        comment: 'who',
        elements: new Map([['10.0.0.1', { verdict: { kind: 'goto', chain: 'a' }, comment: 'ns/pod' }]]),
      },
    ],
    ['ports', { keyTypes: ['inet_service'], interval: true, elements: new Map([['80-90', {}]]) }],
  ]),
  chains: new Map([
    [
      'base',
      {
        hook: { name: 'forward', priority: -7 },
        rules: [{ matches: [], counter: true, verdict: { kind: 'drop' }, comment: 'why' }],
      },
    ],
    ['a', { rules: [] }],
  ]),
};

const samples = [...toMessages('t', [{ kind: 'renewTable' }, ...diffRulesets(emptyRuleset, ruleset)])].map(
  (message) => {
    const writer = new MessageWriter(8);
    writeTransactionMessage(writer, 1, message);
    return Buffer.from(writer.bytes());
  },
);

/** Every reader on every message: what is of another kind lacks something, or says something else. */
function decode(bytes: Buffer): void {
  readMessages(bytes, (message) => {
    for (const read of [readTable, readChain, readRule, readSet, readElements]) {
      try {
        read(attributesOf(message));
      } catch (error) {
        expect(error).toBeInstanceOf(NetlinkFormatError);
      }
    }
  });
}

test('changed bytes, and bytes at random, throw nothing but typed errors', () => {
  const changed = fc
    .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 8 }))
    .map(([sample, changes]) => {
      const bytes = Buffer.from(sample);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const onlyTypedErrors = (bytes: Buffer) => {
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(NetlinkFormatError);
    }
  };
  fc.assert(fc.property(fc.oneof(changed, random), onlyTypedErrors), { numRuns: 3000 });
});

test('what was written is read', () => {
  const elements: HeldElement[] = [];
  for (const sample of samples) {
    readMessages(sample, (message) => {
      if (message.type === 0xa0c) elements.push(...readElements(attributesOf(message)));
      if (message.type === 0xa03 && readChain(attributesOf(message)).name === 'base')
        expect(readChain(attributesOf(message)).hook).toBe('filter forward -7 accept');
    });
  }
  const plain = elements.map(({ key, isIntervalEnd, verdict, comment }) => [
    key.toString('hex'),
    isIntervalEnd,
    verdict,
    comment,
  ]);
  expect(plain).toEqual([
    ['0a000001', false, 'goto a', 'ns/pod'],
    ['0050', false, undefined, undefined],
    ['005b', true, undefined, undefined],
  ]);
});

test.each<[string, string | undefined]>([
  ['', undefined],
  ['00', undefined],
  ['0003616200', 'ab'],
  ['0104010000000003616200', 'ab'],
  ['00ff6162', undefined],
  ['0100', undefined],
])('a record of %s says the comment %j', (hex, comment) => {
  expect(readComment(Buffer.from(hex, 'hex'))).toBe(comment);
});

test.each<[readonly KeyType[], string, string]>([
  [['ipv4_addr'], '10.0.0.1', '0a000001'],
  [['ipv6_addr'], 'fd00::1', 'fd000000000000000000000000000001'],
  [['inet_service'], '80', '0050'],
  [['ipv4_addr', 'inet_service'], '10.0.0.1 . 443', '0a00000101bb0000'],
  [['ipv4_addr', 'ipv4_addr'], '10.0.0.1 . 10.0.0.2', '0a0000010a000002'],
])('a key of %j, %s, is %s', (types, text, hex) => {
  expect(Buffer.from(keyBytes(types, text)).toString('hex')).toBe(hex);
  expect(formatKey(types, Buffer.from(hex, 'hex'))).toBe(text);
  expect(keyTypesOf(keyTypeNumber(types))).toEqual(types);
});

test.each<[readonly KeyType[], string]>([
  [['ipv4_addr'], 'fd00::1'],
  [['ipv4_addr'], '10.0.0.1 . 80'],
  [['ipv4_addr', 'inet_service'], '10.0.0.1'],
  [['inet_service'], 'http'],
  [['inet_service'], '70000'],
])('no key of %j: %s', (types, text) => {
  expect(() => keyBytes(types, text)).toThrow('not a key of a set of');
});

test.each<[KeyType, string, string, string | undefined]>([
  ['ipv4_addr', '10.0.0.0/8', '0a000000', '0b000000'],
  ['ipv4_addr', '10.0.0.5', '0a000005', '0a000006'],
  ['ipv4_addr', '10.0.0.5-10.0.0.255', '0a000005', '0a000100'],
  ['ipv4_addr', '0.0.0.0/0', '00000000', undefined],
  ['ipv4_addr', '255.255.255.255', 'ffffffff', undefined],
  ['ipv6_addr', 'fd00::/126', 'fd000000000000000000000000000000', 'fd000000000000000000000000000004'],
  ['inet_service', '65000-65535', 'fde8', undefined],
])('an interval of %s, %s, is from %s up to %s', (type, text, first, after) => {
  const { start, end } = intervalBytes(type, text);
  expect(Buffer.from(start).toString('hex')).toBe(first);
  expect(end && Buffer.from(end).toString('hex')).toBe(after);
});

test('what is no key of ours is shown all the same', () => {
  expect(formatKey(['ipv4_addr'], Buffer.of())).toBe('*');
  expect(formatKey(['ipv4_addr'], Buffer.of(1, 2))).toBe('0x0102');
  expect(keyTypesOf(5)).toBeUndefined();
});

test('an acknowledgement points at the attribute that was refused', () => {
  const bytes = Buffer.from(
    '2c000000020000010500000001000000efffffff3c0000000c0a05060500000000000000080002003c000000',
    'hex',
  );
  readMessages(bytes, (message) => {
    expect(readAcknowledgement({ ...message, flags: 0x300 })).toEqual({ code: 17, detail: undefined, offset: 60 });
  });
});
