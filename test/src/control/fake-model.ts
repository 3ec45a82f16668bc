/** An agent of one node between a reflector, a ToR that answers and one that does not, as the control sockets see it. */

import type { BfdStatus, PeerStatus } from '../../../bgp/index.ts';
import type { AgentStatus, ControlModel, ProtocolStatus, RouteDetail, RouteQuery } from '../../../src/control/model.ts';

export const startedAt = new Date(2026, 10, 27, 10, 0, 0, 5).getTime();
const establishedAt = new Date(2026, 10, 27, 10, 0, 2, 125).getTime();

export const fakeStatus: AgentStatus = {
  nodeName: 'node-1',
  version: '0.1.0',
  routerId: '10.1.1.11',
  asNumber: 64512,
  startedAt,
  configuredAt: startedAt,
  roles: ['bgp', 'routes', 'policy'],
  source: {
    text: 'dir:/etc/godwit',
    synced: true,
    problems: [{ file: 'pool.yaml', document: 2, field: 'spec.cidr', reason: 'is not a prefix', since: startedAt }],
  },
  restart: { inProgress: false },
  kernel: {
    routes: 12,
    failures: [{ prefix: '10.244.9.0/24', message: 'Network is unreachable', since: startedAt }],
    unroutable: [{ prefix: '10.99.0.0/16', reason: 'no connected route to 192.0.2.1' }],
    tunnels: [{ name: 'gw-vxlan', kind: 'vxlan', local: '10.1.1.11', state: 'up' }],
  },
  policy: { state: 'inForce', policies: 3, pods: 8 },
  conditions: [{ type: 'Conflict', object: 'BGPPeer/tor', message: 'disagrees with BGPPeer/tor-old' }],
};

const counters = {
  messagesReceived: 9,
  messagesSent: 8,
  updatesReceived: 5,
  updatesSent: 4,
  treatedAsWithdrawn: 0,
  flaps: 1,
};

const reflectorBfd: BfdStatus = {
  state: 'up',
  since: establishedAt,
  multihop: true,
  localDiscriminator: 1,
  remoteDiscriminator: 2,
  diagnostic: 'none',
  remoteDiagnostic: 'none',
  transmitIntervalMilliseconds: 300,
  detectionTimeMilliseconds: 1500,
  packetsReceived: 100,
  packetsSent: 101,
};

const reflector: PeerStatus = {
  bfd: reflectorBfd,
  name: 'rr-1',
  description: 'the reflector',
  address: '10.1.1.2',
  port: 179,
  localAddress: '10.1.1.11',
  peerType: 'iBGP',
  remoteAs: 64512,
  localAs: 64512,
  passive: false,
  reflectorClient: false,
  gracefulShutdown: false,
  state: 'established',
  since: establishedAt,
  lastError: 'an error of long ago',
  remoteRouterId: '10.1.1.2',
  holdTimeSeconds: 90,
  keepaliveTimeSeconds: 30,
  localCapabilities: ['multiprotocol ipv4 ipv6', 'route refresh', 'ADD-PATH', '  RX: ipv4 ipv6', '  TX:'],
  remoteCapabilities: ['multiprotocol ipv4', 'ADD-PATH', '  RX:', '  TX: ipv4'],
  gracefulRestart: 'ready',
  families: [
    {
      family: 'ipv4',
      negotiated: true,
      imported: 3,
      filtered: 1,
      exported: 1,
      stale: 0,
      endOfRibReceived: true,
      limits: [
        {
          kind: 'receive',
          family: 'ipv4',
          maximum: 3,
          warningPercent: 75,
          action: 'discard',
          count: 3,
          discarded: 1,
          state: 'exceeded',
        },
        {
          kind: 'import',
          family: 'ipv4',
          maximum: 100,
          warningPercent: 75,
          action: 'restart',
          count: 3,
          discarded: 0,
          state: 'below',
        },
      ],
      endOfRibSent: true,
      refreshing: false,
    },
    {
      family: 'ipv6',
      negotiated: false,
      imported: 0,
      filtered: 0,
      exported: 0,
      stale: 0,
      endOfRibReceived: false,
      limits: [],
      endOfRibSent: false,
      refreshing: false,
    },
  ],
  policyText: 'own pod blocks out; everything valid in',
  counters,
};

const tor: PeerStatus = {
  ...reflector,
  bfd: {
    ...reflectorBfd,
    state: 'down',
    diagnostic: 'control detection time expired',
    transmitIntervalMilliseconds: 1000,
    detectionTimeMilliseconds: 900,
    multihop: false,
  },
  name: 'tor-a',
  description: undefined,
  address: '10.1.1.1',
  peerType: 'eBGP',
  remoteAs: 65001,
  state: 'active',
  since: startedAt,
  lastError: 'Received: Administrative shutdown',
  remoteRouterId: undefined,
};

export const fakeProtocols: readonly ProtocolStatus[] = [
  { kind: 'other', name: 'device1', protocol: 'Device', state: 'up', since: startedAt },
  {
    kind: 'other',
    name: 'kernel4',
    protocol: 'Kernel',
    table: 'master4',
    families: ['ipv4'],
    state: 'up',
    since: startedAt,
  },
  {
    kind: 'other',
    name: 'node-pods',
    protocol: 'Static',
    state: 'up',
    since: startedAt,
    families: ['ipv4'],
    details: ['10.244.0.0/24'],
  },
  { kind: 'bgp', peer: reflector, origin: { kind: 'node', addresses: { ipv4: '10.1.1.2', ipv6: 'fd00:1::2' } } },
  { kind: 'bgp', peer: tor, origin: { kind: 'global' } },
];

