import { describe, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/index.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import type { Self } from '../../../src/topology/inventory.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

const noMesh = ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }');
const a = node('a', '10.0.0.1', { pods: ['10.244.1.0/24'], labels: { rack: '1' } });
const b = node('b', '10.0.0.2', { pods: ['10.244.2.0/24'], labels: { rack: '1' } });
const c = node('c', '10.0.0.3', { pods: ['10.244.3.0/24'], labels: { rack: '2' } });
const reflector1 = node('rr1', '10.0.0.11', { clusterId: '1.1.1.1', labels: { role: 'reflector' } });
const reflector2 = node('rr2', '10.0.0.12', { clusterId: '1.1.1.1', labels: { role: 'reflector' } });
const toReflectors = ours('BGPPeer', 'reflectors', "{ nodeSelector: '!has(role)', peerSelector: role == 'reflector' }");
const allToReflectors = ours('BGPPeer', 'reflectors', "{ peerSelector: role == 'reflector' }");

function configOf(self: string | Self, ...manifests: readonly (string | object)[]) {
  return toSpeakerSettings(clusterOf(...manifests), typeof self === 'string' ? selfOf(self) : self);
}

/** `NAME ADDRESS AS [client] [passive]`, one a neighbour. */
function neighborsOf(self: string, ...manifests: readonly (string | object)[]): string[] {
  return configOf(self, ...manifests).settings.neighbors.map(summary);
}

function summary({ name, remote, remoteAs, reflectorClient, passive }: NeighborSettings): string {
  const where = remote.kind === 'range' ? remote.prefix : remote.address;
  return [name, where, remoteAs, reflectorClient && 'client', passive && 'passive'].filter(Boolean).join(' ');
}

function reasonsOf(self: string, ...manifests: readonly (string | object)[]): string[] {
  return configOf(self, ...manifests).conditions.map(({ object, reason }) => `${object.kind}/${object.name} ${reason}`);
}

describe('the mesh', () => {
  test('every node peers with every other by default', () => {
    expect(neighborsOf('a', a, b, c)).toEqual(['mesh_b 10.0.0.2 64512', 'mesh_c 10.0.0.3 64512']);
    expect(neighborsOf('b', a, b, c)).toEqual(['mesh_a 10.0.0.1 64512', 'mesh_c 10.0.0.3 64512']);
  });

  test('is off where nodeToNodeMeshEnabled is false', () => {
    expect(neighborsOf('a', a, b, noMesh)).toEqual([]);
  });

  test('has no route reflector in it', () => {
    expect(neighborsOf('a', a, b, reflector1)).toEqual(['mesh_b 10.0.0.2 64512']);
    expect(neighborsOf('rr1', a, b, reflector1)).toEqual([]);
  });

  test('one session a pair: over IPv4 where both have it, else over IPv6, and none without a common family', () => {
    const manifests = [node('a', '10.0.0.1 fd00::1'), node('b', '10.0.0.2 fd00::2'), node('c', 'fd00::3')];
    expect(neighborsOf('a', ...manifests)).toEqual(['mesh_b 10.0.0.2 64512', 'mesh_c fd00::3 64512']);
    expect(neighborsOf('a', node('a', '10.0.0.1'), node('c', 'fd00::3'))).toEqual([]);
  });

  test('both families are offered on it, with the own addresses as next hops', () => {
    const { settings } = configOf('a', node('a', '10.0.0.1 fd00::1'), node('b', '10.0.0.2 fd00::2'));
    expect(settings.neighbors[0]).toMatchObject({
      families: ['ipv4', 'ipv6'],
      localAddress: '10.0.0.1',
      nextHopSelf: { ipv4: '10.0.0.1', ipv6: 'fd00::1' },
      holdTimeSeconds: 90,
      nextHopMode: 'auto',
      allowedOwnAs: 0,
      importFilter: 'acceptAll',
      exportFilter: 'acceptAll',
    });
    expect(settings.neighbors[0].ttl).toBeUndefined();
  });

  test("nodes of different AS numbers peer by eBGP, over any number of routers, to the other's port", () => {
    const { settings } = configOf(
      'a',
      a,
      node('b', '10.0.0.2', { asNumber: 65002 }),
      ours('BGPConfiguration', 'node.b', '{ listenPort: 1179 }'),
    );
    expect(settings.neighbors).toMatchObject([
      { remote: { address: '10.0.0.2', port: 1179 }, remoteAs: 65002, ttl: 255 },
    ]);
  });

  test('names are symbols, also where two nodes differ only in what is no symbol character', () => {
    const names = neighborsOf('a', a, node('n-1', '10.0.0.5'), node('n.1', '10.0.0.6')).map(
      (text) => text.split(' ')[0],
    );
    expect(names).toEqual(['mesh_n_1', expect.stringMatching(/^mesh_n_1_[0-9a-f]{8}$/)]);
  });
});

