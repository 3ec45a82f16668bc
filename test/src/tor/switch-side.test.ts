/** What a switch has to know of a BGPPeer, and that real daemons take how we say it. */

import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { runTorConfig } from '../../../src/cli/tor-config.ts';
import { dialectNames, printSwitchSide, type DialectName } from '../../../src/tor/dialects.ts';
import { toSwitchSide } from '../../../src/tor/switch-side.ts';
import { clusterOf, node, ours } from '../../kit/cluster.ts';

const nodes = [
  node('node-1', '10.1.1.11 fd00:1::11', { pods: ['10.244.1.0/24', 'fd00:244:1::/64'], labels: { rack: '1' } }),
  node('node-2', '10.1.1.12 fd00:1::12', { pods: ['10.244.2.0/24', 'fd00:244:2::/64'], labels: { rack: '1' } }),
  node('node-3', '10.1.2.13', { pods: ['10.244.3.0/24'], labels: { rack: '2' } }),
];

function sideOf(spec: string, ...more: object[]) {
  return toSwitchSide(clusterOf(...nodes, ...more, ours('BGPPeer', 'tor.a', spec)), 'tor.a');
}

const rackOne = "nodeSelector: rack == '1', peerIP: 10.1.1.1, asNumber: 65001";

describe('the switch has', () => {
  test('the nodes that the BGPPeer selects, each with the AS number it shows', () => {
    const side = sideOf(`{ ${rackOne}, localASNumber: 64700, passive: true }`);
    expect(side.neighbors).toEqual(
      ['1', '2'].map((n) => ({
        nodeName: `node-${n}`,
        address: `10.1.1.1${n}`,
        port: 179,
        asNumber: 64700,
        passive: true,
        reflectorClient: false,
        maximumPrefixes: { ipv4: 32, ipv6: 32 },
      })),
    );
  });

  test("the nodes' addresses of the family of its own", () => {
    const { neighbors } = sideOf('{ peerIP: "fd00:1::1", asNumber: 65001 }');
    expect(neighbors.map(({ address }) => address)).toEqual(['fd00:1::11', 'fd00:1::12']);
  });

  test.each([
    [
      'ranges of nodes, exactly, without pools',
      [],
      ['10.244.1.0/24 24', '10.244.2.0/24 24', 'fd00:244:1::/64 64', 'fd00:244:2::/64 64'],
    ],
    [
      'pools with all that is inside them',
      [ours('IPPool', 'p', '{ cidr: 10.244.0.0/16 }')],
      ['10.244.0.0/16 32', 'fd00:244:1::/64 64', 'fd00:244:2::/64 64'],
    ],
    [
      'nothing of a pool that is not exported',
      [ours('IPPool', 'p', '{ cidr: 10.244.0.0/16, disableBGPExport: true }')],
      ['fd00:244:1::/64 64', 'fd00:244:2::/64 64'],
    ],
  ])('prefixes to let in: %s', (_, more, expected) => {
    const { prefixes } = sideOf(`{ ${rackOne} }`, ...more);
    expect(prefixes.map(({ prefix, longest }) => `${prefix} ${longest}`).sort()).toEqual([...expected].sort());
  });

  test('what the BGPFilter leaves of the ranges', () => {
    const filter = ours(
      'BGPFilter',
      'f',
      '{ exportV4: [{ action: Reject, cidr: 10.244.2.0/24, matchOperator: Equal }] }',
    );
    const { prefixes } = sideOf(`{ ${rackOne}, filters: [f], families: [ipv4] }`, filter);
    expect(prefixes.map(({ prefix }) => prefix)).toEqual(['10.244.1.0/24']);
  });

  test.each([
    ['the times of the BGPConfiguration', '', { holdTimeSeconds: 30, keepaliveSeconds: 10, restartTimeSeconds: 60 }],
    [
      'those of the BGPPeer first',
      ', holdTime: 9s, maxRestartTime: 0s, longLivedStaleTime: 1h',
      { holdTimeSeconds: 9, keepaliveSeconds: 3, restartTimeSeconds: 0, longLivedStaleSeconds: 3600 },
    ],
    ['GTSM', ', ttlSecurity: 2', { ttlSecurityHops: 2, multihop: undefined }],
    ['several hops', ', ebgpMultihop: 4', { ttlSecurityHops: undefined, multihop: 4 }],
    ["the fabric's routes", ', importClusterRoutes: true', { tellsClusterRoutes: true, returnsToSameAs: true }],
    ['no cluster routes by itself', '', { tellsClusterRoutes: false, returnsToSameAs: false }],
  ])('%s', (_, extra, expected) => {
    const configuration = ours('BGPConfiguration', 'default', '{ holdTime: 30s, nodeMeshMaxRestartTime: 60s }');
    expect(sideOf(`{ ${rackOne}${extra} }`, configuration)).toMatchObject(expected);
  });

  test('iBGP nodes as clients, but not one that reflects itself: it tells the routes of all', () => {
    const reflector = node('rr', '10.1.1.9', { clusterId: '1.1.1.1', labels: { rack: '1' } });
    const many = Array.from({ length: 20 }, (_, i) => node(`n${i}`, `10.2.0.${i + 1}`, { pods: [`10.245.${i}.0/24`] }));
    const { neighbors } = sideOf(
      "{ nodeSelector: rack == '1', peerIP: 10.1.1.1, asNumber: 64512 }",
      reflector,
      ...many,
    );
    expect(
      neighbors.map(({ nodeName, reflectorClient, maximumPrefixes }) => [
        nodeName,
        reflectorClient,
        maximumPrefixes.ipv4,
      ]),
    ).toEqual([
      ['node-1', true, 32],
      ['node-2', true, 32],
      ['rr', false, 92],
    ]);
  });
});

