/**
 * A node whose host has a way of its own to a network that BGP tells too, and a neighbour that tells and reads priorities as the BIRD
 * of a Calico node does: 2147483647 less LOCAL_PREF.
 *
 *     world, 203.0.113.1 ──┬── eth0 10.9.0.11, BIRD ─── node: BGP's route, whose metric a BGPFilter sets
 *                          └── eth1 10.9.1.11 ───────── node: `ip route add … metric 100`
 */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Bird } from '../../bgp/kit/daemons.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-priorities-'));
const socket = join(folder, 'godwit.ctl');
const [node, world] = [new TestNamespace(), new TestNamespace()];
const bird = new Bird(world.name);
let agent: ChildProcess | undefined;
let said = '';

const prefix = '203.0.113.0/24';
const address = '203.0.113.1';
const pods = '10.244.1.0/24';

const birdConfiguration = `
router id 10.9.0.11;
protocol device {}
filter as_calico_tells { bgp_local_pref = 2147483647 - 512; accept; }
filter as_calico_programs {
  if source != RTS_BGP then reject;
  krt_metric = 2147483647 - bgp_local_pref;
  accept;
}
protocol kernel { metric 0; ipv4 { import none; export filter as_calico_programs; }; }
protocol static { ipv4; route ${prefix} blackhole; }
protocol bgp node {
  local 10.9.0.11 as 64512; neighbor 10.9.0.1 as 64512; direct; graceful restart on;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export filter as_calico_tells; next hop self; };
}
`;

/** @param importRules of the filter that the BGPPeer names */
const manifests = (importRules: string) => `
apiVersion: v1
kind: Node
metadata: { name: node }
spec: { podCIDRs: [${pods}] }
status: { addresses: [{ type: InternalIP, address: 10.9.0.1 }] }
---
apiVersion: godwit.dev/v1
kind: IPPool
metadata: { name: pods }
spec: { cidr: 10.244.0.0/16 }
---
apiVersion: godwit.dev/v1
kind: BGPConfiguration
metadata: { name: default }
spec: { nodeToNodeMeshEnabled: false, asNumber: 64512 }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: calico }
spec: { peerIP: 10.9.0.11, asNumber: 64512, connectRetryTime: 1s, filters: [priorities] }
---
apiVersion: godwit.dev/v1
kind: BGPFilter
metadata: { name: priorities }
spec:
  importV4: [${importRules}]
  exportV4:
    - action: Accept
      cidr: 10.244.0.0/16
      matchOperator: In
      operations: [{ setPriority: { value: 777 } }]
`;

const elevated = (metric: number) =>
  `{ priority: 512, action: Accept, operations: [{ setPriority: { value: ${metric} } }] }`;

function write(importRules: string): void {
  writeFileSync(join(folder, 'new.yaml'), manifests(importRules));
  renameSync(join(folder, 'new.yaml'), join(folder, 'manifests', 'all.yaml'));
}

beforeAll(async () => {
  for (const i of [0, 1]) {
    connectNamespaces(node, `eth${i}`, world, `eth${i}`);
    node.ip(`addr add 10.9.${i}.1/24 dev eth${i}`);
    world.ip(`addr add 10.9.${i}.11/24 dev eth${i}`);
  }
  for (const host of [node, world]) {
    // What goes one way may come back the other.
    host.exec('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0');
    for (const i of [0, 1]) host.exec('sysctl', '-qw', `net.ipv4.conf.eth${i}.rp_filter=0`);
  }
  world.ip(`addr add ${address}/32 dev lo`);
  node.ip(`route add ${prefix} via 10.9.1.11 metric 100 proto static`);
  mkdirSync(join(folder, 'manifests'));
  write('');
  await bird.start(birdConfiguration);
  startAgent();
}, 60_000);

function startAgent(): void {
  const words = ['--node=node', `--source=dir:${join(folder, 'manifests')}`, '--roles=bgp,routes'];
  const places = [`--socket=${socket}`, `--state=${join(folder, 'state')}`];
  agent = spawn('ip', ['netns', 'exec', node.name, process.execPath, main, 'agent', ...words, ...places]);
  for (const stream of [agent.stdout!, agent.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
}

async function stopAgent(signal: NodeJS.Signals): Promise<void> {
  if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
  const gone = once(agent, 'exit');
  agent.kill(signal);
  await gone;
}

afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(`${said.slice(-6000)}\n${bird.show('route all')}`);
});

afterAll(async () => {
  await stopAgent('SIGTERM');
  await bird.stop();
  for (const each of [node, world]) each.remove();
  rmSync(folder, { recursive: true });
});