describe('peerSelector', () => {
  const cluster = [a, b, reflector1, reflector2, noMesh, toReflectors];

  test('the selecting nodes peer with every reflector', () => {
    expect(neighborsOf('a', ...cluster)).toEqual([
      'peer_reflectors_rr1 10.0.0.11 64512',
      'peer_reflectors_rr2 10.0.0.12 64512',
    ]);
  });

  test('the reflectors peer back, with their clients', () => {
    expect(neighborsOf('rr1', ...cluster)).toEqual([
      'peer_reflectors_a 10.0.0.1 64512 client',
      'peer_reflectors_b 10.0.0.2 64512 client',
    ]);
    expect(configOf('rr1', ...cluster).settings.clusterId).toBe('1.1.1.1');
    expect(configOf('a', ...cluster).settings.clusterId).toBeUndefined();
  });

  test('with reversePeering Manual they do not', () => {
    const manual = ours(
      'BGPPeer',
      'r',
      "{ nodeSelector: '!has(role)', peerSelector: has(role), reversePeering: Manual }",
    );
    expect(neighborsOf('rr1', a, reflector1, noMesh, manual)).toEqual([]);
    expect(neighborsOf('a', a, reflector1, noMesh, manual)).toEqual(['peer_r_rr1 10.0.0.11 64512']);
  });

  test('reflectors peer with each other as no clients, and once', () => {
    expect(neighborsOf('rr1', a, reflector1, reflector2, noMesh, allToReflectors)).toEqual([
      'peer_reflectors_a 10.0.0.1 64512 client',
      'peer_reflectors_rr2 10.0.0.12 64512',
    ]);
  });

  test('localASNumber is what the other side expects', () => {
    const other = ours('BGPPeer', 'r', "{ nodeSelector: '!has(role)', peerSelector: has(role), localASNumber: 65100 }");
    expect(configOf('a', a, reflector1, noMesh, other).settings.neighbors).toMatchObject([
      { remoteAs: 64512, localAs: 65100, reflectorClient: false, ttl: 255 },
    ]);
    expect(neighborsOf('rr1', a, reflector1, noMesh, other)).toEqual(['peer_r_a 10.0.0.1 65100']);
  });

  test('of a passive peering exactly one side calls', () => {
    const calling = (selector: string) => {
      const peer = ours('BGPPeer', 'r', `{ ${selector} peerSelector: has(role), passive: true }`);
      return (['a', 'rr1'] as const).map(
        (self) =>
          configOf(self, a, reflector1, noMesh, peer).settings.neighbors.filter(({ passive }) => !passive).length,
      );
    };
    expect(calling("nodeSelector: '!has(role)',")).toEqual([0, 1]);
    const both = ours('BGPPeer', 'r', '{ peerSelector: all(), passive: true }');
    expect(neighborsOf('a', a, b, noMesh, both)).toEqual(['peer_r_b 10.0.0.2 64512']);
    expect(neighborsOf('b', a, b, noMesh, both)).toEqual(['peer_r_a 10.0.0.1 64512 passive']);
  });

  test('what it cannot do is a condition', () => {
    expect(reasonsOf('a', ...cluster)).toEqual(['BGPPeer/reflectors Accepted']);
    expect(reasonsOf('a', a, noMesh, toReflectors)).toEqual(['BGPPeer/reflectors NoPeer']);
    const v6Reflector = node('rr1', 'fd00::11', { clusterId: '1.1.1.1', labels: { role: 'reflector' } });
    expect(reasonsOf('a', a, v6Reflector, noMesh, toReflectors)).toEqual(['BGPPeer/reflectors NoCommonFamily']);
  });
});

