/** nft's JSON (`nft -j list`), as far as it is read here: libnftables-json(5). */

import { canonicalAddress } from '../../bgp/ip.ts';
import { NftError } from './nft-error.ts';

export interface JsonObject {
  readonly [key: string]: unknown;
}

/** A set element's key in the text that print.ts writes. */
export function elementKey(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return canonicalAddress(value) ?? value;
  const { prefix, range, concat, elem } = asObject(value);
  if (prefix !== undefined) {
    const { addr, len } = asObject(prefix);
    return `${elementKey(addr)}/${String(len)}`;
  }
  if (range !== undefined) return asArray(range).map(elementKey).join('-');
  if (concat !== undefined) return asArray(concat).map(elementKey).join(' . ');
  return elementKey(asObject(elem).val);
}

export function asObject(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null)
    throw new NftError(`nft's JSON has ${JSON.stringify(value)} in place of an object`);
  return value as JsonObject;
}

export function asArray(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new NftError(`nft's JSON has ${JSON.stringify(value)} in place of an array`);
  return value;
}
