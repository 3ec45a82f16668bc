/** What agents write to an API server: stories with a fake server over HTTP and a clock of the test's. */

import { isDeepStrictEqual } from 'node:util';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PeerStatus } from '../../../../bgp/index.ts';
import { KubePart } from '../../../../src/agent/kube/kube-part.ts';
import type { NodeFacts } from '../../../../src/reports/node-report.ts';
import { applyChange, emptyClusterState, type ClusterState } from '../../../../src/resources/cluster-state.ts';
import { readConditions, type NodeReport } from '../../../../src/resources/node-network-status.ts';
import { customResourceDefinitions, reportDefinitions } from '../../../../src/resources/resource.ts';
import { ApiServer } from '../../../kit/api-server.ts';
import type { StoredObject } from '../../../kit/api-store.ts';
import { eventually } from '../../../kit/eventually.ts';
import { agentRoles, forbidden } from '../../../kit/rbac.ts';
import { VirtualClock } from '../../../kit/virtual-clock.ts';
import { quickTimes } from '../../kube/kit.ts';
import { factsOf, session } from '../../reports/reports-kit.ts';

const plurals = [...customResourceDefinitions, ...reportDefinitions].map(({ plural }) => plural);

const roles = agentRoles();

let server: ApiServer;
let clock: VirtualClock;
let folder: string;
let agents: Agent[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-kube-part-'));
  server = new ApiServer();
  await server.start();
  clock = new VirtualClock();
  agents = [];
  install(...plurals);
  put(node('a'), node('b'), peer('tor'));
});

afterEach(async () => {
  for (const agent of agents) await agent.end();
  await server.stop();
  expect(forbidden(server.requests, roles), 'what the roles of deploy/manifests do not allow').toEqual([]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
});

interface Agent {
  readonly part: KubePart;
  readonly state: ClusterState;
  /** Replaced to change what the node is like. */
  facts: NodeFacts;
  end(): Promise<void>;
}

async function agentOf(nodeName: string, ...peers: readonly PeerStatus[]): Promise<Agent> {
  const state = emptyClusterState();
  const part = new KubePart({
    nodeName,
    client: clock.clientOf(server),
    namespace: 'kube-system',
    stateFolder: join(folder, nodeName),
    clock,
    log: pino({ level: 'silent' }),
    state: () => state,
    times: { source: { ...quickTimes, patience: 5000, settle: 5, rest: 10 } },
  });
  let ended = false;
  const agent: Agent = {
    part,
    state,
    facts: factsOf(peers),
    async end() {
      if (ended) return;
      ended = true;
      part.source.stop();
      await part.stop();
    },
  };
  agents.push(agent);
  part.source.onChanges((changes) => changes.forEach((change) => applyChange(state, change)));
  await part.source.start();
  part.start(
    () => agent.facts,
    (name) => agent.facts.owners.get(name),
  );
  return agent;
}

const up = session('peer_tor');
const down = session('peer_tor', { state: 'active', lastError: 'connection refused' });

function change(agent: Agent, ...peers: readonly PeerStatus[]): void {
  agent.facts = factsOf(peers);
  agent.part.onConfigured();
}

function node(name: string, ready?: string) {
  const conditions = ready === undefined ? [] : [{ type: 'Ready', status: ready }];
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, status: { conditions } };
}

function peer(name: string) {
  const spec = { peerIP: '10.0.0.1', asNumber: 65001 };
  return { apiVersion: 'godwit.dev/v1', kind: 'BGPPeer', metadata: { name }, spec };
}

function install(...names: readonly string[]): void {
  for (const plural of names) {
    const path = new URL(`../../../../deploy/crds/godwit.dev_${plural}.yaml`, import.meta.url);
    put(parse(readFileSync(path, 'utf8')) as object);
  }
}

function put(...objects: readonly object[]): void {
  for (const object of objects) server.store.put(object);
}

function get(apiVersion: string, kind: string, name: string, namespace?: string): StoredObject {
  return server.store.get(server.store.typeOf(apiVersion, kind), namespace, name);
}

function reportOf(name: string): NodeReport {
  return get('godwit.dev/v1', 'NodeNetworkStatus', name).status as NodeReport;
}

/** `Accepted=True`, `Established=False: 1 of 2 sessions; …` */
function conditionsOf(kind: string, name: string): string[] {
  return readConditions(get('godwit.dev/v1', kind, name)).map(
    ({ type, status, message }) => `${type}=${status}${message === '' ? '' : `: ${message}`}`,
  );
}

