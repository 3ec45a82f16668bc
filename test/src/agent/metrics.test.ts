/** The metrics of agent-like parts: real speakers over TCP, a control model's view of them, scraped over HTTP. */

import { execFileSync } from 'node:child_process';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Speaker, systemClock, TcpDriver } from '../../../bgp/index.ts';
import type { RunningAgent } from '../../../src/agent/control-model.ts';
import { collectedMetrics, type Snapshot } from '../../../src/agent/metrics.ts';
import { MetricsRegistry } from '../../../src/agent/metrics-registry.ts';
import { Monitor } from '../../../src/agent/monitor.ts';
import { emptyClusterState } from '../../../src/resources/cluster-state.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { neighbor, originated, settings } from '../../bgp/kit/speakers.ts';
import { eventually } from '../../kit/eventually.ts';

const A = '127.98.0.1';
const B = '127.98.0.2';
const port = 40_000 + (process.pid % 10_000);
const log = pino({ level: 'silent' });
const ending: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function startSpeaker(own: string, ownAs: number, other: string, otherAs: number, prefixes: string[]) {
  const peer = neighbor(other, otherAs, {
    name: `peer_${otherAs}`,
    remote: { kind: 'address', address: other, port },
    localAddress: own,
    connectRetrySeconds: 1,
  });
  const speaker = new Speaker({
    settings: { ...settings(own, ownAs, [peer], { originated: originated(...prefixes) }), listenPort: port },
    driver: new TcpDriver({ listenAddresses: [own] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
  });
  await speaker.start();
  ending.push(() => speaker.stop('restart'));
  return speaker;
}

function agentWith(speaker: Speaker): RunningAgent {
  const config = toSpeakerSettings(emptyClusterState(), { nodeName: 'node-1', nodeIps: {}, roles: ['bgp'] });
  return {
    nodeName: 'node-1',
    version: '1.2.3',
    roles: ['bgp'],
    startedAt: 0,
    configuredAt: () => 0,
    config: () => ({ ...config, conditions: [] }),
    restartInProgress: () => false,
    sourceStatus: () => ({ text: 'dir:/x', synced: true, problems: [{ file: 'a.yaml', reason: 'not YAML' }] }),
    policyCounts: () => ({ policies: 3, pods: 7 }),
    ownConditions: () => [],
    addresses: () => ({
      usage: [
        { range: '10.244.1.0/24', family: 'ipv4', size: 254n, held: 3, reserved: 2n, coolingDown: 1 },
        { range: '10.244.2.0/24', family: 'ipv4', size: 254n, held: 4, reserved: 0n, coolingDown: 0 },
      ],
      refusals: 5,
    }),
    speaker,
    routes: undefined,
    policy: undefined,
    hostRoutes: undefined,
    links: undefined,
    rereadSource: () => Promise.resolve([]),
  };
}

/** undefined: not running yet. */
async function startMonitor(agent: () => RunningAgent | undefined): Promise<Monitor> {
  const monitor = await Monitor.start({ host: '127.0.0.1', port: 0 }, agent, log);
  ending.push(() => monitor.close());
  return monitor;
}

function ask(monitor: Monitor, path: string, method = 'GET'): Promise<{ status: number; text: string; type: string }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: monitor.port, path, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text, type: String(response.headers['content-type']) }),
      );
    })
      .on('error', reject)
      .end();
  });
}

