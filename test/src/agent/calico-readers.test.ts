/**
 * Clients of BIRD 1 at an agent's Calico sockets: a reader by Calico's rules, the birdc of BIRD 1.6, and prometheus-bird-exporter without its
 * flag for BIRD 2. The agent peers with BIRD 1.6 of both families, whose own answers are the measure of ours, and with BIRD 2 as another node.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Family } from '../../../bgp/ip.ts';
import { Bird, bird1Programs } from '../../bgp/kit/daemons.ts';
import { readPeer, readPeers, readRoutes, readStatus, whyNotReady } from '../../kit/calico-reader.ts';
import { Children } from '../../kit/children.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-calico-'));
const sockets = { ipv4: join(folder, 'calico', 'bird.ctl'), ipv6: join(folder, 'calico', 'bird6.ctl') } as const;
const node = new TestNamespace();
const others = new TestNamespace();
const switches = {
  ipv4: new Bird(others.name, bird1Programs('ipv4')),
  ipv6: new Bird(others.name, bird1Programs('ipv6')),
} as const;
const node2 = new Bird(others.name);
const children = new Children(node.name);

/** As confd writes it for calico-node, but that this is the switch. */
const switchConfigurations = {
  ipv4: `
router id 10.0.0.2;
listen bgp address 10.0.0.2;
protocol kernel { persist; scan time 2; import none; export none; }
protocol device { scan time 2; }
protocol direct { interface "eth0"; }
protocol static { route 10.20.0.0/24 blackhole; route 10.21.0.0/24 blackhole; }
protocol bgp Global_10_0_0_1 {
  description "the node";
  local 10.0.0.2 as 65002; neighbor 10.0.0.1 as 64512; connect delay time 1; connect retry time 1; error wait time 1, 2;
  import all; export where source = RTS_STATIC;
}
protocol bgp Node_10_0_0_9 { local 10.0.0.2 as 65002; neighbor 10.0.0.9 as 64512; connect retry time 1; import all; export all; }
`,
  ipv6: `
router id 10.0.0.2;
listen bgp address fd00::2;
protocol kernel { persist; scan time 2; import none; export none; }
protocol device { scan time 2; }
protocol direct { interface "eth0"; }
protocol static { route fd20::/64 blackhole; }
protocol bgp Global_fd00__1 {
  description "the node";
  local fd00::2 as 65002; neighbor fd00::1 as 64512; connect delay time 1; connect retry time 1; error wait time 1, 2;
  import all; export where source = RTS_STATIC;
}
protocol bgp Node_fd00__9 { local fd00::2 as 65002; neighbor fd00::9 as 64512; connect retry time 1; import all; export all; }
`,
} as const;

const node2Configuration = `
router id 10.0.0.3;
protocol device {}
protocol static pods { ipv4; route 10.244.2.0/24 blackhole; route 10.20.0.0/24 blackhole; }
protocol static pods6 { ipv6; route fd44:2::/64 blackhole; }
protocol bgp node1 {
  local 10.0.0.3 as 64512; neighbor 10.0.0.1 as 64512; strict bind yes; graceful restart on;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; };
  ipv6 { import all; export all; next hop address fd00::3; };
}
`;

const manifests = `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDRs: [10.244.1.0/24, 'fd44:1::/64'] }
status: { addresses: [{ type: InternalIP, address: 10.0.0.1 }, { type: InternalIP, address: 'fd00::1' }] }
---
apiVersion: v1
kind: Node
metadata: { name: node2 }
spec: { podCIDRs: [10.244.2.0/24, 'fd44:2::/64'] }
status: { addresses: [{ type: InternalIP, address: 10.0.0.3 }, { type: InternalIP, address: 'fd00::3' }] }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: tor }
spec: { peerIP: 10.0.0.2, asNumber: 65002, connectRetryTime: 1s, families: [ipv4], description: 'the switch' }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: tor6 }
spec: { peerIP: 'fd00::2', asNumber: 65002, connectRetryTime: 1s, families: [ipv6], description: 'the switch' }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: silent }
spec: { node: node1, peerIP: '10.0.0.9', asNumber: 65009, connectRetryTime: 1s }
`;

