/**
 * A rule as nf_tables' expressions: loads into registers, and what is asked of them.
 * Implements: the expressions ct, meta, payload, fib, cmp, bitwise, lookup, immediate, counter, limit, log and masq, as nft 1.0.6
 * makes them of the text that print.ts writes.
 * Leaves out: how they are put into a message (transaction.ts).
 * Holds: every attribute that Linux 6.18 tells of an expression is written, also where its value is the default (attributes.ts says why).
 */

import { addressLength, maskAddress, parsePrefix } from '../../bgp/ip.ts';
import { unreachable } from '../unreachable.ts';
import { hostNumber32, number32, text, type Attribute } from './attributes.ts';
import { keyBytes } from './keys.ts';
import type { KeyType, NftConnectionState, NftField, NftMatch, NftRule, NftVerdict } from './ruleset.ts';
import { DataAttribute, VerdictAttribute, verdictCodes } from './wire.ts';

export interface Expression {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

/** How a field comes into a register. */
type Load =
  | { readonly kind: 'connection'; readonly key: number; readonly direction?: 0 | 1; readonly type: FieldType }
  | { readonly kind: 'packet'; readonly key: number; readonly type: FieldType }
  | { readonly kind: 'header'; readonly offset: number; readonly type: 'ipv4_addr' | 'ipv6_addr' }
  | { readonly kind: 'reversePath'; readonly type: FieldType };

/** `hostNumber`: 4 bytes in the host's order, as the kernel keeps its own numbers. */
type FieldType = KeyType | 'inet_proto' | 'hostNumber';

const original = 0;
const reply = 1;
/** NFT_CT_* */
const ConnectionKey = { state: 0, sourcePort: 11, source4: 19, source6: 21 } as const;
/** NFT_META_* */
const PacketKey = { family: 15, protocol: 16, interfaceGroup: 21 } as const;

const loads = {
  initiator4: { kind: 'connection', key: ConnectionKey.source4, direction: original, type: 'ipv4_addr' },
  initiator6: { kind: 'connection', key: ConnectionKey.source6, direction: original, type: 'ipv6_addr' },
  responder4: { kind: 'connection', key: ConnectionKey.source4, direction: reply, type: 'ipv4_addr' },
  responder6: { kind: 'connection', key: ConnectionKey.source6, direction: reply, type: 'ipv6_addr' },
  responderPort: { kind: 'connection', key: ConnectionKey.sourcePort, direction: reply, type: 'inet_service' },
  connectionState: { kind: 'connection', key: ConnectionKey.state, type: 'hostNumber' },
  protocol: { kind: 'packet', key: PacketKey.protocol, type: 'inet_proto' },
  source4: { kind: 'header', offset: 12, type: 'ipv4_addr' },
  source6: { kind: 'header', offset: 8, type: 'ipv6_addr' },
  destination4: { kind: 'header', offset: 16, type: 'ipv4_addr' },
  destination6: { kind: 'header', offset: 24, type: 'ipv6_addr' },
  interfaceGroup: { kind: 'packet', key: PacketKey.interfaceGroup, type: 'hostNumber' },
  reversePath: { kind: 'reversePath', type: 'hostNumber' },
} as const satisfies Record<NftField, Load>;

/** Registers of 4 bytes that a field fills. */
const registersOf = {
  ipv4_addr: 1,
  ipv6_addr: 4,
  inet_service: 1,
  inet_proto: 1,
  hostNumber: 1,
} as const satisfies Record<FieldType, number>;

/** NF_CT_STATE_BIT of enum ip_conntrack_info; in host order, as the kernel keeps it. */
const stateBits = { invalid: 1, related: 4, untracked: 64 } as const satisfies Record<NftConnectionState, number>;

/** NFPROTO_* */
const familyNumbers = { ipv4_addr: 2, ipv6_addr: 10 } as const;

const verdictRegister = number32(0);
const firstRegister = number32(1);
const Comparison = { equal: 0, notEqual: 1 } as const;
const networkHeader = 1;
const invertFlag = 1;
/** NF_NAT_RANGE_PROTO_RANDOM_FULLY */
const fullyRandomFlag = 0x10;
/** NFT_FIB_RESULT_OIF */
const routedInterface = 1;
/** NFTA_FIB_F_SADDR, NFTA_FIB_F_IIF */
const bySourceAndInterface = 0x1 | 0x8;
/** LOG_WARNING of syslog: what nft's `log` means without a word about it. */
const logLevelWarning = 4;
/** What nft's `limit rate` means without a word about it. */
const burstPackets = 5;

/** @returns the rule's expressions in order; its comment is no expression. */
export function toExpressions(rule: NftRule): Expression[] {
  const expressions: Expression[] = [];
  // The header may be read once it is known whose it is.
  let family: number | undefined;
  const load = (fields: readonly NftField[]) => {
    let register = 0;
    for (const field of fields) {
      const { kind, type } = loads[field];
      if (kind === 'header' && family !== familyNumbers[type]) {
        family = familyNumbers[type];
        expressions.push(loadPacket(PacketKey.family, firstRegister), compare(Comparison.equal, Uint8Array.of(family)));
      }
      expressions.push(loadField(field, registerNumber(register)));
      register += registersOf[type];
    }
  };
  for (const match of rule.matches) {
    load(fieldsOf(match));
    expressions.push(...matchExpressions(match));
  }
  if (rule.log) expressions.push(...logExpressions(rule.log));
  if (rule.counter) expressions.push(counterExpression);
  const { verdict } = rule;
  if (verdict?.kind === 'verdictMap') {
    load([verdict.field]);
    expressions.push({ name: 'lookup', attributes: [...lookUp(verdict.map, 0), [3, verdictRegister]] });
  } else if (verdict?.kind === 'masquerade') {
    expressions.push({ name: 'masq', attributes: [[1, number32(fullyRandomFlag)]] });
  } else if (verdict !== undefined) {
    expressions.push({
      name: 'immediate',
      attributes: [
        [1, verdictRegister],
        [2, verdictData(verdict)],
      ],
    });
  }
  return expressions;
}

function fieldsOf(match: NftMatch): readonly NftField[] {
  if (match.kind === 'hasState') return ['connectionState'];
  return 'fields' in match ? match.fields : [match.field];
}

/** Its counts change; that it is there does not. */
export const counterExpression: Expression = { name: 'counter', attributes: [] };

/** A verdict where data is wanted: of a rule, or of a map's element. */
export function verdictData(verdict: NftVerdict): readonly Attribute[] {
  const code: Attribute = [VerdictAttribute.code, number32(verdictCodes[verdict.kind])];
  const target: readonly Attribute[] = 'chain' in verdict ? [[VerdictAttribute.chain, text(verdict.chain)]] : [];
  return [[DataAttribute.verdict, [code, ...target]]];
}

function matchExpressions(match: NftMatch): Expression[] {
  switch (match.kind) {
    case 'inSet':
      return [{ name: 'lookup', attributes: lookUp(match.set, 0) }];
    case 'notInSet':
      return [{ name: 'lookup', attributes: lookUp(match.set, invertFlag) }];
    case 'equals':
      return [compare(Comparison.equal, valueBytes(loads[match.field].type, match.value))];
    case 'inPrefix': {
      const { bytes, length } = parsePrefix(match.prefix)!;
      return [
        bitwiseAnd(
          maskAddress(
            bytes.map(() => 0xff),
            length,
          ),
        ),
        compare(Comparison.equal, bytes),
      ];
    }
    case 'hasState': {
      const mask = match.states.reduce((bits, state) => bits | stateBits[state], 0);
      return [bitwiseAnd(hostNumber32(mask)), compare(Comparison.notEqual, new Uint8Array(4))];
    }
    default:
      return unreachable(match);
  }
}

/** @throws Error where the text is no such value: the caller's fault */
function valueBytes(type: FieldType, value: string): Uint8Array {
  if (type === 'inet_proto') return Uint8Array.of(Number(value));
  return type === 'hostNumber' ? hostNumber32(Number(value)) : keyBytes([type], value);
}

function loadField(field: NftField, register: Uint8Array): Expression {
  const load: Load = loads[field];
  switch (load.kind) {
    case 'connection': {
      const direction: readonly Attribute[] = load.direction === undefined ? [] : [[3, Uint8Array.of(load.direction)]];
      return { name: 'ct', attributes: [[1, register], [2, number32(load.key)], ...direction] };
    }
    case 'packet':
      return loadPacket(load.key, register);
    case 'header':
      return {
        name: 'payload',
        attributes: [
          [1, register],
          [2, number32(networkHeader)],
          [3, number32(load.offset)],
          [4, number32(addressLength[load.type === 'ipv4_addr' ? 'ipv4' : 'ipv6'])],
        ],
      };
    case 'reversePath':
      return {
        name: 'fib',
        attributes: [
          [1, register],
          [2, number32(routedInterface)],
          [3, number32(bySourceAndInterface)],
        ],
      };
    default:
      return unreachable(load);
  }
}

function loadPacket(key: number, register: Uint8Array): Expression {
  return {
    name: 'meta',
    attributes: [
      [1, register],
      [2, number32(key)],
    ],
  };
}

/** NFT_REG_1 to 4 have 16 bytes, NFT_REG32_00 and so on 4 of the same; the kernel tells the large name where both mean one place. */
function registerNumber(index: number): Uint8Array {
  return number32(index % 4 === 0 ? 1 + index / 4 : 8 + index);
}

function compare(operation: number, value: Uint8Array): Expression {
  return {
    name: 'cmp',
    attributes: [
      [1, firstRegister],
      [2, number32(operation)],
      [3, [[DataAttribute.value, value]]],
    ],
  };
}

function bitwiseAnd(mask: Uint8Array): Expression {
  return {
    name: 'bitwise',
    attributes: [
      [1, firstRegister],
      [2, firstRegister],
      [3, number32(mask.length)],
      [4, [[DataAttribute.value, mask]]],
      [5, [[DataAttribute.value, new Uint8Array(mask.length)]]],
      [6, number32(0)],
    ],
  };
}

function lookUp(set: string, flags: number): readonly Attribute[] {
  return [
    [1, text(set)],
    [2, firstRegister],
    [5, number32(flags)],
  ];
}

function logExpressions({ perSecond, prefix }: NonNullable<NftRule['log']>): Expression[] {
  return [
    {
      name: 'limit',
      attributes: [
        [1, number64(perSecond)],
        [2, number64(1)],
        [3, number32(burstPackets)],
        [4, number32(0)],
        [5, number32(0)],
      ],
    },
    {
      name: 'log',
      attributes: [
        [2, text(prefix)],
        [5, number32(logLevelWarning)],
      ],
    },
  ];
}

function number64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
