/**
 * BIRD's clients at an agent's socket, unchanged: birdc, prometheus-bird-exporter, and the regular expressions of birdwatcher. The agent peers with a
 * real BIRD, whose own answers to the same commands are the measure of ours.
 */

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Bird } from '../../bgp/kit/daemons.ts';
import { Children } from '../../kit/children.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-clients-'));
const socket = join(folder, 'godwit.ctl');
const node = new TestNamespace();
const birdHost = new TestNamespace();
const bird = new Bird(birdHost.name);
const children = new Children(node.name);

const birdConfiguration = `
router id 10.0.0.2;
timeformat base iso long; timeformat protocol iso long; timeformat route iso long; timeformat log iso long;
protocol device {}
protocol bfd { interface "eth0" { interval 200 ms; multiplier 10; }; }
protocol static nets { ipv4; route 10.20.0.0/24 blackhole; route 10.21.0.0/24 blackhole; route 10.22.0.0/24 blackhole; }
protocol static nets6 { ipv6; route fd20::/64 blackhole; }
protocol bgp node1 {
  description "the node";
  local 10.0.0.2 as 65002; neighbor 10.0.0.1 as 64512; bfd on; graceful restart on;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where net != 10.22.0.0/24; };
  ipv6 { import all; export all; next hop address fd00::2; };
}
`;

const manifests = `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDRs: [10.244.1.0/24] }
status: { addresses: [{ type: InternalIP, address: 10.0.0.1 }, { type: InternalIP, address: 'fd00::1' }] }
---
apiVersion: godwit.dev/v1
kind: BGPFilter
metadata: { name: some }
spec:
  importV4: [{ cidr: 10.21.0.0/24, matchOperator: Equal, action: Reject }]
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: tor }
spec: { peerIP: 10.0.0.2, asNumber: 65002, connectRetryTime: 1s, filters: [some], description: 'the switch', bfd: { detectMultiplier: 10 } }
`;

beforeAll(async () => {
  connectNamespaces(node, 'eth0', birdHost, 'eth0');
  for (const [host, number] of [
    [node, 1],
    [birdHost, 2],
  ] as const) {
    host.ip(`addr add 10.0.0.${number}/24 dev eth0`);
    host.ip(`addr add fd00::${number}/64 dev eth0 nodad`);
  }
  await bird.start(birdConfiguration);
  mkdirSync(join(folder, 'manifests'));
  writeFileSync(join(folder, 'manifests', 'all.yaml'), manifests);
  const words = ['--node=node1', `--source=dir:${join(folder, 'manifests')}`, '--roles=bgp,routes'];
  children.start(process.execPath, main, 'agent', ...words, `--socket=${socket}`, `--state=${join(folder, 'state')}`);
  await eventually(
    async () => /1 imported, 1 filtered[^]*1 imported/.test(await birdc('show protocols all peer_tor')),
    {
      reason: 'the routes of BIRD are here',
      within: 30_000,
    },
  );
  await eventually(() => bird.show('protocols all node1').includes('1 imported'), { reason: 'ours are at BIRD' });
}, 60_000);

afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(children.said.slice(-3000));
});

afterAll(async () => {
  await children.stop();
  await bird.stop();
  node.remove();
  birdHost.remove();
  rmSync(folder, { recursive: true });
});

/** What birdc prints, without its greeting. */
function birdc(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('/usr/sbin/birdc', ['-s', socket, ...command.split(' ')], (error, stdout) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve(stdout.slice(stdout.indexOf('\n') + 1));
    });
    child.stdin?.end();
  });
}

/** What BIRD itself answers, without the greeting. */
function ofBird(command: string): string {
  const answer = bird.command(command);
  return answer.slice(answer.indexOf('\n') + 1);
}

