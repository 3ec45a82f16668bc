/**
 * A node behind a reflector, and two border routers that lead to the same prefix:
 *
 *     node .1 ── rr .2, which reflects ──┬── BIRD .11 ─┐
 *                                        └── BIRD .12 ─┴─ 203.0.113.0/24
 *
 * With `addPaths` in the BGPPeer both paths come (RFC 7911), and the kernel has them as one multipath route.
 */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Bird } from '../../bgp/kit/daemons.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-several-paths-'));
const node = new TestNamespace();
const reflector = new TestNamespace();
/** Both border routers, and the bridge between all. */
const outside = new TestNamespace();
const borders = ['10.9.0.11', '10.9.0.12'] as const;
const birds = borders.map(() => new Bird(outside.name));
const agents: ChildProcess[] = [];
let said = '';

const prefix = '203.0.113.0/24';

const birdConfiguration = (address: string) => `
router id ${address};
protocol device {}
protocol static { ipv4; route ${prefix} blackhole; }
protocol bgp reflector {
  local ${address} as 64512; neighbor 10.9.0.2 as 64512;
  strict bind yes; multihop; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; next hop self; };
}
`;

/** @param fields of the BGPPeer that has the node peer with the reflector */
const manifests = (fields: string) => `
apiVersion: v1
kind: Node
metadata: { name: node }
spec: { podCIDRs: [10.244.1.0/24] }
status: { addresses: [{ type: InternalIP, address: 10.9.0.1 }] }
---
apiVersion: v1
kind: Node
metadata:
  name: rr
  labels: { role: reflector }
  annotations: { godwit.dev/route-reflector-cluster-id: 10.255.0.1 }
status: { addresses: [{ type: InternalIP, address: 10.9.0.2 }] }
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
metadata: { name: reflectors }
spec: { peerSelector: has(role), connectRetryTime: 1s${fields} }
---
apiVersion: godwit.dev/v1
kind: BGPFilter
metadata: { name: not-by-eleven }
spec: { exportV4: [{ action: Reject, nextHop: ${borders[0]}/32 }] }
${borders
  .map(
    (address, i) => `---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: border-${i} }
spec: { node: rr, peerIP: ${address}, asNumber: 64512, reflectorClient: true, connectRetryTime: 1s }
`,
  )
  .join('')}`;

function write(fields: string): void {
  writeFileSync(join(folder, 'new.yaml'), manifests(fields));
  renameSync(join(folder, 'new.yaml'), join(folder, 'manifests', 'all.yaml'));
}

beforeAll(async () => {
  outside.ip('link add bridge up type bridge');
  for (const [host, address] of [
    [node, '10.9.0.1'],
    [reflector, '10.9.0.2'],
  ] as const) {
    const port = `port${address.at(-1)}`;
    connectNamespaces(host, 'eth0', outside, port);
    outside.ip(`link set ${port} master bridge`);
    host.ip(`addr add ${address}/24 dev eth0`);
  }
  for (const address of borders) outside.ip(`addr add ${address}/24 dev bridge`);
  mkdirSync(join(folder, 'manifests'));
  write(', addPaths: { receive: true }');
  for (const [i, bird] of birds.entries()) await bird.start(birdConfiguration(borders[i]));
  startAgent(node, 'node', 'bgp,routes');
  startAgent(reflector, 'rr', 'bgp');
}, 60_000);

function startAgent(namespace: TestNamespace, name: string, roles: string): void {
  mkdirSync(join(folder, name));
  const words = [`--node=${name}`, `--source=dir:${join(folder, 'manifests')}`, `--roles=${roles}`];
  const places = [`--socket=${socketOf(name)}`, `--state=${join(folder, name)}`];
  const agent = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, main, 'agent', ...words, ...places]);
  for (const stream of [agent.stdout, agent.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  agents.push(agent);
}

function socketOf(name: string): string {
  return join(folder, name, 'godwit.ctl');
}

function show(name: string, words: string): string {
  return execFileSync(process.execPath, [main, '-s', socketOf(name), 'show', ...words.split(' ')], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(said.slice(-6000));
});

afterAll(async () => {
  for (const agent of agents) {
    if (agent.exitCode !== null || agent.signalCode !== null) continue;
    const gone = once(agent, 'exit');
    agent.kill('SIGTERM');
    await gone;
  }
  for (const bird of birds) await bird.stop();
  for (const each of [node, reflector, outside]) each.remove();
  rmSync(folder, { recursive: true });
});

/** Gateways of the node's route. */
function gateways(): string[] {
  const [route] = node.ipJson(`route show ${prefix} proto 167`);
  if (route === undefined) return [];
  return ((route['nexthops'] ?? [route]) as { readonly gateway: string }[]).map(({ gateway }) => gateway).sort();
}

const both = () => eventually(() => expect(gateways()).toEqual(borders), { reason: 'two next hops', within: 60_000 });

test('the kernel has both next hops, and both ends show the paths with their identifiers', async () => {
  await both();
  const identifiers = (text: string) => [...text.matchAll(/Godwit\.path_id: (\d+)/g)].map(([, id]) => id).sort();
  const taken = identifiers(show('node', `route ${prefix} all`));
  expect(taken).toHaveLength(2);
  expect(identifiers(show('rr', `route export peer_reflectors_node ${prefix} all`))).toEqual(taken);
  expect(show('node', 'protocols all peer_reflectors_rr')).toMatch(/ADD-PATH\n\s+RX: ipv4 ipv6\n\s+TX:\n/);
  expect(show('rr', 'protocols all peer_reflectors_node')).toMatch(/ADD-PATH\n\s+RX:\n\s+TX: ipv4 ipv6\n/);
}, 70_000);

test('a border that goes takes its next hop along, and brings it back', async () => {
  birds[1].command('disable reflector');
  await eventually(() => expect(gateways()).toEqual([borders[0]]), { reason: 'the other alone' });
  birds[1].command('enable reflector');
  await both();
}, 90_000);

test('a filter that keeps the best path back leaves the other, and show route says which is which', async () => {
  write(', addPaths: { receive: true }, filters: [not-by-eleven]');
  await eventually(() => expect(gateways()).toEqual([borders[1]]), { reason: 'the other alone' });
  expect(show('rr', `route export peer_reflectors_node ${prefix}`)).toContain(`via ${borders[1]}`);
  const kept = show('rr', `route noexport peer_reflectors_node ${prefix}`);
  expect([kept.includes(`via ${borders[0]}`), kept.includes(`via ${borders[1]}`)]).toEqual([true, false]);
  write(', addPaths: { receive: true }');
  await both();
  expect(() => show('rr', `route noexport peer_reflectors_node ${prefix}`)).toThrow('Network not found');
}, 90_000);

test('without addPaths one path comes; with it again, both', async () => {
  write('');
  await eventually(() => expect(gateways()).toHaveLength(1), { reason: 'one next hop', within: 60_000 });
  write(', addPaths: { receive: true }');
  await both();
}, 150_000);