beforeAll(async () => {
  connectNamespaces(node, 'eth0', others, 'eth0');
  for (const [host, number] of [
    [node, 1],
    [others, 2],
    [others, 3],
  ] as const) {
    host.ip(`addr add 10.0.0.${number}/24 dev eth0`);
    host.ip(`addr add fd00::${number}/64 dev eth0 nodad`);
  }
  await node2.start(node2Configuration);
  await switches.ipv4.start(switchConfigurations.ipv4);
  await switches.ipv6.start(switchConfigurations.ipv6);
  mkdirSync(join(folder, 'manifests'));
  writeFileSync(join(folder, 'manifests', 'all.yaml'), manifests);
  const words = ['--node=node1', `--source=dir:${join(folder, 'manifests')}`, '--roles=bgp,routes'];
  const paths = [`--socket=${join(folder, 'godwit.ctl')}`, `--state=${join(folder, 'state')}`];
  children.start(process.execPath, main, 'agent', ...words, ...paths, `--calico-sockets=${join(folder, 'calico')}`);
  for (const family of ['ipv4', 'ipv6'] as const) {
    await eventually(
      async () => expect(await routesOf(sockets[family], family)).toHaveLength(family === 'ipv4' ? 5 : 3),
      { reason: `the routes of ${family} are here`, within: 30_000 },
    );
  }
}, 60_000);

afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(children.said.slice(-3000));
});

afterAll(async () => {
  await children.stop();
  for (const bird of [node2, switches.ipv4, switches.ipv6]) await bird.stop();
  node.remove();
  others.remove();
  rmSync(folder, { recursive: true });
});

/** While the agent makes its sockets there is nobody to ask. */
async function routesOf(socket: string, family: Family) {
  return statSync(socket, { throwIfNoEntry: false }) === undefined ? [] : await readRoutes(socket, family);
}

/** What birdc 1.6 prints, without its greeting. */
function birdc(socket: string, command: string): string {
  const words = ['-s', socket, ...command.split(' ')];
  const answer = execFileSync(bird1Programs('ipv4').client, words, { encoding: 'utf8', input: '' });
  return answer.slice(answer.indexOf('\n') + 1);
}

