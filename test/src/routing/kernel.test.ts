/** What the programmer decides, in a real kernel: two nodes, pods as addresses, packets between them. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LinkMonitor, Rtnetlink, RouteTable, TunnelDevices } from '../../../dataplane/index.ts';
import { RouteProgrammer } from '../../../src/routing/route-programmer.ts';
import type { Inventory } from '../../../src/topology/inventory.ts';
import { node, ours } from '../../kit/cluster.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { realClock } from '../../kit/real-clock.ts';
import { everythingSupported, inventoryOf } from './world.ts';

/** Pings until it is stopped; then tells the numbers of the packets that had no answer. */
class PingStream {
  readonly #ping: ChildProcess;
  readonly #answered = new Set<number>();
  #last = 0;
  #resume: (() => void) | undefined;

  constructor(namespace: TestNamespace, from: string, to: string) {
    const [program, ...words] = ['ip', 'netns', 'exec', namespace.name, 'ping', '-i', '0.01', '-I', from, to];
    this.#ping = spawn(program, words, { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: this.#ping.stdout! }).on('line', (line) => {
      const answer = /icmp_seq=(\d+) ttl/.exec(line);
      if (answer === null) return;
      this.#last = Number(answer[1]);
      this.#answered.add(this.#last);
      this.#resume?.();
    });
  }

  async answers(count: number): Promise<void> {
    const goal = this.#answered.size + count;
    while (this.#answered.size < goal) await new Promise<void>((resolve) => (this.#resume = resolve));
  }

  async stop(): Promise<readonly number[]> {
    if (this.#ping.exitCode === null && this.#ping.kill('SIGINT')) await once(this.#ping, 'exit');
    return Array.from({ length: this.#last }, (_, i) => i + 1).filter((number) => !this.#answered.has(number));
  }
}

/** A node with a programmer over the floor alone: every route comes from the Node objects. */
class RoutedNode {
  readonly namespace = new TestNamespace();
  readonly kernel = new Rtnetlink({ namespace: this.namespace.path });
  #links: LinkMonitor | undefined;
  #devices!: TunnelDevices;
  #table!: RouteTable;
  #programmer!: RouteProgrammer;

  start(inventory: Inventory): void {
    const options = { kernel: this.kernel, clock: realClock };
    this.#links = new LinkMonitor(options);
    const links = this.#links;
    this.#devices = new TunnelDevices({ ...options, links });
    this.#table = new RouteTable({ ...options, links });
    this.#programmer = new RouteProgrammer({
      sink: {
        setDesired: (route) => this.#table.setDesired(route),
        removeDesired: (prefix) => this.#table.removeDesired(prefix),
        setTunnels: (tunnels) => expect(this.#devices.apply(tunnels)).toEqual([]),
      },
      inventory,
      underlay: links,
      tunnelSupport: everythingSupported,
    });
    this.move();
    this.clear();
  }

  /** Makes what devices are needed. */
  change(inventory: Inventory): void {
    this.#programmer.setInventory(inventory);
  }

  /** Moves the routes. */
  move(): void {
    while (this.#programmer.advance(100));
    while (this.#table.apply());
    expect(this.#table.failures()).toEqual([]);
  }

  /** Takes away what devices no route uses any more. */
  clear(): void {
    this.#programmer.onApplied();
    this.#devices.removeUnused();
  }

  /** As `ip route get` sees the way: the device. */
  deviceTo(address: string): unknown {
    return this.namespace.ipJson(`route get ${address}`)[0].dev;
  }

  ping(from: string, to: string): void {
    this.namespace.exec('ping', '-c', '1', '-w', '5', '-I', from, to);
  }

  close(): void {
    if (this.#links !== undefined) {
      this.#table.close();
      this.#devices.close();
      this.#links.close();
    }
    this.kernel.close();
    this.namespace.remove();
  }
}

let a: RoutedNode;
let b: RoutedNode;
let router: TestNamespace;
let streams: readonly PingStream[];

beforeEach(() => {
  a = new RoutedNode();
  b = new RoutedNode();
  router = new TestNamespace();
  streams = [];
});
afterEach(async () => {
  await Promise.all(streams.map((stream) => stream.stop()));
  a.close();
  b.close();
  router.remove();
});

const podsOf = { a: ['10.244.1.7', 'fd00:10:1::7'], b: ['10.244.2.7', 'fd00:10:2::7'] } as const;

function inventory(self: 'a' | 'b', addresses: Record<'a' | 'b', string>, mode: string): Inventory {
  return inventoryOf(
    self,
    node('a', addresses.a, { pods: ['10.244.1.0/24', 'fd00:10:1::/64'] }),
    node('b', addresses.b, { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] }),
    ours('IPPool', 'v4', `{ cidr: 10.244.0.0/16, vxlanMode: ${mode} }`),
    ours('IPPool', 'v6', `{ cidr: 'fd00:10::/32', vxlanMode: ${mode} }`),
  );
}

function addAddresses({ namespace }: RoutedNode, link: string, ...addresses: readonly string[]): void {
  for (const address of addresses)
    namespace.ip(`addr add ${address} dev ${link}${address.includes(':') ? ' nodad' : ''}`);
}

function addPods(): void {
  addAddresses(a, 'lo', `${podsOf.a[0]}/32`, `${podsOf.a[1]}/128`);
  addAddresses(b, 'lo', `${podsOf.b[0]}/32`, `${podsOf.b[1]}/128`);
}

test('CrossSubnet: over a router that knows no pod, both families travel in VXLAN, from the host too', () => {
  connectNamespaces(a.namespace, 'eth0', router, 'toa');
  connectNamespaces(b.namespace, 'eth0', router, 'tob');
  addAddresses(a, 'eth0', '10.0.1.1/24');
  addAddresses(b, 'eth0', '10.0.2.2/24');
  router.ip('addr add 10.0.1.254/24 dev toa');
  router.ip('addr add 10.0.2.254/24 dev tob');
  router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1');
  a.namespace.ip('route add default via 10.0.1.254');
  b.namespace.ip('route add default via 10.0.2.254');
  addPods();
  const addresses = { a: '10.0.1.1', b: '10.0.2.2' };
  a.start(inventory('a', addresses, 'CrossSubnet'));
  b.start(inventory('b', addresses, 'CrossSubnet'));

  expect(podsOf.b.map((pod) => a.deviceTo(pod))).toEqual(['godwit-vxlan', 'godwit-vxlan']);
  a.ping(podsOf.a[0], podsOf.b[0]);
  a.ping(podsOf.a[1], podsOf.b[1]);
  // No source given: the host's own packets carry the tunnel address, so that the replies find back.
  a.namespace.exec('ping', '-c', '1', '-w', '5', podsOf.b[0]);
  a.namespace.exec('ping', '-c', '1', '-w', '5', podsOf.b[1]);
  // A pod that is not there is dropped at its node, not sent round by the default route.
  expect(() => a.namespace.ip('route get 10.244.1.99')).toThrow(/Invalid argument|unreachable|blackhole/i);
});

test('CrossSubnet: on one subnet both families go directly, by the addresses of their own family', () => {
  connectNamespaces(a.namespace, 'eth0', b.namespace, 'eth0');
  addAddresses(a, 'eth0', '10.0.1.1/24', 'fd00:1::1/64');
  addAddresses(b, 'eth0', '10.0.1.2/24', 'fd00:1::2/64');
  addPods();
  const addresses = { a: '10.0.1.1 fd00:1::1', b: '10.0.1.2 fd00:1::2' };
  a.start(inventory('a', addresses, 'CrossSubnet'));
  b.start(inventory('b', addresses, 'CrossSubnet'));
  expect(podsOf.b.map((pod) => a.deviceTo(pod))).toEqual(['eth0', 'eth0']);
  a.ping(podsOf.a[0], podsOf.b[0]);
  a.ping(podsOf.a[1], podsOf.b[1]);
});

test('changing the mode to and fro loses no packet, and leaves no device behind', async () => {
  connectNamespaces(a.namespace, 'eth0', b.namespace, 'eth0');
  addAddresses(a, 'eth0', '10.0.1.1/24', 'fd00:1::1/64');
  addAddresses(b, 'eth0', '10.0.1.2/24', 'fd00:1::2/64');
  addPods();
  const addresses = { a: '10.0.1.1 fd00:1::1', b: '10.0.1.2 fd00:1::2' };
  a.start(inventory('a', addresses, 'Always'));
  b.start(inventory('b', addresses, 'Always'));
  streams = podsOf.a.map((pod, family) => new PingStream(a.namespace, pod, podsOf.b[family]));
  const someAnswers = () => Promise.all(streams.map((stream) => stream.answers(3)));
  for (const mode of ['Never', 'Always', 'CrossSubnet', 'Always', 'Never']) {
    await someAnswers();
    a.change(inventory('a', addresses, mode));
    b.change(inventory('b', addresses, mode));
    for (const each of [a, b]) {
      // One node after the other: for a while each sends another way than it is answered.
      each.move();
      await someAnswers();
    }
    a.clear();
    b.clear();
  }
  await someAnswers();
  expect(await Promise.all(streams.map((stream) => stream.stop()))).toEqual([[], []]);
  expect(a.namespace.ipJson('link show type vxlan')).toEqual([]);
});
