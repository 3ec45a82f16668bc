/** Addresses of other nodes' blocks are borrowed, lent and given back: stories with a fake API server over real HTTP. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parsePrefix, prefixCovers } from '../../../../bgp/ip.ts';
import { toInventory } from '../../../../src/topology/inventory.ts';
import { toAdvertisements } from '../../../../src/topology/advertisements.ts';
import type { ApiServer } from '../../../kit/api-server.ts';
import { node, ours, selfOf } from '../../../kit/cluster.ts';
import { eventually } from '../../../kit/eventually.ts';
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

const nodes = ['n1', 'n2', 'n3'].map((name, i) => node(name, `192.0.2.${i + 1}`));
const small = '{ cidr: 10.244.0.0/29, blockSize: 30 }';
const quick: ClaimerOptions = { coolDownMilliseconds: 1 };

function claimer(name: string, pool = small, options: ClaimerOptions = quick): Promise<Claimer> {
  const made = new Claimer(server, name, [...nodes, ours('IPPool', 'pods', pool)], options);
  claimers.push(made);
  return made.start();
}

/** Both have their block. */
async function pair(pool = small, options: readonly ClaimerOptions[] = [quick, quick]): Promise<[Claimer, Claimer]> {
  const n1 = await claimer('n1', pool, options[0]);
  await eventually(() => n1.blocks().length === 1, { reason: 'n1 has a block' });
  const n2 = await claimer('n2', pool, options[1]);
  await eventually(() => n2.blocks().length === 1, { reason: 'n2 has a block' });
  return [n1, n2];
}

const lies = (address: string, cidr: string) => prefixCovers(parsePrefix(cidr)!, parsePrefix(`${address}/32`)!);
const loans = () => [...ownersAt(server)].filter(([cidr]) => cidr.endsWith('/32') || cidr.endsWith('/128'));
const advertised = ({ state, name }: Claimer) =>
  toAdvertisements(toInventory(state, selfOf(name))).originated.map(({ prefix }) => prefix);

test('a node whose blocks are full, in a pool without a free one, borrows; the address is advertised alone, and given back', async () => {
  const [n1, n2] = await pair();
  const [block1, block2] = [n1.blocks()[0], n2.blocks()[0]];
  await Promise.all([n1.text('a'), n1.text('b')]);
  const borrowed = await n1.text('c');
  expect(lies(borrowed, block2)).toBe(true);
  expect(loans()).toEqual([[`${borrowed}/32`, 'n1']]);
  expect(advertised(n1).sort()).toEqual([block1, `${borrowed}/32`].sort());
  await eventually(() => advertised(n2).length === 1, { reason: 'n2 tells its block as before' });
  // Whoever has the most specific range is its owner, on every node.
  await eventually(() => toInventory(n2.state, selfOf('n2')).ownerOf(parsePrefix(`${borrowed}/32`)!)?.name === 'n1', {
    reason: 'n2 knows',
  });
  const own = await n2.text('d');
  expect(own).not.toBe(borrowed);
  expect(await n2.text('e')).toMatch(/^refused: no IPv4 address is left .*no node lends an address of IPPool pods$/);
  expect(await n2.text('e', [borrowed])).toMatch(/^refused: .* is held by loan/);

  n1.allocator.release('c', Date.now());
  await eventually(() => loans().length === 0, { reason: 'given back' });
  await eventually(() => advertised(n1).length === 1, { reason: 'no longer advertised' });
  await eventually(async () => (await n2.text('e')) === borrowed, { reason: 'n2 has it again' });
});

test('pods that need one at the same moment ask for one address each', async () => {
  const [n1] = await pair('{ cidr: 10.244.0.0/28, blockSize: 29 }');
  const own = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((owner) => n1.text(owner)));
  const questions = server.count(({ method }) => method === 'POST');
  const borrowed = await Promise.all(['g', 'h', 'i', 'j', 'k'].map((owner) => n1.text(owner)));
  expect(new Set([...own, ...borrowed]).size).toBe(11);
  expect(server.count(({ method }) => method === 'POST') - questions).toBe(5);
});

