/**
 * What the kernel holds of a table, read from its messages.
 * Implements: NFT_MSG_NEWCHAIN, NEWRULE, NEWSET and NEWSETELEM as answers to a dump.
 * Leaves out: what it should hold (compare.ts); the socket (kernel.ts).
 * Holds: an expression's attributes stay bytes: what a stranger put there need not be understood to be seen.
 */

import {
  readAttributes,
  readText,
  readU32BigEndian,
  readU64BigEndian,
  type NetlinkMessage,
} from '../netlink/message.ts';
import { heldAttributes, requireAttribute, type HeldAttributes } from './attributes.ts';
import type { NftCount } from './counters.ts';
import { keyTypesOf } from './keys.ts';
import type { KeyType } from './ruleset.ts';
import { readComment } from './user-data.ts';
import {
  ChainAttribute,
  CounterAttribute,
  DataAttribute,
  ElementAttribute,
  ElementListAttribute,
  ExpressionAttribute,
  HookAttribute,
  hookNumbers,
  intervalEndFlag,
  RuleAttribute,
  SetAttribute,
  TableAttribute,
  VerdictAttribute,
  verdictCodes,
} from './wire.ts';

export interface HeldTable {
  /** NFT_TABLE_F_*; one of them puts the whole table to sleep. */
  readonly flags: number;
  readonly sets: ReadonlyMap<string, HeldSet>;
  readonly chains: ReadonlyMap<string, HeldChain>;
}

export interface HeldSet {
  readonly flags: number;
  /** nft's number. */
  readonly keyType: number;
  /** Its elements count. */
  readonly counter: boolean;
  /** undefined: not a type of ours. */
  readonly keyTypes: readonly KeyType[] | undefined;
  readonly elements: readonly HeldElement[];
}

export interface HeldElement {
  readonly key: Buffer;
  readonly isIntervalEnd: boolean;
  /** `jump CHAIN`, `drop`, …; undefined in plain sets. */
  readonly verdict: string | undefined;
  readonly comment: string | undefined;
  readonly count: NftCount | undefined;
}

export interface HeldChain {
  /** `filter forward 0 accept`: type, hook, priority, policy; undefined: no base chain. */
  readonly hook: string | undefined;
  readonly rules: readonly HeldRule[];
}

export interface HeldRule {
  readonly expressions: readonly HeldExpression[];
  readonly comment: string | undefined;
  readonly count: NftCount | undefined;
}

export interface HeldExpression {
  readonly name: string;
  readonly attributes: HeldAttributes;
}

/** struct nfgenmsg */
const genericHeader = 4;

export function attributesOf({ bytes, start, end }: NetlinkMessage): HeldAttributes {
  return heldAttributes(bytes, Math.min(start + genericHeader, end), end);
}

/** @throws NetlinkFormatError */
export function readTable(attributes: HeldAttributes): { name: string; flags: number } {
  return {
    name: textOf(requireAttribute(attributes, TableAttribute.name, "a table's name")),
    flags: number32Of(attributes.get(TableAttribute.flags)),
  };
}

/** @throws NetlinkFormatError */
export function readChain(attributes: HeldAttributes): { name: string; hook: string | undefined } {
  const hook = attributes.get(ChainAttribute.hook);
  return {
    name: textOf(requireAttribute(attributes, ChainAttribute.name, "a chain's name")),
    hook: hook && readHook(attributes, heldAttributes(hook)),
  };
}

/** @throws NetlinkFormatError */
export function readRule(attributes: HeldAttributes): { chain: string; rule: HeldRule } {
  const list = attributes.get(RuleAttribute.expressions);
  const expressions = entriesOf(list).map(readExpression);
  return {
    chain: textOf(requireAttribute(attributes, RuleAttribute.chain, "a rule's chain")),
    rule: {
      expressions,
      comment: readComment(attributes.get(RuleAttribute.userData)),
      count: countOf(expressions),
    },
  };
}