describe('peerIP', () => {
  const peers = (...specs: readonly string[]) =>
    specs.map((spec, index) => ours('BGPPeer', `tor-${index}`, spec, `2026-01-0${index + 1}T00:00:00Z`));

  test('only the nodes that the BGPPeer selects have it', () => {
    const cluster = [
      a,
      c,
      noMesh,
      ...peers(
        "{ nodeSelector: rack == '1', peerIP: 10.0.1.1, asNumber: 65001 }",
        '{ node: c, peerIP: 10.0.2.1, asNumber: 65002 }',
      ),
    ];
    expect(neighborsOf('a', ...cluster)).toEqual(['peer_tor_0 10.0.1.1 65001']);
    expect(neighborsOf('c', ...cluster)).toEqual(['peer_tor_1 10.0.2.1 65002']);
  });

  test('every field finds its setting', () => {
    const [neighbor] = configOf(
      'a',
      a,
      noMesh,
      ...peers(`{
        peerIP: '10.0.1.1:1179', asNumber: 65001, localASNumber: 65100, passive: true, families: [ipv4], holdTime: 30s,
        keepaliveTime: 5s, connectRetryTime: 7s, maxRestartTime: 60s, longLivedStaleTime: 10m, nextHopMode: Self, numAllowedLocalASNumbers: 2,
        sourceAddress: None, ttlSecurity: 3, description: rack 1 }`),
    ).settings.neighbors;
    expect(neighbor).toMatchObject({
      remote: { kind: 'address', address: '10.0.1.1', port: 1179 },
      remoteAs: 65001,
      localAs: 65100,
      passive: true,
      families: ['ipv4'],
      holdTimeSeconds: 30,
      keepaliveTimeSeconds: 5,
      connectRetrySeconds: 7,
      gracefulRestartSeconds: 60,
      longLivedStaleSeconds: 600,
      nextHopMode: 'self',
      allowedOwnAs: 2,
      ttlSecurityHops: 3,
      description: 'rack 1',
    });
    expect(neighbor).not.toHaveProperty('bfd');
    expect(neighbor.localAddress).toBeUndefined();
    expect(neighbor.ttl).toBeUndefined();
  });

  test.each([
    ['an eBGP peer outside the cluster keeps the TTL of 1', '{ peerIP: 10.0.1.1, asNumber: 65001 }', undefined],
    ['ebgpMultihop sets it', '{ peerIP: 10.0.1.1, asNumber: 65001, ebgpMultihop: 4 }', 4],
    ['iBGP has no TTL of its own', '{ peerIP: 10.0.1.1, asNumber: 64512 }', undefined],
  ])('%s', (_, spec, ttl) => {
    expect(configOf('a', a, noMesh, ...peers(spec)).settings.neighbors[0].ttl).toBe(ttl);
  });

  test('on a reflector a node of the cluster is a client, and one from outside only where the BGPPeer says so', () => {
    const specs = [
      '{ peerIP: 10.0.0.1, asNumber: 64512 }',
      '{ peerIP: 10.0.9.1, asNumber: 64512 }',
      '{ peerIP: 10.0.9.2, asNumber: 64512, reflectorClient: true }',
    ];
    expect(neighborsOf('rr1', a, reflector1, noMesh, ...peers(...specs))).toEqual([
      'peer_tor_0 10.0.0.1 64512 client',
      'peer_tor_1 10.0.9.1 64512',
      'peer_tor_2 10.0.9.2 64512 client',
    ]);
  });

  test('a speaker with a client reflects, under its router id where no cluster id is given', () => {
    const { settings } = configOf(
      'a',
      a,
      noMesh,
      ...peers('{ peerIP: 10.0.9.1, asNumber: 64512, reflectorClient: true }'),
    );
    expect(settings).toMatchObject({ clusterId: '10.0.0.1', neighbors: [{ reflectorClient: true }] });
  });

  test('an eBGP peer is never a client, and the condition says so', () => {
    const manifests = [a, noMesh, ...peers('{ peerIP: 10.0.9.1, asNumber: 65001, reflectorClient: true }')];
    expect(neighborsOf('a', ...manifests)).toEqual(['peer_tor_0 10.0.9.1 65001']);
    expect(reasonsOf('a', ...manifests)).toEqual(['BGPPeer/tor-0 NotClient']);
  });

  test('an explicit BGPPeer wins over the mesh for its address', () => {
    expect(neighborsOf('a', a, b, c, ...peers('{ peerIP: 10.0.0.2, asNumber: 64512, holdTime: 30s }'))).toEqual([
      'peer_tor_0 10.0.0.2 64512',
      'mesh_c 10.0.0.3 64512',
    ]);
  });

  test('of two that disagree the older stays, and the newer gets the condition', () => {
    const manifests = [
      a,
      noMesh,
      ...peers('{ peerIP: 10.0.1.1, asNumber: 65001 }', '{ peerIP: 10.0.1.1, asNumber: 65002 }'),
    ];
    expect(neighborsOf('a', ...manifests.toReversed())).toEqual(['peer_tor_0 10.0.1.1 65001']);
    const { conditions } = configOf('a', ...manifests);
    expect(conditions).toMatchObject([
      { object: { name: 'tor-0' }, status: true },
      {
        object: { name: 'tor-1' },
        status: false,
        reason: 'Conflict',
        message: '10.0.1.1: BGPPeer tor-0 is older and has another asNumber',
      },
    ]);
  });

  test('without times the name decides who is older, and every field counts as disagreement', () => {
    const manifests = [
      ours('BGPPeer', 'z', '{ peerIP: 10.0.1.1, asNumber: 65001 }'),
      ours('BGPPeer', 'y', '{ peerIP: 10.0.1.1, asNumber: 65001, filters: [f] }'),
      ours('BGPFilter', 'f', '{}'),
    ];
    expect(neighborsOf('a', a, noMesh, ...manifests)).toEqual(['peer_y 10.0.1.1 65001']);
    expect(reasonsOf('a', a, noMesh, ...manifests)).toEqual(['BGPPeer/y Accepted', 'BGPPeer/z Conflict']);
  });

  test('two that agree are one session, and no conflict', () => {
    const manifests = [
      a,
      noMesh,
      ...peers(
        '{ peerIP: 10.0.1.1, asNumber: 65001 }',
        '{ node: a, peerIP: 10.0.1.1, asNumber: 65001, description: again }',
      ),
    ];
    expect(neighborsOf('a', ...manifests)).toEqual(['peer_tor_0 10.0.1.1 65001']);
    expect(reasonsOf('a', ...manifests)).toEqual(['BGPPeer/tor-0 Accepted', 'BGPPeer/tor-1 Accepted']);
  });

  test("a peerIP that is the node's own address is skipped there, with a condition", () => {
    const peer = peers('{ peerIP: 10.0.0.1, asNumber: 64512 }');
    expect(neighborsOf('a', a, b, noMesh, ...peer)).toEqual([]);
    expect(reasonsOf('a', a, b, noMesh, ...peer)).toEqual(['BGPPeer/tor-0 OwnAddress']);
    expect(neighborsOf('b', a, b, noMesh, ...peer)).toEqual(['peer_tor_0 10.0.0.1 64512']);
  });

  test('a filter that is missing is a condition', () => {
    const manifests = [a, noMesh, ...peers('{ peerIP: 10.0.1.1, asNumber: 65001, filters: [none-such] }')];
    expect(reasonsOf('a', ...manifests)).toEqual(['BGPPeer/tor-0 Accepted', 'BGPPeer/tor-0 FilterMissing']);
  });
});

