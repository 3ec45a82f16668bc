/**
 * A node with two uplinks and no address on either, as a rack without numbers has it:
 *
 *                ┌─ eth0 ── FRR, unnumbered (interface: eth0) ──┐
 *     node ──────┤                                               ├── world 203.0.113.1 to .16, fd20::1 to ::10
 *                └─ eth1 ── BIRD fe80::2 (peerIP: fe80::2%eth1) ─┘
 *
 * Routes of both families by link-local next hops (RFC 8950, RFC 2545), as one multipath route each, and what happens when one goes away.
 */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Bird, Frr } from '../../bgp/kit/daemons.ts';
import { AgentProcess } from '../../kit/agent-process.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Pings } from '../../kit/pings.ts';
import { RouteMonitor } from '../../kit/route-monitor.ts';

const made = new AsyncDisposableStack();
const [node, frrHost, birdHost, world] = Array.from({ length: 4 }, () => made.use(new TestNamespace()));
const frr = made.use(new Frr(frrHost.name));
const bird = made.use(new Bird(birdHost.name));

const pod = { ipv4: '10.244.1.1', ipv6: 'fd10:1::1' };
const outside = Array.from({ length: 16 }, (_, i) => [`203.0.113.${i + 1}`, `fd20::${(i + 1).toString(16)}`]).flat();
const prefix = '203.0.113.0/24';
const prefix6 = 'fd20::/64';
const sourceOf = (address: string) => (address.includes(':') ? pod.ipv6 : pod.ipv4);

const frrConfiguration = `
hostname test
router bgp 65001
 bgp router-id 10.0.0.11
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor eth0 interface remote-as external
 neighbor eth0 timers connect 1
 address-family ipv4 unicast
  network ${prefix}
 exit-address-family
 address-family ipv6 unicast
  network ${prefix6}
  neighbor eth0 activate
 exit-address-family
`;

const birdConfiguration = `
router id 10.0.0.12;
protocol device {}
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }
protocol static { ipv4; route ${prefix} via 192.0.2.6; }
protocol static { ipv6; route ${prefix6} via fd99:2::6; }
protocol bgp node {
  local fe80::2 as 65002; neighbor fe80::1%eth1 external; graceful restart on;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; extended next hop; };
  ipv6 { import all; export all; };
}
`;

const manifests = `
apiVersion: v1
kind: Node
metadata: { name: node }
spec: { podCIDRs: [10.244.1.0/24, 'fd10:1::/64'] }
status: { addresses: [{ type: InternalIP, address: 198.51.100.1 }] }
---
apiVersion: godwit.dev/v1
kind: IPPool
metadata: { name: pods }
spec: { cidr: 10.244.0.0/16 }
---
apiVersion: godwit.dev/v1
kind: IPPool
metadata: { name: pods6 }
spec: { cidr: 'fd10::/16' }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: left }
spec: { interface: eth0, dynamicASN: external }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: right }
spec: { peerIP: 'fe80::2%eth1', asNumber: 65002, connectRetryTime: 1s }
`;

const agent = made.use(new AgentProcess({ namespace: node.name, node: 'node', roles: 'bgp,routes', manifests }));

beforeAll(async () => {
  connectNamespaces(node, 'eth0', frrHost, 'eth0');
  connectNamespaces(node, 'eth1', birdHost, 'eth1');
  connectNamespaces(frrHost, 'eth9', world, 'left');
  connectNamespaces(birdHost, 'eth9', world, 'right');
  for (const [host, name, address] of [
    [node, 'eth1', 'fe80::1'],
    [birdHost, 'eth1', 'fe80::2'],
  ] as const) {
    host.ip(`addr flush dev ${name} scope link`);
    host.ip(`addr add ${address}/64 dev ${name} nodad`);
  }
  for (const host of [node, frrHost, birdHost, world]) {
    host.exec(
      'sysctl',
      '-qw',
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.all.forwarding=1',
      'net.ipv4.conf.all.rp_filter=0',
    );
  }
  frrHost.ip('addr add 192.0.2.1/30 dev eth9');
  frrHost.ip(`route add ${prefix} via 192.0.2.2`);
  birdHost.ip('addr add 192.0.2.5/30 dev eth9');
  birdHost.ip(`route add ${prefix} via 192.0.2.6`);
  world.ip('addr add 192.0.2.2/30 dev left');
  world.ip('addr add 192.0.2.6/30 dev right');
  for (const [host, name, address] of [
    [frrHost, 'eth9', 'fd99:1::1'],
    [world, 'left', 'fd99:1::2'],
    [birdHost, 'eth9', 'fd99:2::5'],
    [world, 'right', 'fd99:2::6'],
  ] as const) {
    host.ip(`addr add ${address}/64 dev ${name} nodad`);
  }
  frrHost.ip(`route add ${prefix6} via fd99:1::2`);
  birdHost.ip(`route add ${prefix6} via fd99:2::6`);
  for (const address of outside) world.ip(`addr add ${address}/${address.includes(':') ? 128 : 32} dev lo`);
  // The way back is BIRD's, whatever the way there is.
  world.ip('route add 10.244.0.0/16 via 192.0.2.5');
  world.ip('route add fd10::/16 via fd99:2::5');
  node.ip('addr add 198.51.100.1/32 dev lo');
  node.ip(`addr add ${pod.ipv4}/32 dev lo`);
  node.ip(`addr add ${pod.ipv6}/128 dev lo`);
  await Promise.all([frr.start(frrConfiguration), bird.start(birdConfiguration)]);
  agent.start();
}, 60_000);

afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  console.error(`${agent.said.slice(-4000)}\n${bird.show('protocols all')}\n${frr.show('bgp neighbors')}`);
});

afterAll(() => made.disposeAsync());

/** Gateways of our route, `INTERFACE ADDRESS`. */
function gatewaysOf(destination: string): string[] {
  interface Hop {
    readonly gateway?: string;
    readonly via?: { readonly family: string; readonly host: string };
    readonly dev: string;
  }
  const [route] = node.ipJson(`${destination.includes(':') ? '-6 ' : ''}route show ${destination} proto 167`);
  if (route === undefined) return [];
  const hops = (route['nexthops'] ?? [route]) as Hop[];
  return hops.map(({ via, gateway, dev }) => `${dev} ${via?.host ?? gateway}`).sort();
}

/** Of both families' routes, once where they agree. */
function gateways(): string[] {
  return [...new Set([gatewaysOf(prefix).join(', '), gatewaysOf(prefix6).join(', ')])];
}

function linkLocalOf(host: TestNamespace, name: string): string {
  return /inet6 (fe80::\S+)\//.exec(host.ip(`addr show dev ${name} scope link`))![1];
}

const right = 'eth1 fe80::2';
const both = () => [`eth0 ${linkLocalOf(frrHost, 'eth0')}, ${right}`];

test('RFC 8950: both switches are found, and lead to the outside as one multipath route', async () => {
  await eventually(() => expect(gateways()).toEqual(both()), {
    reason: 'two next hops',
    within: 60_000,
  });
  expect(bird.route('10.244.1.0/24')).toContain('via fe80::1 on eth1');
  expect(frr.route('10.244.1.0/24')).toMatch(/fe80::/);
}, 70_000);

test('pods reach the outside over either, and the answers come back', async () => {
  await eventually(() => birdHost.ip('route show 10.244.1.0/24').includes('via inet6 fe80::1 dev eth1'), {
    reason: "BIRD's own route",
  });
  const over = new Set<string>();
  for (const address of outside) {
    node.exec('ping', '-n', '-c1', '-W2', '-I', sourceOf(address), address);
    over.add(/dev (\S+)/.exec(node.ip(`route get ${address} from ${sourceOf(address)}`))![1]);
  }
  expect([...over].sort()).toEqual(['eth0', 'eth1']);
}, 30_000);

test('the one that goes away leaves the other without a gap: replaced in place, and no packet is lost', async () => {
  const seen = await seenWhile(async (goOn) => {
    frr.configure('router bgp 65001', 'neighbor eth0 shutdown');
    await eventually(() => expect(gateways()).toEqual([right]), { reason: 'BIRD alone' });
    await goOn(20);
    frr.configure('router bgp 65001', 'no neighbor eth0 shutdown');
    await eventually(() => expect(gateways()).toEqual(both()), { reason: 'both again', within: 60_000 });
  });
  expect(seen).toEqual({ lost: 0, deleted: [] });
}, 90_000);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'the agent ends by %s and comes back: its routes stay all the time, and no packet is lost',
  async (signal) => {
    const seen = await seenWhile(async (goOn) => {
      await agent.end(signal);
      await goOn(20);
      agent.start();
      await eventually(() => agent.said.match(/session established[^]*session established/), {
        reason: 'both are back',
        within: 60_000,
      });
      await eventually(() => bird.show('protocols all node').includes('Established'), { reason: 'BIRD, too' });
      await goOn(30);
    });
    expect(gateways()).toEqual(both());
    expect(seen).toEqual({ lost: 0, deleted: [] });
  },
  90_000,
);

test('a link that fails takes its next hop along long before the hold time, and is used again when it is back', async () => {
  frrHost.ip('link set eth0 down');
  await eventually(() => expect(gateways()).toEqual([right]), { reason: 'BIRD alone' });
  for (const address of outside) node.exec('ping', '-n', '-c1', '-W2', '-I', sourceOf(address), address);
  frrHost.ip('link set eth0 up');
  await eventually(() => expect(gateways()).toEqual(both()), { reason: 'both again', within: 60_000 });
}, 90_000);

/** Pings from the pod to everything outside before, during and after the work. @returns how many were lost, and deletions of our routes. */
async function seenWhile(work: (goOn: (count: number) => Promise<unknown>) => Promise<void>) {
  const monitor = new RouteMonitor(node.name);
  const pings = outside.map((to) => new Pings({ namespace: node.name, from: sourceOf(to), to }));
  const goOn = (count: number) => Promise.all(pings.map((each) => each.goOn(count)));
  try {
    await monitor.ready();
    await goOn(20);
    await work(goOn);
    await goOn(20);
    const lost = (await Promise.all(pings.map((each) => each.end()))).reduce((sum, each) => sum + each.lost, 0);
    const isOurs = (line: string) => line.includes(prefix) || line.includes(prefix6);
    return { lost, deleted: (await monitor.changes()).filter((line) => line.includes('Deleted') && isOurs(line)) };
  } finally {
    monitor.end();
    await Promise.all(pings.map((each) => each.end()));
  }
}
