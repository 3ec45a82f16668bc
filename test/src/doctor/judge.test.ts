/** What doctor makes of the facts: tables. */

import { describe, expect, test } from 'vitest';
import type { PeerStatus } from '../../../bgp/index.ts';
import type { LinkStatus } from '../../../dataplane/index.ts';
import { dropHints, likelyCause } from '../../../src/doctor/causes.ts';
import type { Facts, ForwardChain, NetworkFacts } from '../../../src/doctor/facts.ts';
import type { Finding } from '../../../src/doctor/finding.ts';
import { judgeCni, judgeForwarding, judgeListeners, judgeNetworkd } from '../../../src/doctor/hostile.ts';
import { judge } from '../../../src/doctor/judge.ts';
import { judgeLeftovers } from '../../../src/doctor/leftovers.ts';
import { judgeAgent, judgeMtus, judgeSysctls } from '../../../src/doctor/node.ts';
import { printFindings } from '../../../src/doctor/print.ts';
import { judgeSession } from '../../../src/doctor/sessions.ts';
import { fakeStatus } from '../control/fake-model.ts';

const levels = (findings: readonly Finding[]) => findings.map(({ level }) => level);
const texts = (findings: readonly Finding[]) => findings.map(({ text }) => text).join('\n');

const family = (name: 'ipv4' | 'ipv6', changes = {}) => ({
  family: name,
  negotiated: true,
  imported: 1,
  filtered: 0,
  exported: 1,
  stale: 0,
  endOfRibReceived: true,
  limits: [],
  endOfRibSent: true,
  refreshing: false,
  ...changes,
});

const healthy: PeerStatus = {
  name: 'tor',
  address: '10.0.0.1',
  port: 179,
  localAddress: '10.0.0.11',
  peerType: 'eBGP',
  remoteAs: 65001,
  localAs: 64512,
  passive: false,
  reflectorClient: false,
  gracefulShutdown: false,
  state: 'established',
  since: 0,
  holdTimeSeconds: 90,
  offeredHoldTimeSeconds: 90,
  localCapabilities: ['IPv4 unicast', 'IPv6 unicast', 'graceful restart 120 s, IPv4, IPv6', '4-octet AS number 64512'],
  remoteCapabilities: ['IPv4 unicast', 'IPv6 unicast', 'graceful restart 120 s', '4-octet AS number 65001'],
  gracefulRestart: 'ready',
  families: [family('ipv4'), family('ipv6')],
  policyText: 'all',
  counters: {
    messagesReceived: 1,
    messagesSent: 1,
    updatesReceived: 1,
    updatesSent: 1,
    treatedAsWithdrawn: 0,
    flaps: 0,
  },
};

const reachable: NetworkFacts = {
  links: [],
  podInterfaces: [],
  reach: { '10.0.0.1': { interfaceName: 'eth0', connected: true } },
  daemonRoutes: {},
};

