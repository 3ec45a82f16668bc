/**
 * Godwit on a real Kubernetes (1.20.2, both families): API server, controller manager, scheduler, two kubelets with containerd, and a BIRD
 * as the switch.
 * Each test goes on from where the one before left the cluster.
 */

import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { runPlugin } from '../kit/cni-forwarder.ts';
import { eventually } from '../kit/eventually.ts';
import { Cluster, torAddress, torAddress6 } from './cluster.ts';
import { idlePod, toList, webPod } from './manifests.ts';
import { viewNode, type NodeView } from './node-view.ts';
import { namespaceOf, PingStream } from './ping-stream.ts';
import type { RunOptions } from './programs.ts';

const kubectlGodwit = fileURLToPath(new URL('../../deploy/kubectl/kubectl-godwit', import.meta.url));
const undo: (() => void | Promise<void>)[] = [];
let cluster: Cluster;
let addressA: string;
let addressB: string;
let addressB6: string;

beforeAll(async () => {
  cluster = await Cluster.start((step) => undo.push(step));
});

afterAll(async () => {
  const failures: unknown[] = [];
  for (const step of undo.reverse()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `not all is cleaned up: ${failures.join('; ')}`);
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => console.error(await cluster.report()));
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

/** What `kubectl get` lists. */
async function items(words: string): Promise<unknown[]> {
  return (JSON.parse(await kubectl(`${words} -o json`)) as { items: unknown[] }).items;
}

function addressOf(pod: string): Promise<string> {
  return kubectl(`get pod ${pod} -o jsonpath={.status.podIP}`);
}

/** IPv4, IPv6 */
async function addressesOf(pod: string): Promise<string[]> {
  return (await kubectl(`get pod ${pod} -o jsonpath={.status.podIPs[*].ip}`)).split(' ');
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

test('a plugin that a node has not is left out of its chain, and said so', async () => {
  const chainOf = async (node: Cluster['nodes'][number]): Promise<string[]> => {
    const text = await node.host.run(['cat', '/etc/cni/net.d/10-godwit.conflist']);
    return (JSON.parse(text) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);
  };
  expect(await chainOf(cluster.nodes[0])).toEqual(['godwit-cni', 'portmap', 'bandwidth']);
  expect(await chainOf(cluster.nodes[1])).toEqual(['godwit-cni', 'portmap']);
  expect(await godwit('node2', 'show status')).toMatch(/CniPluginMissing.*bandwidth/);
});

test('pods on both nodes reach each other, and the other node', async () => {
  await apply(webPod('a', 'node1'), webPod('b', 'node2', 8080), webPod('c', 'node2'));
  await kubectl('wait --for=condition=Ready pod a b c --timeout=90s');
  [addressA] = await addressesOf('a');
  [addressB, addressB6] = await addressesOf('b');
  expect(addressB6).toMatch(/^fd00:10:244:/);
  const published = 'get pod a -o jsonpath={.metadata.annotations.godwit\\.dev/pod-ips}';
  expect(await kubectl(published)).toBe((await addressesOf('a')).join(','));
  await kubectl(`exec a -- ping -c 2 -W 2 ${addressB}`);
  await kubectl(`exec b -- ping -c 2 -W 2 ${addressA}`);
  await kubectl(`exec a -- ping -c 2 -W 2 ${cluster.nodes[1].address}`);
  await kubectl(`exec a -- ping -c 2 -W 2 ${addressB6}`);
  await kubectl(`exec a -- ping -c 2 -W 2 ${cluster.nodes[1].address6}`);
  expect(await fetched('a', addressB)).toBe('b');
  expect(await fetched('a', `[${addressB6}]`)).toBe('b');
});

test('a Service of both families has the pod in both', async () => {
  await apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'b' },
    spec: { selector: { app: 'b' }, ipFamilyPolicy: 'RequireDualStack', ports: [{ port: 80 }] },
  });
  const endpoints =
    'get endpointslice -l kubernetes.io/service-name=b -o jsonpath={.items[*].endpoints[*].addresses[*]}';
  await eventually(
    async () => expect((await kubectl(endpoints)).split(' ').sort()).toEqual([addressB, addressB6].sort()),
    { reason: 'its EndpointSlices hold both addresses' },
  );
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
  for (const address of [addressB, `[${addressB6}]`]) {
    await eventually(async () => expect(await fetched('c', address)).toBe(undefined), { reason: 'c does not reach b' });
    expect(await fetched('a', address)).toBe('b');
  }
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
  await cluster.tor.run(['ping', '-c', '2', '-W', '2', addressB6]);
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
  const addresses = (await Promise.all(pods.map(addressesOf))).flat();
  expect(new Set(addresses).size).toBe(2 * pods.length);
  const during = await viewNode(host);
  expect(during.ledger).toHaveLength(before.ledger.length + pods.length);
  expect(during.podLinks).toHaveLength(before.podLinks.length + pods.length);
  expect(during.podRoutes).toEqual([...before.podRoutes, ...addresses].sort());
  await kubectl(`delete pod ${pods.join(' ')}`);
  await eventually(async () => expect(await viewNode(host)).toEqual(before), { reason: 'all is as before' });
});

