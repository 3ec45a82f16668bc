/**
 * Godwit on a real Kubernetes (1.20.2): API server, controller manager, scheduler, two kubelets with containerd, and a BIRD as the switch.
 * Each test goes on from where the one before left the cluster.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { Cluster, torAddress } from './cluster.ts';
import { idlePod, toList, webPod } from './manifests.ts';
import { viewNode } from './node-view.ts';
import { PingStream } from './ping-stream.ts';
import type { RunOptions } from './programs.ts';

const kubectlGodwit = fileURLToPath(new URL('../../deploy/kubectl/kubectl-godwit', import.meta.url));
const undo: (() => void | Promise<void>)[] = [];
let cluster: Cluster;
let addressA: string;
let addressB: string;

beforeAll(async () => {
  cluster = await Cluster.start((step) => undo.push(step));
});

afterAll(async () => {
  for (const step of undo.reverse()) await step();
});

function kubectl(words: string, options?: RunOptions): Promise<string> {
  return cluster.kubectl(words.split(' '), options);
}

/** `kubectl godwit --node NODE show …` */
function godwit(node: string, words: string): Promise<string> {
  const { tor, controlPlane, kubectlFolder } = cluster;
  return tor.run(
    ['sh', kubectlGodwit, '--kubeconfig', controlPlane.kubeconfig('admin'), '--node', node, ...words.split(' ')],
    { env: { ...process.env, PATH: `${kubectlFolder}:${process.env.PATH}` } },
  );
}

async function apply(...items: readonly object[]): Promise<void> {
  await kubectl('apply -f -', { input: toList(items) });
}

function addressOf(pod: string): Promise<string> {
  return kubectl(`get pod ${pod} -o jsonpath={.status.podIP}`);
}

/** What GET / of the pod's port 80 answers, from another pod; undefined where nothing answers within a second. */
async function fetched(from: string, address: string): Promise<string | undefined> {
  const answer = await kubectl(`exec ${from} -- timeout 2 wget -q -O - http://${address}/`).catch(() => undefined);
  return answer?.trim();
}

/** Ids, in the node's own count, of the agent's Node process. */
async function agentPid(node: Cluster['nodes'][number]): Promise<string> {
  const found = (await node.host.run(['pgrep', '-f', 'dist/src/main.js agent '])).trim().split('\n');
  expect(found).toHaveLength(1);
  return found[0];
}

test('installed by kubectl apply, Godwit makes every node Ready', async () => {
  const ready = 'get nodes -o jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
  expect(await kubectl(ready)).toBe('False False');
  await cluster.applyManifest('deploy/manifests/before-1.31/godwit.yaml');
  await kubectl('-n kube-system rollout status daemonset/godwit-agent --timeout=240s');
  await eventually(async () => expect(await kubectl(ready)).toBe('True True'), {
    reason: 'both nodes are Ready',
    within: 60_000,
  });
  expect(await godwit('node1', 'show protocols')).toMatch(/mesh_node2\s.*Established/);
});

test('pods on both nodes reach each other, and the other node', async () => {
  await apply(webPod('a', 'node1'), webPod('b', 'node2', 8080), webPod('c', 'node2'));
  await kubectl('wait --for=condition=Ready pod a b c --timeout=90s');
  [addressA, addressB] = [await addressOf('a'), await addressOf('b')];
  expect(await kubectl('get pod a -o jsonpath={.metadata.annotations.godwit\\.dev/pod-ips}')).toBe(addressA);
  await kubectl(`exec a -- ping -c 2 -W 2 ${addressB}`);
  await kubectl(`exec b -- ping -c 2 -W 2 ${addressA}`);
  await kubectl(`exec a -- ping -c 2 -W 2 ${cluster.nodes[1].address}`);
  expect(await fetched('a', addressB)).toBe('b');
});

