import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { PeerStatus } from '../../../bgp/status.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const A = '127.99.0.1';
const B = '127.99.0.2';
const port = 20_000 + (process.pid % 20_000);

const running: Speaker[] = [];

afterEach(async () => {
  for (const speaker of running.splice(0)) await speaker.stop('restart');
});

async function start(given: SpeakerSettings, listenAddress = given.routerId): Promise<Speaker> {
  const speaker = new Speaker({
    settings: { ...given, listenPort: port },
    driver: new TcpDriver({ listenAddresses: [listenAddress] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
  });
  running.push(speaker);
  await speaker.start();
  return speaker;
}

function toward(
  address: string,
  from: string,
  remoteAs: number,
  changes: Partial<NeighborSettings> = {},
): NeighborSettings {
  return neighbor(address, remoteAs, {
    remote: { kind: 'address', address, port },
    localAddress: from,
    connectRetrySeconds: 1,
    ...changes,
  });
}

async function established(speaker: Speaker): Promise<PeerStatus> {
  return eventually(
    () => {
      const [peer] = speaker.peers();
      return peer.state === 'established' ? peer : Promise.reject(new Error(`${peer.state}, ${peer.lastError}`));
    },
    { reason: 'established' },
  );
}

test('two speakers over TCP: addresses as they are, routes both ways', async () => {
  const a = await start(settings(A, 65001, [toward(B, A, 65002)], { originated: originated('10.1.0.0/24') }));
  const b = await start(settings(B, 65002, [toward(A, B, 65001)], { originated: originated('10.2.0.0/24') }));
  expect(await established(a)).toMatchObject({ address: B, localAddress: A });
  await established(b);
  await eventually(() => [...b.routes({ prefix: '10.1.0.0/24' })][0].nextHop === A, { reason: "A's route at B" });
});

test('a table of 30,000 routes arrives whole, and End-of-RIB after it', async () => {
  const prefixes = Array.from({ length: 30_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  const b = await start(settings(B, 65000, [toward(A, B, 65000, { passive: true })]));
  const a = await start(settings(A, 65000, [toward(B, A, 65000)], { originated: originated(...prefixes) }));
  await eventually(() => b.peers()[0].families[0].endOfRibReceived, { reason: 'End-of-RIB' });
  expect(b.totals().ipv4.prefixes).toBe(30_000);
  expect(a.peers()[0].families[0].exported).toBe(30_000);
});

test('a connection that is refused is named so', async () => {
  const a = await start(settings(A, 65001, [toward(B, A, 65002)]));
  await eventually(() => a.peers()[0].lastError === 'connection refused', { reason: 'refused' });
});

test('a local address that this host does not have is named so', async () => {
  const a = await start(settings(A, 65001, [toward(B, '192.0.2.77', 65002)]));
  await eventually(() => a.peers()[0].lastError === 'local address not available', { reason: 'no such address' });
});

test('RFC 4007: a link-local peer of an interface that this host does not have is called nowhere', async () => {
  const a = await start(settings(A, 65001, [neighbor('fe80::1%nowhere', 65002, { connectRetrySeconds: 1 })]));
  await eventually(() => a.peers()[0].lastError === 'no such interface', { reason: 'no such interface' });
});

describe('RFC 5082: GTSM', () => {
  test('neighbours that both ask for it come up', async () => {
    await start(settings(B, 65002, [toward(A, B, 65001, { ttlSecurityHops: 1, passive: true })]));
    const a = await start(settings(A, 65001, [toward(B, A, 65002, { ttlSecurityHops: 1 })]));
    await established(a);
  });

  test('over IPv6, too', async () => {
    const secure = { ttlSecurityHops: 1, families: ['ipv6'] as const };
    const a = await start(settings(A, 65001, [toward('::1', '::1', 65002, { ...secure, passive: true })]), '::1');
    // B listens elsewhere: there is one loopback address.
    await start(settings(B, 65002, [toward('::1', '::1', 65001, secure)]));
    expect(await established(a)).toMatchObject({ address: '::1', localAddress: '::1' });
  });

  test('a neighbour that sends with another TTL gets no session: the kernel drops what it says', async () => {
    const a = await start(settings(A, 65001, [toward(B, A, 65002, { ttlSecurityHops: 1, passive: true })]));
    const b = await start(settings(B, 65002, [toward(A, B, 65001, { ttl: 64 })]));
    const before = droppedForTtl();
    await eventually(() => droppedForTtl() > before, { reason: 'the kernel drops' });
    expect([a.peers()[0].state, b.peers()[0].state]).not.toContain('established');
  });
});

/** The kernel's counter of packets below the least TTL of their socket. */
function droppedForTtl(): number {
  const [names, values] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt'));
  return Number(values.split(' ')[names.split(' ').indexOf('TCPMinTTLDrop')]);
}

test('a port that is taken is an error that names address, port and reason', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(port, A, resolve);
  });
  try {
    const reason = `cannot listen for BGP on ${A} port ${port}: another program has it (EADDRINUSE)`;
    await expect(start(settings(A, 65001, []))).rejects.toThrow(reason);
  } finally {
    other.close();
  }
});

test('a new listenPort takes effect at once; one that is taken is reported', async () => {
  const events: string[] = [];
  const given = { ...settings(A, 65001, []), listenPort: port };
  const speaker = new Speaker({
    settings: given,
    driver: new TcpDriver({ listenAddresses: [A] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
    onEvent: (event) => events.push(event.kind === 'listenFailed' ? event.reason : event.kind),
  });
  running.push(speaker);
  await speaker.start();
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(port + 1, A, resolve);
  });
  speaker.configure({ ...given, listenPort: port + 1 });
  const reason = `cannot listen for BGP on ${A} port ${port + 1}: another program has it (EADDRINUSE)`;
  await eventually(() => events.includes(reason), { reason: 'the failure is reported' });
  other.close();
  speaker.configure({ ...given, listenPort: port + 2 });
  await eventually(() => start({ ...settings(A, 65002, []), routerId: A }).then(() => true), {
    reason: 'the old port is free',
  });
});
