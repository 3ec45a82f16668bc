/**
 * Netlink sockets: one for synchronous transactions and dumps, one for the stream of notifications.
 * Implements: acknowledged batches, nfnetlink's transactions, dumps repeated on NLM_F_DUMP_INTR, recovery from ENOBUFS.
 * Leaves out: what the messages say; who listens (rtnetlink.ts).
 * Holds: the kernel answers while we send, so a transaction blocks the thread for microseconds, never for a peer; a reply is
 * matched by its sequence number, and one left over from a failed transaction is passed over.
 */

import { KernelError, NetlinkFormatError } from './kernel-error.ts';
import {
  MessageFlag,
  MessageType,
  MessageWriter,
  readAcknowledgement,
  readMessages,
  type NetlinkMessage,
} from './message.ts';
import {
  close,
  dropOwnMessages,
  errnoName,
  growSendBuffer,
  inNamespace,
  joinGroups,
  NetlinkProtocol,
  openNetlink,
  receive,
  send,
  sendAside,
  toStream,
} from './sys.ts';

/** More in one send gains nothing (measured), and holds the rtnl lock longer. */
const messagesPerSend = 500;
const bytesPerSend = 256 * 1024;
const sendBufferBytes = 2 * 1024 * 1024;
const commandReceiveBytes = 4 * 1024 * 1024;
/** The kernel answers at once; so long without an answer means a broken kernel, and a blocked agent helps nobody. */
const answerTimeoutMilliseconds = 10_000;
/** A dump's datagrams are at most 32 KiB, an acknowledgement's far less. */
const datagramBytes = 256 * 1024;
const dumpAttempts = 16;
const reopenDelayMilliseconds = 1000;

export interface Refusal {
  readonly code: number;
  readonly errno: string;
  readonly detail: string | undefined;
}

/** Why a transaction did not happen. */
export interface TransactionRefusal extends Refusal {
  /** Which of its messages; undefined: the transaction as a whole. */
  readonly index: number | undefined;
  /** Where in the message the attribute begins that the kernel did not like, in bytes. */
  readonly offset: number | undefined;
}

export class NetlinkSocket {
  readonly portId: number;
  readonly #fd: number;
  readonly #writer = new MessageWriter(64 * 1024);
  readonly #buffer = Buffer.alloc(datagramBytes);
  #sequence = 1;
  #sendBuffer = sendBufferBytes;

