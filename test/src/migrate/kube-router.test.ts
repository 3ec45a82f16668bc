/** kube-router's annotations and flags into our objects. */

import { expect, test } from 'vitest';
import { migrateKubeRouter } from '../../../src/migrate/kube-router.ts';
import type { Manifest } from '../../../src/migrate/migration.ts';

function node(name: string, annotations: Record<string, string>, spec = {}): Manifest {
  const own = Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`kube-router.io/${key}`, value]));
  const labels = { 'kubernetes.io/hostname': name };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels, annotations: own }, spec };
}

function daemonSet(...args: string[]): Manifest {
  const containers = [{ name: 'kube-router', image: 'docker.io/cloudnativelabs/kube-router', args }];
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'kube-router', namespace: 'kube-system' },
    spec: { template: { spec: { containers } } },
  };
}

const short = ({ kind, metadata, spec }: Manifest) => [
  `${kind}/${String(metadata.name)}`,
  spec ?? metadata.annotations,
];

test.each([
  ['lists', { 'peer.ips': '10.0.0.1, 10.0.0.2', 'peer.asns': '65001,65002', 'peer.ports': '179,1179' }],
  [
    'YAML',
    { peers: '- {remoteip: 10.0.0.1, remoteasn: 65001}\n- {remoteip: 10.0.0.2, remoteasn: 65002, port: 1179}\n' },
  ],
])('the peers of a node given as %s become BGPPeers of it', (_, annotations) => {
  const { manifests, notes } = migrateKubeRouter([node('a', annotations)]);
  expect(manifests.map(short)).toEqual([
    ['BGPPeer/peer-10.0.0.1', { node: 'a', peerIP: '10.0.0.1', asNumber: 65001 }],
    ['BGPPeer/peer-10.0.0.2-1179', { node: 'a', peerIP: '10.0.0.2:1179', asNumber: 65002 }],
  ]);
  expect(notes).toEqual([]);
});

test('BFD of a peer goes along, with the times that hold there', () => {
  const peers = [
    '- {remoteip: 10.0.0.1, remoteasn: 65001, bfd: {enabled: true}}',
    '- {remoteip: 10.0.0.2, remoteasn: 65001, bfd: {enabled: false}}',
    '- {remoteip: 10.0.0.3, remoteasn: 65001, bfd: {required_min_rx_interval: 50, detection_multiplier: 5, port: 4000}}',
  ];
  const { manifests, notes } = migrateKubeRouter([node('a', { peers: peers.join('\n') })]);
  expect(manifests.map(({ spec }) => spec?.bfd)).toEqual([
    { receiveInterval: 1000, transmitInterval: 1000, detectMultiplier: 3 },
    undefined,
    { receiveInterval: 50, transmitInterval: 1000, detectMultiplier: 5 },
  ]);
  expect(notes).toMatchObject([{ level: 'lost', text: 'BFD has its own ports: 3784, with multihop 4784' }]);
});

test('nodes that say the same of a peer share one BGPPeer', () => {
  const annotations = { 'peer.ips': 'fd00::1', 'peer.asns': '65001' };
  const { manifests } = migrateKubeRouter([node('a', annotations), node('b', annotations)]);
  const nodeSelector = "kubernetes.io/hostname in {'a', 'b'}";
  expect(manifests.map(short)).toEqual([['BGPPeer/peer-fd00-1', { nodeSelector, peerIP: 'fd00::1', asNumber: 65001 }]]);
});

test('a selector that would be too long becomes several', () => {
  const annotations = { 'peer.ips': '10.0.0.1', 'peer.asns': '65001' };
  const nodes = Array.from({ length: 100 }, (_, i) => node(`worker-number-${i}`, annotations));
  const { manifests } = migrateKubeRouter(nodes);
  const found = manifests.flatMap(({ spec }) =>
    [...String(spec?.nodeSelector).matchAll(/'([^']+)'/g)].map(([, name]) => name),
  );
  expect(new Set(found)).toEqual(new Set(nodes.map(({ metadata }) => metadata.name)));
  expect(new Set(manifests.map(({ metadata }) => metadata.name)).size).toBe(manifests.length);
});

test('reflectors get a cluster id, every node a way to them, and the mesh is off', () => {
  const { manifests, notes } = migrateKubeRouter([node('a', { 'rr.server': '42' }), node('b', { 'rr.client': '42' })]);
  expect(manifests.map(short)).toEqual([
    ['Node/a', { 'godwit.dev/route-reflector-cluster-id': '0.0.0.42' }],
    ['BGPPeer/route-reflectors', { peerSelector: "kubernetes.io/hostname in {'a'}" }],
    ['BGPConfiguration/default', { nodeToNodeMeshEnabled: false }],
  ]);
  expect(notes).toEqual([]);
});