function writes(part: string): number {
  return server.count(({ method, path }) => method !== 'GET' && path.includes(part));
}

/** Time passes, a second at a time, until it is so. */
async function soon(reason: string, question: () => boolean): Promise<void> {
  await eventually(
    async () => {
      await clock.advance(1000);
      return question();
    },
    { reason },
  );
}

function has(question: () => boolean): () => boolean {
  return () => {
    try {
      return question();
    } catch {
      return false;
    }
  };
}

const isEstablished = (text: string) => has(() => conditionsOf('BGPPeer', 'tor').includes(`Established=${text}`));

describe('the NodeNetworkStatus', () => {
  test('says what the node is like, and belongs to the Node', async () => {
    await agentOf('a', up);
    await soon(
      'written',
      has(() => reportOf('a').sessions.established === 1),
    );
    const { metadata, status } = get('godwit.dev/v1', 'NodeNetworkStatus', 'a');
    expect((metadata as { ownerReferences?: unknown }).ownerReferences).toEqual([
      { apiVersion: 'v1', kind: 'Node', name: 'a', uid: get('v1', 'Node', 'a').metadata.uid },
    ]);
    expect(status).toMatchObject({ agentVersion: '0.1.0', peers: [{ name: 'tor', sessions: 1, established: 1 }] });
  });

  test('is written only when there are news, and at most once in ten seconds', async () => {
    const agent = await agentOf('a', up);
    await clock.advance(600_000);
    expect(writes('nodenetworkstatuses')).toBe(1);
    agent.facts = factsOf([{ ...up, counters: { ...up.counters, updatesReceived: 1000 } }]);
    await clock.advance(600_000);
    expect(writes('nodenetworkstatuses')).toBe(1);
    for (let second = 0; second < 100; second++) {
      change(agent, second % 3 === 0 ? down : { ...up, since: clock.epoch() });
      await clock.advance(1000);
    }
    expect(writes('nodenetworkstatuses')).toBeGreaterThan(6);
    expect(writes('nodenetworkstatuses')).toBeLessThanOrEqual(12);
    change(agent, down);
    await clock.advance(20_000);
    expect(reportOf('a').sessions).toEqual({ total: 1, established: 0 });
  });

  test('errors that take turns are written every five minutes', async () => {
    const agent = await agentOf('a', down);
    await clock.advance(5000);
    for (let second = 0; second < 600; second++) {
      change(agent, { ...down, lastError: `error ${second % 2}` });
      await clock.advance(1000);
    }
    expect(writes('nodenetworkstatuses')).toBeLessThanOrEqual(4);
  });

  test('waits for its CustomResourceDefinition, and for the Node', async () => {
    const types = server.store.typeOf('apiextensions.k8s.io/v1', 'CustomResourceDefinition');
    server.store.delete(types, undefined, 'nodenetworkstatuses.godwit.dev');
    const agent = await agentOf('late', up);
    await clock.advance(300_000);
    install('nodenetworkstatuses');
    put(node('late'));
    await eventually(() => agent.state.nodes.has('late'), { reason: 'the Node' });
    await soon(
      'written',
      has(() => reportOf('late').sessions.total === 1),
    );
  });

  test('goes on from the run before: a state that lasted keeps its time', async () => {
    const agent = await agentOf('a', down);
    await clock.advance(5000);
    const { since } = reportOf('a').neighbors[0];
    await agent.end();
    await clock.advance(600_000);
    await agentOf('a', down, session('mesh_b'));
    await soon('written again', () => reportOf('a').sessions.total === 2);
    expect(reportOf('a').neighbors[0].since).toBe(since);
  });

  test('what happened while the server was away is written when it is back, as it is then', async () => {
    const agent = await agentOf('a', up);
    await clock.advance(5000);
    const before = writes('nodenetworkstatuses');
    await server.stop();
    change(agent, down);
    await clock.advance(120_000);
    change(agent);
    await clock.advance(120_000);
    change(agent, up, session('mesh_b'));
    await clock.advance(120_000);
    await server.start();
    await soon('written', () => reportOf('a').sessions.total === 2);
    expect(reportOf('a').sessions.established).toBe(2);
    expect(writes('nodenetworkstatuses')).toBe(before + 1);
  });
});

