/** Calico's objects into ours. */

import { describe, expect, test } from 'vitest';
import { migrateCalico } from '../../../src/migrate/calico.ts';
import { readObjects } from '../../../src/migrate/input.ts';
import type { Migration } from '../../../src/migrate/migration.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, routeOf, selfOf } from '../../kit/cluster.ts';

function migrate(text: string): Migration {
  const { objects, problems } = readObjects(text);
  expect(problems).toEqual([]);
  return migrateCalico(objects);
}

const object = (kind: string, spec: unknown, name = 'x', apiVersion = 'projectcalico.org/v3') =>
  JSON.stringify({ apiVersion, kind, metadata: { name, uid: 'u', creationTimestamp: null }, spec });

/** The spec of the one object that comes out, and the notes. */
function one(kind: string, spec: unknown, name?: string, apiVersion?: string) {
  const { manifests, notes } = migrate(object(kind, spec, name, apiVersion));
  return { spec: manifests[0]?.spec, count: manifests.length, notes };
}

describe('a field', () => {
  test.each([
    ['BGPPeer', { node: 'a', peerIP: '10.0.0.1:1179', asNumber: 64512 }, {}],
    ['BGPPeer', { peerSelector: "rr == 'yes'", nodeSelector: 'all()', reversePeering: 'Manual' }, {}],
    ['BGPPeer', { peerIP: 'fd00::1', asNumber: 64512, keepOriginalNextHop: true }, { nextHopMode: 'Keep' }],
    ['BGPPeer', { peerIP: 'fd00::1', asNumber: 64512, keepOriginalNextHop: false }, {}],
    ['BGPPeer', { peerIP: '10.0.0.1', asNumber: 64512, maxRestartTime: '2m0s' }, { maxRestartTime: '120s' }],
    [
      'BGPPeer',
      { peerIP: '10.0.0.1', asNumber: 64512, password: { secretKeyRef: { name: 's', key: 'k' } } },
      { password: { secretKeyRef: { name: 's', key: 'k' } } },
    ],
    ['BGPPeer', { peerIP: '10.0.0.1', asNumber: 64512, keepaliveTime: '1500ms' }, { keepaliveTime: '2s' }],
    ['BGPPeer', { peerIP: '10.0.0.1', asNumber: 64512, ttlSecurity: 0 }, {}],
    [
      'IPPool',
      { cidr: '10.0.0.0/16', ipipMode: 'CrossSubnet', nodeSelector: 'all()', blockSize: 26 },
      { blockSize: 26 },
    ],
    ['IPPool', { cidr: '10.0.0.0/16', blockSize: 32, namespaceSelector: '' }, { blockSize: 30 }],
    ['IPPool', { cidr: 'fd00::/48', blockSize: 128, namespaceSelector: 'has(a)' }, { blockSize: 126 }],
    ['IPPool', { cidr: '10.0.0.0/16', vxlanMode: '', natOutgoing: true, allowedUses: ['Workload', 'Tunnel'] }, {}],
    ['BGPFilter', { importV4: [{ action: 'Reject', cidr: '10.0.0.0/8', matchOperator: 'In' }] }, {}],
  ])('%s %j is carried over, without a note', (kind, spec, changed) => {
    const dropped = ['keepOriginalNextHop', 'ttlSecurity', 'blockSize', 'allowedUses'];
    const kept = Object.entries(spec).filter(([field, value]) => !dropped.includes(field) && value !== '');
    expect(one(kind, spec)).toEqual({ spec: { ...Object.fromEntries(kept), ...changed }, count: 1, notes: [] });
  });

  test.each([
    ['BGPPeer', { reachableBy: '10.0.0.254' }, 'spec.reachableBy'],
    ['BGPPeer', { fieldOfTomorrow: 1 }, 'spec.fieldOfTomorrow'],
  ])('%s %j has no counterpart: it is told and left out', (kind, extra, field) => {
    const { spec, notes } = one(kind, { peerIP: '10.0.0.1', asNumber: 64512, ...extra });
    expect(spec).toEqual({ peerIP: '10.0.0.1', asNumber: 64512 });
    expect(notes).toEqual([{ level: 'lost', object: 'BGPPeer/x', field, text: expect.any(String) }]);
  });

  test.each([
    ['BGPConfiguration', { serviceClusterIPs: [{ cidr: '10.96.0.0/12' }], bindMode: 'NodeIP' }, 2],
    ['BGPConfiguration', { serviceClusterIPs: [], bindMode: 'None', logSeverityScreen: 'Info' }, 0],
    ['IPPool', { cidr: '10.0.0.0/16', natOutgoing: true, assignmentMode: 'Manual' }, 1],
  ])('%s %j: only what makes a difference is told', (kind, spec, count) => {
    const { notes } = one(kind, spec, 'default');
    expect(notes.map(({ level }) => level)).toEqual(Array.from({ length: count }, () => 'lost'));
  });
});

