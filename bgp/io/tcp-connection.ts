/**
 * One TCP connection of a session, over node:net.
 * Holds: its handler hears `closed` once and last, and nothing after it has closed the connection itself.
 */

import type { OnReadOpts, Socket } from 'node:net';
import type { Connection, ConnectionHandler, HopLimit, SharedLink } from '../driver.ts';
import { connectionRefused, connectionTimedOut } from '../driver.ts';
import { canonicalScopedAddress, familyOfText } from '../ip.ts';
import { setSignatureKey } from './md5-signature.ts';
import { sharedLink } from './shared-link.ts';
import { sendNow, setHopLimit, setTrafficClass } from './socket-options.ts';

/** How long a connection that we end may take to send its last bytes: milliseconds. */
const lingerMilliseconds = 1000;

/** What all connections are read into, one after the other: Node would make 64 KiB anew for each read. */
const readBuffer = new Uint8Array(64 * 1024);

export class TcpConnection implements Connection {
  readonly direction: 'incoming' | 'outgoing';
  readonly remoteAddress: string;
  readonly remotePort: number;
  localAddress: string | undefined;

  private readonly socket: Socket;
  private readonly onGone: () => void;
  private handler: ConnectionHandler | undefined;
  private waitsForDrain = false;
  /** Bytes that the kernel has taken without Node. */
  private sentBeside = 0;
  /** The socket's, once it was needed: it takes a third of a microsecond to be had. Void when the socket is destroyed. */
  private descriptor: number | undefined;
  private readonly written = () => {
    if (!this.waitsForDrain || this.socket.writableLength > 0) return;
    this.waitsForDrain = false;
    this.handler?.drained();
  };

  /**
   * @param makeSocket with these options for reading; it does not read before it is told to
   * @param onGone called once the socket is closed.
   */
  constructor(
    makeSocket: (onread: OnReadOpts) => Socket,
    remote: { readonly direction: 'incoming' | 'outgoing'; readonly address: string; readonly port: number },
    onGone: () => void,
  ) {
    const socket = makeSocket({ buffer: readBuffer, callback: (length) => this.received(length) });
    this.socket = socket;
    this.direction = remote.direction;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.onGone = onGone;
    this.localAddress = canonicalOf(socket.localAddress);
    socket.on('connect', () => {
      this.localAddress = canonicalOf(socket.localAddress);
      this.handler?.connected();
    });
    socket.on('end', () => this.end('connection closed by the peer'));
    socket.on('error', (error) => this.end(reasonOf(error)));
    socket.on('close', () => {
      this.end('connection closed');
      this.onGone();
    });
  }

  get link(): SharedLink | undefined {
    return this.localAddress === undefined ? undefined : sharedLink(this.localAddress, this.remoteAddress);
  }

  get unsentBytes(): number {
    return this.socket.writableLength;
  }

  get sentBytes(): number {
    return this.sentBeside + this.socket.bytesWritten - this.socket.writableLength;
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
    this.socket.resume();
  }

  setHopLimit(hops: HopLimit): void {
    const fd = descriptorOf(this.socket);
    if (fd === undefined) throw new Error('the connection is gone already');
    const family = familyOfText(this.remoteAddress);
    setHopLimit(fd, family, hops);
    setTrafficClass(fd, family);
  }

  setKey(key: string | undefined): void {
    const fd = descriptorOf(this.socket);
    if (fd === undefined) throw new Error('the connection is gone already');
    try {
      setSignatureKey(fd, { address: this.remoteAddress, key: key ?? '' });
    } catch (error) {
      // There was none to take away.
      if (key !== undefined || !(error instanceof Error) || Reflect.get(error, 'code') !== 'ENOENT') throw error;
    }
  }

  write(buffers: readonly Uint8Array[]): void {
    const fd = this.idleDescriptor;
    this.writeRest(fd === undefined ? buffers : this.sendAtOnce(fd, buffers));
  }

  /**
   * Of a connection on which nothing waits to be sent: sendNow may be called with it, and `sent` has to be then. Straight to the kernel,
   * because Node makes a request and two callbacks of a write, which is most of what a change costs that hundreds of peers are told.
   */
  get idleDescriptor(): number | undefined {
    const { socket } = this;
    if (!socket.writable || socket.connecting || socket.writableLength > 0) return undefined;
    return (this.descriptor ??= descriptorOf(socket));
  }

  /** The kernel has taken so many of the bytes. */
  sent(bytes: Uint8Array, count: number): void {
    this.sentBeside += count;
    if (count < bytes.length) this.writeRest([bytes.subarray(count)]);
  }

  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  close(): void {
    this.handler = undefined;
    const { socket } = this;
    if (socket.connecting) {
      socket.destroy();
      return;
    }
    // It reads on, into nothing: a socket that is closed with unread bytes resets the connection, and the peer would never
    // see the NOTIFICATION.
    socket.resume();
    socket.end();
    setTimeout(() => socket.destroy(), lingerMilliseconds).unref();
  }

  destroy(): void {
    this.handler = undefined;
    this.socket.destroy();
  }

  /** @returns what the kernel has no room for. */
  private sendAtOnce(fd: number, buffers: readonly Uint8Array[]): readonly Uint8Array[] {
    for (let i = 0; i < buffers.length; i++) {
      const bytes = buffers[i];
      const count = sendNow(fd, bytes, i + 1 < buffers.length);
      this.sentBeside += count;
      if (count < bytes.length) return [bytes.subarray(count), ...buffers.slice(i + 1)];
    }
    return none;
  }

  private writeRest(buffers: readonly Uint8Array[]): void {
    const { socket } = this;
    if (buffers.length === 0 || !socket.writable) return;
    socket.cork();
    const last = buffers.length - 1;
    for (let i = 0; i < last; i++) socket.write(buffers[i]);
    socket.write(buffers[last], this.written);
    socket.uncork();
    if (socket.writableLength > 0) this.waitsForDrain = true;
  }

  private received(length: number): true {
    this.handler?.received(readBuffer.subarray(0, length));
    return true;
  }

  private end(reason: string): void {
    const { handler } = this;
    if (handler === undefined) return;
    this.handler = undefined;
    this.socket.destroy();
    handler.closed(reason);
  }
}

const none: readonly Uint8Array[] = [];

/** The file descriptor of a socket or a server; undefined once it is closed. Node keeps it in its private handle. */
export function descriptorOf(owner: object): number | undefined {
  const handle: unknown = Reflect.get(owner, '_handle');
  if (typeof handle !== 'object' || handle === null) return undefined;
  const fd: unknown = Reflect.get(handle, 'fd');
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** Words for what a person can do something about; the code itself for the rest. */
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: connectionRefused,
  ECONNRESET: 'connection reset by the peer',
  EPIPE: 'connection closed by the peer',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: connectionTimedOut,
  ENODEV: 'no such interface',
  EADDRNOTAVAIL: 'local address not available',
  EACCES: 'forbidden by this host (EACCES)',
  EPERM: 'forbidden by this host (EPERM)',
};

export function reasonOf(error: Error): string {
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code !== 'string') return error.message;
  return reasons[code] ?? `connection failed: ${code}`;
}

function canonicalOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : canonicalScopedAddress(address);
}