test.each([
  ['{ peerSelector: all() }', 'tor.a', /both ends are Godwit's/],
  ['{ peerIP: 10.1.1.1, asNumber: 65001 }', 'tor.b', /no BGPPeer tor\.b \(there are: tor\.a\)/],
  ['{ node: nobody, peerIP: 10.1.1.1, asNumber: 65001 }', 'tor.a', /applies to no node/],
  ['{ interface: eth1, asNumber: 65001 }', 'tor.a', /a link without addresses/],
  ['{ peerIP: fe80::1%eth0, asNumber: 65001 }', 'tor.a', /a link without addresses/],
  ['{ peerIP: 10.1.1.1, dynamicASN: external }', 'tor.a', /takes any AS number/],
])('%s asked for %s has no switch side', (spec, name, message) => {
  expect(() => toSwitchSide(clusterOf(...nodes, ours('BGPPeer', 'tor.a', spec)), name)).toThrow(message);
});

/** BGPPeers that use every word of a dialect. */
const variants = {
  plain: `{ ${rackOne} }`,
  fabric: `{ ${rackOne}, importClusterRoutes: true, numAllowedLocalASNumbers: 1 }`,
  gtsm: `{ ${rackOne}, ttlSecurity: 1 }`,
  'a provider': `{ ${rackOne}, role: Customer, roleStrict: true }`,
  'a route server': `{ ${rackOne}, role: RouteServerClient }`,
  'gtsm over hops': `{ ${rackOne}, ttlSecurity: 3 }`,
  multihop: `{ ${rackOne}, ebgpMultihop: 5 }`,
  bfd: `{ ${rackOne}, bfd: { transmitInterval: 100, receiveInterval: 150, detectMultiplier: 4 } }`,
  'ibgp with bfd': "{ nodeSelector: rack == '1', peerIP: 10.1.1.1, asNumber: 64512, bfd: {} }",
  'long-lived graceful restart alone': `{ ${rackOne}, maxRestartTime: 0s, longLivedStaleTime: 1h }`,
  'no hold time, no graceful restart': `{ ${rackOne}, holdTime: 0s, maxRestartTime: 0s }`,
  'ibgp with gtsm': "{ nodeSelector: rack == '1', peerIP: 10.1.1.1, asNumber: 64512, ttlSecurity: 1 }",
  range: "{ nodeSelector: rack == '1', peerRange: 10.1.1.0/24, asNumber: 65001 }",
  'one family': `{ ${rackOne}, families: [ipv4] }`,
  'IPv6 transport': '{ peerIP: "fd00:1::1", asNumber: 65001 }',
} as const;

const folder = mkdtempSync(join(tmpdir(), 'godwit-tor-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(dialect: DialectName, spec: string): string {
  const file = join(folder, `${dialect}.conf`);
  writeFileSync(file, printSwitchSide(sideOf(spec, ours('IPPool', 'p', '{ cidr: 10.244.0.0/16 }')), dialect));
  return file;
}

test.each(Object.entries(variants))('BIRD takes it: %s', (_, spec) => {
  const file = write('bird', spec);
  appendFileSync(file, 'protocol bfd {}\n');
  execFileSync('bird', ['-p', '-c', file], { stdio: 'pipe' });
});

/** What bgpd says to itself on the way. */
const harmless = /^$|Graceful restart configuration changed|peer_ttl_security_hops_set|UNSET PEER_STATUS_NSF_MODE/;

test.each(Object.entries(variants))('FRR takes it: %s', (_, spec) => {
  const file = write('frr', spec);
  execFileSync('vtysh', ['-C', '-f', file], { stdio: 'pipe' });
  const bgpd = ['-C', '-S', '-f', file, '--log', 'stdout', '-P', '0'];
  const said = execFileSync('/usr/lib/frr/bgpd', bgpd, { encoding: 'utf8', stdio: 'pipe' });
  expect(said.split('\n').filter((line) => !harmless.test(line))).toEqual([]);
});

test.each(dialectNames)('%s: nothing is undefined, every neighbour and every prefix is named', (dialect) => {
  for (const spec of Object.values(variants)) {
    const side = sideOf(spec);
    const text = printSwitchSide(side, dialect);
    expect(text).not.toMatch(/undefined|NaN|null|\[object/);
    for (const { address } of side.neighbors) expect(text).toContain(address);
    for (const { prefix } of side.prefixes) expect(text).toContain(prefix);
  }
});

const excerpts: readonly [DialectName, keyof typeof variants, readonly string[]][] = [
  [
    'eos',
    'plain',
    ['   neighbor GODWIT-TOR-A timers 30 90', '   seq 10 deny 10.244.1.0/24', '   graceful-restart stalepath-time 420'],
  ],
  ['eos', 'gtsm', ['   neighbor GODWIT-TOR-A ttl maximum-hops 1']],
  [
    'junos',
    'fabric',
    ['set protocols bgp group GODWIT-TOR-A advertise-peer-as', 'set protocols bgp group GODWIT-TOR-A type external'],
  ],
  ['junos', 'plain', ['set policy-options policy-statement GODWIT-TOR-A-OUT term pods-inet then reject']],
  [
    'junos',
    'ibgp with gtsm',
    ['set protocols bgp group GODWIT-TOR-A type internal', 'set protocols bgp group GODWIT-TOR-A cluster CLUSTER-ID'],
  ],
  ['nxos', 'fabric', ['      disable-peer-as-check', '    timers 30 90', '      maximum-prefix 32 restart 5']],
  ['nxos', 'multihop', ['    ebgp-multihop 5', '    update-source INTERFACE-OF-10.1.1.1']],
  ['eos', 'bfd', ['   neighbor GODWIT-TOR-A bfd']],
  [
    'junos',
    'bfd',
    [
      'set protocols bgp group GODWIT-TOR-A bfd-liveness-detection multiplier 4',
      'set protocols bgp group GODWIT-TOR-A bfd-liveness-detection session-mode single-hop',
    ],
  ],
  ['nxos', 'bfd', ['feature bfd', 'bfd interval 100 min_rx 150 multiplier 4', '    bfd']],
  ['nxos', 'ibgp with bfd', ['    bfd multihop']],
  ['bird', 'bfd', ['  bfd graceful;']],
  [
    'bird',
    'long-lived graceful restart alone',
    ['  long lived graceful restart aware;  # for longer, as a last resort'],
  ],
  ['frr', 'long-lived graceful restart alone', [' bgp long-lived-graceful-restart stale-time 3600']],
  ['frr', 'bfd', [' neighbor GODWIT-TOR-A bfd 4 150 100']],
  ['nxos', 'one family', ['    address-family ipv4 unicast']],
];

test.each(excerpts)('%s, %s: has %j', (dialect, variant, lines) => {
  expect(printSwitchSide(sideOf(variants[variant]), dialect).split('\n')).toEqual(expect.arrayContaining([...lines]));
});

async function torConfig(input: string, ...args: string[]) {
  const text = { stdout: '', stderr: '' };
  const gather = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        text[name] += chunk.toString();
        done();
      },
    });
  const streams = { stdin: Readable.from([Buffer.from(input)]), stdout: gather('stdout'), stderr: gather('stderr') };
  return { code: await runTorConfig(args, streams), ...text };
}

