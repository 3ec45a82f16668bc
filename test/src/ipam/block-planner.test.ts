import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePrefix, prefixCovers, prefixesOverlap } from '../../../bgp/ip.ts';
import { blockOf, choosePools, nextBlock, type PoolRequest } from '../../../src/ipam/block-planner.ts';
import type { IpPool } from '../../../src/resources/ip-pool.ts';
import { clusterOf, ours } from '../../kit/cluster.ts';

function poolsOf(specs: Readonly<Record<string, string>>): IpPool[] {
  const manifests = Object.entries(specs).map(([name, spec]) => ours('IPPool', name, spec));
  return [...clusterOf(...manifests).ipPools.values()];
}

const poolOf = (spec: string) => poolsOf({ pods: spec })[0];
const next = (pool: IpPool, nodeName: string, taken: readonly string[] = [], reserved: readonly string[] = []) =>
  nextBlock({ pool, nodeName, taken, reserved });

describe('which pools a pod has addresses of', () => {
  const choice = (specs: Readonly<Record<string, string>>, request: Partial<PoolRequest> = {}) => {
    const chosen = choosePools({
      pools: poolsOf(specs),
      nodeName: 'n1',
      nodeLabels: { rack: '1' },
      namespace: { name: 'shop', labels: { tier: 'web' }, annotations: {} },
      ...request,
    });
    if (chosen.kind === 'refused') return `${chosen.passing ? 'later' : 'never'}: ${chosen.reason}`;
    return Object.values(chosen.pools).map((pools) => pools.map(({ metadata }) => metadata.name).join(' '));
  };
  const specs = {
    a4: '{ cidr: 10.1.0.0/16 }',
    a6: '{ cidr: "fd00:1::/64" }',
    web: "{ cidr: 10.2.0.0/16, namespaceSelector: tier == 'web' }",
    rack2: "{ cidr: 10.3.0.0/16, nodeSelector: rack == '2' }",
    off: '{ cidr: 10.4.0.0/16, disabled: true }',
    shop: "{ cidr: 10.5.0.0/16, namespaceSelector: kubernetes.io/metadata.name == 'shop' }",
  };
  const pod = (names: string) => ({ podAnnotations: { 'godwit.dev/ip-pools': names } });
  const inNamespace = (names: string) => ({
    namespace: { name: 'other', labels: {}, annotations: { 'godwit.dev/ip-pools': names } },
  });
  const cases: readonly [string, Partial<PoolRequest>, unknown][] = [
    [
      'those that select the node and the namespace; those of some namespaces before those of all',
      {},
      ['shop web a4', 'a6'],
    ],
    ['a pod of no Kubernetes has those of all namespaces', { namespace: undefined }, ['a4', 'a6']],
    ['an annotation names them, in its order', pod('a4,web'), ['a4 web', '']],
    ['an annotation as a JSON list', pod('["a6"]'), ['', 'a6']],
    ['the annotation of the namespace', inNamespace('a4'), ['a4', '']],
    ['the annotation of the pod before that of the namespace', { ...pod('a6'), ...inNamespace('a4') }, ['', 'a6']],
    ['an annotation passes over no selector', pod('rack2'), 'later: IPPool rack2: it does not select this node'],
    [
      'nor the namespace',
      { ...pod('web'), ...inNamespace('a4') },
      "later: IPPool web: it does not select the pod's namespace",
    ],
    ['a pool that is disabled', pod('off'), 'later: IPPool off: it is disabled'],
    ['a pool that is not there', pod('none'), 'later: IPPool none: there is none of this name'],
    [
      'an annotation that is no list',
      pod('["a6"'),
      'never: the annotation godwit.dev/ip-pools is invalid: "[\\"a6\\"" is no list of names',
    ],
  ];
  test.each(cases)('%s', (_, request, expected) => {
    expect(choice(specs, request)).toEqual(expected);
  });

  test('none at all is said with the node and the namespace', () => {
    expect(choice({ rack2: specs.rack2 })).toBe('later: no IPPool serves node n1 for pods of namespace shop');
  });
});

