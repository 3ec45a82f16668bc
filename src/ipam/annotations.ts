/** Addresses that people name: a pod's own, and those that a node shall not give away. */

import { canonicalAddress } from '../../bgp/ip.ts';
import { toNumberRange } from './pod-range.ts';

/** On a Pod: the addresses it shall have. A JSON list or `10.244.1.7,fd00:1::7`; at most one of a family. */
export const ipAddressesAnnotation = 'godwit.dev/ip-addresses';
/** On a Node: addresses and CIDRs of its ranges that are given only to pods that name them. */
export const reservedAddressesAnnotation = 'godwit.dev/reserved-addresses';

/** On a Pod or its Namespace: names of the IPPools that its addresses may be of, in this order; a JSON list or `web,web-v6`. */
export const ipPoolsAnnotation = 'godwit.dev/ip-pools';

export type AddressList = { readonly addresses: readonly string[] } | { readonly reason: string };

/** @returns canonical addresses, or why the text is no list of them. */
export function parseAddressList(text: string): AddressList {
  const words = toWords(text);
  if (words === undefined) return { reason: `${JSON.stringify(text)} is no list of addresses` };
  const addresses: string[] = [];
  for (const word of words) {
    const address = canonicalAddress(word);
    if (address === undefined) return { reason: `${JSON.stringify(word)} is no IP address` };
    addresses.push(address);
  }
  return { addresses };
}

/** @returns addresses and CIDRs as written, or why the text is no list of them. */
export function parseReservedList(text: string): AddressList {
  const words = toWords(text);
  if (words === undefined) return { reason: `${JSON.stringify(text)} is no list of addresses` };
  const wrong = words.find((word) => toNumberRange(word) === undefined);
  return wrong === undefined ? { addresses: words } : { reason: `${JSON.stringify(wrong)} is no IP address or CIDR` };
}

/** @returns names as written; undefined: the text is no list of them. */
export function parseNameList(text: string): readonly string[] | undefined {
  const words = toWords(text);
  return words === undefined || words.length === 0 || words.includes('') ? undefined : words;
}

function toWords(text: string): readonly string[] | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith('[')) return trimmed.split(',').map((word) => word.trim());
  let list: unknown;
  try {
    list = JSON.parse(trimmed);
  } catch {
    return undefined;
  }
  return Array.isArray(list) && list.every((word) => typeof word === 'string') ? list : undefined;
}
