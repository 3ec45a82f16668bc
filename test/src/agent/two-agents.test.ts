/**
 * Two real agents on two hosts with a password between them: what their probes and metrics say; the password's rollover by an
 * edit of the Secrets; a Secret that vanishes; a pool that comes and goes; and nothing that either says anywhere holds a password.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const namespaces = { a: new TestNamespace(), b: new TestNamespace() };
const folder = mkdtempSync(join(tmpdir(), 'godwit-password-'));

const hosts = { a: '10.88.0.1', b: '10.88.0.2' } as const;
type Host = keyof typeof hosts;
const agents = new Map<Host, ChildProcess>();
const said: Record<Host, string> = { a: '', b: '' };

beforeAll(async () => {
  connectNamespaces(namespaces.a, 'eth0', namespaces.b, 'eth0');
  for (const host of ['a', 'b'] as const) {
    namespaces[host].ip(`addr add ${hosts[host]}/24 dev eth0`);
    mkdirSync(join(folder, host, 'manifests'), { recursive: true });
    writeManifests(host);
    writeSecret(host, 'hunter-one');
    start(host);
  }
  await eventually(async () => (await isUp('a')) && (await isUp('b')), { reason: 'the session with the first key' });
}, 30_000);

afterAll(async () => {
  for (const agent of agents.values()) {
    const gone = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill('SIGTERM');
    await gone;
  }
  for (const namespace of Object.values(namespaces)) namespace.remove();
  rmSync(folder, { recursive: true });
});

function writeManifests(host: Host, annotations = ''): void {
  const nodes = Object.entries(hosts).map(
    ([name, address], i) => `
apiVersion: v1
kind: Node
metadata: { name: ${name}, annotations: {${name === host ? annotations : ''}} }
spec: { podCIDRs: [10.244.${i}.0/24] }
status: { addresses: [{ type: InternalIP, address: ${address} }] }`,
  );
  const mesh = `
apiVersion: godwit.dev/v1
kind: BGPConfiguration
metadata: { name: default }
spec: { holdTime: 3s, nodeMeshPassword: { secretKeyRef: { name: bgp, key: mesh } } }`;
  writeFileSync(join(folder, host, 'manifests', 'cluster.yaml'), [...nodes, mesh].join('\n---'));
}

function secretFile(host: Host): string {
  return join(folder, host, 'manifests', 'secret.yaml');
}

function writeSecret(host: Host, password: string): void {
  const manifest = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bgp' }, stringData: { mesh: password } };
  writeFileSync(secretFile(host), JSON.stringify(manifest));
}

function socket(host: Host): string {
  return join(folder, host, 'godwit.ctl');
}

function start(host: Host): void {
  const flags = {
    node: host,
    source: `dir:${join(folder, host, 'manifests')}`,
    roles: 'bgp,routes,policy',
    socket: socket(host),
    state: join(folder, host, 'state'),
    'log-level': 'trace',
    metrics: '127.0.0.1:9179',
  };
  const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  const agent = spawn('ip', ['netns', 'exec', namespaces[host].name, process.execPath, main, 'agent', ...words]);
  for (const stream of [agent.stdout, agent.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said[host] += text));
  }
  agents.set(host, agent);
}

/** In BIRD's words. */
function ask(host: Host, words: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const connection = createConnection(socket(host), () => connection.end(`${words}\n`));
    connection.setEncoding('utf8').on('data', (text: string) => (answer += text));
    connection.on('end', () => resolve(answer)).on('error', reject);
  });
}

async function isUp(host: Host): Promise<boolean> {
  return (await ask(host, 'show protocols')).includes('Established');
}

function messagesReceived(host: Host): number {
  return Number(/^godwit_bgp_messages_received_total\S* (\d+)$/m.exec(metrics(host))?.[1]);
}

function metrics(host: Host): string {
  return get(host, '/metrics');
}

function get(host: Host, path: string): string {
  const script = `fetch('http://127.0.0.1:9179${path}').then(async (answer) => process.stdout.write(answer.status + ' ' + await answer.text()))`;
  return namespaces[host].exec(process.execPath, '-e', script);
}

test('both are alive and ready, and their metrics say what they have done', async () => {
  await eventually(() => metrics('a').includes('\ngodwit_routes_installed 1\n'), {
    reason: "b's route in the kernel of a",
  });
  expect(get('a', '/livez')).toBe('200 [+]event loop ok\n[+]routes ok\n[+]policy ok\n');
  expect(get('a', '/readyz')).toBe('200 [+]source ok\n[+]speaker ok\n[+]policy ok\n');
  const lines = metrics('a').split('\n');
  for (const line of [
    'godwit_bgp_session_up{peer="mesh_b"} 1',
    'godwit_bgp_prefixes_imported{peer="mesh_b",family="ipv4"} 1',
    'godwit_routes_pending 0',
    'godwit_routes_failed 0',
    'godwit_routes_unroutable 0',
    'godwit_policy_in_force 1',
    'godwit_conditions 0',
    'godwit_tcp_md5_dropped_segments_total{reason="wrong"} 0',
  ]) {
    expect(lines).toContain(line);
  }
  for (const histogram of ['route', 'policy']) {
    expect(lines.join('\n')).toMatch(new RegExp(`^godwit_${histogram}_programming_seconds_count [1-9]`, 'm'));
  }
});