describe('conditions', () => {
  test('one of two agents writes them, from what both report; only where something changed', async () => {
    const a = await agentOf('a', up);
    await agentOf('b', down);
    await soon('1 of 2', isEstablished('False: 1 of 2 sessions; b: connection refused'));
    expect(conditionsOf('BGPPeer', 'tor')[0]).toBe('Accepted=True: in force on every node that it concerns');
    const { resourceVersion } = get('godwit.dev/v1', 'BGPPeer', 'tor').metadata;
    const patches = writes('bgppeers');
    await clock.advance(600_000);
    expect(get('godwit.dev/v1', 'BGPPeer', 'tor').metadata.resourceVersion).toBe(resourceVersion);
    expect(writes('bgppeers')).toBe(patches);
    change(a, down);
    await soon('0 of 2', isEstablished('False: 0 of 2 sessions; a: connection refused; b: connection refused'));
  });

  test('when the leader ends, the other one goes on, and times stay', async () => {
    const a = await agentOf('a', up);
    await soon('established', isEstablished('True: 1 of 1 sessions'));
    const before = readConditions(get('godwit.dev/v1', 'BGPPeer', 'tor'));
    const b = await agentOf('b');
    await clock.advance(30_000);
    await a.end();
    await soon('b leads', () => {
      const { spec } = get('coordination.k8s.io/v1', 'Lease', 'godwit-conditions', 'kube-system');
      return String((spec as { holderIdentity?: string }).holderIdentity).startsWith('b_');
    });
    const patches = writes('bgppeers');
    await clock.advance(30_000);
    expect(writes('bgppeers')).toBe(patches);
    expect(readConditions(get('godwit.dev/v1', 'BGPPeer', 'tor'))).toEqual(before);
    change(b, down);
    await soon('counted', isEstablished('False: 1 of 2 sessions; b: connection refused'));
  });

  test('an invalid object, a tunnel that fails and conditions of others', async () => {
    const pool = { apiVersion: 'godwit.dev/v1', kind: 'IPPool', metadata: { name: 'pods' } };
    const theirs = {
      type: 'Blessed',
      status: 'True',
      reason: 'ByHand',
      message: '',
      lastTransitionTime: '2025-01-01T00:00:00Z',
    };
    put({ ...pool, spec: { cidr: '10.244.0.0/16', vxlanMode: 'Always' }, status: { conditions: [theirs] } });
    put({ ...peer('wrong'), spec: { peerIP: '10.0.0.1', asNumber: 0 } });
    const agent = await agentOf('a');
    agent.facts = factsOf([], {
      kernel: {
        failed: 0,
        unroutable: 0,
        tunnels: [{ name: 'godwit.vxlan', kind: 'vxlan', state: 'failed', reason: 'no module' }],
      },
    });
    await soon(
      'the tunnel',
      has(() => conditionsOf('IPPool', 'pods').includes('TunnelsReady=False: a: no module')),
    );
    await soon(
      'invalid',
      has(() => conditionsOf('BGPPeer', 'wrong').some((text) => text.startsWith('Accepted=False: spec.asNumber'))),
    );
    expect(conditionsOf('IPPool', 'pods')).toEqual([
      'Blessed=True',
      'Accepted=True: in force on every node that it concerns',
      'TunnelsReady=False: a: no module',
    ]);
  });

  test('a condition of another that comes in the moment of writing stays', async () => {
    const theirs = {
      type: 'Blessed',
      status: 'True',
      reason: 'ByHand',
      message: 'm',
      lastTransitionTime: '2025-01-01T00:00:00Z',
    };
    const type = server.store.typeOf('godwit.dev/v1', 'BGPPeer');
    let came = 0;
    server.inject({
      kind: 'slow',
      bytes: 1_000_000,
      rest: 0,
      matches({ method, path }) {
        if (method !== 'PATCH' || !path.endsWith('/tor/status')) return false;
        came++;
        server.store.merge(type, undefined, 'tor', { status: { conditions: [theirs] } }, { subresource: 'status' });
        return true;
      },
      times: 1,
    });
    await agentOf('a', up);
    await soon('written', isEstablished('True: 1 of 1 sessions'));
    expect(came).toBe(1);
    expect(conditionsOf('BGPPeer', 'tor')).toContain('Blessed=True: m');
  });

  test('a condition says which generation of the object it is about', async () => {
    await agentOf('a', up);
    const generations = () =>
      readConditions(get('godwit.dev/v1', 'BGPPeer', 'tor')).map(({ observedGeneration }) => observedGeneration);
    await soon(
      'the first',
      has(() => isDeepStrictEqual(generations(), [1, 1])),
    );
    put({ ...peer('tor'), spec: { peerIP: '10.0.0.9', asNumber: 64512 } });
    await soon(
      'the second',
      has(() => isDeepStrictEqual(generations(), [2, 2])),
    );
  });

  test('a node that Kubernetes does not hear from counts for nothing good', async () => {
    await agentOf('a', up);
    const b = await agentOf('b', up);
    await soon('both', isEstablished('True: 2 of 2 sessions'));
    await b.end();
    put(node('b', 'Unknown'));
    await soon('silent', isEstablished('False: 1 of 2 sessions; b: the node is not heard from'));
  });

  test('a patch that meets a conflict is sent again', async () => {
    server.inject({ kind: 'status', status: 409, times: 2, matches: ({ path }) => path.endsWith('/status') });
    await agentOf('a', up);
    await soon('written', isEstablished('True: 1 of 1 sessions'));
  });
});

