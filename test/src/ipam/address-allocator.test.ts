import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressAllocator, type Allocation } from '../../../src/ipam/address-allocator.ts';

function allocatorOf(ranges: readonly string[], reserved: readonly string[] = []): AddressAllocator {
  const allocator = new AddressAllocator({ coolDownMilliseconds: 60_000 });
  allocator.setRanges(ranges, reserved);
  return allocator;
}

function addresses(allocation: Allocation): string {
  return allocation.kind === 'allocated' ? allocation.addresses.join(' ') : `refused: ${allocation.reason}`;
}

/** Allocates for owners a, b, c … until it is refused. */
function all(allocator: AddressAllocator, most = 300): string[] {
  const given: string[] = [];
  for (let i = 0; i < most; i++) {
    const allocation = allocator.allocate({ owner: `owner ${i}`, now: 0 });
    if (allocation.kind === 'refused') break;
    given.push(allocation.addresses.join(' '));
  }
  return given;
}

describe('which addresses of a range are for pods', () => {
  test.each<[string, number, string, string]>([
    ['10.244.1.0/24', 254, '10.244.1.1', '10.244.1.254'],
    ['10.244.1.0/29', 6, '10.244.1.1', '10.244.1.6'],
    ['10.244.1.0/31', 1, '10.244.1.1', '10.244.1.1'],
    ['fd00:1::/120', 255, 'fd00:1::1', 'fd00:1::ff'],
    ['fd00:1::/127', 1, 'fd00:1::1', 'fd00:1::1'],
  ])('%s: %d, from %s to %s', (range, count, first, last) => {
    const given = all(allocatorOf([range]));
    expect([given.length, given[0], given.at(-1)]).toEqual([count, first, last]);
  });

  test.each(['10.244.1.7/32', 'fd00::7/128'])('%s has none: its one address is the node’s', (range) => {
    expect(all(allocatorOf([range]))).toEqual([]);
  });

  test('a /64 and a /8 are no more work than a /24', () => {
    const allocator = allocatorOf(['10.0.0.0/8', 'fd00:1::/64']);
    expect(all(allocator, 3)).toEqual(['10.0.0.1 fd00:1::1', '10.0.0.2 fd00:1::2', '10.0.0.3 fd00:1::3']);
    expect(allocator.usage(0)).toEqual([
      { range: '10.0.0.0/8', family: 'ipv4', size: 2n ** 24n - 2n, held: 3, reserved: 0n, coolingDown: 0 },
      { range: 'fd00:1::/64', family: 'ipv6', size: 2n ** 64n - 1n, held: 3, reserved: 0n, coolingDown: 0 },
    ]);
  });
});

test('a single address that was lent to the node is a pod’s, like any other', () => {
  const allocator = allocatorOf(['10.244.1.0/30']);
  allocator.setRanges(['10.244.1.0/30'], [], ['10.244.9.7/32']);
  expect(all(allocator)).toEqual(['10.244.1.1', '10.244.1.2', '10.244.9.7']);
});

test('what is set aside is given to nobody; what is held, resting, reserved or of no range is not set aside', () => {
  const allocator = allocatorOf(['10.244.1.0/29'], ['10.244.1.5']);
  allocator.restore('pod', ['10.244.1.1']);
  allocator.restore('gone', ['10.244.1.2']);
  allocator.release('gone', 1000);
  const setAside = (address: string) => allocator.setAside(`loan ${address}`, address, 1000);
  expect(['10.244.1.1', '10.244.1.2', '10.244.1.5', '10.244.1.7', '10.9.0.1'].filter(setAside)).toEqual([]);
  expect(setAside('10.244.1.3')).toBe(true);
  expect(setAside('10.244.1.3')).toBe(false);
  expect(allocator.allocate({ owner: 'a', requested: ['10.244.1.3'], now: 1000 })).toMatchObject({
    reason: '10.244.1.3 is held by loan 10.244.1.3',
  });
  allocator.release('loan 10.244.1.3', 2000);
  expect(allocator.ownerOf('10.244.1.3')).toBeUndefined();
});

test('a pod gets one address of each family that the node has; the second range serves when the first is full', () => {
  const allocator = allocatorOf(['10.244.1.0/30', '10.244.2.0/30', 'fd00:1::/64']);
  expect(all(allocator)).toEqual([
    '10.244.1.1 fd00:1::1',
    '10.244.1.2 fd00:1::2',
    '10.244.2.1 fd00:1::3',
    '10.244.2.2 fd00:1::4',
  ]);
});

test('the next address is the one after the last, also when one before it is free, and at the end the first again', () => {
  const allocator = allocatorOf(['10.244.1.0/29']);
  const give = (owner: string, now: number) => addresses(allocator.allocate({ owner, now }));
  expect([give('a', 0), give('b', 0)]).toEqual(['10.244.1.1', '10.244.1.2']);
  allocator.release('a', 0);
  expect([give('c', 100_000), give('d', 100_000), give('e', 100_000), give('f', 100_000)]).toEqual([
    '10.244.1.3',
    '10.244.1.4',
    '10.244.1.5',
    '10.244.1.6',
  ]);
  expect(give('g', 100_000)).toBe('10.244.1.1');
});

