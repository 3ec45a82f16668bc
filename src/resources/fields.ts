/**
 * Kinds of fields that several resources share: AS numbers, durations, addresses, CIDRs, selectors, communities.
 * Each is one zod schema: it refuses with a reason, gives the canonical value, and carries the CEL rule by which an
 * API server refuses the same.
 */

import { z } from 'zod';
import { canonicalAddress, formatPrefix, parseAddress, parsePrefix, compareBytes, type Family } from '../../bgp/ip.ts';
import { show } from './problems.ts';
import { longestSelector, parseSelector, SelectorError } from './selector.ts';

/** Reads one text; throws FieldError with the reason where it is refused. */
type Reader<T> = (text: string) => T;

class FieldError extends Error {}

/** A string that `read` turns into its canonical value. */
function text<T>(read: Reader<T>) {
  return z.string().transform((value, context): T => {
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: value });
      return z.NEVER;
    }
  });
}

/** The keys of JSON Schema that Kubernetes adds and that our fields use. */
function validations(...rules: readonly { readonly rule: string; readonly message: string }[]) {
  return { 'x-kubernetes-validations': rules };
}

const largestAsNumber = 0xffff_ffff;

/** AS numbers that nobody may be: number → why. */
const reservedAsNumbers: ReadonlyMap<number, string> = new Map([
  [0, '0 is reserved (RFC 7607)'],
  [23456, '23456 is AS_TRANS, reserved (RFC 6793)'],
  [65535, '65535 is reserved (RFC 7300)'],
  [largestAsNumber, '4294967295 is reserved (RFC 7300)'],
]);

/** @returns the number of `65000`, `"65000"` or `"1.10"` (RFC 5396 asdot). Throws FieldError with the reason. */
function readAsNumber(value: number | string): number {
  const number = typeof value === 'number' ? value : asNumberOfText(value);
  if (!Number.isInteger(number)) {
    throw new FieldError(`${value} is not a whole number (an AS number of the form x.y is written in quotes)`);
  }
  if (number < 0 || number > largestAsNumber) throw new FieldError(`${value} is not between 1 and 4294967295`);
  const reserved = reservedAsNumbers.get(number);
  if (reserved !== undefined) throw new FieldError(reserved);
  return number;
}

function asNumberOfText(value: string): number {
  const parts = /^(\d{1,10})(?:\.(\d{1,5}))?$/.exec(value);
  if (parts === null) throw new FieldError(`${show(value)} is not an AS number (a number, or "x.y")`);
  if (parts[2] === undefined) return Number(parts[1]);
  if (Number(parts[1]) > 0xffff || Number(parts[2]) > 0xffff) {
    throw new FieldError(`${show(value)} is not an AS number (each half of "x.y" is at most 65535)`);
  }
  return Number(parts[1]) * 0x1_0000 + Number(parts[2]);
}

/** A 4-octet AS number, written as a number or as "x.y". */
export function asNumber() {
  return z
    .union([z.number(), z.string()])
    .transform((value, context): number => {
      try {
        return readAsNumber(value);
      } catch (error) {
        if (!(error instanceof FieldError)) throw error;
        context.issues.push({ code: 'custom', message: error.message, input: value });
        return z.NEVER;
      }
    })
    .meta({
      'x-kubernetes-int-or-string': true,
      ...validations({
        rule: "type(self) == int ? (self >= 1 && self <= 4294967294 && self != 23456 && self != 65535) : self.matches('^[0-9]{1,10}([.][0-9]{1,5})?$')",
        message: 'must be an AS number that is not reserved: 1 to 4294967294, or "x.y"',
      }),
    });
}

/** An AS number given as text where no schema reads it (an annotation). */
export function parseAsNumber(value: string): { readonly asNumber: number } | { readonly reason: string } {
  try {
    return { asNumber: readAsNumber(value) };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { reason: error.message };
  }
}

const durationPattern = /^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$/;

/**
 * A duration in whole seconds, written `90s`, `1m30s`, `2h`. The value is in seconds.
 * @param range least and most, in seconds; `orZero` allows 0 below the least.
 */
export function duration(range: { readonly least: number; readonly most: number; readonly orZero?: boolean }) {
  return text((value) => {
    const parts = durationPattern.exec(value);
    if (parts === null || value === '') throw new FieldError(`${show(value)} is not a duration such as 90s or 1m30s`);
    const part = (i: number) => (parts[i] === undefined ? 0 : Number.parseInt(parts[i], 10));
    const seconds = part(1) * 3600 + part(2) * 60 + part(3);
    if (range.orZero && seconds === 0) return 0;
    if (seconds < range.least) {
      throw new FieldError(`${value} is less than ${range.least}s${range.orZero ? ' and not 0s' : ''}`);
    }
    if (seconds > range.most) throw new FieldError(`${value} is more than ${range.most}s`);
    return seconds;
  }).meta({
    type: 'string',
    pattern: durationPattern.source,
    minLength: 2,
    maxLength: 18,
    ...validations({
      rule: `${range.orZero ? "duration(self) == duration('0s') || " : ''}(duration(self) >= duration('${range.least}s') && duration(self) <= duration('${range.most}s'))`,
      message: `must be ${range.orZero ? '0s or ' : ''}between ${range.least}s and ${range.most}s`,
    }),
  });
}

