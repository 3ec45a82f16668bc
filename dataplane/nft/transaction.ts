/**
 * Commands as the messages of one nf_tables transaction, and where in it the kernel's refusal points.
 * Implements: NFT_MSG_NEW… and DEL… of tables, chains, rules, sets and set elements.
 * Leaves out: what a rule consists of (expressions.ts), the socket (kernel.ts).
 * Holds: what the kernel holds afterwards is what nft makes of the same commands in text; names and comments are checked, not trusted.
 */

import { MessageFlag, type MessageWriter } from '../netlink/message.ts';
import { unreachable } from '../unreachable.ts';
import type { NftElementName } from './nft-error.ts';
import { number32, text, writeAttributes, type Attribute } from './attributes.ts';
import type { NftCommand } from './diff.ts';
import { counterExpression, toExpressions, verdictData, type Expression } from './expressions.ts';
import { intervalBytes, keyBytes, keyLength, keyTypeNumber } from './keys.ts';
import {
  checkComment,
  checkName,
  hookTypes,
  type NftChain,
  type NftElement,
  type NftRule,
  type NftSet,
} from './ruleset.ts';
import { elementUserData, ruleUserData, setUserData } from './user-data.ts';
import {
  ChainAttribute,
  DataAttribute,
  ElementAttribute,
  ElementListAttribute,
  ExpressionAttribute,
  familyInet,
  HookAttribute,
  hookNumbers,
  intervalEndFlag,
  listEntry,
  NftMessage,
  RuleAttribute,
  SetAttribute,
  SetFlag,
  TableAttribute,
  verdictCodes,
  verdictType,
} from './wire.ts';

/** One message, and what it is about. */
export interface TransactionMessage {
  readonly type: number;
  readonly flags: number;
  readonly attributes: readonly Attribute[];
  /** In words, for the error. */
  readonly subject: string;
  /** The elements in the message's order; absent: it is not about elements. */
  readonly elements?: { readonly set: string; readonly keys: readonly string[] };
}

/** A list of attributes has 64 KiB at most; an element with a comment and a chain's name at most 500 bytes. */
const elementsPerMessage = 100;

const { create, exclusive, append } = MessageFlag;

/** @param table name of the table in family inet */
export function* toMessages(table: string, commands: readonly NftCommand[]): Generator<TransactionMessage> {
  let setId = 0;
  for (const command of commands) {
    switch (command.kind) {
      case 'renewTable':
        yield* removalMessages(table);
        yield tableMessage(NftMessage.newTable, create, table);
        break;
      case 'removeTable':
        yield* removalMessages(table);
        break;
      case 'addSet':
        yield setMessage(table, command.name, command.set, ++setId);
        break;
      case 'addChain':
        yield chainMessage(table, command.name, command.chain);
        break;
      case 'flushChain':
        yield {
          type: NftMessage.deleteRule,
          flags: 0,
          attributes: [
            [RuleAttribute.table, text(table)],
            [RuleAttribute.chain, text(checkName(command.name))],
          ],
          subject: `the rules of chain ${command.name}`,
        };
        break;
      case 'addRules':
        for (const rule of command.chain.rules) yield ruleMessage(table, command.name, rule);
        break;
      case 'deleteElements': {
        const elements = command.keys.map((key): [string, NftElement] => [key, {}]);
        yield* elementMessages(NftMessage.deleteElements, 0, table, command.name, command.set, elements);
        break;
      }
      case 'addElements':
        yield* elementMessages(
          NftMessage.newElements,
          create | exclusive,
          table,
          command.name,
          command.set,
          command.elements,
        );
        break;
      case 'deleteChain':
        yield {
          type: NftMessage.deleteChain,
          flags: 0,
          attributes: [
            [ChainAttribute.table, text(table)],
            [ChainAttribute.name, text(checkName(command.name))],
          ],
          subject: `chain ${command.name}`,
        };
        break;
      case 'deleteSet':
        yield {
          type: NftMessage.deleteSet,
          flags: 0,
          attributes: [
            [SetAttribute.table, text(table)],
            [SetAttribute.name, text(checkName(command.name))],
          ],
          subject: `set ${command.name}`,
        };
        break;
      default:
        unreachable(command);
    }
  }
}

export function writeTransactionMessage(writer: MessageWriter, sequence: number, message: TransactionMessage): void {
  writeHeader(writer, message.type, message.flags, sequence);
  writeAttributes(writer, message.attributes);
  writer.end();
}

/** struct nfgenmsg after the header. */
export function writeHeader(writer: MessageWriter, type: number, flags: number, sequence: number): void {
  writer.begin(type, MessageFlag.request | flags, sequence);
  writer.u32(familyInet);
}

/**
 * The element that a refusal is about.
 * @param offset where the kernel points to in the message, from its header
 * @returns undefined: the message is about something else, or the kernel does not say which
 */
export function elementAt(
  { elements, attributes }: TransactionMessage,
  offset: number | undefined,
): NftElementName | undefined {
  if (elements === undefined) return undefined;
  const { set, keys } = elements;
  if (keys.length === 1) return { set, key: keys[0] };
  if (offset === undefined) return undefined;
  // The list of elements is the last attribute.
  const before = attributes.slice(0, -1).reduce((sum, each) => sum + sizeOf(each), 0);
  let end = sizes.headerLength + before + sizes.attributeHeaderLength;
  const at = (attributes.at(-1)![1] as readonly Attribute[]).findIndex((entry) => offset < (end += sizeOf(entry)));
  return at < 0 ? undefined : { set, key: keys[at] };
}