test('who asks again gets what it has', () => {
  const allocator = allocatorOf(['10.244.1.0/29']);
  const first = allocator.allocate({ owner: 'a', now: 0 });
  expect(allocator.allocate({ owner: 'a', requested: ['10.244.1.6'], now: 1 })).toEqual(first);
  expect(allocator.ownerOf('10.244.1.1')).toBe('a');
});

describe('an address that was given back', () => {
  test('rests a minute while there is another', () => {
    const allocator = allocatorOf(['10.244.1.0/30']);
    allocator.allocate({ owner: 'a', now: 0 });
    expect(allocator.release('a', 1000)).toEqual(['10.244.1.1']);
    allocator.restore('last', ['10.244.1.2']);
    allocator.release('last', 2000);
    allocator.setRanges(['10.244.1.0/29'], []);
    expect(addresses(allocator.allocate({ owner: 'b', now: 50_000 }))).toBe('10.244.1.3');
  });

  test('is given when nothing else is left, the longest rested first', () => {
    const allocator = allocatorOf(['10.244.1.0/30']);
    allocator.allocate({ owner: 'a', now: 0 });
    allocator.allocate({ owner: 'b', now: 0 });
    allocator.release('b', 1000);
    allocator.release('a', 2000);
    expect(addresses(allocator.allocate({ owner: 'c', now: 3000 }))).toBe('10.244.1.2');
    expect(addresses(allocator.allocate({ owner: 'd', now: 3000 }))).toBe('10.244.1.1');
  });

  test('needs no rest where nobody has seen it', () => {
    const allocator = allocatorOf(['10.244.1.0/31']);
    allocator.allocate({ owner: 'a', now: 0 });
    allocator.forget('a');
    expect(allocator.usage(0)).toMatchObject([{ held: 0, coolingDown: 0 }]);
  });
});

describe('reserved addresses', () => {
  test('are given to nobody who does not name them', () => {
    const allocator = allocatorOf(['10.244.1.0/29'], ['10.244.1.2/31', '10.244.1.5', '10.244.1.3']);
    expect(all(allocator)).toEqual(['10.244.1.1', '10.244.1.4', '10.244.1.6']);
    expect(addresses(allocator.allocate({ owner: 'x', requested: ['10.244.1.3'], now: 0 }))).toBe('10.244.1.3');
  });

  test('a reservation over the whole range, and beyond, leaves nothing', () => {
    expect(all(allocatorOf(['10.244.1.0/29'], ['10.244.0.0/16']))).toEqual([]);
  });

  test('a reservation of the end does not hide the beginning', () => {
    const allocator = allocatorOf(['10.244.1.0/29'], ['10.244.1.4/30']);
    allocator.restore('before', ['10.244.1.3']);
    expect(addresses(allocator.allocate({ owner: 'a', now: 0 }))).toBe('10.244.1.1');
  });
});