  /**
   * @param namespace path of the network namespace to open it in; absent: the process's own.
   * @throws KernelError
   */
  constructor(namespace?: string, protocol: number = NetlinkProtocol.route) {
    const open = () =>
      openNetlink({
        protocol,
        receiveBuffer: commandReceiveBytes,
        sendBuffer: sendBufferBytes,
        receiveTimeout: answerTimeoutMilliseconds,
      });
    ({ fd: this.#fd, portId: this.portId } = namespace === undefined ? open() : inNamespace(namespace, open));
  }

  close(): void {
    close(this.#fd);
  }

  /**
   * One change.
   * @throws KernelError with the kernel's words.
   */
  execute(operation: string, write: (writer: MessageWriter, sequence: number) => void): void {
    const [refusal] = this.batch(1, (_, writer, sequence) => write(writer, sequence)).values();
    if (refusal) throw new KernelError(operation, refusal.code, refusal.errno, refusal.detail);
  }

  /**
   * One change that the kernel takes its time for (a link's removal waits for all processors): the thread goes on meanwhile.
   * No other call may use the socket until it is done.
   * @throws KernelError with the kernel's words.
   */
  async executeAside(operation: string, write: (writer: MessageWriter, sequence: number) => void): Promise<void> {
    const sequence = this.#nextSequence();
    this.#writer.clear();
    write(this.#writer, sequence);
    this.#writer.addFlags(MessageFlag.acknowledge);
    await sendAside(this.#fd, this.#writer.bytes());
    this.#receiveUntil((message) => {
      if (message.type !== MessageType.error || message.sequence !== sequence) return false;
      const { code, detail } = readAcknowledgement(message);
      if (code !== 0) throw new KernelError(operation, code, errnoName(code), detail);
      return true;
    });
  }

  /**
   * `count` changes, each written by its index; one that fails does not hinder the next.
   * @returns the refused ones by index.
   */
  batch(count: number, write: (index: number, writer: MessageWriter, sequence: number) => void): Map<number, Refusal> {
    const refusals = new Map<number, Refusal>();
    let next = 0;
    while (next < count) {
      const first = next;
      const firstSequence = this.#sequence;
      this.#writer.clear();
      do {
        write(next, this.#writer, this.#nextSequence());
        next++;
        // The kernel works through the messages in order: the answer to the last says that all are done, and failures
        // are answered with or without the flag.
        if (this.#sendIsFull(next, first, count)) this.#writer.addFlags(MessageFlag.acknowledge);
      } while (!this.#sendIsFull(next, first, count));
      send(this.#fd, this.#writer.bytes());
      const lastIndex = next - 1;
      this.#receiveUntil((message) => {
        const index = first + ((message.sequence - firstSequence) >>> 0);
        if (message.type !== MessageType.error || index > lastIndex) return false;
        const { code, detail } = readAcknowledgement(message);
        if (code !== 0) refusals.set(index, { code, errno: errnoName(code), detail });
        return index === lastIndex;
      });
    }
    return refusals;
  }

  /**
   * `count` messages (at least one) to a subsystem of nfnetlink that take effect together or not at all. The kernel lets one
   * transaction wait for another (a large one takes a second): the thread goes on meanwhile. No other call may use the socket until it
   * is done.
   * @param write puts a message down by its index
   * @returns the first refusal; undefined: all of it has happened
   * @throws KernelError where the kernel was not even asked
   */
  async transact(
    subsystem: number,
    count: number,
    write: (index: number, writer: MessageWriter, sequence: number) => void,
  ): Promise<TransactionRefusal | undefined> {
    const writer = this.#writer;
    writer.clear();
    const beginSequence = this.#nextSequence();
    writeBatchMark(writer, NFNL_MSG_BATCH_BEGIN, beginSequence, subsystem);
    const firstSequence = this.#sequence;
    for (let index = 0; index < count; index++) write(index, writer, this.#nextSequence());
    // Answers come after the commit and in order: the answer to the last message says that all is done.
    writer.addFlags(MessageFlag.acknowledge);
    writeBatchMark(writer, NFNL_MSG_BATCH_END, this.#nextSequence(), subsystem);
    if (writer.length > this.#sendBuffer) {
      growSendBuffer(this.#fd, writer.length);
      this.#sendBuffer = writer.length;
    }
    await sendAside(this.#fd, writer.bytes());
    let refusal: TransactionRefusal | undefined;
    this.#receiveUntil((message) => {
      if (message.type !== MessageType.error) return false;
      const { code, detail, offset } = readAcknowledgement(message);
      const whole = message.sequence === beginSequence;
      const index = (message.sequence - firstSequence) >>> 0;
      if (!whole && index >= count) return false;
      // One message that is wrong makes others wrong: the first is the reason.
      if (code !== 0) refusal ??= { index: whole ? undefined : index, code, errno: errnoName(code), detail, offset };
      return whole ? code !== 0 : index === count - 1;
    });
    return refusal;
  }

  /**
   * Everything the kernel lists for a request that `write` puts down with NLM_F_DUMP. A dump that the kernel calls
   * inconsistent is asked again.
   * @param decode a value, or undefined to pass over the message.
   * @throws KernelError, NetlinkFormatError
   */
  dump<T>(
    operation: string,
    write: (writer: MessageWriter, sequence: number) => void,
    decode: (message: NetlinkMessage) => T | undefined,
  ): T[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const found = this.#dumpOnce(operation, write, decode);
      if (found) return found;
    }
    throw new KernelError(operation, 4, 'EINTR', 'the table changes faster than it can be read');
  }

  /**
   * The answer to one question, or undefined where the kernel says it does not exist.
   * @throws KernelError
   */
  get<T>(
    operation: string,
    write: (writer: MessageWriter, sequence: number) => void,
    decode: (message: NetlinkMessage) => T,
  ): T | undefined {
    const sequence = this.#send(write, MessageFlag.acknowledge);
    let answer: T | undefined;
    let refusal: KernelError | undefined;
    this.#receiveUntil((message) => {
      if (message.sequence !== sequence) return false;
      if (message.type !== MessageType.error) {
        answer = decode(message);
        return false;
      }
      const { code, detail } = readAcknowledgement(message);
      if (code !== 0) refusal = new KernelError(operation, code, errnoName(code), detail);
      return true;
    });
    if (refusal && refusal.errno !== 'ENODEV') throw refusal;
    return answer;
  }

  #dumpOnce<T>(
    operation: string,
    write: (writer: MessageWriter, sequence: number) => void,
    decode: (message: NetlinkMessage) => T | undefined,
  ): T[] | undefined {
    const sequence = this.#send(write, 0);
    const found: T[] = [];
    let interrupted = false;
    let failure: Error | undefined;
    this.#receiveUntil((message) => {
      if (message.sequence !== sequence) return false;
      if ((message.flags & MessageFlag.dumpInterrupted) !== 0) interrupted = true;
      if (message.type === MessageType.error || message.type === MessageType.done) {
        // NLMSG_DONE carries the errno of a dump that failed half way.
        const { code, detail } = readAcknowledgement(message);
        if (code > 0) failure = new KernelError(operation, code, errnoName(code), detail);
        return true;
      }
      try {
        const value = decode(message);
        if (value !== undefined) found.push(value);
      } catch (error) {
        // Read on to the end: the next dump is refused while this one is under way.
        if (!(error instanceof NetlinkFormatError)) throw error;
        failure = error;
      }
      return false;
    });
    if (interrupted) return undefined;
    if (failure) throw failure;
    return found;
  }

  #send(write: (writer: MessageWriter, sequence: number) => void, flags: number): number {
    const sequence = this.#nextSequence();
    this.#writer.clear();
    write(this.#writer, sequence);
    this.#writer.addFlags(flags);
    send(this.#fd, this.#writer.bytes());
    return sequence;
  }

  #receiveUntil(isLast: (message: NetlinkMessage) => boolean): void {
    for (;;) {
      let ended = false;
      const length = receive(this.#fd, this.#buffer);
      readMessages(this.#buffer.subarray(0, length), (message) => {
        ended = isLast(message) || ended;
      });
      if (ended) return;
    }
  }

  #sendIsFull(next: number, first: number, count: number): boolean {
    return next === count || next - first === messagesPerSend || this.#writer.length >= bytesPerSend;
  }

