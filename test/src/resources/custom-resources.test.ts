/** Our own kinds: what is accepted, what is refused and with which words, what is filled in. */

import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { bgpConfigurationOf, bgpDefaults, type BgpConfiguration } from '../../../src/resources/bgp-configuration.ts';
import { isPassive, type BgpPeer } from '../../../src/resources/bgp-peer.ts';
import { poolsOverlap, type IpPool } from '../../../src/resources/ip-pool.ts';
import { formatProblem } from '../../../src/resources/problems.ts';
import { customResourceDefinitions, validateManifest, type Resource } from '../../../src/resources/resource.ts';
import { cases } from './custom-resource-cases.ts';

describe.each(cases)('$kind: $title', ({ kind, name, spec, problems }) => {
  test(problems.length === 0 ? 'is valid' : 'is refused with the field and the reason', () => {
    expect(problemsOf(ours(kind, spec, name))).toEqual(problems);
  });
});

test('a BGPPeer comes out with its defaults, parsed: address and port, numbers of seconds, the AS as a number', () => {
  const spec = {
    peerIP: '[FD00::1]:1179',
    asNumber: '1.10',
    holdTime: '1m30s',
    filters: ['in'],
    description: 'the other side',
  };
  expect(valid(ours('BGPPeer', spec))).toEqual({
    apiVersion: 'godwit.dev/v1',
    kind: 'BGPPeer',
    metadata: { name: 'x', labels: {}, annotations: {} },
    spec: {
      peerIP: { address: 'fd00::1', port: 1179 },
      asNumber: 65546,
      reflectorClient: false,
      families: ['ipv4', 'ipv6'],
      extendedNextHop: 'Auto',
      holdTime: 90,
      connectRetryTime: 5,
      nextHopMode: 'Auto',
      numAllowedLocalASNumbers: 0,
      sourceAddress: 'UseNodeIP',
      filters: ['in'],
      roleStrict: false,
      localASMode: 'Replace',
      removePrivateAS: 'Never',
      asOverride: false,
      gracefulShutdown: false,
      importClusterRoutes: false,
      reversePeering: 'Auto',
      description: 'the other side',
    },
  });
});

test('a range makes a peering passive, and so does passive', () => {
  const passive = (spec: object) => isPassive(valid(ours('BGPPeer', { asNumber: 65000, ...spec })) as BgpPeer);
  expect(passive({ peerRange: '10.0.0.0/8' })).toBe(true);
  expect(passive({ peerIP: '10.0.0.1', passive: true })).toBe(true);
  expect(passive({ peerIP: '10.0.0.1' })).toBe(false);
});

test('an IPPool comes out with its defaults and a canonical range', () => {
  expect(valid(ours('IPPool', { cidr: 'FD00:0::/56' }))).toMatchObject({
    spec: {
      cidr: 'fd00::/56',
      ipipMode: 'Never',
      vxlanMode: 'Never',
      nodeSelector: 'all()',
      disabled: false,
      natOutgoing: false,
      disableBGPExport: false,
    },
  });
});

test('a BGPFilter comes out with all four lists', () => {
  expect(valid(ours('BGPFilter', { importV4: [{ action: 'Reject' }] }))).toMatchObject({
    spec: { importV4: [{ action: 'Reject', operations: [] }], importV6: [], exportV4: [], exportV6: [] },
  });
});

test('the BGPConfiguration of a node: its own, else the default, else the built-in value, field by field', () => {
  const configurations = new Map(
    [
      ours('BGPConfiguration', { asNumber: 65000, holdTime: '30s' }),
      ours('BGPConfiguration', { holdTime: '0s' }, 'node.a'),
    ].map((manifest) => {
      const object = valid(manifest) as BgpConfiguration;
      return [object.metadata.name, object];
    }),
  );
  expect(bgpConfigurationOf(configurations, 'a')).toEqual({ ...bgpDefaults, asNumber: 65000, holdTime: 0 });
  expect(bgpConfigurationOf(configurations, 'b')).toEqual({ ...bgpDefaults, asNumber: 65000, holdTime: 30 });
  expect(bgpConfigurationOf(new Map(), 'a')).toEqual({
    asNumber: 64512,
    nodeToNodeMeshEnabled: true,
    listenPort: 179,
    holdTime: 90,
    maximumPaths: 16,
    clientToClientReflection: true,
    nodeMeshMaxRestartTime: 120,
    longLivedStaleTime: 0,
    nodeMeshBfd: { enabled: false, receiveInterval: 300, transmitInterval: 300, detectMultiplier: 3 },
  });
});