describe('what a node originates', () => {
  const rangesOf = (...manifests: readonly object[]) =>
    configOf('a', ...manifests).settings.originated.map(({ prefix }) => prefix);

  test('its own pod ranges, and no other', () => {
    expect(configOf('a', a, b).settings.originated).toEqual([{ prefix: '10.244.1.0/24', source: 'node-pods' }]);
    expect(rangesOf(node('a', '10.0.0.1'))).toEqual([]);
  });

  test('each block that the node claimed, as one prefix', () => {
    const block = (cidr: string, owner: string) =>
      ours('IPAMBlock', cidr.replaceAll(/[.:/]/g, '-'), `{ cidr: "${cidr}", node: ${owner}, pool: pods }`);
    const blocks = [block('10.244.7.64/26', 'a'), block('fd00:7::40/122', 'a'), block('10.244.8.0/26', 'b')];
    expect(rangesOf(node('a', '10.0.0.1 fd00::1'), b, ...blocks)).toEqual(['10.244.7.64/26', 'fd00:7::40/122']);
  });

  test('not a range whose pool does not select the node', () => {
    const pool = ours('IPPool', 'pods', "{ cidr: 10.244.0.0/16, nodeSelector: rack == '2' }");
    expect(rangesOf(a, pool)).toEqual([]);
    expect(reasonsOf('a', a, pool)).toEqual(['Node/a NotAdvertised']);
  });

  test('RFC 8950: an IPv4 range of a node with IPv6 alone, for who understands its IPv6 next hop', () => {
    const six = node('a', 'fd00::1', { pods: ['10.244.1.0/24'] });
    const { settings, conditions } = configOf('a', six, node('b', 'fd00::2'));
    expect(settings.originated.map(({ prefix }) => prefix)).toEqual(['10.244.1.0/24']);
    expect(settings.neighbors[0].nextHopSelf).toEqual({ ipv6: 'fd00::1' });
    expect(conditions).toEqual([]);
  });

  test('RFC 2545: a range of a family that the node has no address of, for a peer on a link of its own', () => {
    const dual = node('a', '10.0.0.1', { pods: ['10.244.1.0/24', 'fd00:10:1::/64'] });
    const uplink = ours('BGPPeer', 'uplink', '{ peerIP: fe80::1%eth0, asNumber: 65001 }');
    const { settings, conditions } = configOf('a', dual, b, uplink);
    expect(settings.originated.map(({ prefix }) => prefix)).toEqual(['10.244.1.0/24', 'fd00:10:1::/64']);
    expect(settings.neighbors.map(({ name, nextHopSelf }) => [name, nextHopSelf])).toEqual([
      ['peer_uplink', { ipv4: '10.0.0.1' }],
      ['mesh_b', { ipv4: '10.0.0.1' }],
    ]);
    expect(conditions.filter(({ status }) => !status)).toEqual([]);
  });

  test('an IPv6 range of a node with IPv4 alone only where VXLAN always carries it, under an IPv4-mapped next hop', () => {
    const dual = node('a', '10.0.0.1', { pods: ['10.244.1.0/24', 'fd00:10:1::/64'] });
    expect(rangesOf(dual, b)).toEqual(['10.244.1.0/24']);
    expect(reasonsOf('a', dual, b)).toEqual(['Node/a NotAdvertised']);
    const pool = ours('IPPool', 'v6', '{ cidr: "fd00:10::/32", vxlanMode: Always }');
    const { settings, conditions } = configOf('a', dual, b, pool);
    expect(settings.originated.map(({ prefix }) => prefix)).toEqual(['10.244.1.0/24', 'fd00:10:1::/64']);
    expect(settings.neighbors[0].nextHopSelf).toEqual({ ipv4: '10.0.0.1', ipv6: '::ffff:10.0.0.1' });
    expect(conditions).toEqual([]);
  });
});