describe("Calico's readers", () => {
  const oneWord = expect.stringMatching(/^(?:\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d)$/);
  const up = { state: 'up', since: oneWord, bgpState: 'Established', info: '' };

  test('the peers of IPv4: mesh, one node, all nodes; established and not', async () => {
    const found = await readPeers(sockets.ipv4, 'ipv4');
    expect(found.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: 'Global_10_0_0_2', type: 'global', address: '10.0.0.2', ...up },
      { name: 'Mesh_10_0_0_3', type: 'node-to-node mesh', address: '10.0.0.3', ...up },
      {
        name: 'Node_10_0_0_9',
        type: 'node specific',
        address: '10.0.0.9',
        state: 'start',
        since: oneWord,
        bgpState: expect.stringMatching(/^(?:Idle|Connect|Active)$/),
        info: expect.any(String),
      },
    ]);
  });

  test('the peers of IPv6: a session that runs over IPv4 has the address of the node in IPv6', async () => {
    const found = await readPeers(sockets.ipv6, 'ipv6');
    expect(found.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject([
      { name: 'Global_fd00__2', type: 'global', address: 'fd00::2', ...up },
      { name: 'Mesh_fd00__3', type: 'node-to-node mesh', address: 'fd00::3', ...up },
      { name: 'Node___ffff_a00_9', type: 'node specific', address: '::ffff:a00:9', state: 'start' },
    ]);
  });

  test("BIRD's own answer reads the same", async () => {
    const found = await readPeers(switches.ipv4.socket, 'ipv4');
    expect(found).toMatchObject([
      { name: 'Global_10_0_0_1', type: 'global', address: '10.0.0.1', ...up },
      { name: 'Node_10_0_0_9', type: 'node specific', address: '10.0.0.9', state: 'start', since: oneWord },
    ]);
    expect(await readPeers(switches.ipv6.socket, 'ipv6')).toMatchObject([
      { address: 'fd00::1', ...up },
      { address: 'fd00::9', state: 'start' },
    ]);
  });

  test('state and address in the details', async () => {
    expect(await readPeer(sockets.ipv4, 'Global_10_0_0_2')).toEqual({ bgpState: 'Established', address: '10.0.0.2' });
    expect(await readPeer(sockets.ipv6, 'Mesh_fd00__3')).toEqual({ bgpState: 'Established', address: '10.0.0.3' });
    expect(await readPeer(switches.ipv4.socket, 'Global_10_0_0_1')).toEqual({
      bgpState: 'Established',
      address: '10.0.0.1',
    });
    expect((await readPeer(sockets.ipv4, 'Node_10_0_0_9')).bgpState).toMatch(/^(?:Idle|Connect|Active)$/);
  });

  test('the status', async () => {
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const times = { serverTime: time, lastBoot: time, lastReconfiguration: time };
    const version = expect.stringMatching(/^v1\.6 \(Godwit \S+\)$/);
    for (const socket of Object.values(sockets)) {
      expect(await readStatus(socket)).toEqual({ ready: true, version, routerId: '10.0.0.1', ...times });
    }
    expect(await readStatus(switches.ipv4.socket)).toMatchObject({ ready: true, routerId: '10.0.0.2', ...times });
  });

  test('the routes: where they lead, whose they are', async () => {
    const via = (destination: string, gateway: string, learnedFrom: string, source: string) => ({
      destination,
      gateway,
      interface: 'eth0',
      learnedFrom,
      source,
      primary: true,
    });
    const own = (destination: string) => ({
      destination,
      gateway: 'N/A',
      interface: 'blackhole',
      learnedFrom: 'static1',
      source: 'static',
      primary: true,
    });
    const sorted = async (family: Family) =>
      (await readRoutes(sockets[family], family)).sort((a, b) => (a.destination < b.destination ? -1 : 1));
    expect(await sorted('ipv4')).toEqual([
      via('10.20.0.0/24', '10.0.0.3', 'Mesh_10_0_0_3', 'mesh'),
      // A further path of the prefix, not the best one.
      { ...via('10.20.0.0/24', '10.0.0.2', 'Global_10_0_0_2', 'peer'), primary: false },
      via('10.21.0.0/24', '10.0.0.2', 'Global_10_0_0_2', 'peer'),
      own('10.244.1.0/24'),
      via('10.244.2.0/24', '10.0.0.3', 'Mesh_10_0_0_3', 'mesh'),
    ]);
    expect(await sorted('ipv6')).toEqual([
      via('fd20::/64', 'fd00::2', 'Global_fd00__2', 'peer'),
      own('fd44:1::/64'),
      via('fd44:2::/64', 'fd00::3', 'Mesh_fd00__3', 'mesh'),
    ]);
    expect(await readRoutes(switches.ipv4.socket, 'ipv4')).toContainEqual(
      via('10.244.1.0/24', '10.0.0.1', 'Global_10_0_0_1', 'peer'),
    );
  });

  test('the probe: at first all peers, later one of them', async () => {
    for (const [socket, address] of [
      [sockets.ipv4, '10.0.0.9'],
      [sockets.ipv6, '::ffff:a00:9'],
    ] as const) {
      const family = socket === sockets.ipv4 ? 'ipv4' : 'ipv6';
      expect(await whyNotReady(socket, family, true)).toBe(`BGP not established with ${address}`);
      expect(await whyNotReady(socket, family, false)).toBe(undefined);
    }
    // A session that a person has stopped does not count, with BIRD 1 neither.
    expect(birdc(sockets.ipv4, 'disable Node_10_0_0_9')).toBe('Node_10_0_0_9: disabled\n');
    switches.ipv4.command('disable Node_10_0_0_9');
    for (const socket of [sockets.ipv4, switches.ipv4.socket]) {
      await eventually(async () => expect(await whyNotReady(socket, 'ipv4', true)).toBe(undefined), {
        reason: 'all that count are established',
      });
    }
    expect(birdc(sockets.ipv4, 'enable Node_10_0_0_9')).toBe('Node_10_0_0_9: enabled\n');
    switches.ipv4.command('enable Node_10_0_0_9');
  });
});

