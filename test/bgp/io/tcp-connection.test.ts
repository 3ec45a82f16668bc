/** A connection of the real driver, without a speaker: what is written arrives whole and in order, however slowly it is read. */

import { connect } from 'node:net';
import { expect, test } from 'vitest';
import type { Connection } from '../../../bgp/driver.ts';
import { TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import { eventually } from '../../kit/eventually.ts';

const address = '127.0.23.1';
const port = 20_000 + (process.pid % 20_000);

test('bytes that the kernel has no room for wait, are counted, and leave in order; then the handler hears so', async () => {
  const driver = new TcpDriver({ listenAddresses: [address] });
  const accepted = new Promise<Connection>((resolve) => void driver.listen(port, resolve, () => {}));
  const reader = connect({ host: address, port });
  const connection = await accepted;
  let drained = 0;
  connection.setHandler({
    connected: () => {},
    received: () => {},
    drained: () => drained++,
    closed: () => {},
  });

  // Nobody reads yet: the first are taken at once, 16 MiB are more than any socket buffer holds.
  const sizes = [19, 4096, 0, 100_000, 23, ...Array.from({ length: 16 }, () => 1 << 20)];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const byte = (i: number) => (i * 7 + (i >> 8)) & 0xff;
  let written = 0;
  const next = (size: number) => Uint8Array.from({ length: size }, () => byte(written++));
  connection.write([next(sizes[0])]);
  expect(connection.unsentBytes).toBe(0);
  expect(connection.sentBytes).toBe(19);
  connection.write(sizes.slice(1, 12).map(next));
  connection.write(sizes.slice(12).map(next));
  expect(connection.unsentBytes).toBeGreaterThan(0);
  expect(connection.sentBytes + connection.unsentBytes).toBe(total);
  expect(drained).toBe(0);

  let read = 0;
  let wrong = 0;
  await new Promise<void>((resolve) => {
    reader.on('data', (bytes) => {
      for (const value of bytes) if (value !== byte(read++)) wrong++;
      if (read === total) resolve();
    });
  });
  expect(wrong).toBe(0);
  await eventually(() => drained === 1, { reason: 'drained' });
  expect([connection.unsentBytes, connection.sentBytes]).toEqual([0, total]);
  connection.destroy();
  reader.destroy();
  await driver.stopListening();
}, 30_000);

test('writeAll: each connection gets its own, whole and in order, whatever the others can take', async () => {
  const driver = new TcpDriver({ listenAddresses: [address] });
  const accepted: Connection[] = [];
  await driver.listen(
    port,
    (connection) => accepted.push(connection),
    () => {},
  );
  const readers = ['one buffer', 'two buffers', 'no room', 'gone'].map((name) => {
    const socket = connect({ host: address, port }).pause();
    return { name, socket, heard: [] as Buffer[] };
  });
  await eventually(() => accepted.length === readers.length, { reason: 'accepted' });
  const drained: string[] = [];
  const connections = readers.map(({ name, socket }) => {
    const connection = accepted.find(({ remotePort }) => remotePort === socket.localPort)!;
    connection.setHandler({ connected() {}, received() {}, drained: () => drained.push(name), closed() {} });
    return connection;
  });
  const [one, two, full, gone] = connections;
  gone.destroy();
  const large = new Uint8Array(16 << 20).fill(7);
  const bytes = (...values: number[]) => Uint8Array.from(values);
  driver.writeAll([
    { connection: one, buffers: [bytes(1)] },
    { connection: two, buffers: [bytes(2), bytes(3)] },
    { connection: full, buffers: [large] },
    { connection: gone, buffers: [bytes(9)] },
  ]);
  driver.writeAll([
    { connection: full, buffers: [bytes(8)] },
    { connection: one, buffers: [bytes(4)] },
    { connection: two, buffers: [] },
  ]);
  expect([one, two, gone].map(({ unsentBytes }) => unsentBytes)).toEqual([0, 0, 0]);
  expect([one.sentBytes, two.sentBytes, full.sentBytes + full.unsentBytes]).toEqual([2, 2, large.length + 1]);
  expect(full.unsentBytes).toBeGreaterThan(1);

  for (const { socket, heard } of readers) socket.on('data', (part) => heard.push(part)).resume();
  const lengths = () => readers.map(({ heard }) => heard.reduce((sum, { length }) => sum + length, 0));
  await eventually(() => expect(lengths()).toEqual([2, 2, large.length + 1, 0]), { reason: 'everything was read' });
  expect(readers.slice(0, 2).map(({ heard }) => Buffer.concat(heard).toString('hex'))).toEqual(['0104', '0203']);
  expect(Buffer.concat(readers[2].heard).equals(Buffer.concat([large, bytes(8)]))).toBe(true);
  await eventually(() => drained.length > 0, { reason: 'drained' });
  expect(drained).toEqual(['no room']);
  for (const connection of connections) connection.destroy();
  for (const { socket } of readers) socket.destroy();
  await driver.stopListening();
}, 30_000);
