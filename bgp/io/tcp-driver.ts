/**
 * The speaker's driver over node:net: listens, connects, and gives turns of Node's event loop.
 * Implements: RFC 4271 §8.2.1 (listening on the port); RFC 5082 (with socket-options.ts).
 * Leaves out: UDP: udp-driver.ts.
 * Holds: the only place of bgp/ with a clock and timers, but for UDP's alarm and the last second of a closing connection.
 */

import type { OnReadOpts, Server } from 'node:net';
import { createServer, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type {
  Clock,
  Connection,
  ConnectionHandler,
  ConnectRequest,
  DatagramDriver,
  Driver,
  KeyFailure,
  PeerKey,
  SignatureDrops,
  Write,
} from '../driver.ts';
import { canonicalScopedAddress, familyOfText } from '../ip.ts';
import { ListenKeys } from './listen-keys.ts';
import { readSignatureDrops, setSignatureKey } from './md5-signature.ts';
import {
  checkInterface,
  closeSocket,
  duplicateSocket,
  makeSocket,
  sendNow,
  setHopLimit,
  setTrafficClass,
} from './socket-options.ts';
import { descriptorOf, reasonOf, TcpConnection } from './tcp-connection.ts';
import { UdpDriver } from './udp-driver.ts';

export const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
};

export interface TcpDriverOptions {
  /** Where to listen; unless told, all addresses of both families. */
  readonly listenAddresses?: readonly string[];
}

/** Larger times are cut by the system's timer. */
const longestAlarm = 2 ** 31 - 1;
const backlog = 4096;
const flushMilliseconds = 1000;
/** Thousands of peers may ask for the counters, each after every attempt to connect. */
const dropsMilliseconds = 1000;

export class TcpDriver implements Driver {
  readonly datagrams: DatagramDriver;

  private readonly listenAddresses: readonly string[];
  private readonly servers: Server[] = [];
  /** Of the connections written to; reused. */
  private readonly descriptors: (number | undefined)[] = [];
  private readonly open = new Set<TcpConnection>();
  private readonly keys = new ListenKeys();
  private drops: { readonly at: number; readonly drops: SignatureDrops } | undefined;
  private alarm: NodeJS.Timeout | undefined;

  constructor(options: TcpDriverOptions = {}) {
    this.listenAddresses = options.listenAddresses ?? ['0.0.0.0', '::'];
    this.datagrams = new UdpDriver(this.listenAddresses);
  }

  async listen(
    port: number,
    onAccepted: (connection: Connection) => void,
    onFailed: (reason: string) => void,
  ): Promise<void> {
    try {
      for (const address of this.listenAddresses) await this.listenOn(address, port, onAccepted, onFailed);
    } catch (error) {
      await this.stopListening();
      throw error;
    }
  }

  async stopListening(): Promise<void> {
    // Not waiting for 'close', which comes after the last accepted connection has ended.
    for (const server of this.servers.splice(0)) {
      this.keys.forgetListener(server);
      server.close();
    }
    await Promise.resolve();
  }

