/** Secrets for passwords over the API: only those that are named, only their keys, and known while the server is away. */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { applyChange, emptyClusterState, type ClusterState } from '../../../src/resources/cluster-state.ts';
import { customResourceDefinitions } from '../../../src/resources/resource.ts';
import { KubeSource } from '../../../src/source/kube.ts';
import { ApiServer } from '../../kit/api-server.ts';
import { eventually } from '../../kit/eventually.ts';
import { clientOf, quickTimes } from '../kube/kit.ts';

let server: ApiServer;
let folder: string;
const sources: KubeSource[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-kube-secrets-'));
  server = new ApiServer();
  await server.start();
  for (const { plural } of customResourceDefinitions) {
    const path = new URL(`../../../deploy/crds/godwit.dev_${plural}.yaml`, import.meta.url);
    server.store.put(parse(readFileSync(path, 'utf8')) as object);
  }
  server.store.put(peer('tor', 'bgp', 'tor'));
  server.store.put(secret('bgp', { tor: 'swordfish', other: 'opensesame' }));
  server.store.put(secret('unrelated', { token: 'hunter2' }));
  server.store.put(secret('bgp', { tor: 'not this one' }, 'shop'));
});

afterEach(async () => {
  for (const source of sources.splice(0)) source.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
});

function peer(name: string, secretName: string, key: string) {
  const password = { secretKeyRef: { name: secretName, key } };
  return {
    apiVersion: 'godwit.dev/v1',
    kind: 'BGPPeer',
    metadata: { name },
    spec: { peerIP: '10.0.0.9', asNumber: 65001, password },
  };
}

function secret(name: string, values: Readonly<Record<string, string>>, namespace = 'godwit') {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, btoa(value)]));
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels: { copy: 'swordfish' } }, data };
}

function open(patience = 5000) {
  const source = new KubeSource({
    client: clientOf(server),
    secretNamespace: 'godwit',
    lastKnownFolder: folder,
    times: { ...quickTimes, patience, settle: 5, rest: 10 },
  });
  sources.push(source);
  const state = emptyClusterState();
  source.onChanges((changes) => changes.forEach((change) => applyChange(state, change)));
  return { source, state, begun: source.start() };
}

async function started(patience?: number) {
  const opened = open(patience);
  await opened.begun;
  return opened;
}

function values({ secrets }: ClusterState): Record<string, Record<string, string>> {
  return Object.fromEntries(
    [...secrets].map(([name, { data }]) => [
      name,
      Object.fromEntries(Object.entries(data).map(([key, text]) => [key, atob(text)])),
    ]),
  );
}

const file = () => join(folder, 'Secret.jsonl');

test('a Secret that is named is there when start() resolves, with the keys that are named; no other is asked for', async () => {
  const { source, state } = await started();
  expect(values(state)).toEqual({ 'godwit/bgp': { tor: 'swordfish' } });
  expect(source.problems()).toEqual([]);
  const asked = server.requests.filter(({ path }) => path.includes('secrets'));
  expect(asked.length).toBeGreaterThan(0);
  for (const { path, query } of asked) {
    expect([path, query.fieldSelector]).toEqual(['/api/v1/namespaces/godwit/secrets', 'metadata.name=bgp']);
  }
});

test('without a password no Secret is asked for', async () => {
  server.store.put({ ...peer('tor', 'x', 'x'), spec: { peerIP: '10.0.0.9', asNumber: 65001 } });
  const { state } = await started();
  expect(values(state)).toEqual({});
  expect(server.count(({ path }) => path.includes('secrets'))).toBe(0);
});

test('another value, another key, another Secret and none are followed', async () => {
  const { state } = await started();
  server.store.put(secret('bgp', { tor: 'marlin', other: 'opensesame' }));
  await eventually(() => values(state)['godwit/bgp'].tor === 'marlin', { reason: 'the new value' });
  server.store.put(peer('tor', 'bgp', 'other'));
  await eventually(() => 'other' in values(state)['godwit/bgp'], { reason: 'the new key' });
  expect(values(state)).toEqual({ 'godwit/bgp': { other: 'opensesame' } });
  server.store.put(peer('tor', 'fresh', 'key'));
  await eventually(() => state.secrets.size === 0, { reason: 'the old one is forgotten' });
  server.store.put(secret('fresh', { key: 'tuna' }));
  await eventually(() => state.secrets.has('godwit/fresh'), { reason: 'the new one' });
  server.store.delete(server.store.typeOf('v1', 'Secret'), 'godwit', 'fresh');
  await eventually(() => state.secrets.size === 0, { reason: 'deleted' });
});

test('where Secrets may not be read the start goes on, and that is a problem without a value', async () => {
  const message = 'secrets "bgp" is forbidden';
  server.inject({ kind: 'status', status: 403, message, matches: ({ path }) => path.includes('secrets') });
  const { source, state } = await started();
  expect(state.bgpPeers.size).toBe(1);
  expect(values(state)).toEqual({});
  await eventually(() => source.problems().length > 0, { reason: 'named' });
  expect(source.problems().map(({ kind, name, reason }) => [kind, name, reason])).toEqual([
    ['Secret', 'godwit/bgp', `the agent's account may not list and watch it: 403 Forbidden: ${message}`],
  ]);
});

test('a Secret that does not answer delays the start no longer than patience', async () => {
  server.inject({ kind: 'hang', matches: ({ path }) => path.includes('secrets') });
  const { state } = await started(50);
  expect(state.bgpPeers.size).toBe(1);
  expect(values(state)).toEqual({});
});

test('started without the server, the agent has the password of before, from a file that only its owner may read', async () => {
  const { source } = await started();
  await eventually(() => statSync(file()).size > 0 && statSync(join(folder, 'BGPPeer.jsonl')).size > 0, {
    reason: 'kept',
  });
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const text = readFileSync(file(), 'utf8');
  expect(text).not.toContain(btoa('opensesame'));
  expect(text).not.toContain('copy');
  source.stop();
  await server.stop();
  const { state } = await started(50);
  expect(values(state)).toEqual({ 'godwit/bgp': { tor: 'swordfish' } });
  server.store.put(secret('bgp', { tor: 'marlin' }));
  await server.start();
  await eventually(() => values(state)['godwit/bgp'].tor === 'marlin', { reason: 'put right' });
});

test('a Secret that was deleted while nobody watched is forgotten', async () => {
  const { source } = await started();
  await eventually(() => statSync(file()).size > 0 && statSync(join(folder, 'BGPPeer.jsonl')).size > 0, {
    reason: 'kept',
  });
  source.stop();
  await server.stop();
  const { state } = await started(50);
  server.store.delete(server.store.typeOf('v1', 'Secret'), 'godwit', 'bgp');
  await server.start();
  await eventually(() => state.secrets.size === 0, { reason: 'forgotten' });
});