describe('the lines that other programs read are those of BIRD', () => {
  const address = String.raw`[0-9a-f.:]+`;
  const time = String.raw`\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}`;
  /** Command to each, `@` standing for the session's name; how often the expression matches a line must be more than never, at both. */
  const shapes: readonly [command: string, line: string, expression: RegExp][] = [
    ['show status', 'router id', /^Router ID is [0-9.]+\s*$/m],
    ['show status', 'server time', new RegExp(String.raw`^Current server time is ${time}\s*$`, 'm')],
    ['show status', 'last reboot', new RegExp(String.raw`^Last reboot on ${time}\s*$`, 'm')],
    ['show status', 'last reconfiguration', new RegExp(String.raw`^Last reconfiguration on ${time}\s*$`, 'm')],
    ['show status', 'ready', /^Daemon is up and running$/m],
    ['show protocols', 'header', /^Name {7}Proto {6}Table {6}State {2}Since {9}Info$/m],
    ['show protocols', 'session', new RegExp(String.raw`^@\s+BGP\s+---\s+up\s+${time}\s+Established\s*$`, 'm')],
    ['show protocols', 'device', new RegExp(String.raw`^device1\s+Device\s+---\s+up\s+${time}\s*$`, 'm')],
    ['show protocols all @', 'description', /^ {2}Description: +the \w+$/m],
    ['show protocols all @', 'state', /^ {2}BGP state: {10}Established$/m],
    ['show protocols all @', 'address', new RegExp(`^ {4}Neighbor address: ${address}$`, 'm')],
    ['show protocols all @', 'AS', /^ {4}Neighbor AS: {6}\d+$/m],
    ['show protocols all @', 'own AS', /^ {4}Local AS: {9}\d+$/m],
    ['show protocols all @', 'id', /^ {4}Neighbor ID: {6}[0-9.]+$/m],
    ['show protocols all @', 'capabilities', /^ {4}Neighbor capabilities$/m],
    ['show protocols all @', 'session', /^ {4}Session: {10}external/m],
    ['show protocols all @', 'source', new RegExp(`^ {4}Source address: {3}${address}$`, 'm')],
    ['show protocols all @', 'channel', /^ {2}Channel ipv4\n {4}State: {10}UP\n {4}Table: {10}master4$/m],
    ['show protocols all @', 'counts', /^ {4}Routes: {9}\d+ imported, (?:\d+ filtered, )?\d+ exported, \d+ preferred/m],
    ['show route', 'table', /^Table master4:$/m],
    ['show route', 'table IPv6', /^\nTable master6:$/m],
    [
      'show route',
      'path',
      new RegExp(
        String.raw`^(${address}/\d+) +unicast \[([\w.:]+) ([0-9\-:\s]+)(?: from (${address}))?\] (?:(\*) )?\((\d+)(?:/\d+)?\) \[AS\d+i\]$`,
        'm',
      ),
    ],
    ['show route', 'gateway', new RegExp(String.raw`^\s+via (${address}) on ([^/\s]+)$`, 'm')],
    ['show route', 'own', new RegExp(String.raw`^${address}/\d+ +blackhole \[\S+ ${time}\] \* \(200\)$`, 'm')],
    ['show route all', 'type', /^\tType: BGP univ$/m],
    ['show route all', 'origin', /^\tBGP\.origin: IGP$/m],
    ['show route all', 'AS path', /^\tBGP\.as_path: \d+$/m],
    ['show route all', 'next hop', new RegExp(String.raw`^\tBGP\.next_hop: ${address}(?: fe80:\S+)?$`, 'm')],
    ['show route all', 'local preference', /^\tBGP\.local_pref: 100$/m],
    ['show route count', 'of a table', /^\d+ of \d+ routes for \d+ networks in table master4$/m],
    ['show route count', 'total', /^Total: \d+ of \d+ routes for \d+ networks in 2 tables$/m],
    ['show route stats', 'of a table', /^\d+ of \d+ routes for \d+ networks in table master4\n\nTable master6:$/m],
    ['show route export @', 'what was told', /^10\.\d+\.\d+\.0\/24 +blackhole/m],
    ['show bfd sessions', 'header', /^IP address {16}Interface {2}State {6}Since {9}Interval {2}Timeout$/m],
    ['show bfd sessions', 'session', new RegExp(String.raw`^${address} +\S+ +Up +${time} +0\.\d{3} +\d\.\d{3}$`, 'm')],
    ['show symbols', 'session', /^@ *\tprotocol$/m],
    ['show symbols', 'table', /^master4 \trouting table$/m],
    ['show interfaces', 'link', /^eth0 up \(index=\d+\)$/m],
    ['show interfaces', 'address', /^\t10\.0\.0\.\d\/24/m],
    ['show interfaces summary', 'header', /^Interface {2}State {2}IPv4 address {7}IPv6 address$/m],
    ['show interfaces summary', 'link', /^eth0 {7}up {5}10\.0\.0\.\d\/24 {8}fd00::\d\/64$/m],
    ['show memory', 'tables', /^Routing tables: +\d+\.\d (?: B|kB|MB)/m],
    ['show memory', 'total', /^Total: +\d+\.\d (?: B|kB|MB)/m],
    ['configure check', 'reading', /^Reading configuration from \S+\nConfiguration OK$/m],
    ['reload out @', 'nothing wrong', /^(?:@: reloading\n)?$/m],
  ];

  test.each(shapes)('%s: %s', async (command, _line, expression) => {
    const at = (name: string) =>
      [command.replaceAll('@', name), new RegExp(expression.source.replaceAll('@', name), 'm')] as const;
    const [oursCommand, ours] = at('peer_tor');
    const [birdsCommand, birds] = at('node1');
    // BFD needs a moment; everything else is there.
    await eventually(() => expect(ofBird(birdsCommand)).toMatch(birds), { reason: "BIRD's own answer" });
    await eventually(async () => expect(await birdc(oursCommand)).toMatch(ours), { reason: 'ours' });
  });
});