describe('an address by name', () => {
  const give = (allocator: AddressAllocator, ...requested: string[]) =>
    addresses(allocator.allocate({ owner: 'x', requested, now: 0 }));

  test('is given, and the other family automatically', () => {
    expect(give(allocatorOf(['10.244.1.0/24', 'fd00:1::/64']), '10.244.1.77')).toBe('10.244.1.77 fd00:1::1');
  });

  test.each<[string, string[], RegExp]>([
    ['outside the ranges', ['10.9.0.1'], /10.9.0.1 is no address for pods of this node's ranges \(10.244.1.0\/24\)/],
    ['the node’s own', ['10.244.1.0'], /no address for pods/],
    ['the broadcast address', ['10.244.1.255'], /no address for pods/],
    ['of a family that the node has not', ['fd00::1'], /no address for pods/],
    ['two of one family', ['10.244.1.5', '10.244.1.6'], /two addresses of one family/],
  ])('refused: %s', (_, requested, reason) => {
    const allocator = allocatorOf(['10.244.1.0/24']);
    const allocation = allocator.allocate({ owner: 'x', requested, now: 0 });
    expect(allocation).toMatchObject({
      kind: 'refused',
      passing: false,
      reason: expect.stringMatching(reason) as string,
    });
    expect(allocator.usage(0)).toMatchObject([{ held: 0 }]);
  });

  test('that somebody holds is refused for now, naming the holder', () => {
    const allocator = allocatorOf(['10.244.1.0/24']);
    allocator.allocate({ owner: 'container a', requested: ['10.244.1.5'], now: 0 });
    expect(allocator.allocate({ owner: 'x', requested: ['10.244.1.5'], now: 0 })).toEqual({
      kind: 'refused',
      reason: '10.244.1.5 is held by container a',
      passing: true,
    });
  });
});

test('exhaustion is told with counts, and takes no address of the other family', () => {
  const allocator = allocatorOf(['10.244.1.0/30', '10.244.2.0/30', 'fd00:1::/64'], ['10.244.2.1']);
  expect(all(allocator)).toHaveLength(3);
  expect(allocator.allocate({ owner: 'late', now: 0 })).toEqual({
    kind: 'refused',
    exhausted: 'ipv4',
    reason:
      'no IPv4 address is left (10.244.1.0/30: 2 for pods, 2 held, 0 reserved; 10.244.2.0/30: 2 for pods, 1 held, 1 reserved)',
    passing: true,
  });
  expect(allocator.usage(0)[2]).toMatchObject({ held: 3 });
});

test('a node without ranges gives nothing, for now', () => {
  expect(allocatorOf([]).allocate({ owner: 'a', now: 0 })).toEqual({
    kind: 'refused',
    reason: 'the node has no pod range (spec.podCIDRs)',
    passing: true,
  });
});

test('what was restored is held, also outside of the ranges of now, and the next follows the last of it', () => {
  const allocator = allocatorOf(['10.244.1.0/24']);
  allocator.restore('a', ['10.244.9.9']);
  allocator.restore('b', ['10.244.1.40']);
  expect(addresses(allocator.allocate({ owner: 'a', now: 0 }))).toBe('10.244.9.9');
  expect(addresses(allocator.allocate({ owner: 'c', now: 0 }))).toBe('10.244.1.41');
});

const owner = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j');
const step = fc.oneof(
  fc.record({ kind: fc.constant('allocate' as const), owner, wait: fc.nat(40_000) }),
  fc.record({ kind: fc.constant('name' as const), owner, last: fc.nat(15), wait: fc.nat(40_000) }),
  fc.record({ kind: fc.constant('release' as const), owner, wait: fc.nat(40_000) }),
  fc.record({ kind: fc.constant('forget' as const), owner, wait: fc.nat(40_000) }),
);

test('whatever happens: no address has two holders, none is reserved unless by name, none rests in vain, and asking again changes nothing', () => {
  const scenario = fc.record({
    length: fc.integer({ min: 28, max: 31 }),
    reserved: fc.array(
      fc.nat(15).map((last) => `10.0.0.${last}`),
      { maxLength: 4 },
    ),
    steps: fc.array(step, { maxLength: 60 }),
  });
  fc.assert(
    fc.property(scenario, ({ length, reserved, steps }) => {
      const allocator = allocatorOf([`10.0.0.0/${length}`], reserved);
      const forbidden = new Set(['10.0.0.0', ...(length < 31 ? [`10.0.0.${2 ** (32 - length) - 1}`] : [])]);
      const held = new Map<string, string>();
      const released = new Map<string, number>();
      const size = length === 31 ? 1 : 2 ** (32 - length) - 2;
      let now = 0;
      for (const { kind, owner: who, wait, ...rest } of steps) {
        now += wait;
        const mine = [...held].find(([, holder]) => holder === who)?.[0];
        if (kind === 'release' || kind === 'forget') {
          if (kind === 'release') allocator.release(who, now);
          else allocator.forget(who);
          if (mine === undefined) continue;
          held.delete(mine);
          if (kind === 'release') released.set(mine, now);
          continue;
        }
        const requested = 'last' in rest ? [`10.0.0.${rest.last}`] : [];
        const allocation = allocator.allocate({ owner: who, requested, now });
        if (allocation.kind === 'refused') {
          expect(mine).toBeUndefined();
          if (requested.length === 0) {
            const open = Array.from({ length: size }, (_, i) => `10.0.0.${i + 1}`).filter(
              (address) => !held.has(address) && !reserved.includes(address),
            );
            expect(open).toEqual([]);
          }
          continue;
        }
        const [address] = allocation.addresses;
        if (mine !== undefined) {
          expect(address).toBe(mine);
          continue;
        }
        expect(held.has(address)).toBe(false);
        expect(forbidden.has(address)).toBe(false);
        if (requested.length > 0) expect(address).toBe(requested[0]);
        else {
          expect(reserved).not.toContain(address);
          const restedSince = released.get(address);
          if (restedSince !== undefined && restedSince + 60_000 > now) {
            const rested = Array.from({ length: size }, (_, i) => `10.0.0.${i + 1}`).filter(
              (other) =>
                !held.has(other) && !reserved.includes(other) && (released.get(other) ?? -60_000) + 60_000 <= now,
            );
            expect(rested).toEqual([]);
          }
        }
        held.set(address, who);
        released.delete(address);
      }
      expect(allocator.usage(now)).toMatchObject([{ held: held.size }]);
    }),
    { numRuns: 300 },
  );
});
