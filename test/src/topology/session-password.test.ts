/** Passwords of sessions: found in Secrets, or the session is held down and says why; never seen elsewhere. */

import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/index.ts';
import { toSpeakerSettings } from '../../../src/topology/speaker-config.ts';
import { clusterOf, node, ours, selfOf } from '../../kit/cluster.ts';

const a = node('a', '10.0.0.1');
const b = node('b', '10.0.0.2');
const noMesh = ours('BGPConfiguration', 'default', '{ nodeToNodeMeshEnabled: false }');
const tor = ours(
  'BGPPeer',
  'tor',
  '{ peerIP: 10.9.9.9, asNumber: 65001, password: { secretKeyRef: { name: bgp, key: tor } } }',
);
const other = ours('BGPPeer', 'other', '{ peerIP: 10.9.9.8, asNumber: 65001 }');
const mesh = ours('BGPConfiguration', 'default', '{ nodeMeshPassword: { secretKeyRef: { name: bgp, key: mesh } } }');

function secret(name: string, stringData: Readonly<Record<string, string>>, namespace = 'godwit'): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData };
}

function bytes(value: number[]): object {
  const data = { tor: Buffer.from(value).toString('base64') };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bgp', namespace: 'godwit' }, data };
}

function configOf(...manifests: object[]) {
  return toSpeakerSettings(clusterOf(a, b, ...manifests), selfOf('a'));
}

function passwordsOf(...manifests: object[]): string[] {
  return configOf(...manifests).settings.neighbors.map(
    ({ name, password, heldDown }: NeighborSettings) => `${name}: ${password ?? heldDown ?? '-'}`,
  );
}

function refusals(...manifests: object[]): string[] {
  return configOf(...manifests)
    .conditions.filter(({ status }) => !status)
    .map(({ object, reason, message }) => `${object.kind}/${object.name} ${reason}: ${message}`);
}

test('the password of a BGPPeer is that of its Secret, in whatever namespace the source reads', () => {
  expect(passwordsOf(noMesh, tor, other, secret('bgp', { tor: 'hunter2', mesh: 'x' }))).toEqual([
    'peer_other: -',
    'peer_tor: hunter2',
  ]);
});

test('the password of the mesh is not that of BGPPeers', () => {
  expect(passwordsOf(mesh, other, secret('bgp', { mesh: 'hunter2' }))).toEqual(['peer_other: -', 'mesh_b: hunter2']);
});

describe('without a usable key the one session is held down, with a condition', () => {
  test.each([
    ['no Secret', [], 'SecretMissing', 'there is no Secret bgp'],
    ['a Secret of another name', [secret('bgps', { tor: 'x' })], 'SecretMissing', 'there is no Secret bgp'],
    ['no key', [secret('bgp', { mesh: 'hunter2' })], 'SecretMissing', 'Secret bgp has no key tor'],
    [
      'two Secrets',
      [secret('bgp', { tor: 'x' }), secret('bgp', { tor: 'x' }, 'shop')],
      'SecretInvalid',
      'there is a Secret bgp in both godwit and shop',
    ],
    ['an empty key', [secret('bgp', { tor: '' })], 'SecretInvalid', 'key tor of Secret bgp is empty'],
    [
      '81 bytes',
      [secret('bgp', { tor: 'x'.repeat(81) })],
      'SecretInvalid',
      'key tor of Secret bgp has 81 bytes; a TCP MD5 key has at most 80',
    ],
    [
      "echo's line break",
      [secret('bgp', { tor: 'hunter2\n' })],
      'SecretInvalid',
      'key tor of Secret bgp ends with a line break',
    ],
    ['bytes that are no text', [bytes([0xff, 0xfe])], 'SecretInvalid', 'key tor of Secret bgp is not text (UTF-8)'],
  ])('%s', (_title, secrets, reason, text) => {
    expect(passwordsOf(noMesh, tor, other, ...secrets)).toEqual(['peer_other: -', `peer_tor: held down: ${text}`]);
    expect(refusals(noMesh, tor, other, ...secrets)).toEqual([
      `BGPPeer/tor ${reason}: ${text}: its sessions are held down`,
    ]);
  });

  test('the mesh: one condition for all its sessions', () => {
    expect(refusals(mesh, node('c', '10.0.0.3'))).toEqual([
      'BGPConfiguration/default SecretMissing: there is no Secret bgp: its sessions are held down',
    ]);
  });
});

test('80 bytes are allowed, whatever they are', () => {
  expect(passwordsOf(noMesh, tor, secret('bgp', { tor: 'é'.repeat(40) }))).toEqual([`peer_tor: ${'é'.repeat(40)}`]);
});

test('what a person is shown of the configuration holds no password', () => {
  const { conditions, inventory } = configOf(mesh, tor, secret('bgp', { tor: 'hunter2', mesh: 'hunter3' }));
  expect(JSON.stringify(conditions) + inspect({ conditions, inventory }, { depth: 20 })).not.toContain('hunter');
});
