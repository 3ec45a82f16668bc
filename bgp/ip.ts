/**
 * IP addresses and prefixes: strict text, bytes, comparison.
 * A leaf: imports nothing. Text is canonical (RFC 5952 for IPv6), so two equal addresses are two equal strings.
 */

export type Family = 'ipv4' | 'ipv6';

export const families: readonly Family[] = ['ipv4', 'ipv6'];

/** Bytes in an address of the family. */
export const addressLength = { ipv4: 4, ipv6: 16 } as const satisfies Record<Family, number>;

export interface Prefix {
  readonly family: Family;
  /** The network address, host bits zero; 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** In bits. */
  readonly length: number;
}

/** @returns 4 or 16 bytes, or undefined where the text is not one address in plain form (no leading zeros, no zone). */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** @returns the prefix with its host bits cleared, or undefined where the text is not `ADDRESS/LENGTH`. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const bytes = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (bytes === undefined || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  if (length > bytes.length * 8) return undefined;
  return { family: familyOf(bytes), bytes: maskAddress(bytes, length), length };
}

export function familyOf(address: Uint8Array): Family {
  return address.length === 4 ? 'ipv4' : 'ipv6';
}

/** The family of an address or prefix in text, by its form alone. */
export function familyOfText(text: string): Family {
  return text.includes(':') ? 'ipv6' : 'ipv4';
}

export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` : formatIpv6(bytes);
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.bytes)}/${prefix.length}`;
}

/** @returns the canonical text of an address, or undefined where it is none. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = parseAddress(text);
  return bytes && formatAddress(bytes);
}

/**
 * RFC 4007 §11: a link-local address means something on one link alone, and is written with the interface: `fe80::1%eth0`.
 * @returns the parts of such a text; an address of another kind has no scope.
 */
export function splitScope(text: string): { readonly address: string; readonly scope: string | undefined } {
  const at = text.indexOf('%');
  return at < 0 ? { address: text, scope: undefined } : { address: text.slice(0, at), scope: text.slice(at + 1) };
}

/** @returns the canonical text of an address, with its interface where it is link-local and has one; or undefined where it is none. */
export function canonicalScopedAddress(text: string): string | undefined {
  const { address, scope } = splitScope(text);
  const bytes = parseAddress(address);
  if (bytes === undefined || scope === '') return undefined;
  if (scope === undefined) return formatAddress(bytes);
  return isLinkLocal(bytes) ? `${formatAddress(bytes)}%${scope}` : undefined;
}

/** RFC 4291 §2.5.6: fe80::/10. @param at where 16 bytes of IPv6 begin, or 4 of IPv4, which are never meant */
export function isLinkLocal(bytes: Uint8Array, at = 0): boolean {
  return bytes.length - at >= addressLength.ipv6 && bytes[at] === 0xfe && (bytes[at + 1] & 0xc0) === 0x80;
}

/** @returns the canonical text of a prefix (host bits cleared), or undefined where it is none. */
export function canonicalPrefix(text: string): string | undefined {
  const prefix = parsePrefix(text);
  return prefix && formatPrefix(prefix);
}

/** A copy of the address with every bit after `length` cleared. */
export function maskAddress(address: Uint8Array, length: number): Uint8Array {
  const masked = Uint8Array.from(address);
  for (let i = 0; i < masked.length; i++) {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    masked[i] &= 0xff00 >> bits;
  }
  return masked;
}

export function prefixContains(prefix: Prefix, address: Uint8Array): boolean {
  if (address.length !== prefix.bytes.length) return false;
  const whole = prefix.length >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== prefix.bytes[i]) return false;
  const rest = prefix.length & 7;
  return rest === 0 || ((address[whole] ^ prefix.bytes[whole]) & (0xff00 >> rest) & 0xff) === 0;
}

/** Whether `inner` lies wholly in `outer`; a prefix covers itself. */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && prefixContains(outer, inner.bytes);
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return prefixCovers(a, b) || prefixCovers(b, a);
}

/** Orders as unsigned numbers; shorter (IPv4) before longer (IPv6). */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}

/** The address `offset` places after the given one, wrapping at the end of the family. */
export function addressPlus(address: Uint8Array, offset: number): Uint8Array {
  const sum = Uint8Array.from(address);
  let carry = offset;
  for (let i = sum.length - 1; i >= 0 && carry > 0; i--) {
    carry += sum[i];
    sum[i] = carry & 0xff;
    carry = Math.floor(carry / 256);
  }
  return sum;
}

const dot = 0x2e;
const zero = 0x30;

function parseIpv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || part === 3) return undefined;
      bytes[part++] = value;
      value = 0;
      digits = 0;
      continue;
    }
    const digit = code - zero;
    // A leading zero would be octal to some readers, decimal to others.
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return undefined;
    value = value * 10 + digit;
    if (value > 255) return undefined;
    digits++;
  }
  if (part !== 3 || digits === 0) return undefined;
  bytes[3] = value;
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  let body = text;
  const tail = text.slice(text.lastIndexOf(':') + 1);
  if (tail.includes('.')) {
    // RFC 4291 §2.2, third form: the last 32 bits in IPv4's dotted form.
    const v4 = parseIpv4(tail);
    if (v4 === undefined) return undefined;
    const word = (i: number) => ((v4[i] << 8) | v4[i + 1]).toString(16);
    body = `${text.slice(0, text.length - tail.length)}${word(0)}:${word(2)}`;
  }
  const halves = body.split('::');
  if (halves.length > 2) return undefined;
  const words = (half: string) => (half === '' ? [] : half.split(':'));
  const head = words(halves[0]);
  const rest = halves.length === 2 ? words(halves[1]) : [];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array<string>(missing).fill('0'), ...rest];
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(all[i])) return undefined;
    const value = Number.parseInt(all[i], 16);
    bytes[i * 2] = value >> 8;
    bytes[i * 2 + 1] = value & 0xff;
  }
  return bytes;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero words as `::`. */
function formatIpv6(bytes: Uint8Array): string {
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((bytes[i] << 8) | bytes[i + 1]);
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8;) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > bestLength) {
      bestStart = i;
      bestLength = end - i;
    }
    i = end + 1;
  }
  const hex = (part: number[]) => part.map((word) => word.toString(16)).join(':');
  // RFC 5952 §5: an IPv4-mapped address keeps its dotted tail.
  if (bestStart === 0 && bestLength === 5 && words[5] === 0xffff) {
    return `::ffff:${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  }
  if (bestStart < 0) return hex(words);
  return `${hex(words.slice(0, bestStart))}::${hex(words.slice(bestStart + bestLength))}`;
}
