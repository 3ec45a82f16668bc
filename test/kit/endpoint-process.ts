/** Runs inside a network namespace as a child: a host that listens, connects and sends on command (endpoint.ts). */

import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import type { EndpointCommand } from './endpoint.ts';

const accepted = new Set<Socket>();
const opened = new Map<number, { socket: Socket; received: string }>();
const flood = { on: false, sent: 0 };
const datagrams = new Map<number, number>();

const handlers = {
  /** TCP and UDP on every port and both families; both echo. */
  listen: async ({ ports }: { ports: readonly number[] }) => {
    for (const port of ports) {
      const server = createServer((socket) => {
        accepted.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => accepted.delete(socket));
        socket.pipe(socket);
      });
      await new Promise<void>((resolve) => server.listen(port, '::', resolve));
      const udp = createSocket('udp6');
      udp.on('message', (data, from) => {
        datagrams.set(port, (datagrams.get(port) ?? 0) + 1);
        udp.send(data, from.port, from.address);
      });
      await new Promise<void>((resolve) => udp.bind(port, resolve));
    }
    return 'listening';
  },
  /** @returns `connected`, or the error's code; the connection stays, by its number */
  connect: ({ address, port, connection }: { address: string; port: number; connection: number }) =>
    new Promise<string>((resolve) => {
      const socket = connect({ host: address, port });
      const entry = { socket, received: '' };
      opened.set(connection, entry);
      socket.on('data', (data) => (entry.received += data.toString()));
      socket.on('connect', () => resolve('connected'));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    }),
  write: ({ connection, text }: { connection: number; text: string }) => {
    opened.get(connection)?.socket.write(text);
  },
  received: ({ connection }: { connection: number }) => opened.get(connection)?.received ?? '',
  /** No more retransmissions. */
  abort: ({ connection }: { connection: number }) => {
    const socket = opened.get(connection)?.socket;
    // Node defers a reset until the socket has connected, and the SYN would be repeated until then.
    if (socket?.connecting) socket.destroy();
    else socket?.resetAndDestroy();
  },
  /** The server's side of every connection writes. */
  push: ({ text }: { text: string }) => {
    for (const socket of accepted) socket.write(text);
  },
  /** The other ends' addresses of all connections that this side has accepted, as it sees them. */
  clients: () => [...accepted].map(({ remoteAddress }) => remoteAddress),
  abortAccepted: () => {
    for (const socket of accepted) socket.resetAndDestroy();
  },
  /** @returns `echoed`, or the error's code; never, where nothing comes back */
  datagram: ({ address, port }: { address: string; port: number }) =>
    new Promise<string>((resolve) => {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      const end = (result: string) => {
        resolve(result);
        socket.close();
      };
      socket.on('message', () => end('echoed'));
      socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
      socket.connect(port, address, () => socket.send('x'));
    }),
  /** Sends datagrams as fast as the loop goes, until endFlood; answers are not awaited. */
  flood: ({ address, port }: { address: string; port: number }) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', () => {});
    const next = () => {
      if (!flood.on) return socket.close();
      flood.sent++;
      socket.send('x', port, address, () => setImmediate(next));
    };
    flood.on = true;
    flood.sent = 0;
    next();
  },
  /** @returns how many were sent */
  endFlood: () => {
    flood.on = false;
    return flood.sent;
  },
  /** Datagrams that have arrived on the port. */
  datagrams: ({ port }: { port: number }) => datagrams.get(port) ?? 0,
};

process.on('message', async ({ id, kind, options }: EndpointCommand) => {
  const handler = handlers[kind as keyof typeof handlers] as (options: unknown) => unknown;
  process.send!({ id, result: await handler(options) });
});
process.on('disconnect', () => process.exit());
process.send!({ id: 0, result: 'ready' });