describe('the speaker', () => {
  test('takes ports, times and paths from the BGPConfiguration', () => {
    const configuration = ours(
      'BGPConfiguration',
      'default',
      '{ listenPort: 1179, holdTime: 30s, maximumPaths: 4, nodeMeshMaxRestartTime: 0s, longLivedStaleTime: 1h }',
    );
    const { settings } = configOf('a', a, b, configuration);
    expect(settings).toMatchObject({
      listenPort: 1179,
      maximumPaths: 4,
      gracefulRestartSeconds: 0,
      longLivedStaleSeconds: 3600,
    });
    expect(settings.neighbors).toMatchObject([{ holdTimeSeconds: 30 }]);
  });

  test('finds no equal paths where nobody programs them', () => {
    expect(configOf(selfOf('a', ['bgp']), a).settings.maximumPaths).toBe(1);
    expect(configOf('a', a).settings.maximumPaths).toBe(16);
  });

  test('the same state gives the same settings, whatever order its objects came in', () => {
    const manifests = [
      a,
      b,
      c,
      reflector1,
      toReflectors,
      ours('BGPPeer', 'x', '{ peerIP: 10.0.9.9, asNumber: 65001 }'),
    ];
    const text = (objects: readonly object[]) => JSON.stringify(configOf('a', ...objects).settings);
    expect(text(manifests.toReversed())).toBe(text(manifests));
  });
});

