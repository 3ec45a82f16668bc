/** Chained with the CNI project's plugins, as a runtime runs the list: our result is what they go on with. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Forwarder, runPlugin, type PluginCall } from '../../../kit/cni-forwarder.ts';
import { Endpoint } from '../../../kit/endpoint.ts';
import { eventually } from '../../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../../kit/netns.ts';
import { CniNode, pings, podManifest } from './cni-node.ts';

/** Of Debian's package containernetworking-plugins: 1.1.1, which speaks 1.0.0 at most. */
const pluginFolder = '/usr/lib/cni';

let forwarder: Forwarder;
let node: CniNode;
let outside: TestNamespace;
const endpoints: Endpoint[] = [];

beforeAll(() => {
  forwarder = new Forwarder();
});
afterAll(() => forwarder[Symbol.dispose]());

beforeEach(async () => {
  node = new CniNode(forwarder);
  outside = new TestNamespace();
  connectNamespaces(node.host, 'up0', outside, 'up0');
  node.host.ip('addr add 10.9.0.1/24 dev up0');
  outside.ip('addr add 10.9.0.2/24 dev up0');
  await node.apply('upsert', podManifest('web', { app: 'web' }));
  await node.startAgent();
});

afterEach(async () => {
  for (const endpoint of endpoints.splice(0)) endpoint.stop();
  await node.close();
  outside.remove();
});

async function endpointIn(namespace: TestNamespace): Promise<Endpoint> {
  const endpoint = new Endpoint(namespace.name);
  endpoints.push(endpoint);
  await endpoint.ready;
  return endpoint;
}

function chained(type: string, call: PluginCall, config: object) {
  const whole = { cniVersion: '1.0.0', name: 'godwit', type, ...config };
  return runPlugin(`${pluginFolder}/${type}`, call, JSON.stringify(whole), ['ip', 'netns', 'exec', node.host.name]);
}

test('plugins that the runtime lacks are left out of its configuration, said so, and chained once they are there', async () => {
  await node.stopAgent();
  const binDir = join(node.folder, 'bin');
  const plugin = (name: string) => join(binDir, name);
  const types = () => {
    const text = readFileSync(join(node.folder, 'net.d', '10-godwit.conflist'), 'utf8');
    return (JSON.parse(text) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);
  };
  mkdirSync(plugin('bandwidth'), { recursive: true }); // A folder is no plugin.
  writeFileSync(plugin('portmap'), '');
  await node.startAgent({ binDir, chain: ['portmap', 'bandwidth'] });
  expect(types()).toEqual(['godwit-cni', 'portmap']);
  const message = `not in ${binDir}, left out of the network configuration: bandwidth (the bandwidth annotations)`;
  expect(node.part.missingPlugins?.message).toBe(message);
  expect(node.logged).toContain(`plugins are not there to be chained ${JSON.stringify({ plugins: message })}`);

  rmSync(plugin('bandwidth'), { recursive: true });
  writeFileSync(plugin('bandwidth'), '');
  node.checkLeaks?.();
  await eventually(() => expect(types()).toEqual(['godwit-cni', 'portmap', 'bandwidth']), { reason: 'it is chained' });
  expect(node.part.missingPlugins).toBe(undefined);

  rmSync(plugin('portmap'));
  node.checkLeaks?.();
  await eventually(() => expect(types()).toEqual(['godwit-cni', 'bandwidth']), { reason: 'it is left out' });
  expect(node.part.missingPlugins?.message).toContain('portmap (hostPort)');
});

test('portmap takes our result: a hostPort leads to the pod, and is gone with it', async () => {
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/web' };
  const { output: prevResult } = await node.call({ command: 'ADD', ...call });
  const config = {
    snat: true,
    prevResult,
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
  };
  expect(await chained('portmap', { command: 'ADD', ...call }, config)).toEqual({ status: 0, output: prevResult });
  const [server, client] = [await endpointIn(pod), await endpointIn(outside)];
  await server.ask('listen', { ports: [80] });
  expect(await client.ask('connect', { address: '10.9.0.1', port: 8080, connection: 1 })).toBe('connected');

  expect(await chained('portmap', { command: 'DEL', ...call }, config)).toEqual({ status: 0 });
  expect(await node.call({ command: 'DEL', ...call })).toEqual({ status: 0 });
  expect(await client.ask('connect', { address: '10.9.0.1', port: 8080, connection: 2 })).toBe('ECONNREFUSED');
});

test('tuning takes our result', async () => {
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/web' };
  const { output: prevResult } = await node.call({ command: 'ADD', ...call });
  const sysctl = { 'net.ipv4.tcp_keepalive_time': '77' };
  const answer = await chained('tuning', { command: 'ADD', ...call }, { sysctl, prevResult });
  expect(answer).toEqual({ status: 0, output: prevResult });
  expect(pod.exec('sysctl', '-n', 'net.ipv4.tcp_keepalive_time').trim()).toBe('77');
  // The other plugin's CHECK, and ours, with the same result.
  expect(await chained('tuning', { command: 'CHECK', ...call }, { sysctl, prevResult })).toEqual({ status: 0 });
  expect(await node.call({ command: 'CHECK', ...call, config: { prevResult } })).toEqual({ status: 0 });
});

test('bandwidth takes our result: it finds the host’s end', async () => {
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/web' };
  const { output: prevResult } = await node.call({ command: 'ADD', ...call });
  const config = { prevResult, runtimeConfig: { bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000 } } };
  expect(await chained('bandwidth', { command: 'ADD', ...call }, config)).toMatchObject({ status: 0 });
  const [{ name }] = node.links.hostLinks();
  expect(node.host.exec('tc', 'qdisc', 'show', 'dev', name)).toContain('tbf');
});

test('a further interface is reached from elsewhere with sbr in its chain, and not without: its answers would leave by eth0', async () => {
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/web' };
  await node.add(call);
  outside.ip('route add 10.244.1.0/24 via 10.9.0.1');
  const second = { ...call, containerId: 'c2', ifName: 'net1' };
  const { output: prevResult } = await node.call({ command: 'ADD', ...second });
  const [{ address }] = prevResult!['ips'] as { address: string }[];
  const to = address.replace('/32', '');
  expect(pings(outside, to)).toBe(false);
  expect(await chained('sbr', { command: 'ADD', ...second }, { prevResult })).toMatchObject({ status: 0 });
  expect(pings(outside, to)).toBe(true);
  expect(await chained('sbr', { command: 'DEL', ...second }, { prevResult })).toMatchObject({ status: 0 });
  expect(await node.call({ command: 'DEL', ...second })).toEqual({ status: 0 });
});