  async flushed(): Promise<void> {
    const deadline = performance.now() + flushMilliseconds;
    while (this.open.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  connect(request: ConnectRequest, handler: ConnectionHandler): Connection {
    const { address, port } = request;
    return this.track((onread) => connectingSocket(request, onread), { direction: 'outgoing', address, port }, handler);
  }

  setKeys(keys: readonly PeerKey[]): readonly KeyFailure[] {
    return this.keys.set(keys);
  }

  signatureDrops(): SignatureDrops {
    const now = performance.now();
    if (this.drops === undefined || now - this.drops.at > dropsMilliseconds) {
      this.drops = { at: now, drops: readSignatureDrops() };
    }
    return this.drops.drops;
  }

  /** Everything that can be known beforehand is, and everything else waits: between two calls of the kernel there is next to nothing. */
  writeAll(writes: readonly Write[]): void {
    const { descriptors } = this;
    for (const [i, { connection, buffers }] of writes.entries()) {
      const single = connection instanceof TcpConnection && buffers.length === 1;
      descriptors[i] = single ? connection.idleDescriptor : undefined;
    }
    const counts = writes.map(({ buffers }, i) => {
      const fd = descriptors[i];
      return fd === undefined ? 0 : sendNow(fd, buffers[0], false);
    });
    for (const [i, { connection, buffers }] of writes.entries()) {
      if (descriptors[i] !== undefined) (connection as TcpConnection).sent(buffers[0], counts[i]);
      else if (buffers.length > 0) connection.write(buffers);
    }
  }

  requestTurn(task: () => void): void {
    setImmediate(task);
  }

  setAlarm(milliseconds: number, task: () => void): void {
    clearTimeout(this.alarm);
    this.alarm = milliseconds === Infinity ? undefined : setTimeout(task, Math.min(longestAlarm, milliseconds));
  }

  private track(
    makeSocket: (onread: OnReadOpts) => Socket,
    remote: { readonly direction: 'incoming' | 'outgoing'; readonly address: string; readonly port: number },
    handler: ConnectionHandler | undefined,
  ): TcpConnection {
    const connection = new TcpConnection(makeSocket, remote, () => this.open.delete(connection));
    this.open.add(connection);
    if (handler !== undefined) connection.setHandler(handler);
    return connection;
  }

  private async listenOn(
    address: string,
    port: number,
    onAccepted: (connection: Connection) => void,
    onFailed: (reason: string) => void,
  ): Promise<void> {
    const server = createServer({ pauseOnConnect: true });
    server.on('connection', (accepted) => {
      const address = canonicalScopedAddress(accepted.remoteAddress ?? '');
      const { remotePort } = accepted;
      // Gone between the kernel's accept and ours.
      if (address === undefined || remotePort === undefined) {
        accepted.destroy();
        return;
      }
      const remote = { direction: 'incoming', address, port: remotePort } as const;
      onAccepted(this.track((onread) => takenOver(accepted, onread), remote, undefined));
    });
    try {
      await listening(server, address, port);
    } catch (error) {
      // A host without IPv6 is no error where the other family listens.
      if (address === '::' && this.servers.length > 0 && hasCode(error, ['EAFNOSUPPORT', 'EADDRNOTAVAIL'])) return;
      throw listenError(error, address, port);
    }
    server.on('error', (error) => onFailed(`a connection could not be accepted: ${error.message}`));
    this.servers.push(server);
    this.keys.addListener(server, familyOfText(address));
    const fd = descriptorOf(server);
    // The answer to a SYN goes out before we know whose it is, and a peer with GTSM accepts it with this TTL only.
    if (fd !== undefined) setHopLimit(fd, familyOfText(address), { ttl: 255 });
  }
}

/** A socket with its options set, not yet connecting: Node has no descriptor before connect(), so the kernel is asked. */
function connectingSocket({ address, port, localAddress, hops, key }: ConnectRequest, onread: OnReadOpts): Socket {
  const family = familyOfText(address);
  let socket: Socket;
  try {
    checkInterface(address);
    socket = optionedSocket(makeSocket(family), onread, (fd) => {
      setHopLimit(fd, family, hops);
      setTrafficClass(fd, family);
      if (key !== undefined) setSignatureKey(fd, { address, key });
    });
  } catch (error) {
    // No socket could be had: an attempt that fails like any other.
    return failedSocket(error);
  }
  socket.connect({ host: address, port, localAddress });
  return socket;
}

/** The accepted connection as a socket that reads as ours do: the ones that a server makes cannot be told how. */
function takenOver(accepted: Socket, onread: OnReadOpts): Socket {
  const fd = descriptorOf(accepted);
  try {
    if (fd === undefined) throw new Error('the connection is gone already');
    return optionedSocket(duplicateSocket(fd), onread, () => {});
  } catch (error) {
    return failedSocket(error);
  } finally {
    accepted.destroy();
  }
}

/** @param setOptions may throw; the descriptor is closed then. */
function optionedSocket(fd: number, onread: OnReadOpts, setOptions: (fd: number) => void): Socket {
  try {
    setOptions(fd);
    // manualStart: nothing is read before there is a connection, and who hears it.
    const options = { fd, onread, readable: true, writable: true, manualStart: true };
    const socket = new Socket(options);
    socket.setNoDelay(true);
    return socket;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

function failedSocket(error: unknown): Socket {
  return new Socket().destroy(error instanceof Error ? error : new Error(String(error)));
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog, ipv6Only: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function listenError(error: unknown, address: string, port: number): Error {
  const where = `cannot listen for BGP on ${address} port ${port}`;
  if (hasCode(error, ['EADDRINUSE']))
    return new Error(`${where}: another program has it (EADDRINUSE)`, { cause: error });
  if (hasCode(error, ['EACCES']))
    return new Error(`${where}: needs root or CAP_NET_BIND_SERVICE (EACCES)`, { cause: error });
  return new Error(`${where}: ${error instanceof Error ? reasonOf(error) : String(error)}`, { cause: error });
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes(String(Reflect.get(error, 'code')));
}