describe("a pod's addresses", () => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' }, spec: { nodeName: 'a' } };
  const annotation = () => get('v1', 'Pod', 'web', 'shop').metadata.annotations?.['godwit.dev/pod-ips'];

  test('are published at once; the last ones win while the server is away', async () => {
    put(pod);
    const { part } = await agentOf('a');
    part.publisher.publish({ namespace: 'shop', name: 'web', uid: undefined }, ['10.1.0.2', 'fd00::2']);
    await clock.advance(0);
    expect(annotation()).toBe('10.1.0.2,fd00::2');
    await server.stop();
    part.publisher.publish({ namespace: 'shop', name: 'web', uid: undefined }, ['10.1.0.3']);
    await clock.advance(60_000);
    part.publisher.publish({ namespace: 'shop', name: 'web', uid: undefined }, ['10.1.0.4']);
    await server.start();
    await soon('written', () => annotation() === '10.1.0.4');
  });

  test("are not written onto a newer pod of the name, and a pod that is gone is nobody's trouble", async () => {
    put(pod);
    const { part, state } = await agentOf('a');
    await server.stop();
    part.publisher.publish({ namespace: 'shop', name: 'web', uid: undefined }, ['10.1.0.2']);
    part.publisher.publish({ namespace: 'shop', name: 'gone', uid: undefined }, ['10.1.0.9']);
    const old = state.pods.get('shop/web')?.metadata.uid;
    server.store.delete(server.store.typeOf('v1', 'Pod'), 'shop', 'web');
    put({ ...pod, spec: { nodeName: 'b' } });
    await server.start();
    await clock.advance(600_000);
    expect(get('v1', 'Pod', 'web', 'shop').metadata.uid).not.toBe(old);
    expect(annotation()).toBeUndefined();
    const tried = writes('/pods/');
    await clock.advance(600_000);
    expect(writes('/pods/')).toBe(tried);
  });
});

