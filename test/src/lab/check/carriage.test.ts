/** How a flow must be carried, by the mode of the destination's pool and the segments of the two. */

import { expect, test } from 'vitest';
import { expectedCarriage } from '../../../../src/lab/check/carriage.ts';
import type { Endpoint } from '../../../../src/lab/endpoints.ts';
import { validateManifest } from '../../../../src/resources/resource.ts';
import type { IpPool } from '../../../../src/resources/ip-pool.ts';

const endpoint = (name: string, address: number, segment: string, node?: string): Endpoint => ({
  name,
  ipv4: `10.244.0.${address}`,
  ipv6: `fd00:10:244::${address}`,
  segment,
  node,
});
const a = endpoint('a', 1, 'rack-1', 'node-1');
const neighbour = endpoint('neighbour', 2, 'rack-1', 'node-1');
const sameRack = endpoint('sameRack', 3, 'rack-1', 'node-2');
const otherRack = endpoint('otherRack', 4, 'rack-2', 'node-3');
const outside = endpoint('outside', 5, 'out-1');

function pool(spec: object): IpPool {
  const result = validateManifest({
    apiVersion: 'godwit.dev/v1',
    kind: 'IPPool',
    metadata: { name: 'pods' },
    spec: { cidr: '10.244.0.0/16', ...spec },
  });
  if (result.kind !== 'valid' || result.resource.kind !== 'IPPool') throw new Error(JSON.stringify(result));
  return result.resource;
}

test.each([
  [{ vxlanMode: 'CrossSubnet' }, a, neighbour, undefined],
  [{ vxlanMode: 'CrossSubnet' }, a, sameRack, 'plain'],
  [{ vxlanMode: 'CrossSubnet' }, a, otherRack, 'vxlan'],
  [{ vxlanMode: 'CrossSubnet' }, a, outside, 'plain'],
  [{ vxlanMode: 'CrossSubnet' }, outside, a, 'plain'],
  [{ vxlanMode: 'CrossSubnet' }, outside, endpoint('outside-2', 6, 'out-2'), undefined],
  [{ vxlanMode: 'Always' }, a, neighbour, undefined],
  [{ vxlanMode: 'Always' }, a, sameRack, 'vxlan'],
  [{ vxlanMode: 'Always', disabled: true }, a, sameRack, 'plain'],
  [{ ipipMode: 'CrossSubnet' }, a, otherRack, 'ipip'],
  [{ ipipMode: 'CrossSubnet' }, a, sameRack, 'plain'],
  [{}, a, otherRack, 'plain'],
] as const)('%o: %o → %o is %s', (spec, from, to, expected) => {
  expect(expectedCarriage({ from, to, family: 'ipv4' }, [pool(spec)])).toBe(expected);
});

test('a pool counts only for its own family', () => {
  expect(expectedCarriage({ from: a, to: otherRack, family: 'ipv6' }, [pool({ vxlanMode: 'Always' })])).toBe('plain');
});