/** Without its elements. @throws NetlinkFormatError */
export function readSet(attributes: HeldAttributes): { name: string; set: Omit<HeldSet, 'elements'> } {
  const keyType = number32Of(attributes.get(SetAttribute.keyType));
  return {
    name: textOf(requireAttribute(attributes, SetAttribute.name, "a set's name")),
    set: {
      flags: number32Of(attributes.get(SetAttribute.flags)),
      keyType,
      keyTypes: keyTypesOf(keyType),
      counter: attributes.has(SetAttribute.expression),
    },
  };
}

/** The elements of one message of a dump. @throws NetlinkFormatError */
export function readElements(attributes: HeldAttributes): HeldElement[] {
  return entriesOf(attributes.get(ElementListAttribute.elements)).map(readElement);
}

function readElement(bytes: Buffer): HeldElement {
  const attributes = heldAttributes(bytes);
  const key = attributes.get(ElementAttribute.key);
  const data = attributes.get(ElementAttribute.data);
  const single = attributes.get(ElementAttribute.expression);
  const expressions = single ? [single] : entriesOf(attributes.get(ElementAttribute.expressions));
  return {
    // A set of another kind may have an element for all the rest, which has no key.
    key: (key && heldAttributes(key).get(DataAttribute.value)) ?? Buffer.of(),
    isIntervalEnd: (number32Of(attributes.get(ElementAttribute.flags)) & intervalEndFlag) !== 0,
    verdict: data && readVerdict(heldAttributes(data).get(DataAttribute.verdict)),
    comment: readComment(attributes.get(ElementAttribute.userData)),
    count: countOf(expressions.map(readExpression)),
  };
}

/** The attributes of a list's entries; every entry has one type. */
function entriesOf(list: Buffer | undefined): Buffer[] {
  const entries: Buffer[] = [];
  if (list !== undefined) readAttributes(list, 0, list.length, (_, from, to) => entries.push(list.subarray(from, to)));
  return entries;
}

function readExpression(bytes: Buffer): HeldExpression {
  const attributes = heldAttributes(bytes);
  return {
    name: textOf(requireAttribute(attributes, ExpressionAttribute.name, "an expression's name")),
    attributes: heldAttributes(attributes.get(ExpressionAttribute.data) ?? Buffer.of()),
  };
}

function countOf(expressions: readonly HeldExpression[]): NftCount | undefined {
  const counter = expressions.find(({ name }) => name === 'counter')?.attributes;
  if (counter === undefined) return undefined;
  const number = (type: number) => {
    const bytes = requireAttribute(counter, type, "a counter's number");
    return readU64BigEndian(bytes, 0, bytes.length);
  };
  return { packets: number(CounterAttribute.packets), bytes: number(CounterAttribute.bytes) };
}

function readVerdict(bytes: Buffer | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  const attributes = heldAttributes(bytes);
  const code = number32Of(attributes.get(VerdictAttribute.code));
  const word = wordOf(verdictCodes, code) ?? `verdict ${code}`;
  const chain = attributes.get(VerdictAttribute.chain);
  return chain === undefined ? word : `${word} ${textOf(chain)}`;
}

function readHook(chain: HeldAttributes, hook: HeldAttributes): string {
  const type = textOf(requireAttribute(chain, ChainAttribute.type, "a base chain's type"));
  const number = number32Of(hook.get(HookAttribute.number));
  const priority = number32Of(hook.get(HookAttribute.priority)) | 0;
  const policy = number32Of(chain.get(ChainAttribute.policy));
  return `${type} ${wordOf(hookNumbers, number) ?? number} ${priority} ${wordOf(verdictCodes, policy) ?? policy}`;
}

function wordOf(table: Readonly<Record<string, number>>, number: number): string | undefined {
  return Object.keys(table).find((word) => table[word] === number);
}

function textOf(bytes: Buffer): string {
  return readText(bytes, 0, bytes.length);
}

/** An absent number is 0. */
function number32Of(bytes: Buffer | undefined): number {
  return bytes === undefined ? 0 : readU32BigEndian(bytes, 0, bytes.length);
}