  #nextSequence(): number {
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) >>> 0;
    return sequence;
  }
}

const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;

/** A header with a struct nfgenmsg, whose res_id (big-endian) names the subsystem. */
function writeBatchMark(writer: MessageWriter, type: number, sequence: number, subsystem: number): void {
  writer.begin(type, MessageFlag.request, sequence);
  writer.u32(subsystem << 24);
  writer.end();
}

export interface NotificationOptions {
  readonly namespace: string | undefined;
  /** RTNLGRP_*. */
  readonly groups: readonly number[];
  /** Bytes the kernel may queue before it drops. */
  readonly receiveBuffer: number;
  /** Changes of these message types that this port id caused are not told. */
  readonly ignore: { readonly types: readonly number[]; readonly portId: number };
  readonly onMessage: (message: NetlinkMessage) => void;
  /** The kernel dropped notifications: what is known must be read anew. Called when listening works again. */
  readonly onOverrun: () => void;
}

/** What changes in the kernel, as it happens. Listening begins with the constructor: dump after it, and no change is missed. */
export class NotificationStream {
  readonly #options: NotificationOptions;
  #stream: ReturnType<typeof toStream>;
  #closed = false;
  #reopening: NodeJS.Timeout | undefined;

  constructor(options: NotificationOptions) {
    this.#options = options;
    this.#stream = this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#reopening);
    this.#stream.destroy();
  }

  #open(): ReturnType<typeof toStream> {
    const { namespace, groups, ignore, receiveBuffer } = this.#options;
    const listen = () => {
      const { fd } = openNetlink({
        protocol: NetlinkProtocol.route,
        receiveBuffer,
        sendBuffer: 4096,
        receiveTimeout: 0,
      });
      try {
        // The filter first: nothing may slip in between.
        dropOwnMessages(fd, ignore.types, ignore.portId);
        joinGroups(fd, groups);
      } catch (error) {
        close(fd);
        throw error;
      }
      return fd;
    };
    const stream = toStream(namespace === undefined ? listen() : inNamespace(namespace, listen));
    stream.on('data', (chunk: Buffer) => readMessages(chunk, this.#options.onMessage));
    stream.on('error', () => stream.destroy());
    // After ENOBUFS the stream has closed; the socket is of no more use to it.
    stream.on('close', () => this.#reopen());
    return stream;
  }

  #reopen(): void {
    if (this.#closed) return;
    try {
      this.#stream = this.#open();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // No descriptor or memory just now. Meanwhile nothing is heard, and the slow resync alone mends.
      this.#reopening = setTimeout(() => this.#reopen(), reopenDelayMilliseconds);
      return;
    }
    this.#options.onOverrun();
  }
}