describe('an established session', () => {
  test('that is as expected is ok', () => {
    expect(judgeSession(healthy, reachable)).toEqual([
      {
        level: 'ok',
        subject: 'session tor',
        text: 'established with 10.0.0.1, AS 65001: IPv4 and IPv6, hold time 90 s',
      },
    ]);
  });

  test.each([
    [
      'a family that the peer lacks',
      { families: [family('ipv4'), family('ipv6', { negotiated: false })] },
      'warning',
      /^IPv6 unicast is not among/,
    ],
    [
      'no graceful restart',
      { remoteCapabilities: ['IPv4 unicast', '4-octet AS number 65001'] },
      'warning',
      /no graceful restart/,
    ],
    [
      'two octets for a number of four',
      { localAs: 4_200_000_000, remoteCapabilities: ['IPv4 unicast', 'graceful restart 120 s'] },
      'problem',
      /AS 23456 instead of 4200000000/,
    ],
    ['no keepalives', { holdTimeSeconds: 0 }, 'warning', /no keepalives/],
    ['a shorter hold time', { holdTimeSeconds: 9 }, 'ok', /hold time 9 s \(the peer's; ours is 90 s\)/],
    [
      'malformed UPDATEs',
      { counters: { ...healthy.counters, treatedAsWithdrawn: 2 }, lastTreatedAsWithdrawn: 'ORIGIN 9' },
      'warning',
      /2 UPDATEs .* ORIGIN 9/,
    ],
    [
      'every route refused',
      { families: [family('ipv4', { imported: 0, filtered: 7 })] },
      'warning',
      /all 7 IPv4 routes/,
    ],
    [
      'many losses',
      { counters: { ...healthy.counters, flaps: 3 }, lastError: 'hold timer expired (4/0), sent' },
      'warning',
      /lost 3 times; last: hold timer/,
    ],
  ] as const)('with %s', (_, changes, level, text) => {
    const findings = judgeSession({ ...healthy, ...changes } as PeerStatus, reachable);
    expect(levels(findings)).toEqual([level]);
    expect(texts(findings)).toMatch(text);
  });
});

describe('a session that is down', () => {
  const down: PeerStatus = { ...healthy, state: 'active', gracefulRestart: 'none' };

  test.each([
    [
      'the wrong AS number there',
      'OPEN error: bad peer AS (2/2), sent: expected 65001, got 65002',
      /asNumber in the BGPPeer/,
    ],
    ['the wrong AS number here', 'OPEN error: bad peer AS (2/2), received', /remote-as/],
    [
      'no common family',
      'OPEN error: unsupported capability (2/7), sent: none of our address families',
      /families of the BGPPeer/,
    ],
    ['a router id twice', 'OPEN error: bad BGP identifier (2/3), received', /two nodes with one IPv4 address/],
    ['a hold time refused', 'OPEN error: unacceptable hold time (2/6), received', /holdTime/],
    ['silence', 'hold timer expired (4/0), sent', /MTU/],
    ['too many prefixes', 'cease: maximum number of prefixes reached (6/1), received', /maximum-prefix/],
    [
      'too many prefixes of the peer',
      'cease: maximum number of prefixes reached (6/1), sent: 101 IPv4 routes received, the receive limit is 100',
      /raise receiveLimit or importLimit/,
    ],
    [
      'a role that does not fit here',
      'OPEN error: role mismatch (2/11), sent: we are provider',
      /correct role in the BGPPeer/,
    ],
    ['a role that does not fit there', 'OPEN error: role mismatch (2/11), received', /set role in the BGPPeer/],
    ['not configured there', 'cease: connection rejected (6/5), received', /tor-config/],
    ['nobody listening', 'connection refused', /start the peer's BGP/],
    ['nobody on the link', 'host unreachable', /ARP|ping/],
    ['dropped packets', 'connection attempt timed out', /TCP MD5.*GTSM.*ebgpMultihop/],
    ['an unknown neighbour', 'connection reset by the peer', /configure this node's address/],
    ['an error without an explanation', 'finite state machine error (5/1), sent', /log/],
  ])('by %s says what to do', (_, lastError, remedy) => {
    const [finding, ...more] = judgeSession({ ...down, lastError }, reachable);
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ level: 'problem', remedy: expect.stringMatching(remedy) });
    expect(finding.text).toContain(lastError);
  });

  test('the NOTIFICATION before a connection that was closed is the cause', () => {
    const lastNotification = 'OPEN error: bad peer AS (2/2), sent: expected 65001, got 65009';
    const [finding] = judgeSession(
      { ...down, lastError: 'connection closed by the peer', lastNotification },
      reachable,
    );
    expect(finding.text).toContain('connection closed by the peer; before that OPEN error: bad peer AS');
    expect(finding.remedy).toMatch(/asNumber in the BGPPeer/);
  });

  test.each([
    ['no such interface', /peerIP/],
    ['no router on eth1 has sent a router advertisement yet', /router advertisements on/],
  ])('on a link without addresses: %s', (lastError, remedy) => {
    const address = 'fe80::%eth1';
    const reach = { [address]: { interfaceName: 'eth1', connected: true } };
    const [finding] = judgeSession({ ...down, address, lastError }, { ...reachable, reach });
    expect(finding.remedy).toMatch(remedy);
  });

  test('the words of a shutdown are no code', () => {
    expect(likelyCause('cease: administrative shutdown (6/2) "see (2/2), sent", received')?.cause).toMatch(/operator/);
  });

  test.each([
    ['without a route to the peer', {}, { ...reachable, reach: {} }, 'problem', /no route to the peer/],
    ['passive, nobody came', { passive: true }, reachable, 'warning', /waits for the peer/],
    ['just begun', {}, reachable, 'warning', /no connection yet/],
    ['while the peer restarts', { gracefulRestart: 'peerRestarting' }, reachable, 'warning', /routes are kept/],
    ['where the links cannot be read', { lastError: 'connection refused' }, undefined, 'problem', /refused/],
  ] as const)('%s', (_, changes, network, level, text) => {
    const findings = judgeSession({ ...down, ...changes } as PeerStatus, network);
    expect(levels(findings)).toEqual([level]);
    expect(texts(findings)).toMatch(text);
  });

  test('the kernel counts what it dropped before the socket', () => {
    expect(dropHints({ TCPMD5Unexpected: 3, TCPMD5NotFound: 0, TCPMinTTLDrop: 1, Other: 9 })).toEqual([
      expect.stringMatching(/dropped 3 segments with a TCP MD5 signature .*TCPMD5Unexpected/),
      expect.stringMatching(/dropped 1 segments from farther .*TCPMinTTLDrop/),
    ]);
  });
});

describe('the agent', () => {
  test('tells its problems as findings', () => {
    const findings = judgeAgent({ status: fakeStatus, protocols: [] });
    expect(findings.map(({ level, subject }) => `${level} ${subject}`)).toEqual([
      'problem source',
      'warning BGPPeer/tor',
      'problem routes',
      'problem routes',
    ]);
  });

  test.each([
    [{ policy: { state: 'failed', lastError: 'no nft' } }, ['problem']],
    [{ policy: { state: 'pending' } }, ['warning']],
    [
      {
        kernel: {
          ...fakeStatus.kernel!,
          failures: [],
          unroutable: [],
          tunnels: [{ name: 't', kind: 'ipip', state: 'failed' }],
        },
      },
      ['problem'],
    ],
    [{ source: { text: 'dir:/x', synced: false, problems: [] } }, ['problem']],
    [{}, ['ok']],
  ] as const)('%j', (changes, expected) => {
    const { kernel: _, ...rest } = { ...fakeStatus, source: { ...fakeStatus.source, problems: [] }, conditions: [] };
    expect(levels(judgeAgent({ status: { ...rest, ...changes } as typeof fakeStatus, protocols: [] }))).toEqual(
      expected,
    );
  });
});

test.each([
  [{ 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '0' }, false, ['ok']],
  [{ 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '0' }, true, ['problem']],
  [{ 'net.ipv4.ip_forward': '0' }, false, ['problem']],
  [{}, false, ['problem']],
  [
    { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.rp_filter': '1', 'net/ipv4/conf/eth0.5/rp_filter': '0' },
    false,
    ['warning'],
  ],
  [
    { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.rp_filter': '2', 'net/ipv4/conf/eth0.5/rp_filter': '1' },
    false,
    ['ok'],
  ],
])('settings %j with IPv6 %s', (sysctls, ipv6, expected) => {
  expect(levels(judgeSysctls(sysctls, ipv6))).toEqual(expected);
});

describe('MTU', () => {
  const link = (name: string, mtu: number, kind?: string, addresses: string[] = []): LinkStatus => ({
    index: 1,
    name,
    up: true,
    mtu,
    mac: '',
    kind,
    addresses,
  });
  const uplink = link('eth0', 1500, undefined, ['10.0.0.11/24']);

  test.each([
    ['fits', [uplink, link('godwit-vxlan', 1450, 'vxlan'), link('veth1', 1450, 'veth')], ['ok']],
    ['a tunnel larger than its underlay', [uplink, link('godwit-ipip', 1500, 'ipip')], ['problem']],
    [
      'a pod larger than the tunnel',
      [uplink, link('godwit-vxlan', 1450, 'vxlan'), link('veth1', 1500, 'veth')],
      ['problem'],
    ],
    ['a pod larger than the link', [uplink, link('veth1', 9000, 'veth')], ['problem']],
    ['a link that is no pod', [uplink, link('docker0', 9000, 'bridge')], ['ok']],
    ['no link known', [], []],
  ])('%s', (_, links, expected) => {
    expect(levels(judgeMtus({ ...reachable, links, podInterfaces: ['veth1'] }, ['10.0.0.11']))).toEqual(expected);
  });
});

describe('the FORWARD chain', () => {
  const chain = (changes: Partial<ForwardChain>): ForwardChain => ({
    name: 'ip filter FORWARD',
    rest: 'drop',
    accepts: [],
    ...changes,
  });
  const pods = ['10.244.1.0/24', 'fd00:1::/64'];
  const both = [{ source: '10.244.0.0/16' }, { destination: '10.244.0.0/16' }];

  test.each([
    ['that accepts the rest', chain({ rest: 'accept' }), 'ok'],
    ["that drops the rest, as Docker's", chain({}), 'problem'],
    ['that accepts the pods both ways', chain({ accepts: both }), 'ok'],
    ['that accepts them one way', chain({ accepts: [both[0]] }), 'problem'],
    ['that accepts everything', chain({ accepts: [{}] }), 'ok'],
    [
      'that accepts pairs only',
      chain({ accepts: [{ source: '10.244.0.0/16', destination: '10.244.0.0/16' }] }),
      'problem',
    ],
    ['of the other family, which nobody opened', chain({ name: 'ip6 filter FORWARD', accepts: both }), 'problem'],
    ['of both families, opened for one', chain({ name: 'inet firewalld filter_FORWARD', accepts: both }), 'problem'],
  ])('%s', (_, forward, level) => {
    expect(levels(judgeForwarding({ forward: [forward], chains: [] }, pods))).toEqual([level]);
  });

  test("names the family's own ranges and command", () => {
    const [{ text, remedy }] = judgeForwarding({ forward: [chain({ name: 'ip6 filter FORWARD' })], chains: [] }, pods);
    expect(text).toContain('fd00:1::/64');
    expect(text).not.toContain('10.244');
    expect(remedy).toMatch(/^ip6tables -P FORWARD ACCEPT/);
  });
});

test.each([
  [{ running: false, manageForeignRoutes: true, manageForeignRoutingPolicyRules: true }, []],
  [{ running: true, manageForeignRoutes: true, manageForeignRoutingPolicyRules: true }, ['warning']],
  [{ running: true, manageForeignRoutes: false, manageForeignRoutingPolicyRules: false }, ['ok']],
])('systemd-networkd %j', (facts, expected) => {
  expect(levels(judgeNetworkd(facts))).toEqual(expected);
});

test.each([
  [[], ['notChecked']],
  [['05-cilium.conflist cilium-cni', '10-godwit.conflist godwit-cni'], ['problem']],
  [['10-godwit.conflist godwit-cni', '99-bridge.conf bridge'], ['ok']],
  [['10-flannel.conflist flannel'], ['ok']],
])('CNI configurations %j', (lines, expected) => {
  const configurations = lines.map((line) => ({ file: line.split(' ')[0], types: line.split(' ').slice(1) }));
  expect(levels(judgeCni(configurations))).toEqual(expected);
});

test.each([
  [
    'our agent',
    [{ port: 179, address: '0.0.0.0', command: ['node', '/opt/godwit/dist/src/main.js', 'agent'] }],
    true,
    ['ok'],
  ],
  ['BIRD', [{ port: 179, address: '0.0.0.0', command: ['/usr/sbin/bird', '-f'] }], true, ['problem']],
  ['BIRD on another port', [{ port: 1179, address: '0.0.0.0', command: ['/usr/sbin/bird'] }], true, ['warning']],
  ['a process that cannot be seen', [{ port: 179, address: '0.0.0.0' }], true, ['ok']],
  ['nobody, and no agent', [], false, []],
  ['somebody, and no agent', [{ port: 179, address: '0.0.0.0' }], false, ['warning']],
] as const)('port 179: %s', (_, listeners, agentRuns, expected) => {
  expect(levels(judgeListeners(listeners, 179, agentRuns))).toEqual(expected);
});

describe('leftovers', () => {
  const linkNamed = (name: string): LinkStatus => ({
    index: 1,
    name,
    up: true,
    mtu: 1500,
    mac: '',
    kind: undefined,
    addresses: [],
  });

  test.each([
    ['Calico', { network: { ...reachable, links: [linkNamed('cali0123456789a')], daemonRoutes: { 80: 3 } } }],
    ['Calico', { firewall: { forward: [], chains: ['ip filter cali-FORWARD'] } }],
    ['flannel', { network: { ...reachable, links: [linkNamed('flannel.1')] } }],
    ['kube-router', { network: { ...reachable, daemonRoutes: { 17: 1 } } }],
    ['kube-router', { rules: [{ priority: 32765, table: '77' }] }],
    ['kube-router', { firewall: { forward: [], chains: ['ip filter KUBE-NWPLCY-ABC'] } }],
    ['Cilium', { network: { ...reachable, links: [linkNamed('cilium_host')] } }],
    ['BIRD', { network: { ...reachable, daemonRoutes: { 12: 5, 167: 9 } } }],
  ])('of %s: %j', (name, remains) => {
    const findings = judgeLeftovers(remains);
    expect(levels(findings)).toEqual(['warning']);
    expect(texts(findings)).toContain(name);
  });

  test('our own and ordinary things are none', () => {
    const links = ['lo', 'eth0', 'docker0', 'cni0', 'godwit-vxlan', 'calico'].map(linkNamed);
    const firewall = { forward: [], chains: ['ip filter FORWARD', 'ip nat KUBE-SERVICES', 'ip filter KUBE-FORWARD'] };
    const rules = [{ priority: 0, table: 'local' }];
    expect(
      levels(judgeLeftovers({ network: { ...reachable, links, daemonRoutes: { 167: 9 } }, firewall, rules })),
    ).toEqual(['ok']);
  });
});

const nothingKnown: Facts = {
  agent: { unknown: '/run/godwit/api.sock: there is no such socket' },
  network: { unknown: 'no netlink' },
  sysctls: { 'net.ipv4.ip_forward': '1' },
  tcpCounters: {},
  listeners: { unknown: 'no /proc' },
  firewall: { unknown: 'the program nft is not here' },
  rules: { unknown: 'the program ip is not here' },
  networkd: { running: false, manageForeignRoutes: true, manageForeignRoutingPolicyRules: true },
  cniConfigurations: { unknown: 'no folder' },
};

test('what cannot be looked at is told; only the missing agent is a problem', () => {
  expect(judge(nothingKnown).map(({ level, subject }) => `${level} ${subject}`)).toEqual([
    'problem agent',
    'ok kernel',
    'notChecked mtu',
    'notChecked firewall',
    'notChecked port',
    'notChecked cni',
    'notChecked leftovers',
    'ok leftovers',
  ]);
});

test("the agent's port, pod ranges and sessions are those that are judged", () => {
  const status = { ...fakeStatus, listenPort: 1179, source: { ...fakeStatus.source, problems: [] }, conditions: [] };
  const protocols = [
    { kind: 'other', name: 'node-pods', protocol: 'Static', state: 'up', since: 0, details: ['fd00:1::/64'] },
    { kind: 'bgp', peer: { ...healthy, state: 'active', lastError: 'connection attempt timed out' } },
  ] as const;
  const findings = judge({
    ...nothingKnown,
    agent: { value: { status, protocols } },
    tcpCounters: { TCPMD5Failure: 1 },
    listeners: { value: [{ port: 1179, address: '::' }] },
    firewall: { value: { forward: [{ name: 'ip6 filter FORWARD', rest: 'drop', accepts: [] }], chains: [] } },
  });
  const found = findings.map(({ level, subject }) => `${level} ${subject}`);
  expect(found).toEqual(
    expect.arrayContaining([
      'problem session tor',
      'warning sessions',
      'problem kernel',
      'problem firewall',
      'ok port',
    ]),
  );
});

test('a peer cannot write lines of its own', () => {
  const text = printFindings([
    { level: 'problem', subject: 'session tor', text: 'bad\nok       session tor  fine', remedy: 'none' },
    { level: 'ok', subject: 'mtu', text: 'fits' },
  ]);
  expect(text).toBe(
    [
      'problem  session tor bad ok       session tor  fine',
      '                     → none',
      'ok       mtu         fits',
      '',
      '1 problems, 0 warnings',
      '',
    ].join('\n'),
  );
});