const learned: RouteDetail = {
  family: 'ipv4',
  prefix: '10.244.1.0/24',
  peerName: 'rr-1',
  peerType: 'iBGP',
  peerAddress: '10.1.1.2',
  peerRouterId: '10.1.1.2',
  nextHop: '10.1.1.12',
  origin: 'IGP',
  asPath: '',
  localPref: 100,
  med: undefined,
  communities: ['64512:7'],
  largeCommunities: ['64512:7:8'],
  extendedCommunities: ['rt:64512:9', '!lb:64512:125000000', 'ro:10.0.0.1:7', 'generic:0x03010203:0x00000001'],
  onlyToCustomer: 65001,
  fibMetric: 500,
  originatorId: '10.1.1.12',
  clusterList: ['10.0.0.1', '10.0.0.2'],
  selected: 'best',
  stale: false,
  interfaceName: 'eth0',
};

export const fakeRoutes: readonly RouteDetail[] = [
  {
    ...learned,
    prefix: '10.244.0.0/24',
    peerName: 'node-pods',
    peerType: 'local',
    peerAddress: '10.1.1.11',
    nextHop: '10.1.1.11',
    localPref: undefined,
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    onlyToCustomer: undefined,
    fibMetric: undefined,
    originatorId: undefined,
    clusterList: [],
  },
  learned,
  {
    ...learned,
    peerName: 'tor-a',
    peerType: 'eBGP',
    peerAddress: '10.1.1.1',
    nextHop: '10.1.1.1',
    origin: 'incomplete',
    asPath: '65001 65000 65002',
    med: 5,
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    onlyToCustomer: undefined,
    fibMetric: undefined,
    originatorId: undefined,
    clusterList: [],
    pathId: 7,
    selected: 'no',
    lostAt: 'shorterAsPath',
    stale: true,
  },
  {
    ...learned,
    family: 'ipv6',
    prefix: 'fd00:10:244:1::/64',
    nextHop: 'fd00:1::12',
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    onlyToCustomer: undefined,
    fibMetric: undefined,
    interfaceName: undefined,
  },
];

export interface FakeModelOptions {
  /** So many made-up prefixes instead of the routes above. */
  readonly many?: number;
}

export type FakeModel = ControlModel & {
  /** `CHANGE NAMES TEXT` of each, in order. */
  readonly changes: readonly string[];
  /** Routes that were read from the model so far. */
  readonly read: () => number;
  /** Cursors that were begun and not ended. */
  readonly open: () => number;
};

export function fakeModel({ many = 0 }: FakeModelOptions = {}): FakeModel {
  let read = 0;
  let open = 0;
  const changes: string[] = [];
  function* routes(query: RouteQuery): Generator<RouteDetail> {
    open++;
    try {
      for (const route of many > 0 ? madeUp(many) : fakeRoutes) {
        read++;
        if (matches(route, query)) yield route;
      }
    } finally {
      open--;
    }
  }
  return {
    read: () => read,
    open: () => open,
    changes,
    status: () => fakeStatus,
    protocols: () => Promise.resolve(fakeProtocols),
    routes,
    policy: (pod) =>
      pod !== 'default/web'
        ? undefined
        : {
            pod,
            nodeName: 'node-1',
            addresses: ['10.244.0.5'],
            local: true,
            interfaceName: 'gw-web',
            ingress: { isolated: true, policies: ['default/allow-web'], allows: ['TCP 80 from pods app=front'] },
            egress: { isolated: false, policies: [], allows: [] },
            notes: [],
          },
    why: (target) => ({
      target,
      prefix: '10.244.1.0/24',
      steps: [
        { subject: 'best path', outcome: 'ok', text: 'by 10.1.1.2' },
        { subject: 'kernel', outcome: 'problem', text: 'not installed' },
      ],
      paths: [learned],
    }),
    interfaces: () => [
      { index: 1, name: 'lo', up: true, mtu: 65536, addresses: ['127.0.0.1/8', '::1/128'] },
      { index: 7, name: 'eth0', up: true, mtu: 1500, addresses: ['fe80::1/64', '10.1.1.11/24', 'fd00:1::11/64'] },
      { index: 8, name: 'eth1', up: false, mtu: 1500, addresses: [] },
    ],
    bestPathCounts: () => ({ 'rr-1': { ipv4: 2, ipv6: 0 } }),
    changePeers: (change, names, text) => {
      changes.push([change, ...names, text].filter(Boolean).join(' '));
      return names.map((name) => {
        if (name === 'rr-1') return { name, outcome: 'done' } as const;
        const reason = 'tor-a is not established';
        return change.startsWith('reload') ? { name, outcome: 'failed', reason } : { name, outcome: 'unchanged' };
      });
    },
    rereadSource: () => {
      changes.push('reread');
      return fakeStatus.source.problems;
    },
    memory: () => [
      { name: 'Routing tables', bytes: 45_261 },
      { name: 'Total', bytes: 64 * 1024 * 1024 },
    ],
  };
}

function* madeUp(count: number): Generator<RouteDetail> {
  for (let i = 0; i < count; i++) {
    yield { ...learned, prefix: `${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24` };
  }
}

function matches(route: RouteDetail, query: RouteQuery): boolean {
  if (query.family !== undefined && route.family !== query.family) return false;
  if (query.prefix !== undefined && route.prefix !== query.prefix) return false;
  if (query.for !== undefined && !(query.for === '10.244.1.5' && route.prefix === '10.244.1.0/24')) return false;
  if (query.protocol !== undefined && route.peerName !== query.protocol) return false;
  if (query.primary === true && route.selected !== 'best') return false;
  if (query.exportedTo !== undefined) return route.peerType === 'local';
  return query.filtered !== true;
}