test('IPv6 too, as a /128', async () => {
  const [n1, n2] = await pair('{ cidr: "fd00::/125", blockSize: 126 }');
  await Promise.all(['a', 'b', 'c'].map((owner) => n1.text(owner)));
  const borrowed = await n1.text('d');
  expect(loans()).toEqual([[`${borrowed}/128`, 'n1']]);
  expect(prefixCovers(parsePrefix(n2.blocks()[0])!, parsePrefix(`${borrowed}/128`)!)).toBe(true);
});

test('with strictAffinity nothing is borrowed', async () => {
  const [n1] = await pair('{ cidr: 10.244.0.0/29, blockSize: 30, strictAffinity: true }');
  await Promise.all([n1.text('a'), n1.text('b')]);
  expect(await n1.text('c')).toMatch(/IPPool pods has strictAffinity$/);
  expect(loans()).toEqual([]);
});

test('an address that a pod names is borrowed where it is free', async () => {
  const [n1, n2] = await pair();
  const free = await n2.text('x');
  n2.allocator.release('x', Date.now());
  expect(await n1.text('a', [free])).toBe(free);
  const held = await n2.text('y');
  expect(await n1.text('b', [held])).toBe(
    `refused: ${held} lies in block ${n2.blocks()[0]} of node n2: it is not free`,
  );
});

test('a pool with tunnels lends nothing to a node without a block: it has no tunnel address', async () => {
  await pair('{ cidr: 10.244.0.0/29, blockSize: 30, vxlanMode: Always }');
  const n3 = await claimer('n3', '{ cidr: 10.244.0.0/29, blockSize: 30, vxlanMode: Always }');
  expect(await n3.text('a')).toMatch(/without a block of its own this node has no tunnel address/);
});

test('a node whose agent does not answer is asked once, and what was asked for is taken back', async () => {
  putBlock(server, '10.244.0.0/30', 'n2');
  putBlock(server, '10.244.0.4/30', 'n1');
  const n1 = await claimer('n1');
  await Promise.all([n1.text('a'), n1.text('b')]);
  expect(await n1.text('c')).toMatch(/^refused: .*no node lends an address of IPPool pods$/);
  expect(loans()).toEqual([]);
});

describe('what is asked for and not lent', () => {
  test('is nobody’s: it is neither advertised nor used', async () => {
    putBlock(server, '10.244.0.0/30', 'n2');
    putBlock(server, '10.244.0.1/32', 'n1');
    const n1 = await claimer('n1', small, { ...quick, times: { check: 3_600_000 } });
    await eventually(() => n1.state.ipamBlocks.size >= 2, { reason: 'told' });
    expect(advertised(n1)).not.toContain('10.244.0.1/32');
    expect(toInventory(n1.state, selfOf('n1')).ownerOf(parsePrefix('10.244.0.1/32')!)?.name).toBe('n2');
  });

  test('and what an agent left behind that crashed, goes', async () => {
    const [n1] = await pair();
    await Promise.all([n1.text('a'), n1.text('b'), n1.text('c')]);
    expect(loans()).toHaveLength(1);
    n1.stop();
    await claimer('n1');
    await eventually(() => loans().length === 0, { reason: 'no pod has it' });
  });
});

