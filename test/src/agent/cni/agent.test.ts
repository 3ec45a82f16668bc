/** The whole program: its role cni, killed and started again, and what the other commands do to its files. */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Forwarder } from '../../../kit/cni-forwarder.ts';
import { TestNamespace } from '../../../kit/netns.ts';
import { onlyFrom, pings, podManifest } from './cni-node.ts';

const main = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));

let forwarder: Forwarder;
let host: TestNamespace;
let folder: string;
let agent: ChildProcess | undefined;

beforeAll(() => {
  forwarder = new Forwarder();
});
afterAll(() => forwarder[Symbol.dispose]());

beforeEach(() => {
  host = new TestNamespace();
  host.ip('addr add 192.0.2.11/32 dev lo');
  folder = mkdtempSync(join(tmpdir(), 'godwit-agent-'));
  mkdirSync(join(folder, 'manifests'));
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', annotations: { 'godwit.dev/reserved-addresses': '10.244.1.1' } },
    spec: { podCIDRs: ['10.244.1.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.11' }] },
  };
  const pool = {
    apiVersion: 'godwit.dev/v1',
    kind: 'IPPool',
    metadata: { name: 'pods' },
    spec: { cidr: '10.244.0.0/16', vxlanMode: 'CrossSubnet' },
  };
  const objects = [
    node,
    pool,
    podManifest('web', { app: 'web' }),
    podManifest('db', { app: 'db' }),
    onlyFrom('web', 'db'),
  ];
  writeFileSync(join(folder, 'manifests', 'all.yaml'), objects.map((object) => JSON.stringify(object)).join('\n---\n'));
});

afterEach(async () => {
  await kill();
  host.remove();
  rmSync(folder, { recursive: true, force: true });
});

const socket = () => join(folder, 'cni.sock');
const conflist = () => join(folder, 'net.d', '10-godwit.conflist');

async function start(...more: readonly string[]): Promise<void> {
  const flags = [
    '--node=n1',
    ...(more.length > 0 ? more : [`--source=dir:${join(folder, 'manifests')}`]),
    '--roles=policy,cni',
    `--socket=${join(folder, 'ctl.sock')}`,
    `--state=${join(folder, 'state')}`,
    `--cni-socket=${socket()}`,
    `--cni-conf-dir=${join(folder, 'net.d')}`,
    '--cni-bin-dir=/usr/lib/cni',
    '--cni-chain=portmap',
  ];
  const child = spawn('ip', ['netns', 'exec', host.name, process.execPath, main, 'agent', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  agent = child;
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the agent ended with status ${code}:\n${lines.join('\n')}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if ((JSON.parse(line) as { msg: string }).msg === 'running') resolve();
    });
  });
}

/** It can tell nobody that it goes. */
async function kill(): Promise<void> {
  if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
  const ended = once(agent, 'exit');
  agent.kill('SIGKILL');
  await ended;
}

/** Runs another command of the program on the host. @returns what it prints */
function godwit(...words: string[]): string {
  return host.exec(process.execPath, main, ...words);
}

test('pods outlive the agent’s death, calls wait for its return, and cleanup takes everything away', async () => {
  using web = new TestNamespace();
  using db = new TestNamespace();
  using late = new TestNamespace();
  const call = (containerId: string, namespace: TestNamespace, pod: string) => ({
    containerId,
    netns: namespace.path,
    pod: `default/${pod}`,
  });
  await start();
  expect(JSON.parse(readFileSync(conflist(), 'utf8'))).toMatchObject({
    plugins: [{ type: 'godwit-cni', socket: socket() }, { type: 'portmap' }],
  });
  expect(statSync(socket()).mode & 0o777).toBe(0o600);
  const first = await forwarder.call({ command: 'ADD', version: '1.1.0', ...call('c1', web, 'web') }, socket());
  // The first address is reserved; VXLAN takes 50 bytes of a link's usual 1500.
  expect(first).toMatchObject({
    status: 0,
    output: { ips: [{ address: '10.244.1.2/32' }], interfaces: [{ mtu: 1450 }, {}] },
  });
  expect(await forwarder.call({ command: 'ADD', ...call('c2', db, 'db') }, socket())).toMatchObject({ status: 0 });
  expect(pings(web, '10.244.1.3')).toBe(true);

  await kill();
  expect(pings(web, '10.244.1.3')).toBe(true);
  expect(existsSync(conflist())).toBe(true);
  for (const command of ['ADD', 'DEL']) {
    expect(await forwarder.call({ command, ...call('c3', late, 'web') }, socket())).toMatchObject({
      output: { code: 11 },
    });
  }

  await start();
  expect(await forwarder.call({ command: 'CHECK', ...call('c1', web, 'web') }, socket())).toEqual({ status: 0 });
  expect(await forwarder.call({ command: 'ADD', version: '1.1.0', ...call('c1', web, 'web') }, socket())).toEqual(
    first,
  );
  expect(await forwarder.call({ command: 'ADD', ...call('c3', late, 'web') }, socket())).toMatchObject({
    output: { ips: [{ address: '10.244.1.4/32' }] },
  });
  expect(await forwarder.call({ command: 'DEL', ...call('c3', late, 'web') }, socket())).toEqual({ status: 0 });

  await kill();
  const binDir = join(folder, 'bin');
  godwit('install-cni', '--bin-dir', binDir, '--from', forwarder.path);
  const directories = ['--cni-conf-dir', join(folder, 'net.d'), '--cni-bin-dir', binDir];
  const said = godwit('cleanup', '--state', join(folder, 'state'), ...directories);
  expect(said).toContain('links of pods removed: 2; those pods have no network now');
  expect(host.ipJson('link show').map(({ ifname }) => ifname)).toEqual(['lo']);
  expect(host.exec('nft', 'list', 'ruleset')).toBe('');
  expect([...readdirSync(join(folder, 'net.d')), ...readdirSync(binDir)]).toEqual([]);
  expect(existsSync(join(folder, 'state'))).toBe(false);
});