describe('the lines are those of BIRD 1.6', () => {
  const address = String.raw`[0-9a-f.:]+`;
  const time = String.raw`(?:\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d)`;
  /** Command to each; `@` is the name of the session between them, `^` and `$` the whole line. */
  const shapes: readonly [command: string, line: string, expression: RegExp][] = [
    ['show status', 'router id', /^Router ID is 10\.0\.0\.\d$/m],
    ['show status', 'ready', /^Daemon is up and running$/m],
    ['show protocols', 'header', /^name {5}proto {4}table {4}state {2}since {7}info$/m],
    ['show protocols', 'device', new RegExp(`^device1 {2}Device {3}master {3}up {5}${time} {2,4}$`, 'm')],
    ['show protocols', 'kernel', new RegExp(`^kernel1 {2}Kernel {3}master {3}up {5}${time} {2,4}$`, 'm')],
    ['show protocols', 'static', new RegExp(`^static1 {2}Static {3}master {3}up {5}${time} {2,4}$`, 'm')],
    ['show protocols', 'session', new RegExp(`^@ BGP {6}master {3}up {5}${time} {2,4}Established {3}$`, 'm')],
    ['show protocols all @', 'preference', /^ {2}Preference: {5}100$/m],
    ['show protocols all @', 'description', /^ {2}Description: {4}the \w+$/m],
    ['show protocols all @', 'counts', /^ {2}Routes: {9}\d+ imported, \d+ exported, \d+ preferred$/m],
    ['show protocols all @', 'state', /^ {2}BGP state: {10}Established$/m],
    ['show protocols all @', 'address', new RegExp(`^ {4}Neighbor address: ${address}$`, 'm')],
    ['show protocols all @', 'AS', /^ {4}Neighbor AS: {6}\d+$/m],
    ['show protocols all @', 'id', /^ {4}Neighbor ID: {6}[0-9.]+$/m],
    ['show protocols all @', 'capabilities', /^ {4}Neighbor caps: {4}refresh .*\bAS4\b/m],
    ['show protocols all @', 'session', /^ {4}Session: {10}external\b/m],
    ['show protocols all @', 'source', new RegExp(`^ {4}Source address: {3}${address}$`, 'm')],
    [
      'show route',
      'learnt',
      new RegExp(
        String.raw`^(?=.{19}via)${address}/\d+ +via ${address} on eth0 \[@ ${time}\] \* \(100\) \[AS\d+i\]$`,
        'm',
      ),
    ],
    [
      'show route',
      'own',
      new RegExp(String.raw`^(?=.{19}b)${address}/\d+ +blackhole \[static1 ${time}\] \* \(200\)$`, 'm'),
    ],
    ['show route all', 'type', /^\tType: BGP unicast univ$/m],
    ['show route all', 'own type', /^\tType: static unicast univ$/m],
    ['show route all', 'origin', /^\tBGP\.origin: IGP$/m],
    ['show route all', 'AS path', /^\tBGP\.as_path: \d+$/m],
    ['show route all', 'next hop', new RegExp(String.raw`^\tBGP\.next_hop: ${address}(?: fe80:\S+)?$`, 'm')],
    ['show route all', 'local preference', /^\tBGP\.local_pref: 100$/m],
    ['show route table master count', 'all', /^\d+ of \d+ routes for \d+ networks$/m],
    ['show route protocol static1 stats', 'some', /^\d+ of \d+ routes for \d+ networks$/m],
    ['show route export @', 'what was told', new RegExp(`^${address}/\\d+ +blackhole \\[static1 `, 'm')],
    ['show route 10.99.0.0/24', 'nothing', /^Network not in table$|does not belong|Unexpected|syntax error/m],
    ['show interfaces', 'link', /^eth0 up \(index=\d+\)$/m],
    ['show interfaces summary', 'header', /^interface state address$/m],
    ['show interfaces summary', 'link', new RegExp(String.raw`^eth0 {6}up {4}${address}/\d+$`, 'm')],
    ['show symbols', 'session', /^@\tprotocol$/m],
    ['show symbols', 'table', /^master {2}\trouting table$/m],
    ['configure check', 'reading', /^Reading configuration from \S+\nConfiguration OK$/m],
    ['reload out @', 'nothing wrong', /^@: reloading$/m],
  ];
  const rows = (['ipv4', 'ipv6'] as const).flatMap((family) => shapes.map((shape) => [family, ...shape] as const));

  test.each(rows)('%s: %s: %s', (family, command, _line, expression) => {
    const [oursName, birdsName] = (family === 'ipv4' ? ['10_0_0_2', '10_0_0_1'] : ['fd00__2', 'fd00__1']).map(
      (text) => `Global_${text}`,
    );
    const at = (name: string) => new RegExp(expression.source.replaceAll('@', name), 'm');
    const birds = switches[family].command(command.replaceAll('@', birdsName));
    expect(birds.slice(birds.indexOf('\n') + 1)).toMatch(at(birdsName));
    expect(birdc(sockets[family], command.replaceAll('@', oursName))).toMatch(at(oursName));
  });
});