test('the password changes on both sides, and the session stays', async () => {
  const before = messagesReceived('a');
  for (const host of ['a', 'b'] as const) writeSecret(host, 'hunter-two');
  // Two may have come before the keys differed; the next says that they are one again, before the hold time was over.
  await eventually(() => messagesReceived('a') >= before + 3, { reason: 'keepalives signed with the new key' });
  for (const host of ['a', 'b'] as const) {
    expect(metrics(host)).toMatch(/^godwit_bgp_session_flaps_total\{peer="mesh_[ab]"\} 0$/m);
    expect(metrics(host)).toContain('godwit_bgp_peers{state="established"} 1');
  }
});

test('a pool with natOutgoing has its table of nftables while it is there', async () => {
  const tables = () => namespaces.a.exec('nft', 'list', 'tables');
  expect(tables()).not.toContain('godwit-nat');
  const manifest = {
    apiVersion: 'godwit.dev/v1',
    kind: 'IPPool',
    metadata: { name: 'natted' },
    spec: { cidr: '10.245.0.0/16', natOutgoing: true },
  };
  const file = join(folder, 'a', 'manifests', 'pool.yaml');
  writeFileSync(file, JSON.stringify(manifest));
  await eventually(() => tables().includes('godwit-nat'), { reason: 'the table is there' });
  const clusterSet = namespaces.a.exec('nft', 'list', 'set', 'inet', 'godwit-nat', 'cluster-4');
  for (const text of ['10.245.0.0/16', hosts.a, hosts.b]) expect(clusterSet).toContain(text);
  expect(await ask('a', 'show status')).not.toContain('NatOutgoingFailed');
  rmSync(file);
  await eventually(() => !tables().includes('godwit-nat'), { reason: 'the table is gone' });
});

test('RFC 8326: a node whose Node says that it is shutting down is the last choice of the others, and no session ends', async () => {
  const atB = () => ask('b', 'show route 10.244.0.0/24 all');
  await eventually(async () => expect(await atB()).toContain('10.244.0.0/24'), { reason: "a's route at b" });
  expect(await atB()).not.toContain('BGP.local_pref: 0');
  writeManifests('a', "godwit.dev/graceful-shutdown: 'true'");
  await eventually(async () => expect(await atB()).toMatch(/BGP\.local_pref: 0$/m), { reason: 'the last choice' });
  expect(await ask('a', 'show protocols all mesh_b')).toContain('graceful-shutdown');
  writeManifests('a');
  await eventually(async () => expect(await atB()).toMatch(/BGP\.local_pref: 100$/m), { reason: 'as before' });
  expect(metrics('a')).toMatch(/^godwit_bgp_session_flaps_total\{peer="mesh_b"\} 0$/m);
});

test('a Secret that vanishes holds the session down, and says why', async () => {
  rmSync(secretFile('a'));
  await eventually(async () => (await ask('a', 'show protocols')).includes('held down'), { reason: 'held down' });
  expect(await ask('a', 'show protocols')).toContain('held down: there is no Secret bgp');
  expect(await ask('a', 'show status')).toContain('BGPConfiguration/default');
  writeSecret('a', 'hunter-two');
  await eventually(() => isUp('a'), { reason: 'up again' });
});

test('no password is said anywhere', async () => {
  writeSecret('b', 'hunter-three\n');
  await eventually(() => said.b.includes('ends with a line break'), { reason: 'refused' });
  writeFileSync(
    secretFile('b'),
    'apiVersion: v1\nkind: Secret\nmetadata: { name: bgp }\nstringData: { mesh: "hunter" four }\n',
  );
  await eventually(() => said.b.includes('not YAML'), { reason: 'refused' });
  for (const host of ['a', 'b'] as const) {
    const answers = await Promise.all(
      ['show status', 'show protocols all', 'show memory', 'show route all'].map((words) => ask(host, words)),
    );
    const everything = [
      said[host],
      metrics(host),
      ...answers,
      readFileSync(join(folder, host, 'state', 'run.json'), 'utf8'),
    ];
    expect(everything.every((text) => text.length > 0)).toBe(true);
    expect(everything.join('\n')).not.toMatch(/hunter|aHVudGVy/);
  }
});