describe('the lender', () => {
  test('lends nothing before that would outlive a crash, and knows after a restart', async () => {
    const [n1, n2] = await pair();
    await Promise.all([n1.text('a'), n1.text('b')]);
    n2.stop();
    let persisted: (() => void) | undefined;
    const persist = () => new Promise<void>((resolve) => (persisted = resolve));
    const again = await claimer('n2', small, { ...quick, persist });
    const pending = n1.text('c');
    await eventually(() => loans().length === 1 && persisted !== undefined, { reason: 'asked' });
    const [[cidr]] = loans();
    expect(advertised(n1)).not.toContain(cidr);
    persisted!();
    const borrowed = await pending;
    expect(cidr).toBe(`${borrowed}/32`);

    again.stop();
    const third = await claimer('n2');
    await eventually(() => third.allocator.ownerOf(borrowed) === `loan ${cidr}`, { reason: 'set aside again' });
    expect(await third.text('d')).not.toBe(borrowed);
  });

  test('has it back when the node that borrowed it is gone', async () => {
    const [n1, n2] = await pair(small, [quick, { ...quick, times: { gone: 0 } }]);
    await Promise.all([n1.text('a'), n1.text('b'), n1.text('c')]);
    expect(loans()).toHaveLength(1);
    n1.stop();
    n2.drop(nodes[0]);
    n2.keeper.onBlocksChanged();
    await eventually(() => loans().length === 0, { reason: 'back' });
  });

  test('keeps its block while a single address of it is lent', async () => {
    const [n1, n2] = await pair('{ cidr: 10.244.0.0/28, blockSize: 30 }', [quick, { ...quick, times: { empty: 30 } }]);
    for (const owner of 'abcd') await n2.text(owner);
    const held = n2.blocks();
    expect(held.length).toBeGreaterThan(1);
    const asked = await n1.text('z', [await n2.text('d')]);
    expect(asked).toMatch(/^refused/);
    const lent = await n2.text('d');
    n2.allocator.release('d', Date.now());
    await eventually(async () => (await n1.text('z', [lent])) === lent, { reason: 'borrowed by name' });
    for (const owner of 'abc') n2.allocator.release(owner, Date.now());
    await eventually(() => n2.blocks().length === 1 || n2.blocks().every((cidr) => held.includes(cidr)), {
      reason: 'empty ones go',
    });
    expect(n2.blocks().some((cidr) => lies(lent, cidr))).toBe(true);
  });
});

test('a borrowed address that someone takes away while a pod has it is asked for again', async () => {
  const [n1] = await pair();
  await Promise.all([n1.text('a'), n1.text('b')]);
  const borrowed = await n1.text('c');
  deleteBlock(server, `${borrowed}/32`);
  await eventually(() => loans().length === 1 && advertised(n1).includes(`${borrowed}/32`), { reason: 'lent again' });
});

test('pods of a block that another node has now keep their addresses as borrowed ones', async () => {
  putBlock(server, '10.244.0.0/30', 'n2');
  const n2 = await claimer('n2');
  const n1 = await claimer('n1', small, { ...quick, restored: { 'c1/eth0': ['10.244.0.2'] } });
  await eventually(() => advertised(n1).includes('10.244.0.2/32'), { reason: 'borrowed' });
  expect(n1.keeper.lost()).toEqual([]);
  expect([await n2.text('a'), await n2.text('b')]).not.toContain('10.244.0.2');
});

test('whatever comes and goes at three nodes at one time, no address has two pods', async () => {
  const pool = '{ cidr: 10.244.0.0/28, blockSize: 30 }';
  const all = await Promise.all(['n1', 'n2', 'n3'].map((name) => claimer(name, pool)));
  await eventually(() => all.every((one) => one.blocks().length > 0), { reason: 'a block each' });
  const held = new Map<string, string>();
  let seed = 7;
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  const pods: { readonly one: Claimer; readonly owner: string }[] = [];
  for (let step = 0; step < 40; step++) {
    const batch = Array.from({ length: 3 }, async (_, i) => {
      const one = all[random(3)];
      if (pods.length > 6 || (random(4) === 0 && pods.length > 2)) {
        const [gone] = pods.splice(random(pods.length), 1);
        for (const address of gone.one.allocator.release(gone.owner, Date.now())) held.delete(address);
        return;
      }
      const owner = `pod-${step}-${i}`;
      const text = await one.text(owner);
      if (text.startsWith('refused')) return;
      expect(held.has(text), `${text}: ${held.get(text)} and ${one.name}/${owner}`).toBe(false);
      held.set(text, `${one.name}/${owner}`);
      pods.push({ one, owner });
    });
    await Promise.all(batch);
  }
  const loansMade = all.flatMap(({ logged }) => logged.filter((line) => line.startsWith('an address is borrowed')));
  expect(loansMade.length).toBeGreaterThan(3);
});
