/** The lab as its users see it: everything reaches everything, and nobody notices when an agent or a reflector dies. */

import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { killAgent, startAgent } from '../../../src/lab/agents.ts';
import { checkLab } from '../../../src/lab/check/check.ts';
import { observe } from '../../../src/lab/check/observe.ts';
import { run } from '../../../src/lab/command.ts';
import { takeDown } from '../../../src/lab/down.ts';
import { endpointsOf, flowsBetween, flowText } from '../../../src/lab/endpoints.ts';
import type { Flow } from '../../../src/lab/endpoints.ts';
import { killProcesses, recordedProcesses, startProcess } from '../../../src/lab/processes.ts';
import type { Progress } from '../../../src/lab/progress.ts';
import { parseBirdProtocols } from '../../../src/lab/routers/bird.ts';
import { switchRoutes } from '../../../src/lab/routers/switch.ts';
import { RunFolder } from '../../../src/lab/run-folder.ts';
import type { RunningLab } from '../../../src/lab/run-folder.ts';
import { snapshotProblems, takeSnapshot } from '../../../src/lab/snapshot.ts';
import { namespaceOf } from '../../../src/lab/topology.ts';
import { bringUp } from '../../../src/lab/up.ts';
import { WireCapture } from '../../../src/lab/wire.ts';
import type { IpPool } from '../../../src/resources/ip-pool.ts';
import { eventually } from '../../kit/eventually.ts';
import { RouteMonitor } from '../../kit/route-monitor.ts';
import { bundledLab } from './bundled.ts';
import { PingStreams } from './ping-stream.ts';

const name = `s${process.pid}`;
const silent: Progress = { step: (_, work) => work(), line: () => {} };
let scratch: string;
let lab: RunningLab;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'godwit-lab-'));
  await chmod(scratch, 0o755);
  const folder = new RunFolder(join(scratch, 'run'));
  lab = await bringUp({ labFolder: bundledLab, folder, name }, silent, new AbortController().signal);
});
afterAll(async () => {
  await takeDown(new RunFolder(join(scratch, 'run')), name);
  await rm(scratch, { recursive: true, force: true });
});

test('lab check passes: pings, tunnels, the switches’ tables, policies', { timeout: 150_000 }, async () => {
  let printed = '';
  const passed = await checkLab(lab, (text) => (printed += text), new AbortController().signal);
  expect(passed, printed).toBe(true);
});

