/**
 * ADD and DEL of pods one after another, as a runtime calls them: the compiled forwarder, a real agent in a network
 * namespace, real pods' namespaces. The whole call as its caller sees it, and the agent's part of it.
 *
 *   node bench/cni.ts [--pairs 200]
 */

import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Forwarder } from '../test/kit/cni-forwarder.ts';
import { TestNamespace } from '../test/kit/netns.ts';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '200' } } });
const pairs = Number(values.pairs);
const podNamespaces = 8;
const goals = { whole: 15, agent: 5 };

for (const policies of [0, 20]) await measure(policies);

async function measure(policies: number): Promise<void> {
  using forwarder = new Forwarder();
  using host = new TestNamespace();
  const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-'));
  const namespaces = Array.from({ length: podNamespaces }, () => new TestNamespace());
  host.ip('addr add 192.0.2.11/32 dev lo');
  mkdirSync(join(folder, 'manifests'));
  writeFileSync(join(folder, 'manifests', 'all.yaml'), manifests(policies));
  const socket = join(folder, 'cni.sock');
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const words = ['netns', 'exec', host.name, process.execPath, main, 'agent', '--node=n1', '--log-level=debug'];
  const flags = [
    `--source=dir:${join(folder, 'manifests')}`,
    '--roles=policy,cni',
    `--socket=${join(folder, 'ctl.sock')}`,
    `--state=${join(folder, 'state')}`,
    `--cni-socket=${socket}`,
    '--cni-conf-dir=none',
  ];
  const agent = spawn('ip', [...words, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const agentTimes: Record<string, number[]> = { ADD: [], DEL: [] };
  try {
    await new Promise<void>((resolve, reject) => {
      agent.once('exit', (code) => reject(new Error(`the agent ended with status ${code}`)));
      createInterface({ input: agent.stdout }).on('line', (line) => {
        const { msg, command, milliseconds } = JSON.parse(line) as Record<string, unknown>;
        if (msg === 'running') resolve();
        if (msg === 'CNI call') agentTimes[String(command)].push(Number(milliseconds));
      });
    });
    const whole: Record<string, number[]> = { ADD: [], DEL: [] };
    for (let i = 0; i < pairs; i++) {
      for (const command of ['ADD', 'DEL']) {
        const began = performance.now();
        const { status, output } = await forwarder.call(
          { command, containerId: `c${i}`, netns: namespaces[i % podNamespaces].path, pod: `default/pod-${i % 100}` },
          socket,
        );
        whole[command].push(performance.now() - began);
        if (status !== 0) throw new Error(JSON.stringify(output));
      }
    }
    const began = performance.now();
    execFileSync('true');
    const spawnCost = performance.now() - began;
    console.log(
      `${pairs} pairs, ${policies} policies on every pod (an empty process costs this caller ${spawnCost.toFixed(1)} ms)`,
    );
    for (const command of ['ADD', 'DEL']) {
      print(`${command} whole process`, whole[command], command === 'ADD' ? goals.whole : undefined);
      print(`${command} in the agent`, agentTimes[command], command === 'ADD' ? goals.agent : undefined);
    }
  } finally {
    const ended = new Promise((resolve) => {
      agent.once('exit', resolve);
    });
    if (agent.exitCode === null) {
      agent.kill();
      await ended;
    }
    for (const namespace of namespaces) namespace.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function print(name: string, times: readonly number[], goal: number | undefined): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  const wanted = goal === undefined ? '' : `   (goal: p50 ${goal} ms)`;
  console.log(`  ${name.padEnd(18)} p50 ${at(0.5).padStart(5)} ms   p99 ${at(0.99).padStart(5)} ms${wanted}`);
}

function manifests(policies: number): string {
  const documents: object[] = [
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1' },
      spec: { podCIDRs: ['10.244.1.0/24', 'fd00:1::/64'] },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.11' }] },
    },
    ...Array.from({ length: 100 }, (_, i) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `pod-${i}`, labels: { app: 'web' } },
      spec: { nodeName: 'n1', containers: [] },
    })),
    ...Array.from({ length: policies }, (_, i) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: `policy-${i}` },
      spec: {
        podSelector: { matchLabels: { app: 'web' } },
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 8000 + i }] }],
      },
    })),
  ];
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}