test('a hundred pods come and go, and leave nothing', async () => {
  await churn('many', 100, /^(10\.244|fd00:10:244:)/);
}, 600_000);

/** Runs so many pods, whose addresses shall look so, and takes them away; then nothing of them may be left. */
async function churn(app: string, count: number, range: RegExp): Promise<void> {
  const views = () => Promise.all(cluster.nodes.map(({ host }) => viewNode(host)));
  // What nodes have in common, their ranges, may have grown.
  const ofPods = (view: NodeView) => ({
    ...view,
    podRoutes: view.podRoutes.filter((to) => !to.includes('/')),
    bgpRoutes: [],
  });
  const before = (await views()).map(ofPods);
  const pods = Array.from({ length: count }, (_, i) => idlePod(`${app}-${i}`, `node${(i % 2) + 1}`));
  await apply(...pods);
  await kubectl(`wait --for=condition=Ready pod --selector app=${app} --timeout=240s`);
  const addresses = (await kubectl(`get pods --selector app=${app} -o jsonpath={.items[*].status.podIPs[*].ip}`)).split(
    ' ',
  );
  expect(addresses.filter((address) => !range.test(address))).toEqual([]);
  expect(new Set(addresses).size).toBe(2 * count);
  await kubectl(`delete pods --selector app=${app} --wait=true`);
  await eventually(async () => expect((await views()).map(ofPods)).toEqual(before), {
    reason: 'nothing is left',
    within: 60_000,
  });
}

test('told to take blocks of pools, nodes give their pods addresses of these and tell the switch of them', async () => {
  await kubectl('create namespace small');
  await kubectl('label namespace small size=small');
  await apply(
    pool('pods', { cidr: '10.245.0.0/20', blockSize: 27, namespaceSelector: '!has(size)' }),
    pool('pods-v6', { cidr: 'fd00:10:245::/64', blockSize: 123 }),
    pool('small', { cidr: '10.246.0.0/29', blockSize: 29, namespaceSelector: "size == 'small'", nodeSelector: first }),
  );
  await cluster.applyChart('--set=cni.ipam=pools', '--set=agent.extraArgs={--metrics=127.0.0.1:9179}');
  await kubectl('-n kube-system rollout status daemonset/godwit-agent --timeout=240s');
  await apply(webPod('d', 'node1'), webPod('e', 'node2'));
  await kubectl('wait --for=condition=Ready pod d e --timeout=90s');
  const addresses = [...(await addressesOf('d')), ...(await addressesOf('e'))];
  const [v4, v6] = [expect.stringMatching(/^10\.245\./), expect.stringMatching(/^fd00:10:245:/)];
  expect(addresses).toEqual([v4, v6, v4, v6]);
  const blocks = (await items('get ipamblocks')) as { spec: { cidr: string; node: string; pool: string } }[];
  for (const { name, address } of cluster.nodes) {
    const block = blocks.find(({ spec }) => spec.pool === 'pods' && spec.node === name);
    await eventually(async () => expect(await bird('show', 'route', block!.spec.cidr)).toContain(`via ${address} `), {
      reason: `the switch has the block of ${name}`,
    });
  }
  // Pods of both kinds reach each other, and are reached from outside.
  for (const address of [...addresses, addressA]) {
    await cluster.tor.run(['ping', '-c', '2', '-W', '2', address]);
    await kubectl(`exec b -- ping -c 2 -W 2 ${address}`);
  }
});