test('a hostPort of a pod is reached from outside, by the chained plugin portmap', async () => {
  const url = `http://${cluster.nodes[1].address}:8080/`;
  expect(await cluster.tor.run(['busybox', 'wget', '-q', '-O', '-', url])).toBe('b\n');
});

test('a NetworkPolicy admits what it names and nothing else, and the agent names the policy', async () => {
  await apply({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'only-a' },
    spec: {
      podSelector: { matchLabels: { app: 'b' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'a' } } }], ports: [{ port: 80 }] }],
    },
  });
  await eventually(async () => expect(await fetched('c', addressB)).toBe(undefined), { reason: 'c does not reach b' });
  expect(await fetched('a', addressB)).toBe('b');
  expect(await godwit('node2', 'show policy default/b')).toContain('only-a');
  await kubectl('delete networkpolicy only-a');
  await eventually(async () => expect(await fetched('c', addressB)).toBe('b'), { reason: 'c reaches b again' });
});

test('a BGPPeer to the switch comes up, and the switch reaches pods', async () => {
  const config = join(cluster.folder, 'bird.conf');
  writeFileSync(config, birdConfig);
  cluster.tor.start('bird', ['bird', '-f', '-c', config, '-s', join(cluster.folder, 'bird.ctl')]);
  await apply({
    apiVersion: 'godwit.dev/v1',
    kind: 'BGPPeer',
    metadata: { name: 'tor' },
    spec: { peerIP: torAddress, asNumber: 64601 },
  });
  for (const { name } of cluster.nodes) {
    await eventually(async () => expect(await godwit(name, 'show protocols')).toMatch(/tor\s.*Established/), {
      reason: `${name} has a session with the switch`,
    });
  }
  const condition = 'get bgppeer tor -o jsonpath={.status.conditions[?(@.type=="Established")].status}';
  await eventually(async () => expect(await kubectl(condition)).toBe('True'), {
    reason: 'the condition of the BGPPeer says so',
    within: 60_000,
  });
  await cluster.tor.run(['ping', '-c', '2', '-W', '2', addressA]);
  await cluster.tor.run(['ping', '-c', '2', '-W', '2', addressB]);
});

test('without the API server nothing is lost, and an agent that is restarted meanwhile starts from what it last knew', async () => {
  const [node1] = cluster.nodes;
  const stream = await PingStream.start(node1.host, addressA, addressB);
  const before = await viewNode(node1.host);
  await cluster.controlPlane.killApiServer();
  await stream.answered(50);
  const killed = await agentPid(node1);
  await node1.host.run(['kill', '-9', killed]);
  await eventually(async () => expect(await agentPid(node1)).not.toBe(killed), {
    reason: 'the kubelet has restarted the agent',
    within: 60_000,
  });
  await eventually(async () => expect(await birdProtocols()).toMatch(/node1\s.*Established/), {
    reason: 'the agent has its session with the switch again, without the API server',
    within: 60_000,
  });
  await stream.answered(50);
  const inside = ['nsenter', '--target', await agentPid(node1), '--mount', '--root', '--'];
  const status = await node1.host.run([...inside, '/opt/godwit/bin/godwit', 'show', 'status']);
  expect(status).toContain('from the last known state');
  await cluster.controlPlane.startApiServer();
  await eventually(async () => expect(await godwit('node1', 'show protocols')).toMatch(/mesh_node2\s.*Established/), {
    reason: 'the agent answers through the API server',
    within: 60_000,
  });
  const { sent, lost } = await stream.stop();
  expect(lost).toEqual([]);
  expect(sent).toBeGreaterThan(100);
  expect(await viewNode(node1.host)).toEqual(before);
});

test('agents are replaced one after the other without the loss of a packet', async () => {
  const streams = [
    await PingStream.start(cluster.nodes[0].host, addressA, addressB),
    await PingStream.start(cluster.nodes[1].host, addressB, addressA),
  ];
  await kubectl('-n kube-system rollout restart daemonset/godwit-agent');
  await kubectl('-n kube-system rollout status daemonset/godwit-agent --timeout=240s');
  for (const stream of streams) expect((await stream.stop()).lost).toEqual([]);
});