test('prometheus-bird-exporter without its flag for BIRD 2 reads both sockets', async () => {
  const flags = ['-bird.socket', sockets.ipv4, '-bird.socket6', sockets.ipv6];
  children.start('prometheus-bird-exporter', ...flags, '-web.listen-address', '127.0.0.1:9324');
  const script =
    "fetch('http://127.0.0.1:9324/metrics').then(async (answer) => process.stdout.write(await answer.text()))";
  const scrape = () => node.exec(process.execPath, '-e', script);
  await eventually(() => scrape().includes('bird_protocol_up'), { reason: 'the exporter answers', within: 20_000 });
  const metrics = scrape();
  const value = (name: string, ...labels: string[]) => {
    const line = metrics
      .split('\n')
      .find((text) => text.startsWith(`${name}{`) && labels.every((label) => text.includes(label)));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
  };
  const rows: readonly [name: string, version: string, imported: number, preferred: number][] = [
    ['Global_10_0_0_2', '4', 2, 1],
    ['Mesh_10_0_0_3', '4', 2, 2],
    ['Global_fd00__2', '6', 1, 1],
    ['Mesh_fd00__3', '6', 1, 1],
  ];
  for (const [name, version, imported, preferred] of rows) {
    const labels = [`name="${name}"`, 'proto="BGP"', `ip_version="${version}"`];
    expect([name, value('bird_protocol_up', ...labels)]).toEqual([name, 1]);
    expect([name, value('bird_protocol_prefix_import_count', ...labels)]).toEqual([name, imported]);
    expect([name, value('bird_protocol_prefix_preferred_count', ...labels)]).toEqual([name, preferred]);
  }
  expect(value('bird_protocol_up', 'name="Node_10_0_0_9"', 'ip_version="4"')).toBe(0);
  expect(value('bird_protocol_up', 'name="kernel1"', 'ip_version="6"')).toBe(1);
});
