import { expect, test } from 'vitest';
import { addressToBorrow, needsTunnelAddress, singleBlock, type LoanRequest } from '../../../src/ipam/borrowing.ts';
import type { IpPool } from '../../../src/resources/ip-pool.ts';
import { blocksInForce, ipamBlockName, type IpamBlock } from '../../../src/resources/ipam-block.ts';
import { clusterOf, ours } from '../../kit/cluster.ts';

const poolOf = (spec: string): IpPool => [...clusterOf(ours('IPPool', 'pods', spec)).ipPools.values()][0];

/** `CIDR node`, for a single address `CIDR node lent-by`. */
function blocksOf(...texts: readonly string[]): IpamBlock[] {
  const manifests = texts.map((text) => {
    const [cidr, node, lender] = text.split(' ');
    const block = ours('IPAMBlock', ipamBlockName(cidr), `{ cidr: "${cidr}", node: ${node}, pool: pods }`) as {
      metadata: object;
    };
    const annotations = lender === undefined ? {} : { 'godwit.dev/lent-by': lender };
    return { ...block, metadata: { ...block.metadata, annotations } };
  });
  return [...clusterOf(...manifests).ipamBlocks.values()];
}

const pool = poolOf('{ cidr: 10.0.0.0/24, blockSize: 30 }');
const borrow = (blocks: readonly string[], request: Partial<LoanRequest> = {}) =>
  addressToBorrow({
    pool,
    nodeName: 'n1',
    blocks: blocksOf(...blocks),
    podAddresses: [],
    reserved: [],
    excluded: new Set(),
    ...request,
  });

test('of the block of another node with the most free addresses', () => {
  const blocks = ['10.0.0.0/30 n1', '10.0.0.4/30 n2', '10.0.0.8/30 n3', '10.9.0.0/30 n2'];
  expect(borrow(blocks, { podAddresses: ['10.0.0.5'] })).toMatch(/^10\.0\.0\.(9|10)$/);
  expect(borrow(blocks, { podAddresses: ['10.0.0.9'] })).toMatch(/^10\.0\.0\.(5|6)$/);
  expect(borrow([...blocks, '10.0.0.9/32 n1 n3', '10.0.0.10/32 n2'])).toMatch(/^10\.0\.0\.(5|6)$/);
});

test('not what a pod has, what is reserved or was refused, nor of a node that lends nothing', () => {
  const blocks = ['10.0.0.4/30 n2'];
  expect(borrow(blocks, { podAddresses: ['10.0.0.5'] })).toBe('10.0.0.6');
  expect(borrow(blocks, { reserved: ['10.0.0.6/32'] })).toBe('10.0.0.5');
  expect(borrow(blocks, { excluded: new Set(['10.0.0.5']) })).toBe('10.0.0.6');
  expect(borrow(blocks, { excluded: new Set(['n2']) })).toBeUndefined();
  expect(borrow(blocks, { podAddresses: ['10.0.0.5', '10.0.0.6'] })).toBeUndefined();
  expect(borrow(['10.0.0.0/30 n1'])).toBeUndefined();
});

test('nodes that ask at one time seldom ask for the same', () => {
  const wide = poolOf('{ cidr: 10.1.0.0/24, blockSize: 24 }');
  const asked = Array.from({ length: 20 }, (_, i) =>
    addressToBorrow({
      pool: wide,
      nodeName: `node-${i}`,
      blocks: blocksOf('10.1.0.0/24 other'),
      podAddresses: [],
      reserved: [],
      excluded: new Set(),
    }),
  );
  expect(new Set(asked).size).toBeGreaterThan(15);
});

test.each([
  ['10.0.0.5', '10.0.0.5/32'],
  ['fd00::5', 'fd00::5/128'],
])('%s alone is the block %s', (address, cidr) => {
  expect(singleBlock(address)).toBe(cidr);
});

test.each([
  ['{ cidr: 10.0.0.0/24 }', false],
  ['{ cidr: 10.0.0.0/24, ipipMode: CrossSubnet }', true],
  ['{ cidr: 10.0.0.0/24, vxlanMode: Always }', true],
  ['{ cidr: "fd00::/64", vxlanMode: Always }', true],
])('a node needs a tunnel address in %s: %s', (spec, needed) => {
  expect(needsTunnelAddress(poolOf(spec))).toBe(needed);
});

test('a single address is in force while the node of its block says that it is lent', () => {
  const inForce = (...texts: readonly string[]) => blocksInForce(blocksOf(...texts)).map(({ spec }) => spec.cidr);
  const block = '10.0.0.4/30 n2';
  expect(inForce(block, '10.0.0.5/32 n1')).toEqual(['10.0.0.4/30']);
  expect(inForce(block, '10.0.0.5/32 n1 n2')).toEqual(['10.0.0.4/30', '10.0.0.5/32']);
  expect(inForce(block, '10.0.0.5/32 n1 n3')).toEqual(['10.0.0.4/30']);
  expect(inForce('10.0.0.5/32 n1 n2')).toEqual([]);
});