describe('godwit tor-config', () => {
  const manifests = JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [...nodes, ours('BGPPeer', 'tor', '{ peerIP: 10.1.1.1, asNumber: 65001 }')],
  });

  test('reads what kubectl prints', async () => {
    const { code, stdout, stderr } = await torConfig(manifests, '--dialect', 'bird', '--peer', 'tor');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('neighbor 10.1.1.11 as 64512;');
  });

  test('reads a folder', async () => {
    const source = mkdtempSync(join(folder, 'manifests-'));
    writeFileSync(join(source, 'all.json'), manifests);
    const { stdout } = await torConfig('', '--dialect', 'frr', '--peer', 'tor', '--source', `dir:${source}`);
    expect(stdout).toContain('neighbor 10.1.1.11 remote-as 64512');
  });

  test('a BGPPeer that is not there is exit code 1', async () => {
    const { code, stderr } = await torConfig(manifests, '--dialect', 'frr', '--peer', 'x', '-');
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'godwit: there is no BGPPeer x (there are: tor)\n' });
  });

  test.each([
    [['--peer', 'x'], '--dialect: is required: bird, frr, eos, junos, nxos'],
    [['--dialect', 'ios', '--peer', 'x'], "--dialect: 'ios' is none of them: bird, frr, eos, junos, nxos"],
    [['--dialect', 'frr'], '--peer: is required'],
    [['--dialect', 'frr', '--peer', 'x', '--source', 'kube'], "--source: 'kube' is not dir:PATH"],
    [['--dialect', 'frr', '--peer', 'x', '/nonexistent'], 'ENOENT'],
  ])('%j is a wrong command line', async (args, message) => {
    await expect(torConfig('', ...args)).rejects.toThrow(message);
  });
});

test.each([
  ['', []],
  [', addPaths: { receive: true }', ['take']],
  [', addPaths: { receive: true, send: All }', ['take', 'send']],
])('several paths of a prefix are said to whoever reads it%s', (field, words) => {
  const { remarks } = sideOf(`{ ${rackOne}${field} }`);
  const said = remarks.flatMap((remark) => /^The nodes (\w+) several paths/.exec(remark)?.[1] ?? []);
  expect(said).toEqual(words);
});
