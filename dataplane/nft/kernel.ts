/**
 * The edge: nf_tables over a netlink socket.
 * Leaves out: what messages say (transaction.ts, held.ts) and when they are sent (table.ts).
 * Holds: one call is one transaction of the kernel, all of it or nothing; while another program's transaction is under way ours
 * waits aside, and the thread goes on. Reading does not wait.
 */

import { noPause, type Pause } from '../clock.ts';
import { KernelError, NetlinkFormatError } from '../netlink/kernel-error.ts';
import { MessageFlag, type MessageWriter, type NetlinkMessage } from '../netlink/message.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkProtocol } from '../netlink/sys.ts';
import { text, writeAttributes, type Attribute } from './attributes.ts';
import type { NftCommand } from './diff.ts';
import {
  attributesOf,
  readChain,
  readElements,
  readRule,
  readSet,
  readTable,
  type HeldRule,
  type HeldSet,
  type HeldTable,
} from './held.ts';
import { NftError, NftMissing, type NftElementName } from './nft-error.ts';
import { elementAt, toMessages, writeHeader, writeTransactionMessage, type TransactionMessage } from './transaction.ts';
import {
  ChainAttribute,
  ElementListAttribute,
  nfTablesSubsystem,
  NftMessage,
  RuleAttribute,
  SetAttribute,
} from './wire.ts';

/** Where tables are kept. */
export interface NftKernel {
  /**
   * One transaction.
   * @param table name in family inet
   * @throws NftError with what the kernel refused; nothing has changed then
   */
  commit(table: string, commands: readonly NftCommand[]): Promise<void>;
  /** @returns undefined where there is no such table. @throws NftError */
  read(table: string): Promise<HeldTable | undefined>;
}

/** The kernel says so where it has no nf_tables at all. */
const missingErrnos = ['EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT'];

export interface NftSocketOptions {
  /** Path of the network namespace (`/run/netns/NAME`); absent: the process's own. */
  readonly namespace?: string;
  /** Where long work may pause; never, unless told. */
  readonly breath?: () => Pause;
}

/** Several tables may share one: calls are done one after the other, in the order they came. */
export class NftSocket implements NftKernel {
  readonly #namespace: string | undefined;
  readonly #breath: () => Pause;
  #socket: NetlinkSocket | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ namespace, breath = () => noPause }: NftSocketOptions = {}) {
    this.#namespace = namespace;
    this.#breath = breath;
  }

  /** After what is under way. */
  close(): void {
    void this.#inTurn('closing', async () => {
      this.#socket?.close();
      this.#socket = undefined;
    });
  }

  async commit(table: string, commands: readonly NftCommand[]): Promise<void> {
    const messages: TransactionMessage[] = [];
    const pause = this.#breath();
    for (const message of toMessages(table, commands)) {
      messages.push(message);
      const waiting = pause();
      if (waiting) await waiting;
    }
    if (messages.length === 0) return;
    const refusal = await this.#inTurn(`table inet ${table} cannot be changed`, () =>
      this.#open().transact(nfTablesSubsystem, messages.length, (index, writer, sequence) =>
        writeTransactionMessage(writer, sequence, messages[index]),
      ),
    );
    if (refusal === undefined) return;
    const { index, offset, code, errno, detail } = refusal;
    const message = index === undefined ? undefined : messages[index];
    const element = message && elementAt(message, offset);
    const subject = element
      ? `element ${element.key} of set ${element.set}`
      : (message?.subject ?? `table inet ${table}`);
    throw toNftError(`the kernel refused ${subject}`, { code, errno, detail, element });
  }

  read(table: string): Promise<HeldTable | undefined> {
    return this.#inTurn(`table inet ${table} cannot be read`, async () => {
      const own = this.#dump(NftMessage.getTable, [])
        .map(readTable)
        .find(({ name }) => name === table);
      if (own === undefined) return undefined;
      const ofTable = (type: number): readonly Attribute[] => [[type, text(table)]];
      const isOurs = (type: number) => (attributes: Attributes) => nameOf(attributes, type) === table;
      const rules = new Map<string, HeldRule[]>();
      const chains = new Map<string, { hook: string | undefined; rules: HeldRule[] }>();
      // Chains before rules: a rule belongs to a chain that is there by then.
      for (const each of this.#dump(NftMessage.getChain, []).filter(isOurs(ChainAttribute.table))) {
        const { name, hook } = readChain(each);
        rules.set(name, []);
        chains.set(name, { hook, rules: rules.get(name)! });
      }
      for (const each of this.#dump(NftMessage.getRule, ofTable(RuleAttribute.table))) {
        const { chain, rule } = readRule(each);
        rules.get(chain)?.push(rule);
      }
      const sets = new Map<string, HeldSet>();
      const pause = this.#breath();
      for (const each of this.#dump(NftMessage.getSet, ofTable(SetAttribute.table))) {
        const { name, set } = readSet(each);
        const wanted: readonly Attribute[] = [
          ...ofTable(ElementListAttribute.table),
          [ElementListAttribute.set, text(name)],
        ];
        sets.set(name, { ...set, elements: this.#dump(NftMessage.getElements, wanted).flatMap(readElements) });
        const waiting = pause();
        if (waiting) await waiting;
      }
      return { flags: own.flags, sets, chains };
    });
  }

  #dump(type: number, attributes: readonly Attribute[]): Attributes[] {
    const write = (writer: MessageWriter, sequence: number) => {
      writeHeader(writer, type, MessageFlag.dump, sequence);
      writeAttributes(writer, attributes);
      writer.end();
    };
    return this.#open().dump('dump of nf_tables', write, keepAttributes);
  }

  #inTurn<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => asNftError(operation, work));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** @throws KernelError */
  #open(): NetlinkSocket {
    this.#socket ??= new NetlinkSocket(this.#namespace, NetlinkProtocol.netfilter);
    return this.#socket;
  }
}

type Attributes = ReturnType<typeof attributesOf>;

/** The socket's buffer is used again for the next datagram. */
function keepAttributes(message: NetlinkMessage): Attributes {
  const { bytes, start, end } = message;
  const copy = Buffer.from(bytes.subarray(start, end));
  return attributesOf({ ...message, bytes: copy, start: 0, end: copy.length });
}

function nameOf(attributes: Attributes, type: number): string | undefined {
  const bytes = attributes.get(type);
  return bytes && bytes.toString('utf8', 0, bytes.length - 1);
}

/** @throws NftError in place of what the socket throws */
async function asNftError<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KernelError) throw toNftError(operation, error);
    if (error instanceof NetlinkFormatError) throw new NftError(`${operation}: ${error.message}`);
    throw error;
  }
}

function toNftError(
  operation: string,
  {
    code,
    errno,
    detail,
    element,
  }: Pick<KernelError, 'code' | 'errno' | 'detail'> & { readonly element?: NftElementName | undefined },
): NftError {
  const Kind = missingErrnos.includes(errno) ? NftMissing : NftError;
  return new Kind(`${operation}: ${errno}${detail === undefined ? '' : ` (${detail})`}`, { code, errno, element });
}