test.each([
  ['a rule that matches by interface', 'BGPFilter', { exportV4: [{ action: 'Accept', interface: 'eth*' }] }],
  ['a peering with workloads', 'BGPPeer', { localWorkloadSelector: 'all()', asNumber: 1 }],
  ['an export rule that matches by priority', 'BGPFilter', { exportV6: [{ action: 'Accept', priority: 1024 }] }],
  ['a duration that is none', 'BGPPeer', { peerIP: '10.0.0.1', asNumber: 64512, maxRestartTime: 'soon' }],
  ['what our validator refuses', 'IPPool', { cidr: '10.0.0.1/16' }],
])('%s makes the object fail, and nothing is written', (_, kind, spec) => {
  const { count, notes } = one(kind, spec);
  expect({ count, levels: notes.map(({ level }) => level) }).toEqual({ count: 0, levels: ['failed'] });
});

test('an operation without a counterpart is left out of its rule', () => {
  const operations = [{ setColour: { value: 5 } }, { addCommunity: { value: '1:2' } }];
  const { spec, notes } = one('BGPFilter', { exportV4: [{ action: 'Accept', operations }] });
  expect(spec).toEqual({ exportV4: [{ action: 'Accept', operations: [{ addCommunity: { value: '1:2' } }] }] });
  expect(notes.map(({ field }) => field)).toEqual(['spec.exportV4[0].operations[0].setColour']);
});

test('priorities: what a peer tells by LOCAL_PREF and what it is told so are the same; of what is set on import the metric is left', () => {
  const operations = [{ setPriority: { value: 512 } }];
  const rules = {
    importV4: [{ priority: 700, action: 'Accept', operations }],
    exportV4: [{ action: 'Accept', operations }],
  };
  const { spec, notes } = one('BGPFilter', rules);
  expect(spec).toEqual(rules);
  expect(notes.map(({ level, field }) => `${level} ${field}`)).toEqual([
    'lost spec.importV4[0].operations[0].setPriority',
  ]);
});

describe('an eBGP peer', () => {
  const peer = object('BGPPeer', { peerIP: '10.0.0.1', asNumber: 65001 }, 'tor');
  const configuration = (spec: unknown) => object('BGPConfiguration', spec, 'default');

  test.each([
    ['is several hops away, as Calico has it', '', { ebgpMultihop: 64 }],
    [
      'carries the pod routes where there is no mesh and no reflector',
      configuration({ nodeToNodeMeshEnabled: false }),
      { ebgpMultihop: 64, importClusterRoutes: true },
    ],
    [
      'does not where reflectors do',
      `${configuration({ nodeToNodeMeshEnabled: false })}\n---\n${object('BGPPeer', { peerSelector: 'has(rr)' }, 'a')}`,
      { ebgpMultihop: 64 },
    ],
    ["is none where its AS number is the cluster's", configuration({ asNumber: 65001 }), {}],
    [
      'is one where a node has an AS number of its own',
      `${configuration({ asNumber: 65001 })}\n---\n${object('Node', { bgp: { asNumber: 64600 } }, 'n1')}`,
      { ebgpMultihop: 64 },
    ],
  ])('%s', (_, others, extra) => {
    const { manifests } = migrate(`${others}\n---\n${peer}`);
    expect(manifests.at(-1)?.spec).toEqual({ peerIP: '10.0.0.1', asNumber: 65001, ...extra });
  });

  test('is told prefixAdvertisements with their communities, and nothing that was learned', () => {
    const spec = {
      communities: [{ name: 'far', value: '65000:1' }],
      prefixAdvertisements: [{ cidr: '10.1.0.0/16', communities: ['far', '65000:2'] }],
    };
    const pool = object('IPPool', { cidr: '10.1.9.0/24', disableBGPExport: true }, 'p');
    const { manifests } = migrate([configuration(spec), peer, pool].join('\n---\n'));
    const condition = { peerType: 'eBGP', matchOperator: 'In' };
    expect(manifests.map(({ kind, metadata }) => `${kind}/${String(metadata.name)}`)).toEqual([
      'BGPFilter/prefix-advertisements',
      'BGPConfiguration/default',
      'BGPPeer/tor',
      'IPPool/p',
    ]);
    expect(manifests[0].spec).toEqual({
      exportV6: [],
      exportV4: [
        { ...condition, cidr: '10.1.9.0/24', action: 'Reject' },
        { ...condition, cidr: '10.1.0.0/16', action: 'Reject', source: 'RemotePeers' },
        {
          ...condition,
          cidr: '10.1.0.0/16',
          action: 'Accept',
          operations: [{ addCommunity: { value: '65000:1' } }, { addCommunity: { value: '65000:2' } }],
        },
      ],
    });
    expect(manifests[2].spec).toMatchObject({ filters: ['prefix-advertisements'] });
  });
});