describe('the next block', () => {
  test('is 64 addresses of IPv4 and of IPv6 unless the pool says otherwise, and the whole of a smaller pool', () => {
    const length = (spec: string) => next(poolOf(spec), 'n1')?.split('/')[1];
    expect(length('{ cidr: 10.0.0.0/8 }')).toBe('26');
    expect(length('{ cidr: "fd00::/48" }')).toBe('122');
    expect(length('{ cidr: 10.0.0.0/8, blockSize: 20 }')).toBe('20');
    expect(next(poolOf('{ cidr: 10.0.0.0/28 }'), 'n1')).toBe('10.0.0.0/28');
  });

  test('is the same whenever a node asks, and of 100 nodes few want the same', () => {
    const pool = poolOf('{ cidr: 10.0.0.0/14 }');
    const nodes = Array.from({ length: 100 }, (_, i) => `node-${i}`);
    const wanted = nodes.map((node) => next(pool, node));
    expect(nodes.map((node) => next(pool, node))).toEqual(wanted);
    expect(new Set(wanted).size).toBeGreaterThan(90);
  });

  test('all blocks are found, one after the other, until none is free', () => {
    const pool = poolOf('{ cidr: 10.0.0.0/22 }');
    const taken: string[] = [];
    for (let cidr = next(pool, 'n1', taken); cidr !== undefined; cidr = next(pool, 'n1', taken)) taken.push(cidr);
    expect(new Set(taken).size).toBe(16);
  });

  test('overlaps neither blocks of another size nor ranges of nodes; other pools’ are of no matter', () => {
    const pool = poolOf('{ cidr: 10.0.0.0/23 }');
    expect(next(pool, 'n1', ['10.0.0.0/24', '10.0.1.32/27', '10.0.1.64/26', '10.0.1.129/32', '10.9.0.0/16'])).toBe(
      '10.0.1.192/26',
    );
    expect(next(pool, 'n1', ['10.0.0.0/16'])).toBeUndefined();
  });

  test('is none whose addresses are all reserved', () => {
    const pool = poolOf('{ cidr: 10.0.0.0/25 }');
    // Of the first block .0 and .63 are nobody's anyway.
    const reserved = ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/30', '10.0.0.8/29', '10.0.0.16/28', '10.0.0.32/27'];
    expect(next(pool, 'n1', [], reserved)).toBe('10.0.0.64/26');
    expect(next(pool, 'n1', ['10.0.0.64/26'], reserved)).toBeUndefined();
    expect(next(pool, 'n1', ['10.0.0.64/26'], reserved.slice(1))).toBe('10.0.0.0/26');
  });

  test('whatever is taken: a block of the pool that overlaps nothing, or there is none', () => {
    const pool = poolOf('{ cidr: 10.0.0.0/24, blockSize: 28 }');
    const every = Array.from({ length: 16 }, (_, i) => `10.0.0.${i * 16}/28`);
    const prefixes = fc.tuple(fc.nat(255), fc.integer({ min: 25, max: 32 })).map(([last, length]) => {
      const size = 2 ** (32 - length);
      return `10.0.0.${last - (last % size)}/${length}`;
    });
    fc.assert(
      fc.property(fc.array(prefixes, { maxLength: 40 }), fc.string(), (taken, nodeName) => {
        const overlap = (a: string, b: string) => prefixesOverlap(parsePrefix(a)!, parsePrefix(b)!);
        const free = every.filter((block) => !taken.some((other) => overlap(block, other)));
        const found = next(pool, nodeName, taken);
        if (found === undefined) expect(free).toEqual([]);
        else expect(free).toContain(found);
      }),
    );
  });
});

test.each([
  ['10.0.0.200', '10.0.0.192/26'],
  ['10.0.0.192', '10.0.0.192/26'],
  ['10.1.0.1', undefined],
  ['fd00::1', undefined],
])('the block of %s is %s', (address, expected) => {
  const pool = poolOf('{ cidr: 10.0.0.0/16 }');
  const found = blockOf(pool, address);
  expect(found).toBe(expected);
  if (found !== undefined) expect(prefixCovers(parsePrefix(pool.spec.cidr)!, parsePrefix(found)!)).toBe(true);
});