/** @returns canonical text. Throws FieldError. */
function readAddress(value: string): string {
  const canonical = canonicalAddress(value);
  if (canonical === undefined) throw new FieldError(`${show(value)} is not an IP address`);
  if (canonical.startsWith('::ffff:') && canonical.includes('.')) {
    throw new FieldError(`${value} is an IPv4-mapped IPv6 address; write the IPv4 address`);
  }
  return canonical;
}

/** An IPv4 or IPv6 address; canonical text. */
export function address() {
  return text(readAddress);
}

export interface PeerAddress {
  /** Canonical text. */
  readonly address: string;
  readonly port?: number;
}

/** `10.0.0.1`, `10.0.0.1:1179`, `fd00::1`, `[fd00::1]:1179`. */
export function peerAddress() {
  return text((value): PeerAddress => {
    const bracketed = /^\[(.*)\](?::(.*))?$/.exec(value);
    const dotted = /^([^:]*):([^:]*)$/.exec(value);
    if (bracketed !== null && !bracketed[1].includes(':')) {
      throw new FieldError(`${show(value)}: only an IPv6 address stands in brackets`);
    }
    const [, host, port] = bracketed ?? dotted ?? [undefined, value, undefined];
    const canonical = readAddress(host ?? '');
    return port === undefined ? { address: canonical } : { address: canonical, port: readPort(port) };
  }).meta({
    type: 'string',
    maxLength: 64,
    ...validations({
      rule: "isIP(self) || (self.matches('^[0-9.]+:[1-9][0-9]{0,4}$') && isIP(self.split(':')[0])) || (self.matches('^[[][0-9a-fA-F:.]+[]](:[1-9][0-9]{0,4})?$') && isIP(self.substring(1, self.indexOf(']'))))",
      message: 'must be an IP address, IPv4:PORT or [IPv6]:PORT',
    }),
  });
}

function readPort(value: string): number {
  const port = /^[1-9]\d{0,4}$/.test(value) ? Number(value) : 0;
  if (port < 1 || port > 65535) throw new FieldError(`${show(value)} is not a port (1 to 65535)`);
  return port;
}

/**
 * A prefix with its host bits zero; canonical text.
 * @param family the family it must have; undefined: either.
 */
export function cidr(family?: Family) {
  return text((value) => readCidr(value, family)).meta({
    type: 'string',
    maxLength: 49,
    ...validations(
      { rule: 'isCIDR(self) && cidr(self) == cidr(self).masked()', message: 'must be a CIDR whose host bits are zero' },
      ...(family === undefined
        ? []
        : [
            {
              rule: `isCIDR(self) && cidr(self).ip().family() == ${family === 'ipv4' ? 4 : 6}`,
              message: `must be an ${familyNames[family]} CIDR`,
            },
          ]),
    ),
  });
}

/** A prefix whose host bits are cleared without a word, as Kubernetes does in NetworkPolicy; canonical text. */
export function looseCidr() {
  return text((value) => {
    const prefix = parsePrefix(value);
    if (prefix === undefined) throw new FieldError(`${show(value)} is not a CIDR such as 10.0.0.0/16`);
    return formatPrefix(prefix);
  });
}

export const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const satisfies Record<Family, string>;

function readCidr(value: string, family: Family | undefined): string {
  const prefix = parsePrefix(value);
  if (prefix === undefined) {
    const alone = parseAddress(value) === undefined ? '' : ' (the length is missing)';
    throw new FieldError(`${show(value)} is not a CIDR such as 10.0.0.0/16${alone}`);
  }
  const canonical = formatPrefix(prefix);
  const written = parseAddress(value.slice(0, value.indexOf('/')));
  if (written === undefined || compareBytes(written, prefix.bytes) !== 0) {
    throw new FieldError(`${value} has host bits set (write ${canonical})`);
  }
  if (family !== undefined && prefix.family !== family) {
    throw new FieldError(`${value} is not an ${familyNames[family]} CIDR`);
  }
  return canonical;
}

/** An expression of the selector language, as text that is known to parse. */
export function selector() {
  return text((value) => {
    try {
      parseSelector(value);
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      throw new FieldError(error.message);
    }
    return value;
  }).meta({ type: 'string', minLength: 1, maxLength: longestSelector });
}

/** `aa:nn` (RFC 1997) or `aa:nn:mm` (RFC 8092). */
export function community() {
  return text((value) => {
    const parts = value.split(':');
    const most = parts.length === 2 ? 0xffff : largestAsNumber;
    const sound =
      (parts.length === 2 || parts.length === 3) &&
      parts.every((part) => /^(0|[1-9]\d{0,9})$/.test(part) && Number(part) <= most);
    if (!sound) throw new FieldError(`${show(value)} is not a community (aa:nn, or aa:nn:mm for a large one)`);
    return value;
  }).meta({
    type: 'string',
    pattern: '^(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9})){1,2}$',
    maxLength: 32,
    ...validations({
      rule: "self.split(':').all(n, int(n) <= (size(self.split(':')) == 2 ? 65535 : 4294967295))",
      message: 'must be aa:nn with numbers up to 65535, or aa:nn:mm with numbers up to 4294967295',
    }),
  });
}

export function port() {
  return z.number().int().min(1).max(65535);
}
