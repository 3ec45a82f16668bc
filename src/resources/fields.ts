/**
 * Kinds of fields that several resources share: AS numbers, durations, addresses, CIDRs, selectors, BFD.
 * Each is one zod schema: it refuses with a reason, gives the canonical value, and carries the CEL rule by which an
 * API server refuses the same.
 */

import { z } from 'zod';
import {
  canonicalAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  compareBytes,
  type Family,
  isLinkLocal,
  splitScope,
} from '../../bgp/ip.ts';
import { show } from './problems.ts';
import { longestSelector, parseSelector, SelectorError } from './selector.ts';

/** Why a value is refused; never leaves this file. */
class FieldError extends Error {}

/** What the schema lets through, turned into its canonical value; `read` throws FieldError with the reason. */
function reading<Written, Value>(schema: z.ZodType<Written>, read: (written: Written) => Value) {
  return schema.transform((written, context): Value => {
    try {
      return read(written);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: written });
      return z.NEVER;
    }
  });
}

function text<Value>(read: (written: string) => Value) {
  return reading(z.string(), read);
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

/** An API server has no arithmetic at hand for texts: the ranges are written out. */
export const upTo65535 = '(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
export const upTo4294967295 =
  '(0|[1-9][0-9]{0,8}|[1-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}|42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-5])';

/** RFC 5396: asplain or asdot. */
const asNumberTextPattern = new RegExp(`^(${upTo4294967295}|${upTo65535}[.]${upTo65535})$`);

const reservedAsTexts = [...reservedAsNumbers.keys()].flatMap((number) => [
  String(number),
  `${Math.floor(number / 0x1_0000)}.${number % 0x1_0000}`,
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
  if (!asNumberTextPattern.test(value)) throw new FieldError(`${show(value)} is not an AS number (a number, or "x.y")`);
  const [high, low] = value.split('.').map(Number);
  return low === undefined ? high : high * 0x1_0000 + low;
}

/** A 4-octet AS number, written as a number or as "x.y". */
export function asNumber() {
  return reading(z.union([z.number(), z.string()]), readAsNumber).meta({
    'x-kubernetes-int-or-string': true,
    minimum: 1,
    maximum: largestAsNumber - 1,
    maxLength: 11,
    pattern: asNumberTextPattern.source,
    ...validations({
      rule: `type(self) == int ? !(self in [23456, 65535]) : !(self in [${reservedAsTexts.map((text) => `'${text}'`).join(', ')}])`,
      message: 'is reserved',
    }),
  });
}

/** An AS number as it may stand in a path, a number only: AS_TRANS and the like occur there. */
export function pathAsNumber() {
  return z.number().int().min(1).max(largestAsNumber);
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

/** BFD with a peer; the fields are named as in MetalLB's BFDProfile. Times are in milliseconds. */
export const bfdFields = {
  enabled: z.boolean().default(true).meta({ description: 'Whether there is a BFD session.' }),
  receiveInterval: z.number().int().min(10).max(60_000).default(300).meta({
    description: 'How often packets can be received, in milliseconds (RequiredMinRxInterval).',
  }),
  transmitInterval: z.number().int().min(10).max(60_000).default(300).meta({
    description: 'How often packets shall be sent, in milliseconds (DesiredMinTxInterval); the peer may want fewer.',
  }),
  detectMultiplier: z.number().int().min(2).max(255).default(3).meta({
    description: 'So many intervals without a packet of ours mean to the peer that the path has failed.',
  }),
};

/** @returns canonical text. Throws FieldError. */
function readAddress(value: string): string {
  const canonical = canonicalAddress(value);
  if (canonical === undefined) throw new FieldError(`${show(value)} is not an IP address`);
  if (isIpv4Mapped(canonical)) throw new FieldError(`${value} is IPv4 mapped into IPv6 (write the IPv4 address)`);
  return canonical;
}

/** @param canonical an address or CIDR in canonical text. */
function isIpv4Mapped(canonical: string): boolean {
  return canonical.startsWith('::ffff:') && canonical.includes('.');
}

/** An IPv4 or IPv6 address; canonical text. */
export function address() {
  return text(readAddress);
}

const interfaceNamePattern = /^[A-Za-z0-9_.-]{1,15}$/;

/** The name of a network interface. */
export function interfaceName() {
  return z
    .string()
    .refine((value) => interfaceNamePattern.test(value), {
      error: ({ input }) => `${show(input)} is not the name of an interface (1 to 15 letters, digits, "_", "." or "-")`,
    })
    .meta({ pattern: interfaceNamePattern.source, maxLength: 15 });
}

export interface PeerAddress {
  /** Canonical text; a link-local one has its interface: `fe80::1%eth0`. */
  readonly address: string;
  readonly port?: number;
}

/** What link-local addresses begin with, in any spelling. */
const linkLocalText = '[fF][eE][89abAB][0-9a-fA-F]:';

/** `10.0.0.1`, `10.0.0.1:1179`, `fd00::1`, `[fd00::1]:1179`, `fe80::1%eth0`, `[fe80::1%eth0]:1179`. */
export function peerAddress() {
  return text((value): PeerAddress => {
    const bracketed = /^\[(.*)\](?::(.*))?$/.exec(value);
    const dotted = /^([^:]*):([^:]*)$/.exec(value);
    if (bracketed !== null && !bracketed[1].includes(':')) {
      throw new FieldError(`${show(value)}: only an IPv6 address stands in brackets`);
    }
    const [, host, port] = bracketed ?? dotted ?? [undefined, value, undefined];
    const canonical = readPeerAddress(host ?? '');
    return port === undefined ? { address: canonical } : { address: canonical, port: readPort(port) };
  }).meta({
    type: 'string',
    maxLength: 64,
    ...validations(
      {
        rule: `!self.matches('^\\\\[?${linkLocalText}[^%]*$')`,
        message: 'a link-local address needs its interface: fe80::1%eth0',
      },
      {
        rule: `isIP(self) || (self.matches('^[0-9.]+:[1-9][0-9]{0,4}$') && isIP(self.split(':')[0])) || (self.matches('^\\\\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*\\\\](:[1-9][0-9]{0,4})?$') && isIP(self.substring(1, self.indexOf(']')))) || (self.matches('^${linkLocalText}[0-9a-fA-F:]*%[A-Za-z0-9_.-]{1,15}$') && isIP(self.split('%')[0])) || (self.matches('^\\\\[${linkLocalText}[0-9a-fA-F:]*%[A-Za-z0-9_.-]{1,15}\\\\](:[1-9][0-9]{0,4})?$') && isIP(self.substring(1, self.indexOf('%'))))`,
        message: 'must be an IP address, IPv4:PORT, [IPv6]:PORT or LINK-LOCAL%INTERFACE',
      },
    ),
  });
}

/** @returns canonical text. Throws FieldError. */
function readPeerAddress(value: string): string {
  const { address, scope } = splitScope(value);
  const canonical = readAddress(address);
  const isOnLink = isLinkLocal(parseAddress(canonical)!);
  if (scope === undefined && isOnLink)
    throw new FieldError(`${value} is a link-local address: its interface belongs to it (${canonical}%eth0)`);
  if (scope === undefined) return canonical;
  if (!isOnLink) throw new FieldError(`${value}: only a link-local address has an interface`);
  if (!interfaceNamePattern.test(scope))
    throw new FieldError(`${value}: ${show(scope)} is not the name of an interface`);
  return `${canonical}%${scope}`;
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
  if (isIpv4Mapped(canonical)) throw new FieldError(`${value} is IPv4 mapped into IPv6 (write the IPv4 CIDR)`);
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

const asPathElement = `(${upTo4294967295}(-${upTo4294967295})?|[?*])`;
const asPathTextPattern = new RegExp(`^${asPathElement}( ${asPathElement}){0,31}$`);

/** Of a pattern: AS numbers from `least` to `most`, or a run of any. */
export type AsPathElement = 'run' | { readonly least: number; readonly most: number };

/** `65001 * 64512-65534 ?`: what an AS path must be, from its beginning to its end. */
export function asPathPattern() {
  return text((value): readonly AsPathElement[] => {
    if (!asPathTextPattern.test(value)) {
      throw new FieldError(`${show(value)} is not a pattern of AS numbers, ranges (a-b), ? and * with single spaces`);
    }
    return value.split(' ').map((element) => {
      if (element === '*') return 'run';
      if (element === '?') return { least: 0, most: largestAsNumber };
      const [least, most = least] = element.split('-').map(Number);
      if (least > most) throw new FieldError(`${element}: ${least} is more than ${most}`);
      return { least, most };
    });
  }).meta({ type: 'string', maxLength: 512, pattern: asPathTextPattern.source });
}