test('more pods than two blocks have addresses come and go, and leave nothing', async () => {
  await churn('pooled', 70, /^(10\.245\.|fd00:10:245:)/);
}, 600_000);

test('a further interface, as Multus asks for it, has an address of its own', async () => {
  const [{ host }] = cluster.nodes;
  const before = await viewNode(host);
  const netns = `/run/netns/${await namespaceOf(host, await addressOf('d'))}`;
  // A delegate's list: our plugin, and sbr, for answers to leave by the interface that was asked.
  const delegate = (plugin: string, command: string, config: object = {}) =>
    runPlugin(
      plugin,
      { command, containerId: 'multus', netns, ifName: 'net1', pod: 'default/d' },
      JSON.stringify({ cniVersion: '1.0.0', name: 'second', type: basename(plugin), ...config }),
      host.enter,
    );
  const [own, sbr] = ['/opt/cni/bin/godwit-cni', '/usr/lib/cni/sbr'];
  const { status, output: prevResult } = await delegate(own, 'ADD');
  expect(status).toBe(0);
  expect(await delegate(sbr, 'ADD', { prevResult })).toMatchObject({ status: 0 });
  const addresses = (prevResult!['ips'] as { address: string }[]).map(({ address }) => address.replace(/\/.*/, ''));
  expect(addresses).toEqual([expect.stringMatching(/^10\.245\./), expect.stringMatching(/^fd00:10:245:/)]);
  for (const address of addresses) await kubectl(`exec e -- ping -c 2 -W 2 ${address}`);
  expect(await delegate(sbr, 'DEL', { prevResult })).toMatchObject({ status: 0 });
  expect(await delegate(own, 'DEL')).toMatchObject({ status: 0 });
  expect(await viewNode(host)).toEqual(before);
});

test('a pool without an address left says so on the pod, by an Event and a count; what is given back serves the pod that waits', async () => {
  // Of eight addresses the first and the last are nobody's.
  const pods = Array.from({ length: 6 }, (_, i) => `small-${i}`);
  await apply(...pods.map((name) => idlePod(name, 'node1', 'small')));
  await kubectl(`-n small wait --for=condition=Ready pod ${pods.join(' ')} --timeout=120s`);
  await apply(idlePod('one-more', 'node1', 'small'));
  const about = 'involvedObject.kind=Pod,involvedObject.name=one-more';
  const missing = /no IPv4 address is left .*6 held.*IPPool small/;
  await eventually(
    async () => {
      const events = (await items(`-n small get events --field-selector ${about}`)) as {
        reason: string;
        message: string;
      }[];
      const told = events.filter(({ message }) => missing.test(message)).map((event) => event.reason);
      expect(told).toEqual(expect.arrayContaining(['FailedCreatePodSandBox', 'NoPodAddress']));
    },
    { reason: "the kubelet's Event and the agent's say what is missing", within: 60_000 },
  );
  const metrics = await cluster.nodes[0].host.run([
    'busybox',
    'wget',
    '-q',
    '-O',
    '-',
    'http://127.0.0.1:9179/metrics',
  ]);
  expect(metrics).toMatch(/^godwit_ipam_exhausted_total [1-9]/m);
  await kubectl('-n small delete pod small-0');
  await kubectl('-n small wait --for=condition=Ready pod one-more --timeout=120s');
  await kubectl('-n small delete pods --all');
});

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

const first = "kubernetes.io/hostname == 'node1'";

function pool(name: string, spec: object): object {
  return { apiVersion: 'godwit.dev/v1', kind: 'IPPool', metadata: { name }, spec };
}

function bird(...words: readonly string[]): Promise<string> {
  return cluster.tor.run(['birdc', '-s', join(cluster.folder, 'bird.ctl'), ...words]);
}

function birdProtocols(): Promise<string> {
  return bird('show', 'protocols');
}

const birdConfig = `
router id ${torAddress};
protocol device {}
protocol kernel { ipv4 { export all; import none; }; }
protocol kernel { ipv6 { export all; import none; }; }
template bgp cluster_node {
  local ${torAddress} as 64601;
  graceful restart on;
  ipv4 { import all; export none; };
  ipv6 { import all; export none; next hop address ${torAddress6}; };
}
protocol bgp node1 from cluster_node { neighbor 10.99.0.11 as 64512; }
protocol bgp node2 from cluster_node { neighbor 10.99.0.12 as 64512; }
`;
