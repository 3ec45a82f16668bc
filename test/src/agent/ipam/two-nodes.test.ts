/** Two real agents that claim blocks of a small pool at an API server: a pod with a borrowed address is reached, and gives it back. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parsePrefix, prefixCovers } from '../../../../bgp/ip.ts';
import { ours } from '../../../kit/cluster.ts';
import { Forwarder } from '../../../kit/cni-forwarder.ts';
import { eventually } from '../../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../../kit/netns.ts';
import { pings, podManifest } from '../cni/cni-node.ts';

const main = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));
const serverScript = fileURLToPath(new URL('api-server-process.ts', import.meta.url));
const addresses = { a: '10.0.0.1', b: '10.0.0.2' } as const;
type Host = keyof typeof addresses;
const hosts = ['a', 'b'] as const;

const processes: ChildProcess[] = [];
const sandboxes: TestNamespace[] = [];
/** `CIDR NODE` of the blocks that were made. */
const made: string[] = [];
let forwarder: Forwarder;
let folder: string;
let namespaces: Record<Host, TestNamespace>;

beforeAll(async () => {
  forwarder = new Forwarder();
  folder = mkdtempSync(join(tmpdir(), 'godwit-two-nodes-'));
  namespaces = { a: new TestNamespace(), b: new TestNamespace() };
  connectNamespaces(namespaces.a, 'eth0', namespaces.b, 'eth0');
  for (const host of hosts) namespaces[host].ip(`addr add ${addresses[host]}/24 dev eth0`);
  await run('a', [serverScript, join(folder, 'kubeconfig'), ...objects().map((object) => JSON.stringify(object))], {
    API_ADDRESS: addresses.a,
  });
  for (const host of hosts) await run(host, [main, 'agent', ...flags(host)]);
}, 60_000);

afterAll(async () => {
  for (const child of processes) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
  for (const namespace of [...sandboxes, ...Object.values(namespaces ?? {})]) namespace.remove();
  forwarder?.[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function objects(): object[] {
  const pods = ['a1', 'a2', 'a3', 'b1'].map((name) =>
    podManifest(name, {}, { spec: { nodeName: name[0], containers: [] } }),
  );
  const nodes = hosts.map((host) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: host },
    status: { addresses: [{ type: 'InternalIP', address: addresses[host] }] },
  }));
  return [...nodes, ...pods, ours('IPPool', 'pods', '{ cidr: 10.244.0.0/29, blockSize: 30 }')];
}

function flags(host: Host): string[] {
  return [
    `--node=${host}`,
    '--source=kube',
    `--kubeconfig=${join(folder, 'kubeconfig')}`,
    '--roles=bgp,routes,cni',
    '--ipam=pools',
    `--socket=${join(folder, `${host}.ctl`)}`,
    `--api=${join(folder, `${host}.api`)}`,
    `--state=${join(folder, host)}`,
    `--cni-socket=${socketOf(host)}`,
    '--cni-conf-dir=none',
  ];
}

const socketOf = (host: Host) => join(folder, `${host}.cni`);

/** Resolves when it serves, or runs. */
async function run(host: Host, words: readonly string[], more: Record<string, string> = {}): Promise<void> {
  const env = { ...process.env, POD_NAMESPACE: 'kube-system', ...more };
  const child = spawn('ip', ['netns', 'exec', namespaces[host].name, process.execPath, ...words], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(child);
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`status ${code}:\n${lines.join('\n')}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (/^\S+ [ab]$/.test(line)) made.push(line);
      if (line === 'serving' || line.includes('"msg":"running"')) resolve();
    });
  });
}

async function add(pod: string): Promise<{ readonly address: string; readonly sandbox: TestNamespace }> {
  const sandbox = new TestNamespace();
  sandboxes.push(sandbox);
  const { output } = await call('ADD', pod, sandbox);
  const [{ address }] = (output as { ips: { address: string }[] }).ips;
  return { address: address.slice(0, address.indexOf('/')), sandbox };
}

function call(command: string, pod: string, sandbox: TestNamespace) {
  const host = pod[0] as Host;
  return forwarder.call({ command, containerId: pod, netns: sandbox.path, pod: `default/${pod}` }, socketOf(host));
}

test('the third pod of a full node borrows; pods of the other node reach it, and its address goes back with it', async () => {
  await eventually(() => made.length === 2, { reason: 'a block each', within: 20_000 });
  const blockOfB = made.find((line) => line.endsWith(' b'))!.split(' ')[0];
  await add('a1');
  await add('a2');
  const third = await add('a3');
  expect(prefixCovers(parsePrefix(blockOfB)!, parsePrefix(`${third.address}/32`)!)).toBe(true);
  expect(made).toContain(`${third.address}/32 a`);

  const onB = await add('b1');
  expect(onB.address).not.toBe(third.address);
  const routeOf = (address: string) => namespaces.b.ip(`route get ${address}`).split('\n')[0];
  await eventually(() => routeOf(third.address).includes(`via ${addresses.a}`), { reason: 'routed', within: 20_000 });
  await eventually(() => pings(onB.sandbox, third.address), { reason: 'reached', within: 20_000 });
  expect(pings(third.sandbox, onB.address)).toBe(true);

  expect(await call('DEL', 'a3', third.sandbox)).toEqual({ status: 0 });
  // What no pod has is dropped where the block is.
  await eventually(() => namespaces.b.ip('route show proto 167').includes(third.address) === false, {
    reason: 'given back',
    within: 40_000,
  });
  expect(pings(onB.sandbox, third.address)).toBe(false);
}, 120_000);