test('the filter of prefixAdvertisements does on a node what Calico does, and tells nothing more', () => {
  const spec = { prefixAdvertisements: [{ cidr: '10.1.0.0/16', communities: ['65000:2'] }] };
  const peers = [object('BGPPeer', { peerIP: '10.0.0.1', asNumber: 65001 }, 'tor')];
  const { manifests } = migrate([object('BGPConfiguration', spec, 'default'), ...peers].join('\n---\n'));
  const state = clusterOf(node('n1', '10.0.0.11', { pods: ['10.1.1.0/24', '10.2.1.0/24'] }), ...manifests);
  const { exportFilter } = toSpeakerSettings(state, selfOf('n1')).settings.neighbors[0];
  const verdict = (prefix: string, peerType: 'local' | 'iBGP') =>
    exportFilter !== 'acceptAll' && exportFilter?.evaluate(routeOf(prefix, { peerType }));
  expect(verdict('10.1.1.0/24', 'local')).toMatchObject({ kind: 'accept', changes: { addCommunities: ['65000:2'] } });
  expect(verdict('10.2.1.0/24', 'local')).toMatchObject({ kind: 'accept' });
  expect(verdict('10.2.1.0/24', 'local')).not.toHaveProperty('changes');
  expect(verdict('10.1.9.0/24', 'iBGP')).toMatchObject({ kind: 'reject' });
  expect(verdict('10.2.9.0/24', 'iBGP')).toMatchObject({ kind: 'reject' });
});

describe('a node', () => {
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'n1',
      annotations: {
        'projectcalico.org/ASNumber': '64600',
        'projectcalico.org/RouteReflectorClusterID': '1.0.0.1',
        'projectcalico.org/IPv4Address': '10.0.0.5/24',
        'projectcalico.org/IPv4IPIPTunnelAddr': '10.244.1.1',
        'node.alpha.kubernetes.io/ttl': '0',
      },
    },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.5' }] },
  };
  const annotations = { 'godwit.dev/as-number': '64600', 'godwit.dev/route-reflector-cluster-id': '1.0.0.1' };

  test('of Kubernetes keeps its AS number and cluster id as annotations', () => {
    const expected = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', annotations } };
    expect(migrate(JSON.stringify(node))).toEqual({ manifests: [expected], notes: [] });
  });

  test('whose BGP address is not its InternalIP needs --node-ip', () => {
    const other = { ...node, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } };
    expect(migrate(JSON.stringify(other)).notes).toMatchObject([
      { level: 'lost', field: 'metadata.annotations["projectcalico.org/IPv4Address"]' },
    ]);
  });

  test("of Calico's own is found by its name in Kubernetes", () => {
    const spec = {
      bgp: { asNumber: '64600', routeReflectorClusterID: '1.0.0.1', ipv4Address: '10.0.0.5/24' },
      orchRefs: [{ nodeName: 'n1', orchestrator: 'k8s' }],
    };
    const { manifests } = migrate(object('Node', spec, 'calicos-name'));
    expect(manifests).toEqual([{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', annotations } }]);
  });

  test('with nothing to say is not written', () => {
    const plain = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n2' } };
    expect(migrate(JSON.stringify(plain))).toEqual({ manifests: [], notes: [] });
  });
});

test.each([
  ['GlobalNetworkPolicy', 'crd.projectcalico.org/v1', 'deny-all', 'lost', /NOT ENFORCED/],
  ['NetworkPolicy', 'projectcalico.org/v3', 'default.web', 'lost', /NOT ENFORCED/],
  ['NetworkPolicy', 'projectcalico.org/v3', 'knp.default.web', 'note', /enforced as it is/],
  ['NetworkPolicy', 'networking.k8s.io/v1', 'web', 'note', /enforced as it is/],
  ['IPReservation', 'projectcalico.org/v3', 'r', 'lost', /with the same spec/],
  ['IPAMBlock', 'crd.projectcalico.org/v1', 'b', 'note', /nothing to convert/],
  ['ThingOfTomorrow', 'projectcalico.org/v3', 't', 'lost', /not known/],
  ['Deployment', 'apps/v1', 'd', 'note', /not Calico's/],
])('%s of %s named %s: %s', (kind, apiVersion, name, level, text) => {
  expect(one(kind, {}, name, apiVersion)).toEqual({
    spec: undefined,
    count: 0,
    notes: [{ level, object: `${kind}/${name}`, text: expect.stringMatching(text) }],
  });
});

test('what kubectl prints is read: lists, typed lists, several documents', () => {
  const list = `apiVersion: v1
kind: List
items:
- apiVersion: crd.projectcalico.org/v1
  kind: IPPool
  metadata: {name: a}
  spec: {cidr: 10.0.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: IPPoolList
items:
- metadata: {name: b}
  spec: {cidr: 10.1.0.0/16}
`;
  expect(migrate(list).manifests.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
});

test('what is no object is told by its document', () => {
  expect(readObjects('a: b\n---\n{"kind": [\n---\nkind: X\napiVersion: v1\nmetadata: {name: x}\n').problems).toEqual([
    'document 1: an entry has no apiVersion, kind and metadata.name',
    expect.stringMatching(/^document 2: not YAML: /),
  ]);
});