test('two speakers: what the scrape says is what they say', async () => {
  const speaker = await startSpeaker(A, 65001, B, 65002, ['10.1.0.0/24']);
  await startSpeaker(B, 65002, A, 65001, ['10.2.0.0/24', '10.3.0.0/24']);
  const monitor = await startMonitor(() => agentWith(speaker));
  monitor.observe('routeProgramming', 3);
  await eventually(
    () => speaker.peers()[0].families[0].imported === 2 && speaker.peers()[0].families[0].exported === 1,
    {
      reason: 'routes',
    },
  );
  const { status, text, type } = await ask(monitor, '/metrics');
  expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  const lines = text.split('\n');
  for (const line of [
    'godwit_build_info{version="1.2.3",node="node-1"} 1',
    'godwit_bgp_peers{state="established"} 1',
    'godwit_bgp_peers{state="idle"} 0',
    `godwit_bgp_peer_info{peer="peer_65002",address="${B}",remote_as="65002",type="eBGP"} 1`,
    'godwit_bgp_session_up{peer="peer_65002"} 1',
    'godwit_bgp_session_flaps_total{peer="peer_65002"} 0',
    'godwit_bgp_prefixes_imported{peer="peer_65002",family="ipv4"} 2',
    'godwit_bgp_prefixes_exported{peer="peer_65002",family="ipv4"} 1',
    'godwit_rib_prefixes{family="ipv4"} 3',
    'godwit_source_synced 1',
    'godwit_source_problems 1',
    'godwit_network_policies 3',
    'godwit_pods 7',
    'godwit_restart_in_progress 0',
    '# TYPE godwit_bgp_updates_received_total counter',
    'godwit_route_programming_seconds_bucket{le="0.0025"} 0',
    'godwit_route_programming_seconds_bucket{le="0.005"} 1',
    'godwit_policy_programming_seconds_count 0',
  ]) {
    expect(lines).toContain(line);
  }
  expect(text).toMatch(/^process_resident_memory_bytes \d/m);
  expect(text).toMatch(/^godwit_tcp_md5_dropped_segments_total\{reason="wrong"\} \d/m);
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds \S/m);
  expect(text).not.toMatch(/^godwit_(routes|policy)_(installed|in_force)\b[^#\n]* \d/m);
});

test('probes and wrong questions', async () => {
  const speaker = await startSpeaker(A, 65001, B, 65002, []);
  let agent: RunningAgent | undefined;
  const monitor = await startMonitor(() => agent);
  expect(await ask(monitor, '/livez')).toMatchObject({ status: 200, text: '[+]event loop ok\n' });
  expect(await ask(monitor, '/readyz')).toMatchObject({ status: 503, text: '[-]source: not read yet\n' });
  expect(await ask(monitor, '/metrics')).toMatchObject({ status: 200 });
  agent = agentWith(speaker);
  expect(await ask(monitor, '/readyz?verbose')).toMatchObject({ status: 200, text: '[+]source ok\n[+]speaker ok\n' });
  expect(await ask(monitor, '/')).toMatchObject({ status: 404 });
  expect(await ask(monitor, '/metrics', 'POST')).toMatchObject({ status: 405 });
  expect(await ask(monitor, '/livez', 'HEAD')).toMatchObject({ status: 200, text: '' });
  await speaker.stop('restart');
  expect(await ask(monitor, '/readyz')).toMatchObject({ status: 503 });
});

test('a port that is taken is an error that names the flag, the address and the reason', async () => {
  const monitor = await startMonitor(() => undefined);
  const { port: taken } = monitor;
  await expect(Monitor.start({ host: '127.0.0.1', port: taken }, () => undefined, log)).rejects.toThrow(
    `--metrics: cannot listen on 127.0.0.1 port ${taken}: another program has the port (EADDRINUSE)`,
  );
});

test('one scrape is one snapshot, and two scrapes at once are one', async () => {
  const speaker = await startSpeaker(A, 65001, B, 65002, []);
  let taken = 0;
  const [peer] = speaker.peers();
  const registry = await MetricsRegistry.create(() => {
    taken++;
    return { ...emptySnapshot, peers: [{ ...peer, name: 'a "quoted"\npeer' }] };
  });
  const [first, second] = await Promise.all([registry.scrape(), registry.scrape()]);
  expect(taken).toBe(1);
  expect(second).toBe(first);
  expect(first).toContain('godwit_bgp_session_up{peer="a \\"quoted\\"\\npeer"} 0\n');
});

const emptySnapshot: Snapshot = {
  nodeName: 'node-1',
  version: '1.2.3',
  peers: [],
  rib: {
    ipv4: { prefixes: 0, paths: 0, attributes: 0, rows: 0 },
    ipv6: { prefixes: 0, paths: 0, attributes: 0, rows: 0 },
  },
  kernel: undefined,
  policy: undefined,
  counts: { policies: 0, pods: 0 },
  source: { synced: true, problems: 0 },
  conditions: 0,
  restartInProgress: false,
  addresses: undefined,
  signatureDrops: { missing: 1, unexpected: 2, wrong: 3 },
  bfdDiscards: { badVersion: 4 },
};

test('names are unique and as Prometheus wants them; every sample has exactly the labels of its metric', () => {
  const names = collectedMetrics.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const kernel = {
    routes: 5,
    pending: 4,
    failed: 3,
    unroutable: 2,
    adopted: 1,
    tunnels: [
      { name: 'godwit-ipip', kind: 'ipip', state: 'up' },
      { name: 'godwit-vxlan', kind: 'vxlan', state: 'failed', reason: 'x' },
    ],
  } as const;
  const policy = { state: 'inForce', appliedAt: 5000 } as const;
  const values: Record<string, readonly number[]> = {};
  for (const { name, type, help, labels, collect } of collectedMetrics) {
    expect(name).toMatch(type === 'counter' ? /^godwit_[a-z0-9_]+_total$/ : /^godwit_[a-z0-9_]+(?<!_total)$/);
    expect(help).toMatch(/\.$|show status`\.$|never\.$/);
    const samples = [...collect({ ...emptySnapshot, kernel, policy })];
    for (const sample of samples) expect(Object.keys(sample.labels)).toEqual(labels);
    values[name] = samples.map(({ value }) => value);
  }
  expect(values).toMatchObject({
    godwit_routes_installed: [5],
    godwit_routes_pending: [4],
    godwit_routes_failed: [3],
    godwit_routes_unroutable: [2],
    godwit_routes_adopted: [1],
    godwit_tunnels: [1, 0, 0, 1],
    godwit_policy_in_force: [1],
    godwit_tcp_md5_dropped_segments_total: [1, 2, 3],
    godwit_bfd_packets_discarded_total: [4],
    godwit_bfd_session_up: [],
    godwit_policy_last_applied_seconds: [5],
  });
});

test('docs/metrics.md is what the table says', () => {
  const script = fileURLToPath(new URL('../../../scripts/generate-metrics-docs.ts', import.meta.url));
  execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
});
