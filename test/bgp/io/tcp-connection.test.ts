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
