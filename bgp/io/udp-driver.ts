/**
 * Datagrams for BFD, over node:dgram.
 * Implements: RFC 5881 §4 (source ports), §5 and RFC 5082 (TTL 255 sent and checked), by the kernel.
 * Holds: what has arrived is told before the alarm that was due while it waited.
 */

import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { setTimeout as rest } from 'node:timers/promises';
import type { DatagramDriver, DatagramSender, SenderRequest } from '../driver.ts';
import type { Family } from '../ip.ts';
import { canonicalScopedAddress, familyOfText } from '../ip.ts';
import {
  bindSocket,
  checkInterface,
  closeSocket,
  dropBelowTtl,
  makeSocket,
  setHopLimit,
  setReceiveBuffer,
  setTrafficClass,
} from './socket-options.ts';
import { reasonOf } from './tcp-connection.ts';

/** RFC 5881 §4. */
const sourcePorts = { first: 49152, count: 16384 };
/** Ports that are tried before one gives up. */
const attempts = 64;
/** A packet takes some 800 bytes there: the packets of a thousand peers while we are busy for a second. */
const receiveBufferBytes = 4 << 20;
const longestAlarm = 2 ** 31 - 1;
const anyAddress = { ipv4: '0.0.0.0', ipv6: '::' } as const satisfies Record<Family, string>;
const socketTypes = { ipv4: 'udp4', ipv6: 'udp6' } as const satisfies Record<Family, string>;

export class UdpDriver implements DatagramDriver {
  private readonly listenAddresses: readonly string[];
  private readonly listening: Socket[] = [];
  private alarm: NodeJS.Timeout | undefined;
  private alarmNumber = 0;

  constructor(listenAddresses: readonly string[]) {
    this.listenAddresses = listenAddresses;
  }

  listen(
    { port, minimumTtl }: { readonly port: number; readonly minimumTtl?: number },
    onReceived: (from: string, bytes: Uint8Array) => void,
    onFailed: (reason: string) => void,
  ): void {
    const made: Socket[] = [];
    try {
      for (const address of this.listenAddresses) {
        const family = familyOfText(address);
        try {
          const fd = boundSocket(family, address, port, (fresh) => {
            setReceiveBuffer(fresh, receiveBufferBytes);
            if (minimumTtl !== undefined) dropBelowTtl(fresh, family, minimumTtl);
          });
          made.push(toSocket(fd, family, (reason) => onFailed(`a BFD packet could not be received: ${reason}`)));
        } catch (error) {
          // A host without IPv6 is no error where the other family listens.
          if (address === anyAddress.ipv6 && made.length > 0 && isWithoutFamily(error)) continue;
          throw listenError(error, address, port);
        }
      }
    } catch (error) {
      for (const socket of made) socket.close();
      throw error;
    }
    for (const socket of made) {
      socket.on('message', (bytes, { address }) => {
        const from = canonicalScopedAddress(address);
        if (from !== undefined) onReceived(from, bytes);
      });
    }
    this.listening.push(...made);
  }

  stopListening(): void {
    for (const socket of this.listening.splice(0)) socket.close();
  }

  open(request: SenderRequest, onFailed: (reason: string) => void): DatagramSender {
    const { address, port, localAddress, ttl } = request;
    const family = familyOfText(address);
    try {
      checkInterface(address);
    } catch (error) {
      throw nameReason(error);
    }
    const fd = senderSocket(family, localAddress ?? anyAddress[family], ttl);
    const socket = toSocket(fd, family, onFailed);
    const sent = (error: Error | null) => {
      if (error !== null) onFailed(reasonOf(error));
    };
    return {
      send: (bytes) => socket.send(bytes, port, address, sent),
      close: () => socket.close(),
    };
  }

  setAlarm(milliseconds: number, task: () => void): void {
    clearTimeout(this.alarm);
    const number = ++this.alarmNumber;
    if (milliseconds === Infinity) return;
    // After the timers Node reads its sockets, then come immediates.
    const ring = () =>
      setImmediate(() => {
        if (this.alarmNumber === number) task();
      });
    this.alarm = setTimeout(ring, Math.min(longestAlarm, milliseconds));
  }

  async rest(milliseconds: number): Promise<void> {
    await rest(milliseconds);
  }
}

function senderSocket(family: Family, localAddress: string, ttl: number): number {
  for (let attempt = 1; ; attempt++) {
    const port = sourcePorts.first + Math.floor(Math.random() * sourcePorts.count);
    try {
      return boundSocket(family, localAddress, port, (fd) => {
        setHopLimit(fd, family, { ttl });
        setTrafficClass(fd, family);
      });
    } catch (error) {
      if (attempt === attempts || codeOf(error) !== 'EADDRINUSE') throw nameReason(error);
    }
  }
}

function boundSocket(family: Family, address: string, port: number, setOptions: (fd: number) => void): number {
  const fd = makeSocket(family, 'datagram');
  try {
    setOptions(fd);
    bindSocket(fd, family, address, port);
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/** Node takes the descriptor over. */
function toSocket(fd: number, family: Family, onFailed: (reason: string) => void): Socket {
  const socket = createSocket({
    type: socketTypes[family],
    // Only addresses are ever asked for; Node's own lookup would put each packet off to a later turn.
    lookup: (address, _options, callback) => callback(null, address, family === 'ipv4' ? 4 : 6),
  });
  socket.on('error', (error) => onFailed(reasonOf(error)));
  socket.bind({ fd });
  return socket;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined;
}

function isWithoutFamily(error: unknown): boolean {
  return codeOf(error) === 'EAFNOSUPPORT' || codeOf(error) === 'EADDRNOTAVAIL';
}

function nameReason(error: unknown): Error {
  return new Error(error instanceof Error ? reasonOf(error) : String(error), { cause: error });
}

function listenError(error: unknown, address: string, port: number): Error {
  const reason = codeOf(error) === 'EADDRINUSE' ? 'another program has it (EADDRINUSE)' : nameReason(error).message;
  return new Error(`cannot listen for BFD on ${address} port ${port}: ${reason}`, { cause: error });
}
