/**
 * What only nft reads of an object: its comment, and how its keys are to be shown.
 * Implements: libnftnl's records (udata.h): one byte of type, one of length, the value.
 */

import {
  ElementUserData,
  RuleUserData,
  SetUserData,
  bigEndianOrder,
  concatenationExpression,
  openIntervalFlag,
} from './wire.ts';
import { hostNumber32, text } from './attributes.ts';
import type { NftSet } from './ruleset.ts';

export function ruleUserData(comment: string): Uint8Array {
  return record(RuleUserData.comment, text(comment));
}

/** @returns undefined where there is nothing to say. */
export function elementUserData(comment: string | undefined, openInterval: boolean): Uint8Array | undefined {
  if (comment === undefined && !openInterval) return undefined;
  return Buffer.concat([
    comment === undefined ? Buffer.of() : record(ElementUserData.comment, text(comment)),
    openInterval ? record(ElementUserData.flags, hostNumber32(openIntervalFlag)) : Buffer.of(),
  ]);
}

export function setUserData({ keyTypes, verdicts, comment }: NftSet): Uint8Array {
  const concatenated = keyTypes.length > 1;
  return Buffer.concat([
    record(SetUserData.keyByteOrder, hostNumber32(concatenated ? 0 : bigEndianOrder)),
    verdicts ? record(SetUserData.dataByteOrder, hostNumber32(0)) : Buffer.of(),
    concatenated
      ? record(
          SetUserData.keyTypeOf,
          Buffer.concat([record(0, hostNumber32(concatenationExpression)), record(1, Buffer.of())]),
        )
      : Buffer.of(),
    verdicts ? record(SetUserData.dataInterval, hostNumber32(0)) : Buffer.of(),
    comment === undefined ? Buffer.of() : record(SetUserData.comment, text(comment)),
  ]);
}

/** @returns the comment of a rule or an element. Bytes that are no records, or are cut short, say nothing. */
export function readComment(bytes: Buffer = Buffer.of()): string | undefined {
  let at = 0;
  while (at + 2 <= bytes.length) {
    const end = at + 2 + bytes[at + 1];
    if (bytes[at] === ElementUserData.comment && end <= bytes.length) return bytes.toString('utf8', at + 2, end - 1);
    at = end;
  }
  return undefined;
}

function record(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(type, value.length), value]);
}
