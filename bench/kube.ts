/**
 * A big cluster listed by one agent's source: 5,000 nodes and 50,000 pods, from a fake API server in a process of its own.
 *
 *     node bench/kube.ts [nodes] [pods]
 *
 * Once by WatchList, once by a list; each prints the time until everything is known, the longest block of the event loop
 * and the memory of the process that listed, which runs with the flags of deploy/image/godwit. Goals: under 5 s, 50 ms and 300 MiB.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { KubeClient } from '../src/kube/client.ts';
import { applyChange, emptyClusterState } from '../src/resources/cluster-state.ts';
import { KubeSource } from '../src/source/kube.ts';
import { ApiServer } from '../test/kit/api-server.ts';

/** A young generation of 8 MiB instead of 16 costs no time here and saves a third of the memory. */
const agentFlags = ['--max-semi-space-size=8', '--initial-heap-size=40'];
const goals = { seconds: 5, blockMilliseconds: 50, rssMebibytes: 300 };

/** About as long as what kubelet and controllers write into a pod that we do not read. */
const managedFields = [
  {
    manager: 'kubelet',
    operation: 'Update',
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1: Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`f:field-number-${i}`, { '.': {}, 'f:type': {} }]),
    ),
  },
];

function address(network: number, number: number): string {
  return `${network}.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}

function nodeObject(i: number) {
  const name = `node-${i}`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, rack: String(i % 40) }, managedFields },
    spec: { podCIDR: `${address(10, i << 8)}/24`, podCIDRs: [`${address(10, i << 8)}/24`] },
    status: {
      addresses: [{ type: 'InternalIP', address: address(172, i) }],
      images: Array.from({ length: 40 }, (_, k) => ({
        names: [`registry.example/team/image-${k}:v1.2.${k}`],
        sizeBytes: 1e8 + k,
      })),
    },
  };
}

function podObject(i: number, nodes: number) {
  const node = i % nodes;
  const name = `deployment-${i % 500}-7d9f8c6b5-${i.toString(36)}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: `team-${i % 200}`,
      labels: { app: `deployment-${i % 500}`, 'pod-template-hash': '7d9f8c6b5', tier: i % 2 === 0 ? 'web' : 'data' },
      annotations: { 'kubernetes.io/psp': 'restricted', 'example.com/checksum': 'ab'.repeat(32) },
      managedFields,
    },
    spec: {
      nodeName: `node-${node}`,
      volumes: [
        { name: 'token', projected: { defaultMode: 420, sources: [{ serviceAccountToken: { path: 'token' } }] } },
      ],
      containers: [
        {
          name: 'main',
          image: `registry.example/team/image-${i % 40}:v1.2.3`,
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          env: Array.from({ length: 10 }, (_, k) => ({ name: `SETTING_${k}`, value: `value of setting ${k}` })),
          resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m', memory: '128Mi' } },
        },
      ],
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
    },
    status: {
      phase: 'Running',
      podIP: address(10, (node << 8) + 2 + Math.floor(i / nodes)),
      podIPs: [{ ip: address(10, (node << 8) + 2 + Math.floor(i / nodes)) }],
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({ type, status: 'True' })),
    },
  };
}

async function serve(nodes: number, pods: number): Promise<void> {
  const server = new ApiServer({ watchList: process.argv[5] === 'watchList' });
  for (let i = 0; i < nodes; i++) server.store.put(nodeObject(i));
  for (let i = 0; i < pods; i++) server.store.put(podObject(i, nodes));
  await server.start();
  // Prepared, so that it is not its own time that is measured.
  for (const kind of ['nodes', 'pods'])
    await (await fetch(`${server.url}/api/v1/${kind}`)).body?.pipeTo(new WritableStream());
  process.stdout.write(`${server.url}\n`);
}

async function list(url: string, nodes: number, pods: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-'));
  const client = new KubeClient({ server: new URL(url), forRequest: async () => ({ headers: {}, tls: {} }) });
  const source = new KubeSource({ client, lastKnownFolder: folder, times: { patience: 600_000, settle: 100 } });
  const state = emptyClusterState();
  source.onChanges((changes) => changes.forEach((change) => applyChange(state, change)));
  let peak = 0;
  const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const began = performance.now();
  await source.start();
  const seconds = (performance.now() - began) / 1000;
  const block = delays.max / 1e6;
  delays.reset();
  // The last known state is written in the same process: it must not block either.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  clearInterval(sampler);
  if (state.nodes.size !== nodes || state.pods.size !== pods)
    throw new Error(`${state.nodes.size}, ${state.pods.size}`);
  const writing = delays.max / 1e6;
  source.stop();
  rmSync(folder, { recursive: true });

  process.send?.({ seconds, block, writing, peak: peak / 2 ** 20, after: process.memoryUsage().rss / 2 ** 20 });
  process.exit(0);
}

interface Figures {
  readonly seconds: number;
  readonly block: number;
  readonly writing: number;
  readonly peak: number;
  readonly after: number;
}

async function measure(way: 'watchList' | 'list', nodes: number, pods: number): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const server = spawn(process.execPath, [self, String(nodes), String(pods), 'serve', way], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [url] = (await once(server.stdout, 'data')) as [Buffer];
    const agent = spawn(
      process.execPath,
      [...agentFlags, self, String(nodes), String(pods), 'agent', url.toString().trim()],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    );
    const { seconds, block, writing, peak, after } = (await Promise.race([
      once(agent, 'message').then(([message]) => message as Figures),
      once(agent, 'exit').then(([code]) => Promise.reject(new Error(`the agent ended with ${code}`))),
    ])) as Figures;
    const verdict = (value: number, goal: number) => (value < goal ? 'ok' : 'MISSED');
    process.stdout.write(
      `${way}: ${nodes} nodes and ${pods} pods in ${seconds.toFixed(2)} s (goal ${goals.seconds} s: ${verdict(seconds, goals.seconds)}), ` +
        `longest block ${block.toFixed(0)} ms, ${writing.toFixed(0)} ms while the state is written (goal ${goals.blockMilliseconds} ms: ` +
        `${verdict(Math.max(block, writing), goals.blockMilliseconds)}), RSS ${peak.toFixed(0)} MiB at most, ${after.toFixed(0)} after ` +
        `(goal ${goals.rssMebibytes} MiB: ${verdict(peak, goals.rssMebibytes)}); load ${loadavg()[0].toFixed(1)} on ${availableParallelism()} processors\n`,
    );
  } finally {
    server.kill();
  }
}

const [nodes = 5000, pods = 50_000] = process.argv.slice(2, 4).map(Number);
const [job, argument] = process.argv.slice(4);
if (job === 'serve') await serve(nodes, pods);
else if (job === 'agent') await list(argument, nodes, pods);
else for (const way of ['watchList', 'list'] as const) await measure(way, nodes, pods);