function show(words: string): string {
  return execFileSync(process.execPath, [main, '-s', socket, 'show', ...words.split(' ')], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

/** Metrics of our routes to the prefix. */
function metrics(): unknown[] {
  return node.ipJson(`route show ${prefix} proto 167`).map(({ metric }) => metric);
}

/** The link that packets to the network leave by. */
function wayOut(): string | undefined {
  return /dev (\S+)/.exec(node.ip(`route get ${address}`))?.[1];
}

test("without a filter's word BGP's route has our metric, and the host's own wins", async () => {
  await eventually(() => expect(metrics()).toEqual([1670]), { reason: 'the route', within: 60_000 });
  expect(wayOut()).toBe('eth1');
}, 70_000);

test('a priority that comes, changes and goes: no moment without a route, no packet is lost, the stranger stays', async () => {
  const watch = await RouteWatch.start();
  const pings = new Pings();
  await pings.goOn(20);
  write(elevated(50));
  await eventually(() => expect(metrics()).toEqual([50]), { reason: 'the metric of the filter' });
  expect(wayOut()).toBe('eth0');
  await pings.goOn(20);
  write(elevated(60));
  await eventually(() => expect(metrics()).toEqual([60]), { reason: 'another metric' });
  await pings.goOn(20);
  expect(show(`route ${prefix} all`)).toContain('\tKernel.metric: 60\n');
  expect(show(`why ${prefix}`)).toMatch(/priorities importV4\[0\] gives its route the metric 60[^]*dev eth0 metric 60/);
  write('');
  await eventually(() => expect(metrics()).toEqual([1670]), { reason: 'our own metric again' });
  expect(wayOut()).toBe('eth1');
  await pings.goOn(20);
  expect(await pings.end()).toBe(0);
  expect(await watch.end()).toEqual(['add 50', 'delete 1670', 'add 60', 'delete 50', 'add 1670', 'delete 60']);
  expect(node.ip(`route show ${prefix} proto static`)).toContain('via 10.9.1.11 dev eth1 metric 100');
}, 60_000);

test('a rule that asks for another priority than the peer tells leaves the route as it is', async () => {
  write('{ priority: 1024, action: Reject }, { action: Accept, operations: [{ setMED: { value: 7 } }] }');
  await eventually(() => show(`route ${prefix} all`).includes('BGP.med: 7'), { reason: 'judged again' });
  expect(metrics()).toEqual([1670]);
  write(elevated(50));
  await eventually(() => expect(metrics()).toEqual([50]), { reason: 'the metric of the filter' });
}, 60_000);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'the agent ends by %s and comes back: the route stays as it is',
  async (signal) => {
    const watch = await RouteWatch.start();
    const pings = new Pings();
    await pings.goOn(20);
    await stopAgent(signal);
    said = '';
    startAgent();
    await eventually(() => said.includes('session established'), { reason: 'the session is back', within: 60_000 });
    await eventually(() => show(`route ${prefix} all`).includes('Kernel.metric: 50'), { reason: 'and the route' });
    await pings.goOn(20);
    expect(await pings.end()).toBe(0);
    expect([await watch.end(), metrics(), wayOut()]).toEqual([[], [50], 'eth0']);
  },
  90_000,
);

test('an export rule tells a priority as Calico does: the neighbour makes it the metric of its route', async () => {
  await eventually(() => world.ip(`route show ${pods}`).includes('via 10.9.0.1 dev eth0 proto bird metric 777'), {
    reason: "the neighbour's route",
  });
  expect(bird.route(pods)).toContain('BGP.local_pref: 2147482870');
});

test('a route that is withdrawn goes, whatever its metric', async () => {
  bird.command('disable static1');
  await eventually(() => expect(metrics()).toEqual([]), { reason: 'gone' });
  expect(wayOut()).toBe('eth1');
  bird.command('enable static1');
  await eventually(() => expect(metrics()).toEqual([50]), { reason: 'back' });
});

/** What the kernel tells of our routes to the prefix. */
class RouteWatch {
  readonly #child = spawn('ip', ['-n', node.name, '-o', 'monitor', 'route'], { stdio: ['ignore', 'pipe', 'ignore'] });
  readonly #lines: string[] = [];

  constructor() {
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#lines.push(line));
  }

  static async start(): Promise<RouteWatch> {
    const watch = new RouteWatch();
    await watch.#toldAll();
    return watch;
  }

  async end(): Promise<readonly string[]> {
    await this.#toldAll();
    this.#child.kill();
    return this.#lines
      .filter((line) => line.includes(prefix))
      .map((line) => `${line.startsWith('Deleted') ? 'delete' : 'add'} ${/metric (\d+)/.exec(line)?.[1]}`);
  }

  /** Of everything before it, once it tells a route that comes and goes for it. */
  async #toldAll(): Promise<void> {
    const before = this.#lines.length;
    await eventually(
      () => {
        for (const word of ['add', 'del']) node.ip(`route ${word} blackhole 198.51.100.77`);
        return this.#lines.slice(before).some((line) => line.includes('198.51.100.77'));
      },
      { reason: 'ip monitor tells' },
    );
  }
}

/** Requests to the network, fifty a second. */
class Pings {
  readonly #child: ChildProcess;
  readonly #answered = new Set<number>();
  #highest = 0;

  constructor() {
    const words = ['netns', 'exec', node.name, 'ping', '-n', '-i', '0.02', '-I', '10.9.0.1', address];
    this.#child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const sequence = Number(/icmp_seq=(\d+) /.exec(line)?.[1] ?? 0);
      if (sequence === 0 || !line.includes('bytes from')) return;
      this.#answered.add(sequence);
      this.#highest = Math.max(this.#highest, sequence);
    });
  }

  async goOn(count: number): Promise<void> {
    const goal = this.#highest + count;
    await eventually(() => this.#highest >= goal, { reason: 'pings are answered', within: 30_000 });
  }

  /** @returns how many requests before the last answer had none. */
  async end(): Promise<number> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    await ended;
    return this.#highest - this.#answered.size;
  }
}
