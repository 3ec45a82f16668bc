/**
 * Rtnetlink sockets: one for synchronous transactions and dumps, one for the stream of notifications.
 * Implements: acknowledged batches, dumps repeated on NLM_F_DUMP_INTR, recovery from ENOBUFS.
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
  inNamespace,
  joinGroups,
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

export class NetlinkSocket {
  readonly portId: number;
  readonly #fd: number;
  readonly #writer = new MessageWriter(64 * 1024);
  readonly #buffer = Buffer.alloc(datagramBytes);
  #sequence = 1;

  /** @param namespace path of the network namespace to open it in; absent: the process's own. */
  constructor(namespace?: string) {
    const open = () =>
      openNetlink({
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
      const { fd } = openNetlink({ receiveBuffer, sendBuffer: 4096, receiveTimeout: 0 });
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
