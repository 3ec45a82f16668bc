import { createSocket } from 'node:dgram';
import { performance } from 'node:perf_hooks';
import { afterEach, expect, test } from 'vitest';
import type { DatagramSender } from '../../../bgp/driver.ts';
import { UdpDriver } from '../../../bgp/io/udp-driver.ts';
import { eventually } from '../../kit/eventually.ts';

const port = 20_000 + (process.pid % 20_000);
const cleanUp: (() => void)[] = [];

afterEach(() => {
  for (const task of cleanUp.splice(0)) task();
});

interface Received {
  readonly from: string;
  readonly bytes: number[];
}

function listen(addresses: readonly string[], minimumTtl?: number): Received[] {
  const driver = new UdpDriver(addresses);
  const received: Received[] = [];
  cleanUp.push(() => driver.stopListening());
  driver.listen(
    { port, ...(minimumTtl !== undefined && { minimumTtl }) },
    (from, bytes) => received.push({ from, bytes: [...bytes] }),
    () => {},
  );
  return received;
}

function open(address: string, localAddress: string, ttl: number, onFailed = (_reason: string) => {}): DatagramSender {
  const sender = new UdpDriver([]).open({ address, port, localAddress, ttl }, onFailed);
  cleanUp.push(() => sender.close());
  return sender;
}

test.each([
  ['IPv4', '127.98.0.1', '127.98.0.2'],
  ['IPv6', '::1', '::1'],
])('RFC 5082, %s: only packets with TTL 255 arrive where the least TTL is 255', async (_, here, there) => {
  const received = listen([here], 255);
  for (const ttl of [1, 64, 254]) open(here, there, ttl).send(Uint8Array.of(ttl));
  open(here, there, 255).send(Uint8Array.of(255));
  await eventually(() => received.length > 0, { reason: 'the last one' });
  expect(received).toEqual([{ from: there, bytes: [255] }]);
});

test('without a least TTL every packet arrives', async () => {
  const received = listen(['127.98.0.1']);
  for (const ttl of [1, 64, 255]) open('127.98.0.1', '127.98.0.2', ttl).send(Uint8Array.of(ttl));
  await eventually(() => received.length === 3, { reason: 'all' });
});

test('RFC 5881 §4: each socket has a source port of its own, from 49152 on', async () => {
  const ports: number[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (_bytes, from) => ports.push(from.port));
  cleanUp.push(() => socket.close());
  await new Promise<void>((resolve) => socket.bind(port, '127.98.0.1', resolve));
  for (let i = 0; i < 50; i++) {
    const sender = open('127.98.0.1', '127.98.0.2', 255);
    sender.send(Uint8Array.of(i));
    sender.send(Uint8Array.of(i));
  }
  await eventually(() => ports.length === 100, { reason: 'all' });
  expect(new Set(ports).size).toBe(50);
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(49152);
});

test('a port that another program has is named, and nothing of it is kept', () => {
  listen(['127.98.0.2']);
  expect(() => listen(['127.98.0.1', '127.98.0.2'])).toThrow(
    `cannot listen for BFD on 127.98.0.2 port ${port}: another program has it (EADDRINUSE)`,
  );
  listen(['127.98.0.1']);
});

test('both families side by side on one port', async () => {
  const received = listen(['0.0.0.0', '::'], 255);
  open('127.98.0.1', '127.98.0.2', 255).send(Uint8Array.of(4));
  open('::1', '::1', 255).send(Uint8Array.of(6));
  await eventually(() => received.length === 2, { reason: 'both' });
  expect(received.map(({ from }) => from).sort()).toEqual(['127.98.0.2', '::1']);
});

test('an address that this host does not have is named; so is a way that there is not', async () => {
  expect(() => open('127.98.0.1', '192.0.2.1', 255)).toThrow('local address not available');
  expect(() => open('fe80::1%nowhere', '::1', 255)).toThrow('no such interface');
  const reasons: string[] = [];
  // The loopback address cannot reach out of the host.
  open('192.0.2.1', '127.98.0.1', 255, (reason) => reasons.push(reason)).send(Uint8Array.of(1));
  await eventually(() => reasons.length > 0, { reason: 'the failure' });
});

test('what arrived while the program was busy is told before the alarm that was due', async () => {
  const received = listen(['127.98.0.1']);
  const sender = open('127.98.0.1', '127.98.0.2', 255);
  const driver = new UdpDriver([]);
  const seen = new Promise<number>((resolve) => driver.setAlarm(5, () => resolve(received.length)));
  sender.send(Uint8Array.of(1));
  const busyUntil = performance.now() + 30;
  while (performance.now() < busyUntil);
  expect(await seen).toBe(1);
});

test('an alarm replaces the one before; Infinity is none', async () => {
  const driver = new UdpDriver([]);
  const rung: string[] = [];
  driver.setAlarm(1, () => rung.push('first'));
  driver.setAlarm(2, () => rung.push('second'));
  await eventually(() => rung.length > 0, { reason: 'an alarm' });
  driver.setAlarm(1, () => rung.push('third'));
  driver.setAlarm(Infinity, () => {});
  await new Promise<void>((resolve) => new UdpDriver([]).setAlarm(20, resolve));
  expect(rung).toEqual(['second']);
});