test('birdc reads an agent’s socket: status, protocols, routes', async () => {
  const socket = lab.folder.agentSocket('node-1');
  const birdc = (...words: string[]) => run(['birdc', '-s', socket, ...words]);
  expect(await birdc('show', 'status')).toMatch(/^.* ready\.\n[^]*Router ID is 10\.1\.1\.11\n[^]*\n$/);
  const sessions = parseBirdProtocols(await birdc('show', 'protocols', 'all'));
  expect(sessions.filter(({ established }) => !established)).toEqual([]);
  expect(sessions.map(({ address }) => address)).toEqual(
    expect.arrayContaining(['10.1.1.1', '10.1.1.21', '10.1.2.22']),
  );
  expect(await birdc('show', 'route')).toMatch(/^10\.244\.3\.0\/24 +unicast \[/m);
});

test('killing a reflector loses no packet, and neither does its return', { timeout: 120_000 }, async () => {
  const lost = await packetsLostWhile(async (streams) => {
    await killAgent(lab, 'rr-1');
    await eventually(async () => (await sessionsOf('node-1', '10.1.1.21')).every(({ established }) => !established), {
      reason: 'node-1 has noticed that rr-1 is gone',
    });
    await streams.goOn(20);
    await startAgent(lab, 'rr-1');
    await converged();
  });
  expect(lost).toEqual([]);
});

test.each([
  { node: 'node-1', tor: 'tor-1', address: '10.1.1.11', asPath: '64512' },
  { node: 'node-3', tor: 'tor-2', address: '10.1.2.13', asPath: '65000 65002 64512' },
])(
  'killing the agent of $node changes no kernel route and loses no packet, and neither does its return',
  { timeout: 120_000 },
  async ({ node, tor, address, asPath }) => {
    const routesBefore = await kernelRoutes(node);
    const monitor = new RouteMonitor(namespaceOf(lab.topology.name, node));
    try {
      await monitor.ready();
      const lost = await packetsLostWhile(async (streams) => {
        await killAgent(lab, node);
        await eventually(async () => (await sessionsOf(tor, address)).every(({ established }) => !established), {
          reason: `${tor} has noticed that the agent of ${node} is gone`,
        });
        await streams.goOn(20);
        expect(await kernelRoutes(node)).toEqual(routesBefore);
        expect(await asPathsAtTor1(node)).toEqual([asPath, asPath]);
        await startAgent(lab, node);
        await converged();
      });
      expect(lost).toEqual([]);
      expect(await kernelRoutes(node)).toEqual(routesBefore);
      expect(await monitor.changes()).toEqual([]);
    } finally {
      monitor.end();
    }
  },
);

test.each([
  { tor: 'tor-1', daemon: 'tor-1', words: ['-R'], node: 'node-1', address: '10.1.1.1', seamless: true },
  // FRR 8.4's zebra takes routes of the bgpd before away from its own kernel and puts those of the new one in a moment later.
  { tor: 'tor-2', daemon: 'tor-2-bgpd', words: [], node: 'node-3', address: '10.1.2.1', seamless: false },
])(
  'killing the daemon of $tor changes no kernel route of a node and loses no packet where it restarts seamlessly',
  { timeout: 120_000 },
  async ({ tor, daemon, words, node, address, seamless }) => {
    await converged();
    const routesBefore = await kernelRoutes(node);
    const monitor = new RouteMonitor(namespaceOf(lab.topology.name, node));
    try {
      await monitor.ready();
      const lost = await packetsLostWhile(async (streams) => {
        const startAgain = await killDaemon(tor, daemon, words);
        await eventually(async () => (await sessionsOf(node, address)).every(({ established }) => !established), {
          reason: `${node} has noticed that the daemon of ${tor} is gone`,
        });
        await streams.goOn(20);
        expect(await kernelRoutes(node)).toEqual(routesBefore);
        await startAgain();
        await converged();
      });
      if (seamless) expect(lost).toEqual([]);
      expect(await kernelRoutes(node)).toEqual(routesBefore);
      expect(await monitor.changes()).toEqual([]);
    } finally {
      monitor.end();
    }
  },
);

test('changing how pools are carried loses no packet, and is seen on the wire', { timeout: 120_000 }, async () => {
  const { folder, topology } = lab;
  const file = join(folder.manifests, 'pools.yaml');
  const before = await readFile(file, 'utf8');
  const flows = flowsBetween(endpointsOf(topology).filter(({ node }) => node !== undefined));
  const lost = await packetsLostWhile(async (streams) => {
    for (const mode of ['Always', 'Never', 'CrossSubnet'] as const) {
      await writeFile(file, before.replaceAll('vxlanMode: CrossSubnet', `vxlanMode: ${mode}`));
      const pools = topology.pools.map((pool) => ({ ...pool, spec: { ...pool.spec, vxlanMode: mode } }));
      await eventually(async () => expect(await carriedOtherwise(flows, pools)).toEqual([]), {
        reason: `every flow is carried as ${mode} says`,
        within: 30_000,
      });
      await streams.goOn(5);
    }
  });
  expect(lost).toEqual([]);
});

test.each(['10.244.2.0/24', '10.244.3.0/24', 'fd00:10:244:2::/64', 'fd00:10:244:3::/64'])(
  'a learned route that is deleted by hand is back in under 100 ms: %s',
  async (prefix) => {
    const namespace = namespaceOf(lab.topology.name, 'node-1');
    const monitor = new RouteMonitor(namespace);
    try {
      await monitor.ready();
      // The quickest of a few: a stall of a loaded machine is not the agent's.
      const fastEnough = (): boolean => monitor.returns(prefix).some((milliseconds) => milliseconds < 100);
      for (let round = 1; round <= 5 && !fastEnough(); round++) {
        await run(['ip', '-n', namespace, 'route', 'del', prefix]);
        await eventually(() => monitor.returns(prefix).length === round, { reason: `${prefix} is back` });
      }
      expect(Math.min(...monitor.returns(prefix))).toBeLessThan(100);
    } finally {
      monitor.end();
    }
  },
);

/** Pings between all pairs before, during and after what is done. @returns the pairs that lost packets. */
async function packetsLostWhile(work: (streams: PingStreams) => Promise<void>): Promise<string[]> {
  const streams = new PingStreams(lab.topology);
  try {
    await streams.goOn(3);
    await work(streams);
    await streams.goOn(10);
  } catch (error) {
    await streams.end();
    throw error;
  }
  return streams.end();
}

/** SIGKILL. @param words more of its command line @returns what starts it as it was started before */
async function killDaemon(tor: string, daemon: string, words: readonly string[]): Promise<() => Promise<unknown>> {
  const { folder, topology } = lab;
  const running = (await recordedProcesses(folder)).find((process) => process.name === daemon);
  if (running === undefined) throw new Error(`${daemon} does not run`);
  const command = (await readFile(`/proc/${running.pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
  await killProcesses([running]);
  const logFile = join(folder.switchFolder(tor), 'log');
  const namespace = namespaceOf(topology.name, tor);
  return () => startProcess(folder, { name: daemon, namespace, command: [...command, ...words], logFile });
}

/** The flows that a fresh look at the wires finds carried otherwise than the pools say. */
async function carriedOtherwise(flows: readonly Flow[], pools: readonly IpPool[]): Promise<string[]> {
  const capture = await WireCapture.start(lab.topology);
  try {
    const { surprising } = await observe(name, flows, pools, capture);
    return surprising.map(({ flow, seen }) => `${flowText(flow)}: ${seen.join(' and ')}`);
  } finally {
    await capture.stop();
  }
}

/** Everything established, and nobody waits for a peer's End-of-RIB any more. */
async function converged(): Promise<void> {
  await eventually(
    async () => {
      const snapshot = await takeSnapshot(lab);
      expect(snapshotProblems(snapshot)).toEqual([]);
      expect([...snapshot.agents].filter(([, agent]) => agent.kind === 'answering' && agent.restarting)).toEqual([]);
    },
    { reason: 'all sessions and routes', within: 60_000 },
  );
}

/** The sessions of an agent or a switch with an address. */
async function sessionsOf(machine: string, address: string): Promise<readonly { readonly established: boolean }[]> {
  const { agents, switches } = await takeSnapshot(lab);
  const agent = agents.get(machine);
  const sessions = agent?.kind === 'answering' ? agent.sessions : switches.get(machine);
  if (sessions === undefined || typeof sessions === 'string') throw new Error(`${machine} does not answer`);
  return sessions.filter((session) => session.address === address);
}

/** The AS paths that BIRD on tor-1 has for a node's pod CIDRs. */
async function asPathsAtTor1(node: string): Promise<string[]> {
  const { switches, nodes } = lab.topology;
  const prefixes = nodes.find(({ name }) => name === node)?.podCidrs ?? [];
  const [tor1] = switches.filter((device) => device.name === 'tor-1');
  const routes = await switchRoutes(lab, tor1);
  return routes.filter(({ prefix, best }) => best && prefixes.includes(prefix)).map(({ asPath }) => asPath);
}

async function kernelRoutes(node: string): Promise<string[]> {
  const namespace = namespaceOf(lab.topology.name, node);
  const tables = await Promise.all(['-4', '-6'].map((family) => run(['ip', '-n', namespace, family, 'route', 'show'])));
  return tables.join('').trim().split('\n').sort();
}
