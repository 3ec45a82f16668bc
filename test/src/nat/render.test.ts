/** natOutgoing: who is masqueraded, towards whom nobody is, as the table says it. */

import { expect, test } from 'vitest';
import { diffRulesets } from '../../../dataplane/nft/diff.ts';
import { printReplacement } from '../../kit/nft-text.ts';
import { natTable, renderNat } from '../../../src/nat/render.ts';
import { clusterOf, node, ours } from '../../kit/cluster.ts';

function elements(...manifests: readonly object[]): Record<string, string> {
  const sets = renderNat(clusterOf(...manifests))!.sets;
  return Object.fromEntries([...sets].map(([name, set]) => [name, [...set.elements.keys()].join(' ')]));
}

test.each([
  ['nothing', []],
  ['a pool that does not say so', [ours('IPPool', 'a', '{ cidr: 10.1.0.0/16 }')]],
  ['nodes', [node('n', '10.0.0.1')]],
])('%s wants no table', (_, manifests) => {
  expect(renderNat(clusterOf(...manifests))).toBeUndefined();
});

test('one pool: its own range is in both sets, nodes are in the second one', () => {
  const pool = ours('IPPool', 'a', '{ cidr: 10.1.0.0/16, natOutgoing: true }');
  expect(elements(pool, node('n', '192.0.2.1 2001:db8::1'), node('m', '192.0.2.7'))).toEqual({
    'natted-4': '10.1.0.0/16',
    'natted-6': '',
    'cluster-4': '10.1.0.0/16 192.0.2.1 192.0.2.7',
    'cluster-6': '2001:db8::1',
  });
});

test('disabled pools count, in both sets; pools without natOutgoing in the second one', () => {
  const pools = [
    ours('IPPool', 'a', '{ cidr: 10.1.0.0/16, natOutgoing: true, disabled: true }'),
    ours('IPPool', 'b', '{ cidr: 10.3.0.0/16, disabled: true }'),
    ours('IPPool', 'c', '{ cidr: "fd00:1::/56", natOutgoing: true }'),
    ours('IPPool', 'd', '{ cidr: "fd00:2::/56" }'),
  ];
  expect(elements(...pools)).toEqual({
    'natted-4': '10.1.0.0/16',
    'natted-6': 'fd00:1::/56',
    'cluster-4': '10.1.0.0/16 10.3.0.0/16',
    'cluster-6': 'fd00:1::/56 fd00:2::/56',
  });
});

test('ranges that touch are one element, and a node inside a pool none of its own', () => {
  const pools = [
    ours('IPPool', 'a', '{ cidr: 10.2.0.0/16, natOutgoing: true }'),
    ours('IPPool', 'b', '{ cidr: 10.3.0.0/16, natOutgoing: true }'),
  ];
  expect(elements(...pools, node('n', '10.2.0.9'))).toMatchObject({
    'natted-4': '10.2.0.0/15',
    'cluster-4': '10.2.0.0/15',
  });
});

test.each(['n', 'n.example', 'fe80::1%eth0'])("a node's host name %s is no address", (address) => {
  const named = { ...node('n', '192.0.2.1'), status: { addresses: [{ type: 'Hostname', address }] } };
  const pool = ours('IPPool', 'a', '{ cidr: 10.1.0.0/16, natOutgoing: true }');
  expect(elements(pool, named)).toMatchObject({ 'cluster-4': '10.1.0.0/16', 'cluster-6': '' });
});

test('the whole table, as nft reads it', () => {
  const state = clusterOf(ours('IPPool', 'a', '{ cidr: 10.1.0.0/16, natOutgoing: true }'), node('n', '2001:db8::1'));
  expect(printReplacement(natTable, renderNat(state)!).trimEnd().split('\n')).toEqual([
    'add table inet godwit-nat',
    'delete table inet godwit-nat',
    'add table inet godwit-nat',
    'add set inet godwit-nat natted-4 { type ipv4_addr; flags interval; }',
    'add set inet godwit-nat cluster-4 { type ipv4_addr; flags interval; }',
    'add set inet godwit-nat natted-6 { type ipv6_addr; flags interval; }',
    'add set inet godwit-nat cluster-6 { type ipv6_addr; flags interval; }',
    'add chain inet godwit-nat postrouting { type nat hook postrouting priority 100; policy accept; }',
    'add rule inet godwit-nat postrouting ip saddr @natted-4 ip daddr != @cluster-4 counter masquerade fully-random comment "natOutgoing ipv4"',
    'add rule inet godwit-nat postrouting ip6 saddr @natted-6 ip6 daddr != @cluster-6 counter masquerade fully-random comment "natOutgoing ipv6"',
    'add element inet godwit-nat natted-4 { 10.1.0.0/16 }',
    'add element inet godwit-nat cluster-4 { 10.1.0.0/16 }',
    'add element inet godwit-nat cluster-6 { 2001:db8::1 }',
  ]);
});

test('a change touches the sets only, and the same state nothing', () => {
  const pool = ours('IPPool', 'a', '{ cidr: 10.1.0.0/16, natOutgoing: true }');
  const before = renderNat(clusterOf(pool))!;
  expect(diffRulesets(before, renderNat(clusterOf(pool))!)).toEqual([]);
  const after = renderNat(clusterOf(pool, node('n', '192.0.2.1')))!;
  expect(diffRulesets(before, after)).toMatchObject([{ kind: 'addElements', name: 'cluster-4' }]);
});
