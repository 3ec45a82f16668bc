/** A NetworkPolicy's words and what they mean: networking.k8s.io/v1. */

import { describe, expect, test } from 'vitest';
import { blocksToRanges, portsToRanges } from '../../../src/policy/address-ranges.ts';
import { compilePolicy } from '../../../src/policy/compile.ts';
import { policy } from './manifests.ts';

const compile = (spec: unknown) => compilePolicy(policy('shop/p', spec));

describe('which directions a policy isolates', () => {
  test.each([
    ['nothing said: ingress', {}, ['ingress']],
    ['ingress rules: ingress', { ingress: [{}] }, ['ingress']],
    ['egress rules: both', { egress: [{}] }, ['ingress', 'egress']],
    ['an empty list of egress rules is none', { egress: [] }, ['ingress']],
    ['policyTypes Egress: egress, also without rules', { policyTypes: ['Egress'] }, ['egress']],
    ['policyTypes Egress: ingress rules do not count', { policyTypes: ['Egress'], ingress: [{}] }, ['egress']],
    ['policyTypes Ingress: egress rules do not count', { policyTypes: ['Ingress'], egress: [{}] }, ['ingress']],
  ])('%s', (_rule, spec, expected) => {
    expect(Object.keys(compile(spec).rules)).toEqual(expected);
  });
});

describe('peers', () => {
  const peersOf = (from: unknown) => compile({ ingress: [{ from }] }).rules.ingress![0].peers;
  const a = { matchLabels: { app: 'a' } };

  test.each([
    ['an empty list means all', [], 'all'],
    ['podSelector: the policy’s namespace', [{ podSelector: a }], ['namespace=shop pods: app=a']],
    ['an empty podSelector: all pods of the namespace', [{ podSelector: {} }], ['namespace=shop pods: all']],
    ['namespaceSelector alone: all pods there', [{ namespaceSelector: a }], ['namespaces: app=a pods: all']],
    ['an empty namespaceSelector: all pods', [{ namespaceSelector: {} }], ['namespaces: all pods: all']],
    ['both in one peer: both must match', [{ namespaceSelector: {}, podSelector: a }], ['namespaces: all pods: app=a']],
    [
      'two peers: one of them',
      [{ namespaceSelector: a }, { podSelector: a }],
      ['namespaces: app=a pods: all', 'namespace=shop pods: app=a'],
    ],
    [
      'selectors that mean the same are one',
      [
        { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['b', 'a', 'b'] }] } },
        { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['a', 'b'] }] } },
      ],
      ['namespace=shop pods: app in (a,b)'],
    ],
  ])('%s', (_rule, from, expected) => {
    const peers = peersOf(from);
    expect(peers === 'all' ? peers : peers.pods.map(({ text }) => text)).toEqual(expected);
  });

  test('a label’s value cannot pass for another selector', () => {
    const peers = peersOf([
      { podSelector: { matchLabels: { app: 'a,tier=b' } } },
      { podSelector: { matchLabels: { app: 'a', tier: 'b' } } },
    ]);
    expect(peers === 'all' ? [] : peers.pods).toHaveLength(2);
  });
});

describe('ports', () => {
  test.each([
    ['an empty list means all', [], 'all'],
    ['no number: the whole protocol', [{ protocol: 'UDP' }], { numbers: [['UDP', 'all']], names: [] }],
    ['no protocol: TCP', [{ port: 80 }], { numbers: [['TCP', ['80']]], names: [] }],
    ['endPort belongs to the range', [{ port: 80, endPort: 82 }], { numbers: [['TCP', ['80-82']]], names: [] }],
    [
      'ranges that touch are one',
      [{ port: 83 }, { port: 80, endPort: 82 }, { port: 90 }],
      { numbers: [['TCP', ['80-83', '90']]], names: [] },
    ],
    [
      'a name stays a name',
      [{ port: 'http' }, { port: 5000, protocol: 'SCTP' }],
      { numbers: [['SCTP', ['5000']]], names: [{ protocol: 'TCP', name: 'http' }] },
    ],
  ])('%s', (_rule, ports, expected) => {
    const compiled = compile({ ingress: [{ ports }] }).rules.ingress![0].ports;
    expect(compiled === 'all' ? compiled : { ...compiled, numbers: [...compiled.numbers] }).toEqual(expected);
  });
});

describe('ipBlocks', () => {
  test.each([
    ['a CIDR', [{ cidr: '10.0.0.0/8', except: [] }], ['10.0.0.0/8'], []],
    ['a host', [{ cidr: '10.0.0.1/32', except: [] }], ['10.0.0.1'], []],
    ['all of a family', [{ cidr: '::/0', except: [] }], [], ['::/0']],
    [
      'an exception in the middle',
      [{ cidr: '10.0.0.0/29', except: ['10.0.0.4/31'] }],
      ['10.0.0.0/30', '10.0.0.6/31'],
      [],
    ],
    ['at the begin: a range', [{ cidr: '10.0.0.0/29', except: ['10.0.0.0/32'] }], ['10.0.0.1-10.0.0.7'], []],
    ['at the end of the family', [{ cidr: '0.0.0.0/0', except: ['128.0.0.0/1'] }], ['0.0.0.0/1'], []],
    ['nothing left', [{ cidr: '10.0.0.0/31', except: ['10.0.0.0/32', '10.0.0.1/32'] }], [], []],
    [
      'another block gives back what one excepts',
      [
        { cidr: '10.0.0.0/30', except: ['10.0.0.1/32'] },
        { cidr: '10.0.0.1/32', except: [] },
      ],
      ['10.0.0.0/30'],
      [],
    ],
    ['IPv6', [{ cidr: 'fd00::/126', except: ['fd00::3/128'] }], [], ['fd00::-fd00::2']],
  ])('%s', (_rule, blocks, ipv4, ipv6) => {
    expect(blocksToRanges(blocks)).toEqual({ ipv4, ipv6 });
  });

  test('ports are merged the same way', () => {
    expect(
      portsToRanges([
        { first: 5, last: 9 },
        { first: 1, last: 1 },
        { first: 2, last: 6 },
      ]),
    ).toEqual(['1-9']);
  });
});