test('pods have addresses of blocks that the node claims at the API server, of the pools of their namespaces', async () => {
  using web = new TestNamespace();
  using db = new TestNamespace();
  const inShop = podManifest('db', {}, { metadata: { name: 'db', namespace: 'shop' } });
  const custom = (kind: string, name: string, spec: object) => ({
    apiVersion: 'godwit.dev/v1',
    kind,
    metadata: { name },
    spec,
  });
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1' },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.11' }] },
    },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { tier: 'db' } } },
    custom('IPPool', 'pods', { cidr: '10.244.0.0/28', blockSize: 28, vxlanMode: 'CrossSubnet' }),
    custom('IPPool', 'db', { cidr: '10.245.0.0/28', blockSize: 28, namespaceSelector: "tier == 'db'" }),
    custom('IPReservation', 'first', { reservedCIDRs: ['10.244.0.1/32'] }),
    podManifest('web', {}),
    inShop,
  ];
  const kubeconfig = join(folder, 'kubeconfig');
  const script = fileURLToPath(new URL('../ipam/api-server-process.ts', import.meta.url));
  const words = [script, kubeconfig, ...objects.map((object) => JSON.stringify(object))];
  const server = spawn('ip', ['netns', 'exec', host.name, process.execPath, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const told: string[] = [];
    const lines = createInterface({ input: server.stdout }).on('line', (line) => told.push(line));
    await once(lines, 'line');
    await start('--source=kube', `--kubeconfig=${kubeconfig}`, '--ipam=pools');
    const add = (containerId: string, namespace: TestNamespace, pod: string) =>
      forwarder.call({ command: 'ADD', version: '1.1.0', containerId, netns: namespace.path, pod }, socket());
    expect(await add('c1', web, 'default/web')).toMatchObject({
      status: 0,
      output: { ips: [{ address: '10.244.0.2/32' }], interfaces: [{ mtu: 1450 }, {}] },
    });
    expect(await add('c2', db, 'shop/db')).toMatchObject({ output: { ips: [{ address: '10.245.0.1/32' }] } });
    expect(told.slice(1).sort()).toEqual(['10.244.0.0/28 n1', '10.245.0.0/28 n1']);

    // The next life uses what this one claimed, also when the server is away.
    await kill();
    await start('--source=kube', `--kubeconfig=${kubeconfig}`, '--ipam=pools');
    server.kill('SIGKILL');
    await once(server, 'exit');
    expect(await forwarder.call({ command: 'DEL', containerId: 'c2', netns: db.path }, socket())).toEqual({
      status: 0,
    });
    expect(await add('c3', db, 'shop/db')).toMatchObject({ output: { ips: [{ address: '10.245.0.2/32' }] } });
    expect(told).toHaveLength(3);
  } finally {
    server.kill('SIGKILL');
  }
});

test('install-cni replaces the plugin as a whole, also while a runtime runs the old one', () => {
  const binDir = join(folder, 'bin');
  mkdirSync(binDir);
  const path = join(binDir, 'godwit-cni');
  execFileSync('cp', ['/bin/sleep', path]);
  const running = spawn(path, ['60']);
  try {
    expect(godwit('install-cni', '--bin-dir', binDir, '--from', forwarder.path)).toBe(`installed ${path}\n`);
    expect(readFileSync(path)).toEqual(readFileSync(forwarder.path));
    expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(readdirSync(binDir)).toEqual(['godwit-cni']);
  } finally {
    running.kill();
  }
});