/** struct nlmsghdr and struct nfgenmsg; struct nlattr. */
const sizes = { headerLength: 20, attributeHeaderLength: 4 } as const;

function sizeOf([, value]: Attribute): number {
  const length = value instanceof Uint8Array ? value.length : value.reduce((sum, each) => sum + sizeOf(each), 0);
  return sizes.attributeHeaderLength + ((length + 3) & ~3);
}

/** The first one makes the second one possible where there is no such table. */
function removalMessages(table: string): TransactionMessage[] {
  return [tableMessage(NftMessage.newTable, create, table), tableMessage(NftMessage.deleteTable, 0, table)];
}

function tableMessage(type: number, flags: number, table: string): TransactionMessage {
  const attributes: Attribute[] = [[TableAttribute.name, text(checkName(table))]];
  if (type === NftMessage.newTable) attributes.push([TableAttribute.flags, number32(0)]);
  return { type, flags, attributes, subject: `table inet ${table}` };
}

function setMessage(table: string, name: string, set: NftSet, id: number): TransactionMessage {
  if (set.comment !== undefined) checkComment(set.comment);
  return {
    type: NftMessage.newSet,
    flags: create | exclusive,
    attributes: [
      [SetAttribute.table, text(table)],
      [SetAttribute.name, text(checkName(name))],
      [SetAttribute.flags, number32(setFlags(set))],
      [SetAttribute.keyType, number32(keyTypeNumber(set.keyTypes))],
      [SetAttribute.keyLength, number32(keyLength(set.keyTypes))],
      ...(set.verdicts
        ? ([
            [SetAttribute.dataType, number32(verdictType)],
            [SetAttribute.dataLength, number32(0)],
          ] as const)
        : []),
      [SetAttribute.id, number32(id)],
      [SetAttribute.userData, setUserData(set)],
      ...(set.counter ? [[SetAttribute.expression, expressionAttributes(counterExpression)] as const] : []),
    ],
    subject: `set ${name}`,
  };
}

export function setFlags(set: NftSet): number {
  return (set.interval ? SetFlag.interval : 0) | (set.verdicts ? SetFlag.map : 0);
}

function chainMessage(table: string, name: string, { hook }: NftChain): TransactionMessage {
  const base: readonly Attribute[] = hook
    ? [
        [ChainAttribute.type, text(hookTypes[hook.name])],
        [ChainAttribute.policy, number32(verdictCodes.accept)],
        [
          ChainAttribute.hook,
          [
            [HookAttribute.number, number32(hookNumbers[hook.name])],
            [HookAttribute.priority, number32(hook.priority)],
          ],
        ],
      ]
    : [];
  return {
    type: NftMessage.newChain,
    flags: create | exclusive,
    attributes: [[ChainAttribute.table, text(table)], [ChainAttribute.name, text(checkName(name))], ...base],
    subject: `chain ${name}`,
  };
}

function ruleMessage(table: string, chain: string, rule: NftRule): TransactionMessage {
  const { comment } = rule;
  return {
    type: NftMessage.newRule,
    flags: create | append,
    attributes: [
      [RuleAttribute.table, text(table)],
      [RuleAttribute.chain, text(checkName(chain))],
      [
        RuleAttribute.expressions,
        toExpressions(rule).map((expression): Attribute => [listEntry, expressionAttributes(expression)]),
      ],
      ...(comment === undefined ? [] : [[RuleAttribute.userData, ruleUserData(checkComment(comment))] as const]),
    ],
    subject: `a rule of chain ${chain}${comment === undefined ? '' : ` (${comment})`}`,
  };
}

function expressionAttributes({ name, attributes }: Expression): readonly Attribute[] {
  return [
    [ExpressionAttribute.name, text(name)],
    [ExpressionAttribute.data, attributes],
  ];
}

function* elementMessages(
  type: number,
  flags: number,
  table: string,
  name: string,
  set: NftSet,
  elements: readonly (readonly [string, NftElement])[],
): Generator<TransactionMessage> {
  for (let i = 0; i < elements.length; i += elementsPerMessage) {
    const entries = elements
      .slice(i, i + elementsPerMessage)
      .flatMap(([key, element]) => toEntries(set, key, element).map((attributes) => ({ key, attributes })));
    yield {
      type,
      flags,
      attributes: [
        [ElementListAttribute.table, text(table)],
        [ElementListAttribute.set, text(checkName(name))],
        [ElementListAttribute.elements, entries.map(({ attributes }): Attribute => [listEntry, attributes])],
      ],
      subject: `elements of set ${name}`,
      elements: { set: name, keys: entries.map(({ key }) => key) },
    };
  }
}

/** An element of an interval set is two for the kernel. */
function toEntries(set: NftSet, key: string, { verdict, comment }: NftElement): (readonly Attribute[])[] {
  if (comment !== undefined) checkComment(comment);
  const interval = set.interval ? intervalBytes(set.keyTypes[0], key) : undefined;
  const userData = elementUserData(comment, interval !== undefined && interval.end === undefined);
  const first: Attribute[] = [
    [ElementAttribute.key, [[DataAttribute.value, interval?.start ?? keyBytes(set.keyTypes, key)]]],
    ...(verdict === undefined ? [] : [[ElementAttribute.data, verdictData(verdict)] as const]),
    ...(userData === undefined ? [] : [[ElementAttribute.userData, userData] as const]),
  ];
  if (interval?.end === undefined) return [first];
  const end: Attribute[] = [
    [ElementAttribute.flags, number32(intervalEndFlag)],
    [ElementAttribute.key, [[DataAttribute.value, interval.end]]],
  ];
  return [first, end];
}
