/** An API server as a source: stories with a fake server over HTTP, and the last known state on a real disk. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyChange, emptyClusterState, type ClusterState } from '../../../src/resources/cluster-state.ts';
import { objectName, type ResourceChange } from '../../../src/resources/resource.ts';
import { kubeKinds } from '../../../src/source/kube-kinds.ts';
import { KubeSource, type KubeTimes } from '../../../src/source/kube.ts';
import { ApiServer, type ApiServerOptions } from '../../kit/api-server.ts';
import { eventually } from '../../kit/eventually.ts';
import { clientOf, quickTimes } from '../kube/kit.ts';

const quick = { ...quickTimes, patience: 5000, settle: 5, rest: 10 } as const satisfies Partial<KubeTimes>;
const crdNames = ['bgpconfigurations', 'bgppeers', 'bgpfilters', 'ippools', 'ipreservations', 'ipamblocks'];

let server: ApiServer;
let folder: string;
const sources: KubeSource[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-kube-source-'));
  await serve();
  install(...crdNames);
});

afterEach(async () => {
  for (const source of sources.splice(0)) source.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
});

const node = (name: string, rack = '1') => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    labels: { rack },
    annotations: { 'godwit.dev/as-number': '64513', 'example.com/big': 'x'.repeat(1000) },
  },
  spec: { podCIDR: '10.244.1.0/24', taints: [] },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }], images: [{ names: ['big'] }] },
});

const pod = (name: string, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', labels },
  spec: {
    nodeName: 'a',
    containers: [
      { name: 'main', image: 'x', env: [{ name: 'K', value: 'v' }], ports: [{ containerPort: 80, name: 'http' }] },
    ],
    initContainers: [{ name: 'once', ports: [{ containerPort: 81 }] }],
  },
  status: { phase: 'Running', podIP: '10.244.1.7', podIPs: [{ ip: '10.244.1.7' }], conditions: [{ type: 'Ready' }] },
});

const peer = (name: string, asNumber: unknown = 65001) =>
  custom('BGPPeer', name, { peerIP: '10.0.0.9', asNumber, holdTime: '1m30s' });
const pool = (name: string, cidr: string) => custom('IPPool', name, { cidr });

function custom(kind: string, name: string, spec: object) {
  return { apiVersion: 'godwit.dev/v1', kind, metadata: { name }, spec };
}

const policy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'allow', namespace: 'shop' },
  spec: {
    podSelector: { matchLabels: { app: 'web' } },
    ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ port: 'http' }] }],
  },
};

describe('at the start', () => {
  test('every kind is there when start() resolves, cut down to what is used', async () => {
    put(node('a'), pod('web'), namespace('shop'), policy, peer('tor'), pool('pods', '10.244.0.0/16'));
    put(custom('BGPConfiguration', 'default', { asNumber: 64512 }), custom('BGPFilter', 'f', {}));
    const { source, state } = await started();
    expect(source.synced).toBe(true);
    expect(source.problems()).toEqual([]);
    expect(sizes(state)).toEqual({
      nodes: 1,
      pods: 1,
      namespaces: 1,
      networkPolicies: 1,
      bgpConfigurations: 1,
      bgpPeers: 1,
      bgpFilters: 1,
      ipPools: 1,
      ipReservations: 0,
      ipamBlocks: 0,
      secrets: 0,
    });
    expect(state.nodes.get('a')).toEqual({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: 'a',
        labels: { rack: '1' },
        annotations: { 'godwit.dev/as-number': '64513' },
        creationTimestamp: expect.any(String),
        uid: expect.any(String),
      },
      spec: { podCIDRs: ['10.244.1.0/24'] },
      status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
    });
    expect(state.pods.get('shop/web')?.spec.containers).toEqual([
      { name: 'main', ports: [{ name: 'http', containerPort: 80, protocol: 'TCP' }] },
    ]);
    expect(state.bgpPeers.get('tor')?.spec.holdTime).toBe(90);
  });

  test('the same from a server without WatchList, whose list items have no kind', async () => {
    await serve({ watchList: false });
    install(...crdNames);
    put(node('a'), pod('web'), policy, peer('tor'));
    const { state } = await started();
    expect([
      state.nodes.has('a'),
      state.pods.has('shop/web'),
      state.networkPolicies.has('shop/allow'),
      state.bgpPeers.has('tor'),
    ]).toEqual([true, true, true, true]);
  });

  test('of pools that overlap the older one is in force, in whatever order they are listed', async () => {
    put(
      { ...pool('a', '10.244.0.0/16'), metadata: { name: 'a' } },
      { ...pool('b', '10.0.0.0/8'), metadata: { name: 'b' } },
    );
    // A store gives the time of its own clock: as if b had been there for a year.
    const { options } = server;
    await serve(options);
    install(...crdNames);
    server.store.put(pool('b', '10.0.0.0/8'));
    server.store.put(pool('a', '10.244.0.0/16'));
    const { source, state } = await started();
    expect(state.ipPools.size).toBe(1);
    expect(source.problems()).toEqual([
      {
        kind: 'IPPool',
        name: expect.any(String),
        field: 'spec.cidr',
        reason: expect.stringMatching(/ overlaps .* of IPPool [ab]$/),
        since: expect.any(Number),
      },
    ]);
  });

  test('without the server and without a state on disk it waits, and says for what', async () => {
    await server.stop();
    const { source, state, begun } = open({ patience: 20 });
    await eventually(() => source.problems().length === 1, { reason: 'a problem' });
    await eventually(() => reasons(source).join().includes('ECONNREFUSED'), { reason: 'refused' });
    expect(reasons(source)).toEqual([
      expect.stringMatching(/^not known yet: http:.* cannot be reached: .*ECONNREFUSED/),
    ]);
    expect(source.synced).toBe(false);
    put(node('a'));
    await server.start();
    await begun;
    expect(state.nodes.has('a')).toBe(true);
    expect(source.problems()).toEqual([]);
  });

  test('without the server it begins from the last known state, says so, and is put right later', async () => {
    put(
      node('a'),
      node('b'),
      pod('web', { app: 'web' }),
      namespace('shop'),
      policy,
      peer('tor'),
      pool('pods', '10.244.0.0/16'),
    );
    put(custom('BGPConfiguration', 'default', { asNumber: 64512, holdTime: '30s' }), custom('BGPFilter', 'f', {}));
    const first = await started();
    await kept('Node', 'Pod', 'Namespace', 'NetworkPolicy', 'BGPPeer', 'IPPool', 'BGPConfiguration', 'BGPFilter');
    first.source.stop();
    await server.stop();

    const { source, state, begun, changes } = open({ patience: 20 });
    await begun;
    expect(state).toEqual(first.state);
    expect(source.synced).toBe(false);
    await eventually(() => reasons(source).some((reason) => reason.includes('ECONNREFUSED')), { reason: 'away' });
    expect(reasons(source)[0]).toMatch(/^from the last known state, written at 20\d\d-.*Z: http:.* cannot be reached/);

    changes.length = 0;
    server.store.delete(server.store.typeOf('v1', 'Node'), undefined, 'b');
    put(node('a', '2'));
    server.store.compact();
    await server.start();
    await eventually(() => source.synced, { reason: 'synced' });
    expect(changes.flat().sort()).toEqual(['delete Node b', 'upsert Node a']);
    await eventually(() => source.problems().length === 0, { reason: 'no problem' });
  });

  test('a kind that the version before did not know is none until the server says; one that it knew is waited for', async () => {
    put(node('a'), pool('pods', '10.244.0.0/16'));
    const first = await started();
    const all = followedKinds();
    await kept(...all);
    first.source.stop();
    await server.stop();
    // As a version wrote it that knew no reservations, and as one that never could list filters.
    rmSync(join(folder, 'IPReservation.jsonl'));
    for (const kind of all.filter((each) => each !== 'IPReservation')) {
      const path = join(folder, `${kind}.jsonl`);
      writeFileSync(path, readFileSync(path, 'utf8').replace(',"IPReservation"', ''));
    }
    const second = open({ patience: 20 });
    await second.begun;
    expect(second.state.nodes.has('a')).toBe(true);
    await eventually(
      () => reasons(second.source).some((reason) => reason.startsWith('ipreservations: taken as none')),
      {
        reason: 'said',
      },
    );
    second.source.stop();

    rmSync(join(folder, 'BGPFilter.jsonl'));
    const third = open({ patience: 20 });
    await eventually(() => reasons(third.source).some((reason) => reason.startsWith('not known yet')), {
      reason: 'it waits',
    });
    await server.start();
    await third.begun;
    await eventually(() => third.source.problems().length === 0, { reason: 'no problem' });
  });

  test('what must outlive a crash is known to the next start without the server', async () => {
    const first = await started({ settle: 60_000, rest: 60_000 });
    put(custom('IPAMBlock', '10-244-0-0-26', { cidr: '10.244.0.0/26', node: 'a', pool: 'pods' }));
    await eventually(() => first.state.ipamBlocks.size === 1, { reason: 'told' });
    await first.source.keep('IPAMBlock');
    expect(readFileSync(join(folder, 'IPAMBlock.jsonl'), 'utf8')).toContain('10.244.0.0/26');
  });

  test('a state of another server is not used, and that is said', async () => {
    const first = await started();
    await kept('Node');
    first.source.stop();
    await server.stop();
    server = new ApiServer();
    await server.start();
    server.inject({ kind: 'hang' });
    const { source } = open({ patience: 20 });
    await eventually(
      () =>
        reasons(source).some((reason) =>
          reason.startsWith('the last known state of nodes is not used: it is of another API server'),
        ),
      { reason: 'said' },
    );
  });

  test('stop() ends a start that waits', async () => {
    server.inject({ kind: 'hang' });
    const { source, begun } = open();
    source.stop();
    await begun;
    expect(source.synced).toBe(false);
  });
});

describe('while it runs', () => {
  test('a write that changes nothing that is read is no change', async () => {
    put(node('a'));
    const { changes } = await started();
    changes.length = 0;
    put({ ...node('a'), status: { ...node('a').status, conditions: [{ type: 'Ready', lastHeartbeatTime: 'now' }] } });
    put(node('b'));
    await eventually(() => changes.length > 0, { reason: 'the other node' });
    expect(changes).toEqual([['upsert Node b']]);
  });

  test('an object that becomes invalid keeps its last good form and is named; mended, it counts again', async () => {
    put(peer('tor', 65001));
    const { source, state } = await started();
    put(peer('tor', 0));
    await eventually(() => source.problems().length === 1, { reason: 'a problem' });
    expect(source.problems()).toEqual([
      {
        kind: 'BGPPeer',
        name: 'tor',
        field: 'spec.asNumber',
        reason: '0 is reserved (RFC 7607)',
        since: expect.any(Number),
      },
    ]);
    expect(state.bgpPeers.get('tor')?.spec.asNumber).toBe(65001);
    put(peer('tor', 65002));
    await eventually(() => state.bgpPeers.get('tor')?.spec.asNumber === 65002, { reason: 'mended' });
    expect(source.problems()).toEqual([]);
  });

  test('a pool that comes into the range of another is refused until that is gone', async () => {
    put(pool('old', '10.244.0.0/16'));
    const { source, state } = await started();
    put(pool('new', '10.0.0.0/8'));
    await eventually(() => source.problems().length === 1, { reason: 'refused' });
    expect(source.problems()[0]).toMatchObject({
      kind: 'IPPool',
      name: 'new',
      field: 'spec.cidr',
      reason: '10.0.0.0/8 overlaps 10.244.0.0/16 of IPPool old',
    });
    expect([...state.ipPools.keys()]).toEqual(['old']);
    server.store.delete(server.store.typeOf('godwit.dev/v1', 'IPPool'), undefined, 'old');
    await eventually(() => state.ipPools.has('new'), { reason: 'admitted' });
    expect([...state.ipPools.keys()]).toEqual(['new']);
    expect(source.problems()).toEqual([]);
  });

  test('the server goes away and comes back: nothing changes, and since when it was away is said', async () => {
    put(node('a'), pod('web'), peer('tor'));
    const { source, changes } = await started();
    changes.length = 0;
    await server.stop();
    await eventually(() => source.problems().length === 1, { reason: 'away' });
    expect(reasons(source)[0]).toMatch(
      /^out of date since 20\d\d-\d\d-\d\dT.*Z: http:.* cannot be reached: .*ECONNREFUSED/,
    );
    expect(source.synced).toBe(true);
    server.store.compact();
    await server.start();
    await eventually(() => source.problems().length === 0, { reason: 'back' });
    expect(changes).toEqual([]);
  });

  test('a connection that breaks once is not worth a problem', async () => {
    const { source } = await started();
    const heard: unknown[] = [];
    source.onProblems((problems) => heard.push(problems));
    for (const watch of server.watches()) watch.reset();
    put(node('b'));
    await eventually(() => server.watches().length === crdNames.length + 4, { reason: 'watching again' });
    expect(heard).toEqual([]);
  });

  test('what was known survives 500s, silence and garbage', async () => {
    put(node('a'), peer('tor'));
    const { source, state } = await started({ listIdle: 50 });
    server.store.compact();
    for (const fault of [{ kind: 'status', status: 500 }, { kind: 'hang' }, { kind: 'garbage' }] as const) {
      const asked = server.requests.length;
      const lift = server.inject(fault);
      for (const watch of server.watches()) watch.reset();
      await eventually(() => server.requests.length > asked + 20 && source.problems().length > 0, {
        reason: fault.kind,
      });
      expect([state.nodes.size, state.bgpPeers.size]).toEqual([1, 1]);
      lift();
      await eventually(() => source.problems().length === 0, { reason: `over: ${fault.kind}` });
    }
    expect([state.nodes.size, state.bgpPeers.size]).toEqual([1, 1]);
  });

  test('the state on disk follows', async () => {
    put(node('a'));
    await started();
    put(node('b'));
    await eventually(() => readFileSync(join(folder, 'Node.jsonl'), 'utf8').includes('"b"'), { reason: 'written' });
  });
});

describe('what the server does not let us see', () => {
  test('a custom resource that is not installed is a problem, the rest goes on; installed, it is found', async () => {
    await serve();
    install(...crdNames.filter((name) => name !== 'bgpfilters'));
    put(node('a'), peer('tor'));
    const { source, state } = await started();
    expect(source.synced).toBe(true);
    expect(reasons(source)).toEqual([
      'the custom resource BGPFilter is not installed (its CRD is in deploy/crds); everything else goes on',
    ]);
    expect([state.nodes.size, state.bgpPeers.size]).toEqual([1, 1]);
    install('bgpfilters');
    put(custom('BGPFilter', 'f', {}));
    await eventually(() => state.bgpFilters.has('f'), { reason: 'found' });
    expect(source.problems()).toEqual([]);
  });

  test('403 names the kind and the reason, and the start waits: half of the policies would be none', async () => {
    const matches = ({ path }: { path: string }) => path.endsWith('/networkpolicies');
    const message =
      'networkpolicies.networking.k8s.io is forbidden: User "system:serviceaccount:kube-system:godwit" cannot list';
    const lift = server.inject({ kind: 'status', status: 403, message, matches });
    const { source, begun } = open({ patience: 20 });
    await eventually(() => source.problems().length === 1, { reason: 'named' });
    expect(reasons(source)).toEqual([
      `networkpolicies: not known yet: the agent's account may not list and watch them: 403 Forbidden: ${message}`,
    ]);
    expect(source.synced).toBe(false);
    lift();
    await begun;
    expect(source.synced).toBe(true);
  });

  test('401 says that the credentials are not accepted', async () => {
    await serve({ tokens: ['secret'] });
    const { source } = open();
    await eventually(() => source.problems().length === 1, { reason: 'named' });
    expect(reasons(source)[0]).toMatch(
      /^not known yet: http:.* does not accept our credentials: 401 Unauthorized: Unauthorized$/,
    );
  });
});

function namespace(name: string) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

async function serve(options: ApiServerOptions = {}): Promise<void> {
  await server?.stop();
  server = new ApiServer(options);
  await server.start();
}

function install(...plurals: string[]): void {
  for (const plural of plurals) {
    const path = new URL(`../../../deploy/crds/godwit.dev_${plural}.yaml`, import.meta.url);
    server.store.put(parse(readFileSync(path, 'utf8')) as object);
  }
}

function put(...objects: object[]): void {
  for (const object of objects) server.store.put(object);
}

interface Opened {
  readonly source: KubeSource;
  readonly state: ClusterState;
  /** Batches of `upsert Node a`. */
  readonly changes: string[][];
  readonly begun: Promise<void>;
}

