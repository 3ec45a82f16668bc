/** A peer over real TCP that stops reading while the table changes and changes: what it costs us, and what it hears in the end. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import { toOpen } from '../../../bgp/session/negotiate.ts';
import { encodeMessage, extendedMessageLength, keepaliveMessage, MessageStream } from '../../../bgp/wire/message.ts';
import { encodeOpen } from '../../../bgp/wire/open.ts';
import { eventually } from '../../kit/eventually.ts';
import { TestNamespace } from '../../kit/netns.ts';
import { enterNamespace } from '../kit/enter-namespace.ts';
import { neighbor, settings } from '../kit/speakers.ts';
import { Receiver } from '../rib/kit.ts';

const we = '127.0.0.1';
const slow = '127.0.0.2';
const quick = '127.0.0.3';
const count = 40_000;
const rounds = 14;
/** What the kernel holds of one connection, on each side; unless told, megabytes. */
const kernelBytes = 128 * 1024;

const namespace = new TestNamespace();
let leave: (() => void) | undefined;

beforeAll(() => {
  for (const name of ['rmem', 'wmem'])
    namespace.exec('sysctl', '-qw', `net.ipv4.tcp_${name}=4096 65536 ${kernelBytes}`);
  leave = enterNamespace(namespace.path);
});

afterAll(() => {
  leave?.();
  namespace.remove();
});

/** Every prefix, with another community each round: each round is a whole table to tell. */
const table = (round: number) =>
  Array.from({ length: count }, (_, i) => ({
    prefix: `10.${i >> 8}.${i & 255}.0/24`,
    source: 'node-pods',
    communities: [`65000:${round}`],
  }));

class Peer {
  readonly heard: Receiver;
  bytes = 0;
  private readonly socket;

  constructor(address: string) {
    this.heard = new Receiver({ name: address, maximumMessageSize: extendedMessageLength });
    const stream = new MessageStream();
    stream.allowExtendedMessages();
    this.socket = connect({ host: we, port: 179, localAddress: address });
    this.socket.on('data', (chunk) => {
      this.bytes += chunk.length;
      stream.push(chunk);
      while (stream.next()) {
        if (stream.type === 1) this.socket.write(keepaliveMessage);
        if (stream.type === 2) this.heard.hears(encodeMessage(2, stream.body));
      }
    });
    const open = toOpen({
      localAs: 65000,
      bgpIdentifier: Uint8Array.from(address.split('.').map(Number)),
      remoteAs: 65000,
      families: ['ipv4'],
      extendedNextHop: false,
      holdTimeSeconds: 0,
      keepaliveTimeSeconds: undefined,
      restartTimeSeconds: 0,
      restarting: false,
      forwardingPreserved: false,
    });
    this.socket.write(encodeOpen(open));
  }

  get hasAllOf(): (round: number) => boolean {
    const community = (round: number) => `fde8${round.toString(16).padStart(4, '0')}`;
    return (round) =>
      this.heard.routes.size === count &&
      [...this.heard.routes.values()].every(({ communities }) => communities === community(round));
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  async end(): Promise<void> {
    this.socket.destroy();
    await once(this.socket, 'close');
  }
}

test('it costs about 256 KiB whatever happens meanwhile; it hears the present state once it reads; another waits for nothing', async () => {
  const common = { families: ['ipv4'], holdTimeSeconds: 0, passive: true } as const;
  const given = (round: number) => ({
    ...settings(we, 65000, [neighbor(slow, 65000, common), neighbor(quick, 65000, common)]),
    originated: table(round),
  });
  const speaker = new Speaker({
    settings: given(1),
    driver: new TcpDriver({ listenAddresses: [we] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
  });
  await speaker.start();
  const peers = { slow: new Peer(slow), quick: new Peer(quick) };
  try {
    await eventually(() => peers.slow.hasAllOf(1) && peers.quick.hasAllOf(1), { reason: 'the first table' });
    const size = peers.quick.bytes;
    peers.slow.pause();
    const before = peers.slow.bytes;
    for (let round = 2; round <= rounds; round++) {
      speaker.configure(given(round));
      await eventually(() => peers.quick.heard.announcements === count * round, {
        reason: `table ${round} at the quick`,
      });
    }
    expect(peers.quick.bytes).toBeGreaterThan(rounds * size * 0.9);
    expect(peers.quick.hasAllOf(rounds)).toBe(true);
    peers.slow.resume();
    await eventually(() => peers.slow.hasAllOf(rounds), { reason: 'the present state at the other' });
    // One table, and what was on its way: in us, in the kernel (which counts not only bytes), in the peer.
    expect(peers.slow.bytes - before).toBeLessThan(size + (256 + 64) * 1024 + 4 * kernelBytes);
    expect(speaker.peers().map(({ state, counters }) => `${state} ${counters.flaps}`)).toEqual([
      'established 0',
      'established 0',
    ]);
  } finally {
    await Promise.all([peers.slow.end(), peers.quick.end()]);
    await speaker.stop('shutdown');
  }
});