describe('Events', () => {
  const events = (namespace = 'default') =>
    server.store
      .list(server.store.typeOf('v1', 'Event'), namespace)
      .map(({ involvedObject, reason, message }) => {
        const { kind, name } = involvedObject as { kind: string; name: string };
        return `${kind}/${name} ${String(reason)}: ${String(message)}`;
      })
      .sort();

  test('a session that goes down and comes back is told about the Node and the BGPPeer; the first start is none', async () => {
    const { part } = await agentOf('a', up);
    part.onSpeakerEvent({ kind: 'peerEstablished', peer: 'peer_tor' });
    part.onSpeakerEvent({ kind: 'peerDown', peer: 'peer_tor', reason: 'hold timer expired' });
    await clock.advance(1000);
    expect(events()).toEqual([
      'BGPPeer/tor BGPSessionDown: a: session peer_tor went down: hold timer expired',
      'Node/a BGPSessionDown: session peer_tor went down: hold timer expired',
    ]);
    part.onSpeakerEvent({ kind: 'peerEstablished', peer: 'peer_tor' });
    await clock.advance(61_000);
    expect(events().filter((text) => text.includes('Established'))).toEqual([
      'BGPPeer/tor BGPSessionEstablished: a: session peer_tor is up again',
      'Node/a BGPSessionEstablished: session peer_tor is up again',
    ]);
  });

  test('a limit on prefixes that is near or exceeded is told; that it no longer is, is not', async () => {
    const { part } = await agentOf('a', up);
    const limit = {
      kind: 'import',
      family: 'ipv4',
      maximum: 2,
      warningPercent: 75,
      action: 'warn',
      discarded: 0,
    } as const;
    part.onSpeakerEvent({
      kind: 'prefixLimit',
      peer: 'peer_tor',
      limit: { ...limit, count: 3, state: 'exceeded' },
      text: 'three',
    });
    part.onSpeakerEvent({
      kind: 'prefixLimit',
      peer: 'peer_tor',
      limit: { ...limit, count: 2, state: 'warning' },
      text: 'two',
    });
    part.onSpeakerEvent({
      kind: 'prefixLimit',
      peer: 'peer_tor',
      limit: { ...limit, count: 1, state: 'below' },
      text: 'one',
    });
    await clock.advance(61_000);
    expect(events()).toEqual([
      'BGPPeer/tor BGPPrefixLimitExceeded: a: session peer_tor: three',
      'BGPPeer/tor BGPPrefixLimitNear: a: session peer_tor: two',
      'Node/a BGPPrefixLimitExceeded: session peer_tor: three',
      'Node/a BGPPrefixLimitNear: session peer_tor: two',
    ]);
  });

  test('a session of the mesh is told about the Node alone, and in a mesh of many nodes not at all', async () => {
    const { part, state } = await agentOf('a', session('mesh_b'));
    part.onSpeakerEvent({ kind: 'peerDown', peer: 'mesh_b', reason: 'closed' });
    await clock.advance(1000);
    expect(events()).toEqual(['Node/a BGPSessionDown: session mesh_b went down: closed']);
    for (let i = 0; i < 101; i++) put(node(`n${i}`));
    await eventually(() => state.nodes.size > 100, { reason: 'many nodes' });
    part.onSpeakerEvent({ kind: 'peerDown', peer: 'mesh_c', reason: 'closed' });
    await clock.advance(120_000);
    expect(events()).toHaveLength(1);
  });

  test('a pod without an address is told in its namespace', async () => {
    const { part } = await agentOf('a');
    const pod = { namespace: 'shop', name: 'web', uid: undefined };
    part.onAddFailure({ pod, kind: 'noAddress', reason: 'no IPv4 address is left', nodeProblem: undefined });
    await clock.advance(1000);
    expect(events('shop')).toEqual(['Pod/web NoPodAddress: no address for the pod: no IPv4 address is left']);
  });

  test('what keeps all pods from an address is told about the Node, and many failures are few writes', async () => {
    const { part } = await agentOf('a');
    const before = writes('events');
    for (let i = 0; i < 100; i++) {
      const pod = { namespace: 'shop', name: `web-${i % 3}`, uid: undefined };
      const nodeProblem = 'the node has no pod range (spec.podCIDRs)';
      part.onAddFailure({ pod, kind: i % 3 === 0 ? 'noNetwork' : 'noAddress', reason: 'because', nodeProblem });
      await clock.advance(100);
    }
    await clock.advance(1000);
    expect(events()).toEqual(['Node/a NoPodAddresses: the node has no pod range (spec.podCIDRs)']);
    expect(events('shop')).toEqual([
      'Pod/web-0 PodNetworkFailed: because',
      'Pod/web-1 NoPodAddress: no address for the pod: because',
      'Pod/web-2 NoPodAddress: no address for the pod: because',
    ]);
    expect(writes('events') - before).toBe(4);
  });
});

test('a password comes from a Secret of the own namespace', async () => {
  const password = { secretKeyRef: { name: 'bgp', key: 'tor' } };
  put({ ...peer('tor'), spec: { ...peer('tor').spec, password } });
  put({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'bgp', namespace: 'kube-system' },
    data: { tor: btoa('x') },
  });
  const { state } = await agentOf('a');
  expect([...state.secrets.keys()]).toEqual(['kube-system/bgp']);
});

test('an agent that may write nothing says so once, and everything else goes on', async () => {
  server.inject({ kind: 'status', status: 403, message: 'no', matches: ({ method }) => method !== 'GET' });
  const { part, state } = await agentOf('a', up);
  part.onSpeakerEvent({ kind: 'peerDown', peer: 'peer_tor', reason: 'x' });
  await clock.advance(600_000);
  put(node('c'));
  await eventually(() => state.nodes.has('c'), { reason: 'reading goes on' });
  expect(part.source.problems()).toEqual([]);
  // With rests of a minute, not a storm.
  expect(server.count(({ method }) => method !== 'GET')).toBeLessThan(120);
});