test.each([
  ['10.0.0.0/8', '10.244.0.0/16', true],
  ['10.244.0.0/16', '10.244.0.0/16', true],
  ['10.244.0.0/17', '10.244.128.0/17', false],
  ['10.0.0.0/8', 'fd00::/8', false],
])('pools %s and %s overlap: %s', (a, b, overlap) => {
  const pool = (cidr: string) => valid(ours('IPPool', { cidr })) as IpPool;
  expect(poolsOverlap(pool(a), pool(b))).toBe(overlap);
  expect(poolsOverlap(pool(b), pool(a))).toBe(overlap);
});

test.each(customResourceDefinitions)('the example of $kind is valid', ({ example }) => {
  expect(problemsOf(parse(example))).toEqual([]);
});

test.each([
  ['a list', [], ['a list is not a Kubernetes object']],
  ['a text', 'kind', ['"kind" is not a Kubernetes object']],
  ['an empty object', {}, ['apiVersion: required', 'kind: required']],
  ['no name', { apiVersion: 'godwit.dev/v1', kind: 'IPPool', spec: { cidr: '10.0.0.0/8' } }, ['metadata: required']],
  [
    'a name in capitals',
    { ...ours('IPPool', { cidr: '10.0.0.0/8' }), metadata: { name: 'Pods' } },
    ['metadata.name: must be lower case letters, digits, "-" and ".", beginning and ending with a letter or digit'],
  ],
  [
    'a label that is no string',
    { ...ours('IPPool', { cidr: '10.0.0.0/8' }), metadata: { name: 'pods', labels: { rack: 1 } } },
    ['metadata.labels.rack: 1 is not a string'],
  ],
  [
    'a field beside spec',
    { ...ours('IPPool', { cidr: '10.0.0.0/8' }), specs: {} },
    ['specs: unknown field (did you mean spec?)'],
  ],
  [
    "another product's version",
    { ...ours('BGPPeer', {}), apiVersion: 'projectcalico.org/v3' },
    ['apiVersion: projectcalico.org/v3 is not the version of BGPPeer that is read here (godwit.dev/v1)'],
  ],
])('%s is refused', (_, manifest, problems) => {
  expect(problemsOf(manifest)).toEqual(problems);
});

test('a kind that is not read is not used, and is no fault', () => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' } };
  expect(validateManifest(service)).toEqual({
    kind: 'notUsed',
    identity: { kind: 'Service', name: 'shop/web' },
    reason: 'kind Service is not used here',
  });
  expect(validateManifest({ apiVersion: 'v1', kind: 'constructor' }).kind).toBe('notUsed');
});

test('a manifest is identified as far as it says', () => {
  const identity = (manifest: unknown) => {
    const validation = validateManifest(manifest);
    return validation.kind === 'valid' ? undefined : validation.identity;
  };
  expect(identity({})).toStrictEqual({});
  expect(identity({ kind: 'Pod', metadata: { name: 'web' } })).toStrictEqual({ kind: 'Pod', name: 'default/web' });
  expect(identity({ kind: 'Node', metadata: { name: 'a', namespace: 'x' } })).toStrictEqual({
    kind: 'Node',
    name: 'a',
  });
  expect(identity({ kind: 'Pod', metadata: { name: 7 } })).toStrictEqual({ kind: 'Pod' });
});

test('status and the fields of an API server are taken and left out; null is absent', () => {
  const manifest = {
    ...ours('IPPool', { cidr: '10.0.0.0/8', nodeSelector: null }),
    metadata: { name: 'x', uid: '1', resourceVersion: '7', managedFields: [], creationTimestamp: null, labels: null },
    status: { conditions: [] },
  };
  const { metadata, ...plain } = valid(ours('IPPool', { cidr: '10.0.0.0/8' }));
  expect(valid(manifest)).toEqual({ ...plain, metadata: { ...metadata, uid: '1' } });
});

function ours(kind: string, spec: unknown, name = kind === 'BGPConfiguration' ? 'default' : 'x') {
  return { apiVersion: 'godwit.dev/v1', kind, metadata: { name }, ...(spec !== undefined && { spec }) };
}

function problemsOf(manifest: unknown): string[] {
  const validation = validateManifest(manifest);
  return validation.kind === 'invalid' ? validation.problems.map(formatProblem) : [];
}

function valid(manifest: unknown): Resource {
  const validation = validateManifest(manifest);
  if (validation.kind !== 'valid') throw new Error(`not valid: ${JSON.stringify(validation)}`);
  return validation.resource;
}