test('AS number, import rejects and prepending are kept', () => {
  const annotations = {
    'node.asn': '64600',
    'peer.ips': '10.0.0.1',
    'peer.asns': '65001',
    'node.bgp.customimportreject': '10.0.0.0/16, fd00::/8',
    'path-prepend.as': '64600',
    'path-prepend.repeat-n': '2',
  };
  const { manifests } = migrateKubeRouter([node('a', annotations)]);
  const rules = [
    { action: 'Reject', peerType: 'eBGP', source: 'RemotePeers' },
    { action: 'Accept', peerType: 'eBGP', operations: [{ prependASPath: { prefix: [64600, 64600] } }] },
  ];
  expect(manifests.map(short)).toEqual([
    ['Node/a', { 'godwit.dev/as-number': '64600' }],
    [
      'BGPFilter/import-reject',
      {
        importV4: [{ action: 'Reject', matchOperator: 'In', cidr: '10.0.0.0/16' }],
        importV6: [{ action: 'Reject', matchOperator: 'In', cidr: 'fd00::/8' }],
      },
    ],
    ['BGPFilter/prepend-64600-2', { exportV4: rules, exportV6: rules }],
    [
      'BGPPeer/peer-10.0.0.1',
      { node: 'a', peerIP: '10.0.0.1', asNumber: 65001, filters: ['import-reject', 'prepend-64600-2'] },
    ],
  ]);
});

test('the flags of the DaemonSet become the BGPConfiguration and peers of every node', () => {
  const { manifests, notes } = migrateKubeRouter([
    daemonSet(
      '--cluster-asn=64999',
      '--nodes-full-mesh=false',
      '--bgp-holdtime',
      '30s',
      '--bgp-graceful-restart',
      '--peer-router-ips=10.0.0.1,fd00::1',
      '--peer-router-asns=65001,65001',
      '--peer-router-multihop-ttl=5',
      '--run-service-proxy=false',
      '--kubeconfig=/var/lib/kube-router/kubeconfig',
      '--overlay-type=full',
    ),
  ]);
  expect(manifests.map(short)).toEqual([
    ['BGPConfiguration/default', { asNumber: 64999, nodeToNodeMeshEnabled: false, holdTime: '30s' }],
    ['BGPPeer/peer-10.0.0.1', { peerIP: '10.0.0.1', asNumber: 65001, ebgpMultihop: 5 }],
    ['BGPPeer/peer-fd00-1', { peerIP: 'fd00::1', asNumber: 65001, ebgpMultihop: 5 }],
  ]);
  expect(notes.map(({ level, field }) => [level, field])).toEqual([['lost', 'args["overlay-type"]']]);
});

test.each([
  ['lists of two lengths', { 'peer.ips': '10.0.0.1,10.0.0.2', 'peer.asns': '65001' }, 'peer.ips'],
  ['an address that is none', { 'peer.ips': 'tor', 'peer.asns': '65001' }, 'peer.ips'],
  ['peers that are no YAML', { peers: '{' }, 'peers'],
  ['a prefix that is none', { 'node.bgp.customimportreject': 'x' }, 'node.bgp.customimportreject'],
  ['prepending eleven times', { 'path-prepend.as': '1', 'path-prepend.repeat-n': '11' }, 'path-prepend.as'],
])('%s cannot be converted', (_, annotations, field) => {
  const { manifests, notes } = migrateKubeRouter([node('a', annotations)]);
  expect({ manifests, notes }).toEqual({
    manifests: [],
    notes: [
      {
        level: 'failed',
        object: 'Node/a',
        field: `metadata.annotations["kube-router.io/${field}"]`,
        text: expect.stringMatching(/^not converted: /),
      },
    ],
  });
});

test.each([
  ['a password', { 'peer.ips': '10.0.0.1', 'peer.asns': '65001', 'peer.passwords': 'x' }, 'peer.passwords'],
  ['communities', { 'node.bgp.communities': '65000:1' }, 'node.bgp.communities'],
  ['another pod range than the Node has', { 'pod-cidr': '10.9.0.0/24' }, 'pod-cidr'],
])('%s has no counterpart', (_, annotations, field) => {
  const { notes } = migrateKubeRouter([node('a', annotations, { podCIDRs: ['10.1.0.0/24'] })]);
  expect(notes.map((note) => [note.level, note.field])).toEqual([
    ['lost', `metadata.annotations["kube-router.io/${field}"]`],
  ]);
});

test('the pod range that the Node has too is no difference', () => {
  const { notes } = migrateKubeRouter([node('a', { 'pod-cidrs': '10.1.0.0/24' }, { podCIDR: '10.1.0.0/24' })]);
  expect(notes).toEqual([]);
});
