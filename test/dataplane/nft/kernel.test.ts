/** Our messages against nft: the kernel holds the same after both, byte for byte, and nft lists the same. */

import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  NftError,
  NftSocket,
  plainElement,
  type KeyType,
  type NftSet,
  type Ruleset,
} from '../../../dataplane/index.ts';
import { findDifference } from '../../../dataplane/nft/compare.ts';
import { diffRulesets, waypoints } from '../../../dataplane/nft/diff.ts';
import type { HeldTable } from '../../../dataplane/nft/held.ts';
import { emptyRuleset } from '../../../dataplane/nft/ruleset.ts';
import { sourceGuard } from '../../../dataplane/nft/source-guard.ts';
import { renderNat } from '../../../src/nat/render.ts';
import { PolicyEngine } from '../../../src/policy/engine.ts';
import type { Resource } from '../../../src/resources/resource.ts';
import { clusterOf, node, ours } from '../../kit/cluster.ts';
import { TestNamespace } from '../../kit/netns.ts';
import { listJson, loadText, printCommands } from '../../kit/nft-text.ts';
import { deletions, upserts } from '../../src/policy/manifests.ts';
import { objectsOf, world } from '../../src/policy/random-clusters.ts';

let host: TestNamespace;
let kernel: NftSocket;

beforeAll(() => {
  host = new TestNamespace();
  kernel = new NftSocket({ namespace: host.path });
});

afterAll(() => {
  kernel?.close();
  host?.remove();
});

beforeEach(() => void host.exec('nft', 'flush ruleset'));

/** Goes from one ruleset to the next in both ways, and compares at every step. */
async function walk(rulesets: readonly Ruleset[]): Promise<void> {
  const renew = [{ kind: 'renewTable' as const }];
  await kernel.commit('mine', renew);
  loadText(host.name, printCommands('nfts', renew));
  let held = emptyRuleset;
  for (const step of rulesets.flatMap((ruleset, i) => waypoints(rulesets[i - 1] ?? emptyRuleset, ruleset))) {
    const commands = diffRulesets(held, step);
    await kernel.commit('mine', commands);
    loadText(host.name, printCommands('nfts', commands));
    held = step;
    const [mine, nfts] = [await kernel.read('mine'), await kernel.read('nfts')];
    expect(comparable(mine!)).toEqual(comparable(nfts!));
    expect(listed('mine')).toEqual(listed('nfts'));
    expect(await findDifference(mine!, step)).toBeUndefined();
  }
}

/** nft begins an interval set with an element that ends nothing, at the smallest key: no lookup and no listing differs by it. */
function comparable({ sets, chains }: HeldTable) {
  const ofSet = ([name, { elements, ...rest }]: [
    string,
    HeldTable['sets'] extends ReadonlyMap<string, infer S> ? S : never,
  ]) => ({
    name,
    ...rest,
    elements: elements
      .filter(({ key, isIntervalEnd }) => !(isIntervalEnd && key.every((byte) => byte === 0)))
      .map(({ key, ...each }) => ({ key: key.toString('hex'), ...each }))
      .sort((a, b) => (`${a.key} ${a.isIntervalEnd}` < `${b.key} ${b.isIntervalEnd}` ? -1 : 1)),
  });
  return { sets: [...sets].map(ofSet), chains: [...chains] };
}

function listed(table: string): unknown {
  const { nftables } = listJson(host.name, table) as { nftables: object[] };
  const plain = JSON.stringify(nftables, (key, value: unknown) => {
    if (key === 'handle') return 0;
    if (key === 'table' || (key === 'name' && value === table)) return 'T';
    return key === 'elem' && Array.isArray(value) ? value.map((each) => JSON.stringify(each)).sort() : value;
  });
  return JSON.parse(plain);
}

test('policy of random clusters, step by step', async () => {
  const engine = new PolicyEngine({ nodeName: 'here', logDenied: true });
  let before: Resource[] = [];
  const rulesets = fc.sample(world, { numRuns: 12, seed: 11 }).map((step) => {
    engine.onChanges([...deletions(...before), ...upserts(...objectsOf(step))]);
    before = objectsOf(step);
    return engine.render();
  });
  await walk(rulesets);
});

test('natOutgoing, and the guard of sources', async () => {
  const pools = [
    ours('IPPool', 'a', '{ cidr: 10.1.0.0/16, natOutgoing: true }'),
    ours('IPPool', 'b', '{ cidr: "fd00::/64", natOutgoing: true }'),
  ];
  const states = [clusterOf(pools[0]), clusterOf(...pools, node('n', '192.0.2.1 2001:db8::1')), clusterOf(pools[1])];
  await walk([...states.map((state) => renderNat(state)!), sourceGuard]);
});