test('the manifests of an off-cluster reflector give a range of clients and nothing to check on their routes', () => {
  const manifests = `
apiVersion: v1
kind: Node
metadata:
  name: dut
  annotations: { godwit.dev/route-reflector-cluster-id: 10.9.0.1 }
status:
  addresses: [{ type: InternalIP, address: 10.9.0.1 }]
---
apiVersion: godwit.dev/v1
kind: BGPConfiguration
metadata: { name: default }
spec: { asNumber: 65000, nodeToNodeMeshEnabled: false }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: clients }
spec:
  node: dut
  peerRange: 10.9.0.0/16
  asNumber: 65000
  passive: true
  reflectorClient: true
`;
  const { settings, conditions } = configOf(selfOf('dut', ['bgp']), manifests);
  expect(settings).toEqual({
    asNumber: 65000,
    routerId: '10.9.0.1',
    clusterId: '10.9.0.1',
    listenPort: 179,
    gracefulRestartSeconds: 120,
    longLivedStaleSeconds: 0,
    maximumPaths: 1,
    originated: [],
    neighbors: [
      {
        name: 'peer_clients',
        remote: { kind: 'range', prefix: '10.9.0.0/16' },
        remoteAs: 65000,
        localAddress: '10.9.0.1',
        nextHopSelf: { ipv4: '10.9.0.1' },
        passive: true,
        reflectorClient: true,
        families: ['ipv4', 'ipv6'],
        holdTimeSeconds: 90,
        connectRetrySeconds: 5,
        nextHopMode: 'auto',
        allowedOwnAs: 0,
        importFilter: 'acceptAll',
        exportFilter: 'acceptAll',
        policyText: 'import: all; export: own pod ranges, and iBGP routes as a route reflector',
      },
    ],
  });
  expect(conditions.map(({ status }) => status)).toEqual([true]);
});

describe('BFD', () => {
  const quick = { minimumTransmitMilliseconds: 300, minimumReceiveMilliseconds: 300, detectMultiplier: 3 };
  const bfdOf = (...manifests: readonly (string | object)[]) =>
    configOf('a', a, ...manifests).settings.neighbors.map(({ bfd }) => bfd);
  const peer = (spec: string) => ours('BGPPeer', 'p', `{ peerIP: 10.0.1.1, ${spec} }`);

  test.each([
    ['to an eBGP peer: on the link', 'asNumber: 65001, bfd: {}', { ...quick, multihop: false }],
    ['with GTSM over one hop', 'asNumber: 65001, ttlSecurity: 1, bfd: {}', { ...quick, multihop: false }],
    ['with GTSM over two', 'asNumber: 65001, ttlSecurity: 2, bfd: {}', { ...quick, multihop: true }],
    ['over several hops', 'asNumber: 65001, ebgpMultihop: 3, bfd: {}', { ...quick, multihop: true }],
    ['to an iBGP peer', 'asNumber: 64512, bfd: {}', { ...quick, multihop: true }],
    ['as it is told', 'asNumber: 64512, bfd: { multihop: false }', { ...quick, multihop: false }],
    ['not without being told', 'asNumber: 65001', undefined],
    ['switched off', 'asNumber: 65001, bfd: { enabled: false }', undefined],
    [
      'with times of its own',
      'asNumber: 65001, bfd: { transmitInterval: 100, receiveInterval: 200, detectMultiplier: 5 }',
      { minimumTransmitMilliseconds: 100, minimumReceiveMilliseconds: 200, detectMultiplier: 5, multihop: false },
    ],
  ])('%s', (_, spec, expected) => {
    expect(bfdOf(noMesh, peer(spec))).toEqual([expected]);
  });

  test('in the mesh by nodeMeshBfd, which says nothing of a BGPPeer', () => {
    const mesh = ours('BGPConfiguration', 'default', '{ nodeMeshBfd: { detectMultiplier: 4 } }');
    expect(bfdOf(b, mesh, peer('asNumber: 65001'))).toEqual([
      undefined,
      { ...quick, detectMultiplier: 4, multihop: true },
    ]);
  });
});
