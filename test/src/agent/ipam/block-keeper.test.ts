/** Blocks are claimed, used, lost and given back: stories with a fake API server over real HTTP. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KubeBlocks } from '../../../../src/agent/ipam/kube-blocks.ts';
import { parsePrefix, prefixCovers } from '../../../../bgp/ip.ts';
import type { ApiServer } from '../../../kit/api-server.ts';
import { node, ours } from '../../../kit/cluster.ts';
import { eventually } from '../../../kit/eventually.ts';
import { clientOf } from '../../kube/kit.ts';
import { Claimer, deleteBlock, ownersAt, putBlock, startServer, type ClaimerOptions } from './claimer.ts';

let server: ApiServer;
const claimers: Claimer[] = [];

beforeEach(async () => {
  server = await startServer();
});

afterEach(async () => {
  for (const claimer of claimers.splice(0)) claimer.stop();
  await server.stop();
});

function claimer(name: string, manifests: readonly object[], options?: ClaimerOptions): Promise<Claimer> {
  const made = new Claimer(server, name, manifests, options);
  claimers.push(made);
  return made.start();
}

const pool = (spec: string, name = 'pods') => ours('IPPool', name, spec);
const n1 = node('n1', '192.0.2.1');
const ownedBy = (name: string) => [...ownersAt(server)].flatMap(([cidr, owner]) => (owner === name ? [cidr] : []));
const lies = (address: string, cidr: string) => prefixCovers(parsePrefix(cidr)!, parsePrefix(`${address}/32`)!);
const isPost = ({ method }: { method: string }) => method === 'POST';

describe('100 nodes at one moment', () => {
  const names = Array.from({ length: 100 }, (_, i) => `node-${i}`);
  const nodes = names.map((name, i) => node(name, `192.0.2.${i + 1}`));

  test('have 100 blocks, none of them two owners, and no address is given twice', async () => {
    const manifests = [...nodes, pool('{ cidr: 10.244.0.0/19 }')];
    const all = names.map((name) => new Claimer(server, name, manifests, { times: { patience: 60_000 } }));
    claimers.push(...all);
    await Promise.all(all.map((one) => one.start()));
    const given = await Promise.all(all.flatMap((one) => ['a', 'b', 'c'].map((owner) => one.text(owner))));
    expect(new Set(given).size).toBe(300);
    const owners = ownersAt(server);
    expect([...owners.values()].sort()).toEqual(names.toSorted());
    // Whoever was second heard of it and took another: what each uses is what the server says.
    for (const [i, one] of all.entries()) {
      const own = ownedBy(one.name);
      for (const address of given.slice(i * 3, i * 3 + 3)) expect(lies(address, own[0]), one.name).toBe(true);
    }
    expect(server.count(isPost)).toBeGreaterThan(100);
  });

  test('of 64 blocks have 64; the others’ pods hear why they have none', async () => {
    const manifests = [...nodes, pool('{ cidr: 10.244.0.0/20, strictAffinity: true }')];
    const all = names.map((name) => new Claimer(server, name, manifests, { times: { patience: 60_000 } }));
    claimers.push(...all);
    await Promise.all(all.map((one) => one.start()));
    const given = await Promise.all(all.map((one) => one.text('a')));
    expect(ownersAt(server).size).toBe(64);
    const refused = given.filter((text) => text.startsWith('refused'));
    expect(new Set(given).size).toBe(64 + 1);
    expect(new Set(refused)).toEqual(
      new Set([
        'refused: no IPv4 address is left; IPPool pods (10.244.0.0/20): 64 blocks, none is free; IPPool pods has strictAffinity',
      ]),
    );
  });
});

test('a node has a block of each family before its first pod, and claims another when they are full', async () => {
  const one = await claimer('n1', [
    n1,
    pool('{ cidr: 10.244.0.0/24, blockSize: 30 }'),
    pool('{ cidr: "fd00:1::/64" }', 'pods-v6'),
  ]);
  await eventually(() => ownersAt(server).size === 2, { reason: 'a block of each family' });
  const given = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((owner) => one.text(owner)));
  expect(new Set(given).size).toBe(5);
  expect(ownedBy('n1').map((cidr) => cidr.split('/')[1])).toEqual(expect.arrayContaining(['30', '30', '30', '122']));
  expect(ownedBy('n1')).toHaveLength(4);
  // ADD again is the same again.
  expect(await one.text('a')).toBe(given[0]);
});

test('a pool that is full is said with what is held, and serves again when a pod has gone', async () => {
  const one = await claimer('n1', [n1, pool('{ cidr: 10.244.0.0/29, blockSize: 30 }')], {
    coolDownMilliseconds: 60_000,
  });
  await Promise.all(['a', 'b', 'c', 'd'].map((owner) => one.text(owner)));
  expect(await one.allocate('e')).toEqual({
    kind: 'refused',
    passing: true,
    exhausted: 'ipv4',
    reason: expect.stringMatching(
      /^no IPv4 address is left \(10\.244\.0\.[04]\/30: 2 for pods, 2 held, 0 reserved; 10\.244\.0\.[04]\/30: 2 for pods, 2 held, 0 reserved\); IPPool pods \(10\.244\.0\.0\/29\): 2 blocks, none is free; no node lends an address of IPPool pods$/,
    ) as unknown,
  });
  const [freed] = one.allocator.release('a', Date.now());
  // It has not rested yet; there is no other.
  expect(await one.text('e')).toBe(freed);
});

test('a block that is free goes before an address that has not rested', async () => {
  const one = await claimer('n1', [n1, pool('{ cidr: 10.244.0.0/29, blockSize: 30 }')], {
    coolDownMilliseconds: 60_000,
  });
  const [first] = await Promise.all(['a', 'b'].map((owner) => one.text(owner)));
  one.allocator.release('a', Date.now());
  expect(await one.text('c')).not.toBe(first);
  expect(ownedBy('n1')).toHaveLength(2);
});

test('reserved addresses are given to who names them', async () => {
  const one = await claimer('n1', [n1, pool('{ cidr: 10.244.0.0/30 }')], { reserved: ['10.244.0.1/32'] });
  expect(await one.text('a')).toBe('10.244.0.2');
  expect(await one.text('b')).toContain('2 for pods, 1 held, 1 reserved');
  expect(await one.text('b', ['10.244.0.1'])).toBe('10.244.0.1');
});

describe('an address that a pod names', () => {
  const manifests = [n1, pool('{ cidr: 10.244.0.0/16 }')];

  test('is had by claiming its block', async () => {
    const one = await claimer('n1', manifests);
    expect(await one.text('a', ['10.244.77.7'])).toBe('10.244.77.7');
    expect(ownedBy('n1')).toContain('10.244.77.0/26');
  });

  test('is had of whichever pool it is', async () => {
    const one = await claimer('n1', [...manifests, pool('{ cidr: 10.245.0.0/16 }', 'second')]);
    expect(await one.text('a', ['10.245.1.7'])).toBe('10.245.1.7');
  });

  test('is not had where another node has the block', async () => {
    putBlock(server, '10.244.77.0/26', 'n2');
    const one = await claimer('n1', manifests);
    expect(await one.text('a', ['10.244.77.7'])).toBe(
      'refused: 10.244.77.7 lies in block 10.244.77.0/26 of node n2: node n2 does not answer',
    );
    await eventually(() => ownersAt(server).size === 2, { reason: 'what was asked for is taken back' });
  });

  test('of no pool is none', async () => {
    const one = await claimer('n1', manifests);
    expect(await one.text('a', ['10.9.0.1'])).toMatch(/^refused: 10\.9\.0\.1 is no address for pods/);
  });
});

describe('the API server', () => {
  const manifests = [n1, pool('{ cidr: 10.244.0.0/24, blockSize: 30 }')];

  test('is away: blocks that are held serve, and what is lacking is said', async () => {
    const one = await claimer('n1', manifests);
    await eventually(() => one.blocks().length === 1, { reason: 'the first block' });
    await server.stop();
    expect(await one.text('a')).toMatch(/^10\./);
    expect(await one.text('b')).toMatch(/^10\./);
    expect(await one.text('c')).toMatch(
      /^refused: no IPv4 address is left \(.*2 held.*no block can be claimed: .*cannot be reached/,
    );
    await server.start();
    await eventually(async () => (await one.text('c')).startsWith('10.'), { reason: 'the server is back' });
  });

  test('loses its answer: the block is used, and no second one is claimed', async () => {
    server.inject({ kind: 'cut', bytes: 0, matches: isPost, times: 1 });
    const one = await claimer('n1', manifests, { times: { check: 3_600_000 } });
    await eventually(async () => (await one.text('a')).startsWith('10.'), { reason: 'an address' });
    expect(ownedBy('n1')).toHaveLength(1);
  });

  test('a crash between claim and use costs no block', async () => {
    const one = await claimer('n1', manifests);
    await eventually(() => ownersAt(server).size === 1, { reason: 'claimed' });
    one.stop();
    const [block] = ownedBy('n1');
    const two = await claimer('n1', manifests);
    expect(lies(await two.text('a'), block)).toBe(true);
    expect(ownedBy('n1')).toEqual([block]);
  });
});

test('no pod has an address of a block before the claim would outlive a crash', async () => {
  let persisted: (() => void) | undefined;
  const manifests = [n1, pool('{ cidr: 10.244.0.0/24, blockSize: 30 }')];
  const persist = () => new Promise<void>((resolve) => (persisted = resolve));
  const one = await claimer('n1', manifests, { persist });
  let given: string | undefined;
  await eventually(() => persisted !== undefined, { reason: 'claimed, told, being kept' });
  const block = one.blocks()[0];
  const allocation = one.text('a').then((text) => (given = text));
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(given).toBeUndefined();
  persisted?.();
  await allocation;
  expect(lies(given!, block)).toBe(true);
});

describe('a block that pods have addresses of', () => {
  const manifests = [n1, pool('{ cidr: 10.244.0.0/24, blockSize: 30 }')];

  test('is claimed again when someone deletes it', async () => {
    const one = await claimer('n1', manifests);
    const address = await one.text('a');
    const [block] = ownedBy('n1');
    deleteBlock(server, block);
    await eventually(() => ownedBy('n1').includes(block), { reason: 'claimed again' });
    expect(lies(address, block)).toBe(true);
    await eventually(() => one.keeper.lost().length === 0, { reason: 'nothing is lost' });
  });

  test('is claimed again after a restart, though the node forgot that it had it', async () => {
    await claimer('n1', manifests, { restored: { 'c1/eth0': ['10.244.0.9'] } });
    await eventually(() => ownedBy('n1').includes('10.244.0.8/30'), { reason: 'claimed again' });
  });

  test('and that another node has: it is said, no pod is given more of it, and it is over when the pods are gone', async () => {
    putBlock(server, '10.244.0.8/30', 'n2');
    const one = await claimer('n1', manifests, { restored: { 'c1/eth0': ['10.244.0.9'] } });
    await eventually(() => one.keeper.lost().length === 1, { reason: 'said' });
    expect(one.keeper.lost()[0].message).toBe(
      "pods here have addresses of block 10.244.0.9/32, which is not this node's: node n2 does not answer",
    );
    expect(lies(await one.text('a'), '10.244.0.8/30')).toBe(false);
    expect(ownersAt(server).get('10.244.0.8/30')).toBe('n2');
    one.allocator.forget('c1/eth0');
    await eventually(() => one.keeper.lost().length === 0, { reason: 'over' });
  });
});

describe('an empty block', () => {
  const manifests = [n1, pool('{ cidr: 10.244.0.0/24, blockSize: 30 }')];
  const quick = { times: { empty: 60 }, coolDownMilliseconds: 30 };

  test('is given back, but for the oldest, which holds the tunnel’s address', async () => {
    const one = await claimer('n1', manifests, quick);
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((owner) => one.text(owner)));
    const all = ownedBy('n1');
    expect(all).toHaveLength(3);
    for (const owner of ['a', 'b', 'c', 'd', 'e']) one.allocator.release(owner, Date.now());
    await eventually(() => ownedBy('n1').length === 1, { reason: 'two are given back' });
    await eventually(() => one.blocks().length === 1, { reason: 'told' });
    expect(all).toContain(one.blocks()[0]);
    expect(await one.text('f')).toMatch(/^10\./);
    expect(one.keeper.lost()).toEqual([]);
  });

  test('that the server may have deleted is not used until that is known', async () => {
    const one = await claimer('n1', manifests, quick);
    await Promise.all(['a', 'b', 'c'].map((owner) => one.text(owner)));
    expect(ownedBy('n1')).toHaveLength(2);
    const end = server.inject({ kind: 'reset', matches: ({ method }) => method === 'DELETE' });
    for (const owner of ['a', 'b', 'c']) one.allocator.release(owner, Date.now());
    await eventually(() => one.logged.some((line) => line.includes('cannot be given back yet')), { reason: 'tried' });
    expect(one.keeper.usage()).toHaveLength(1);
    end();
    await eventually(() => ownedBy('n1').length === 1, { reason: 'tried again' });
  });

  test('with a pod stays', async () => {
    const one = await claimer('n1', manifests, quick);
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((owner) => one.text(owner)));
    const kept = await one.text('e');
    for (const owner of ['a', 'b', 'c', 'd']) one.allocator.release(owner, Date.now());
    await eventually(() => ownedBy('n1').length <= 2, { reason: 'others are given back' });
    expect(ownedBy('n1').some((block) => lies(kept, block))).toBe(true);
  });
});

describe('the blocks of a Node that is gone', () => {
  const manifests = [n1, pool('{ cidr: 10.244.0.0/29, blockSize: 30 }')];

  test('are taken over where no other is free', async () => {
    putBlock(server, '10.244.0.0/30', 'gone');
    putBlock(server, '10.244.0.4/30', 'gone');
    const one = await claimer('n1', manifests, { times: { gone: 0 } });
    expect(await one.text('a')).toMatch(/^10\.244\.0\./);
    expect([...ownersAt(server).values()].sort()).toEqual(['gone', 'n1']);
  });

  test('are not while it may come back, nor those of a Node that is there', async () => {
    putBlock(server, '10.244.0.0/30', 'gone');
    putBlock(server, '10.244.0.4/30', 'n2');
    const before = ownersAt(server);
    const one = await claimer('n1', [...manifests, node('n2', '192.0.2.2')], { times: { gone: 600_000 } });
    expect(await one.text('a')).toMatch(/^refused: .*2 blocks, none is free/);
    expect(ownersAt(server)).toEqual(before);
  });
});

test('pod ranges of other nodes are not claimed; one’s own may be', async () => {
  const nodes = [
    node('n1', '192.0.2.1', { pods: ['10.244.1.0/24'] }),
    node('n2', '192.0.2.2', { pods: ['10.244.0.0/24'] }),
  ];
  const one = await claimer('n1', [...nodes, pool('{ cidr: 10.244.0.0/23 }')]);
  expect(await one.text('a')).toMatch(/^10\.244\.1\./);
});

test('pools serve in their order: another when the one before has nothing left, also nothing to claim', async () => {
  const one = await claimer('n1', [
    n1,
    pool('{ cidr: 10.1.0.0/29, blockSize: 30 }', 'a'),
    pool('{ cidr: 10.2.0.0/30 }', 'b'),
    pool("{ cidr: 10.3.0.0/16, namespaceSelector: tier == 'db' }", 'db'),
  ]);
  const given: string[] = [];
  for (const owner of 'abcdefg') given.push(await one.text(owner));
  expect(given.map((text) => text.slice(0, 5))).toEqual([
    ...Array.from({ length: 4 }, () => '10.1.'),
    '10.2.',
    '10.2.',
    'refus',
  ]);
  expect(given.at(-1)).toContain(
    '; IPPool a (10.1.0.0/29): 2 blocks, none is free; IPPool b (10.2.0.0/30): 1 blocks, none is free; no node lends an address of IPPool a; no node lends an address of IPPool b',
  );
});

test('blocks of a folder are used, not claimed', async () => {
  putBlock(server, '10.244.0.0/30', 'n1');
  const made = new Claimer(server, 'n1', [n1, pool('{ cidr: 10.244.0.0/24, blockSize: 30 }')], { folder: true });
  claimers.push(made);
  const one = await made.start();
  expect([await one.text('a'), await one.text('b')]).toEqual(['10.244.0.1', '10.244.0.2']);
  expect(await one.text('c')).toBe(
    'refused: no IPv4 address is left (10.244.0.0/30: 2 for pods, 2 held, 0 reserved); blocks are claimed at an API server; those of a folder are given by hand',
  );
});

describe('the registry', () => {
  test('a block is released by its owner only, and one that is gone is released already', async () => {
    putBlock(server, '10.244.0.0/30', 'n1');
    const registry = new KubeBlocks(clientOf(server));
    expect(await registry.release('10.244.0.0/30', 'n2')).toBe('it is of node n1');
    expect(await registry.release('10.244.0.0/30', 'n1')).toBeUndefined();
    expect(await registry.release('10.244.0.0/30', 'n1')).toBeUndefined();
  });

  test('what was made anew between the look and the deletion stays', async () => {
    putBlock(server, '10.244.0.0/30', 'n1');
    server.inject({
      kind: 'slow',
      bytes: 1_000_000,
      rest: 0,
      matches({ method }) {
        if (method !== 'DELETE') return false;
        deleteBlock(server, '10.244.0.0/30');
        putBlock(server, '10.244.0.0/30', 'n2');
        return true;
      },
      times: 1,
    });
    expect(await new KubeBlocks(clientOf(server)).release('10.244.0.0/30', 'n1')).toContain('409 Conflict');
    expect(ownersAt(server).get('10.244.0.0/30')).toBe('n2');
  });

  test('who has a block already hears who', async () => {
    putBlock(server, '10.244.0.0/30', 'n1');
    const registry = new KubeBlocks(clientOf(server));
    const spec = { cidr: '10.244.0.0/30', pool: 'pods' };
    expect(await registry.claim({ ...spec, node: 'n2' })).toEqual({ kind: 'taken', node: 'n1' });
    expect(await registry.claim({ ...spec, node: 'n1' })).toEqual({ kind: 'claimed' });
  });
});