test('show route import, noexport, filtered, where: what was told, kept back and refused', async () => {
  const prefixes = async (command: string) =>
    [...(await birdc(command)).matchAll(/^([0-9a-f.:]+\/\d+) /gm)].map(([, prefix]) => prefix).sort();
  const protocols = await birdc('show protocols all peer_tor');
  expect(protocols).toMatch(/Routes: +1 imported, 1 filtered, 1 exported, 1 preferred/);
  expect(await prefixes('show route import table peer_tor.ipv4')).toEqual(['10.20.0.0/24', '10.21.0.0/24']);
  expect(await prefixes('show route filtered')).toEqual(['10.21.0.0/24']);
  expect(await prefixes('show route protocol peer_tor')).toEqual(['10.20.0.0/24', 'fd20::/64']);
  expect(await prefixes('show route export peer_tor')).toEqual(['10.244.1.0/24']);
  expect(await prefixes('show route noexport peer_tor')).toEqual([]);
  expect(await prefixes('show route where from = 10.0.0.2 && net ~ [10.0.0.0/8+]')).toEqual(['10.20.0.0/24']);
});

test('prometheus-bird-exporter tells what the agent tells', async () => {
  children.start(
    'prometheus-bird-exporter',
    '-bird.v2',
    '-bird.socket',
    socket,
    '-web.listen-address',
    '127.0.0.1:9324',
  );
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
  const session = ['name="peer_tor"', 'proto="BGP"'];
  expect(value('bird_protocol_up', ...session)).toBe(1);
  expect(value('bird_protocol_prefix_import_count', ...session, 'ip_version="4"')).toBe(1);
  expect(value('bird_protocol_prefix_filter_count', ...session, 'ip_version="4"')).toBe(1);
  expect(value('bird_protocol_prefix_export_count', ...session, 'ip_version="4"')).toBe(1);
  expect(value('bird_protocol_prefix_preferred_count', ...session, 'ip_version="4"')).toBe(1);
  expect(value('bird_protocol_prefix_import_count', ...session, 'ip_version="6"')).toBe(1);
  expect(value('bird_protocol_up', 'proto="Kernel"', 'name="kernel4"')).toBe(1);
  const uptime = value('bird_protocol_uptime', ...session);
  expect(uptime).toBeGreaterThanOrEqual(0);
  expect(uptime).toBeLessThan(3600);
});

test('disable, enable, restart, reload: the session follows, and its peer is told why', async () => {
  expect(await birdc('disable peer_tor "back_at_noon"')).toBe('peer_tor: disabled\n');
  await eventually(() => bird.show('protocols all node1').includes('back_at_noon'), { reason: 'BIRD is told why' });
  expect(await birdc('show protocols peer_tor')).toMatch(/^peer_tor +BGP +--- +down /m);
  expect(await birdc('disable peer_tor')).toBe('peer_tor: already disabled\n');
  expect(await birdc('restart peer_tor')).toBe('peer_tor: already disabled\n');
  expect(await birdc('reload peer_tor')).toBe('peer_tor: already disabled\n');
  expect(await birdc('enable peer_tor')).toBe('peer_tor: enabled\n');
  const isUp = async () => /Established/.test(await birdc('show protocols peer_tor'));
  await eventually(isUp, { reason: 'the session is back', within: 20_000 });
  expect(await birdc('restart "peer_*"')).toBe('peer_tor: restarted\n');
  await eventually(isUp, { reason: 'the session is back again', within: 20_000 });
  expect(await birdc('reload in all')).toBe('peer_tor: reloading\n');
}, 60_000);

test('configure reads the manifests now, and says what is wrong with them', async () => {
  const file = join(folder, 'manifests', 'all.yaml');
  writeFileSync(file, manifests.replace("description: 'the switch'", "description: 'another switch'"));
  expect(await birdc('configure')).toBe(`Reading configuration from dir:${join(folder, 'manifests')}\nReconfigured\n`);
  expect(await birdc('show protocols all peer_tor')).toContain('another switch');
  writeFileSync(file, manifests.replace('asNumber: 65002', 'asNumber: 0'));
  expect(await birdc('configure')).toContain('all.yaml document 3: spec.asNumber: 0 is reserved (RFC 7607)');
  expect(await birdc('show protocols peer_tor')).toContain('Established');
  writeFileSync(file, manifests);
  expect(await birdc('configure')).toContain('Reconfigured');
});