const keys: Record<KeyType, { readonly bits: number; format(value: bigint): string }> = {
  ipv4_addr: {
    bits: 32,
    format: (value) => [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.'),
  },
  ipv6_addr: {
    bits: 128,
    format: (value) =>
      Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(':'),
  },
  inet_service: { bits: 16, format: String },
};

/** Disjoint ranges, adjacent ones and the ends of the space among them. */
function intervalSet(type: KeyType): fc.Arbitrary<NftSet> {
  const { bits, format } = keys[type];
  const largest = (1n << BigInt(bits)) - 1n;
  const bound = fc.oneof(
    fc.constantFrom(0n, 1n, 255n, 256n, largest, largest - 1n, largest - 255n),
    fc.bigInt({ min: 0n, max: largest }),
    fc.bigInt({ min: 1000n, max: 1010n }),
  );
  return fc.uniqueArray(bound, { maxLength: 12, selector: String }).map((bounds) => {
    const sorted = [...bounds].sort((a, b) => (a < b ? -1 : 1));
    const elements = new Map<string, typeof plainElement>();
    for (let i = 0; i + 1 < sorted.length; i += 2) {
      const [from, to] = [sorted[i], sorted[i + 1]];
      elements.set(to - from === 1n ? format(from) : `${format(from)}-${format(to)}`, plainElement);
      // Adjacent to the one before.
      if (to - from === 1n) elements.set(format(to), plainElement);
    }
    return { keyTypes: [type], interval: true, elements };
  });
}

test('random sets of intervals, changed into each other', async () => {
  const sets = fc.record({
    four: intervalSet('ipv4_addr'),
    six: intervalSet('ipv6_addr'),
    ports: intervalSet('inet_service'),
  });
  const rulesets = fc
    .sample(sets, { numRuns: 12, seed: 5 })
    .map((step): Ruleset => ({ sets: new Map(Object.entries(step)), chains: new Map() }));
  await walk(rulesets);
});

describe('sets of many elements', () => {
  const many = (count: number, from = 0): NftSet => ({
    keyTypes: ['ipv4_addr'],
    elements: new Map(
      Array.from({ length: count }, (_, i) => [
        `10.${(i + from) >> 16}.${((i + from) >> 8) & 255}.${(i + from) & 255}`,
        { comment: 'x'.repeat(127) },
      ]),
    ),
  });
  const withSet = (set: NftSet): Ruleset => ({ sets: new Map([['many', set]]), chains: new Map() });

  test('20,000 come and half of them go, in one transaction each', async () => {
    const before = withSet(many(20_000));
    await kernel.commit('mine', [{ kind: 'renewTable' }, ...diffRulesets(emptyRuleset, before)]);
    expect(await findDifference((await kernel.read('mine'))!, before)).toBeUndefined();
    const after = withSet(many(20_000, 10_000));
    await kernel.commit('mine', diffRulesets(before, after));
    expect(await findDifference((await kernel.read('mine'))!, after)).toBeUndefined();
    expect(await findDifference((await kernel.read('mine'))!, before)).toMatch(/^set many lacks the element 10\.0\./);
  });

  test('a refusal names the element, and nothing has changed', async () => {
    const before = withSet(many(300));
    await kernel.commit('mine', [{ kind: 'renewTable' }, ...diffRulesets(emptyRuleset, before)]);
    host.exec('nft', 'add element inet mine many { 10.0.2.7 }');
    host.exec('nft', 'delete element inet mine many { 10.0.0.9 }');
    const held = listed('mine');
    const refusal = (after: Ruleset) =>
      kernel.commit('mine', diffRulesets(before, after)).then(
        () => undefined,
        (error: unknown) => error,
      );
    const added = await refusal(withSet(many(700)));
    expect(added).toBeInstanceOf(NftError);
    expect(added).toMatchObject({
      errno: 'EEXIST',
      code: 17,
      element: { set: 'many', key: '10.0.2.7' },
      message: 'the kernel refused element 10.0.2.7 of set many: EEXIST',
    });
    const deleted = await refusal(withSet(many(300, 20)));
    expect(deleted).toMatchObject({
      errno: 'ENOENT',
      message: 'the kernel refused element 10.0.0.9 of set many: ENOENT',
    });
    expect(listed('mine')).toEqual(held);
  });
});

describe('what is refused, and by whom', () => {
  const chain: Ruleset = {
    sets: new Map(),
    chains: new Map([['a', { rules: [{ matches: [], verdict: { kind: 'jump', chain: 'gone' }, comment: 'why' }] }]]),
  };

  test('a rule is named by its chain and its comment', async () => {
    const commands = [{ kind: 'renewTable' as const }, ...diffRulesets(emptyRuleset, chain)];
    await expect(kernel.commit('mine', commands)).rejects.toThrow('the kernel refused a rule of chain a (why): ENOENT');
    expect(await kernel.read('mine')).toBeUndefined();
  });

  test('a chain that is still used', async () => {
    const used: Ruleset = {
      sets: new Map(),
      chains: new Map([
        ['a', { rules: [{ matches: [], verdict: { kind: 'jump', chain: 'b' } }] }],
        ['b', { rules: [] }],
      ]),
    };
    await kernel.commit('mine', [{ kind: 'renewTable' }, ...diffRulesets(emptyRuleset, used)]);
    await expect(kernel.commit('mine', [{ kind: 'deleteChain', name: 'b' }])).rejects.toThrow(
      'the kernel refused chain b: EBUSY',
    );
  });

  test('a table that is gone', async () => {
    await expect(kernel.commit('mine', [{ kind: 'flushChain', name: 'a' }])).rejects.toThrow(
      'the kernel refused the rules of chain a: ENOENT',
    );
  });
});
