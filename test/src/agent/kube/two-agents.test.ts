/** Two real agents, their session over loopback, with a fake API server: what the cluster is told of it. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConditions, type NodeReport } from '../../../../src/resources/node-network-status.ts';
import { customResourceDefinitions, reportDefinitions } from '../../../../src/resources/resource.ts';
import { ApiServer } from '../../../kit/api-server.ts';
import { eventually } from '../../../kit/eventually.ts';
import { agentRoles, forbidden } from '../../../kit/rbac.ts';

const main = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-kube-agents-'));
const hosts = { a: '127.66.0.1', b: '127.66.0.2' } as const;
type Host = keyof typeof hosts;
const port = 20_000 + (process.pid % 10_000);
const server = new ApiServer();
const agents = new Map<Host, ChildProcess>();

beforeAll(async () => {
  await server.start();
  for (const { plural } of [...customResourceDefinitions, ...reportDefinitions]) {
    const path = new URL(`../../../../deploy/crds/godwit.dev_${plural}.yaml`, import.meta.url);
    server.store.put(parse(readFileSync(path, 'utf8')) as object);
  }
  for (const document of parseAllDocuments(manifests())) server.store.put(document.toJS() as object);
  writeFileSync(join(folder, 'kubeconfig'), server.kubeconfig());
  for (const host of ['a', 'b'] as const) start(host);
});

afterAll(async () => {
  for (const host of agents.keys()) await end(host);
  await server.stop();
  rmSync(folder, { recursive: true });
});

function manifests(): string {
  const perNode = Object.entries(hosts).map(
    ([name, address], i) => `
apiVersion: v1
kind: Node
metadata: { name: ${name} }
spec: { podCIDRs: [10.244.${i}.0/24] }
status: { addresses: [{ type: InternalIP, address: ${address} }] }
---
apiVersion: godwit.dev/v1
kind: BGPConfiguration
metadata: { name: node.${name} }
spec: { listenPort: ${port + i} }`,
  );
  const peer = `
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: a-to-b }
spec: { node: a, peerIP: ${hosts.b}, asNumber: 64512 }`;
  return [...perNode, peer].join('\n---');
}

function start(host: Host): void {
  const flags = {
    node: host,
    source: 'kube',
    kubeconfig: join(folder, 'kubeconfig'),
    roles: 'bgp',
    socket: join(folder, `${host}.ctl`),
    api: join(folder, `${host}.api`),
    state: join(folder, host),
  };
  const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  const env = { ...process.env, POD_NAMESPACE: 'kube-system' };
  agents.set(host, spawn(process.execPath, [main, 'agent', ...words], { env, stdio: 'ignore' }));
}

async function end(host: Host): Promise<void> {
  const agent = agents.get(host)!;
  agents.delete(host);
  const gone = new Promise((resolve) => agent.once('exit', resolve));
  agent.kill('SIGTERM');
  await gone;
}

function get(apiVersion: string, kind: string, name: string, namespace?: string) {
  return server.store.get(server.store.typeOf(apiVersion, kind), namespace, name);
}

test('the session is in the NodeNetworkStatus of both, and a condition of its BGPPeer', async () => {
  await eventually(
    () => {
      const established = readConditions(get('godwit.dev/v1', 'BGPPeer', 'a-to-b')).find(
        ({ type }) => type === 'Established',
      );
      expect(established).toMatchObject({ status: 'True', message: '1 of 1 sessions' });
    },
    { reason: 'established', within: 40_000 },
  );
  const reports = (['a', 'b'] as const).map(
    (name) => get('godwit.dev/v1', 'NodeNetworkStatus', name).status as NodeReport,
  );
  expect(reports.map(({ neighbors }) => neighbors.map(({ name, peer, state }) => [name, peer, state]))).toEqual([
    [[expect.stringMatching(/^peer_/), 'a-to-b', 'Established']],
    [['mesh_a', undefined, 'Established']],
  ]);
}, 60_000);

test('an agent that ends leaves no lease behind; what the other one sees of it is an Event', async () => {
  await end('b');
  await eventually(
    () => {
      const events = server.store.list(server.store.typeOf('v1', 'Event'), 'default');
      const about = events.map(
        ({ involvedObject, reason }) => `${(involvedObject as { kind: string }).kind} ${String(reason)}`,
      );
      expect(about.sort()).toEqual(['BGPPeer BGPSessionDown', 'Node BGPSessionDown']);
    },
    { reason: 'the Event' },
  );
  await end('a');
  const { spec } = get('coordination.k8s.io/v1', 'Lease', 'godwit-conditions', 'kube-system');
  expect(spec).toMatchObject({ holderIdentity: '' });
});

test('the roles of deploy/manifests allow all of it', () => {
  expect(forbidden(server.requests, agentRoles())).toEqual([]);
});