function open(times: Partial<KubeTimes> = {}): Opened {
  const source = new KubeSource({ client: clientOf(server), lastKnownFolder: folder, times: { ...quick, ...times } });
  sources.push(source);
  const state = emptyClusterState();
  const changes: string[][] = [];
  source.onChanges((batch: readonly ResourceChange[]) => {
    for (const change of batch) applyChange(state, change);
    changes.push(batch.map(({ kind, object }) => `${kind} ${object.kind} ${objectName(object)}`));
  });
  return { source, state, changes, begun: source.start() };
}

async function started(times: Partial<KubeTimes> = {}): Promise<Opened> {
  const opened = open(times);
  await opened.begun;
  return opened;
}

function reasons(source: KubeSource): string[] {
  return source.problems().map(({ reason }) => reason);
}

function sizes(state: ClusterState): Record<string, number> {
  return Object.fromEntries(
    Object.entries(state).map(([name, map]) => [name, (map as ReadonlyMap<string, unknown>).size]),
  );
}

/** All that are followed. */
function followedKinds(): string[] {
  return Object.keys(kubeKinds);
}

async function kept(...kinds: string[]): Promise<void> {
  await eventually(() => kinds.every((kind) => existsSync(join(folder, `${kind}.jsonl`))), { reason: 'kept' });
}