test('an agent that is killed during ADD leaves nothing, and the kubelet tries again', async () => {
  const [{ host }] = cluster.nodes;
  const before = await viewNode(host);
  const pods = Array.from({ length: 8 }, (_, i) => `interrupted-${i}`);
  const killed = await agentPid(host === cluster.nodes[0].host ? cluster.nodes[0] : cluster.nodes[1]);
  await apply(...pods.map((name) => idlePod(name, 'node1')));
  await eventually(async () => (await viewNode(host)).ledger.length > before.ledger.length, {
    reason: 'an ADD has begun',
  });
  await host.run(['kill', '-9', killed]);
  await kubectl(`wait --for=condition=Ready pod ${pods.join(' ')} --timeout=180s`);
  const addresses = await Promise.all(pods.map(addressOf));
  expect(new Set(addresses).size).toBe(pods.length);
  const during = await viewNode(host);
  expect(during.ledger).toHaveLength(before.ledger.length + pods.length);
  expect(during.podLinks).toHaveLength(before.podLinks.length + pods.length);
  expect(during.podRoutes).toEqual([...before.podRoutes, ...addresses].sort());
  await kubectl(`delete pod ${pods.join(' ')}`);
  await eventually(async () => expect(await viewNode(host)).toEqual(before), { reason: 'all is as before' });
});

test('a hundred pods come and go, and leave nothing', async () => {
  const before = await Promise.all(cluster.nodes.map(({ host }) => viewNode(host)));
  const pods = Array.from({ length: 100 }, (_, i) => idlePod(`many-${i}`, `node${(i % 2) + 1}`));
  await apply(...pods);
  await kubectl('wait --for=condition=Ready pod --selector app=many --timeout=240s');
  const addresses = (await kubectl('get pods --selector app=many -o jsonpath={.items[*].status.podIP}')).split(' ');
  expect(new Set(addresses).size).toBe(100);
  await kubectl('delete pods --selector app=many --wait=true');
  for (const [i, { host }] of cluster.nodes.entries()) {
    await eventually(async () => expect(await viewNode(host)).toEqual(before[i]), {
      reason: 'nothing is left',
      within: 60_000,
    });
  }
}, 600_000);

test('uninstalled by cleanup.yaml, it leaves nothing in the kernel and on the disk', async () => {
  await cluster.applyManifest('deploy/manifests/cleanup.yaml');
  await kubectl('-n kube-system rollout status daemonset/godwit-agent --timeout=240s');
  await kubectl('delete --wait=false -f -', { input: cluster.manifest('deploy/manifests/before-1.31/godwit.yaml') });
  for (const { host } of cluster.nodes) {
    const view = await viewNode(host);
    expect(view).toEqual({
      ...view,
      podLinks: [],
      podRoutes: [],
      bgpRoutes: [],
      ledger: [],
      nftElements: [],
      nftTables: [],
    });
    expect(view.files.filter((path) => path.includes('godwit'))).toEqual([]);
    const links = await host.run(['ip', '-oneline', 'link']);
    expect(links.split('\n').filter((line) => /: (gw|godwit)/.test(line))).toEqual([]);
    expect(await host.run(['ip', 'rule'])).not.toContain('godwit');
  }
});

function birdProtocols(): Promise<string> {
  return cluster.tor.run(['birdc', '-s', join(cluster.folder, 'bird.ctl'), 'show', 'protocols']);
}

const birdConfig = `
router id ${torAddress};
protocol device {}
protocol kernel { ipv4 { export all; import none; }; }
template bgp cluster_node {
  local ${torAddress} as 64601;
  graceful restart on;
  ipv4 { import all; export none; };
}
protocol bgp node1 from cluster_node { neighbor 10.99.0.11 as 64512; }
protocol bgp node2 from cluster_node { neighbor 10.99.0.12 as 64512; }
`;
