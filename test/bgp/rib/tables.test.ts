/** The tables under the RIB, against plain maps and lists. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AttributePool } from '../../../bgp/rib/attribute-pool.ts';
import { ByteStore } from '../../../bgp/rib/byte-store.ts';
import { ChangeLog } from '../../../bgp/rib/change-log.ts';
import { PrefixTable } from '../../../bgp/rib/prefix-table.ts';
import { ToldPrefixes } from '../../../bgp/rib/told.ts';
import { newPrefixKey, setPrefixKey } from '../../../bgp/wire/nlri.ts';
import { originatedAttributes } from '../../../bgp/wire/attributes/attribute-set.ts';
import { hex } from './kit.ts';

function keyOf(number: number, length = 32) {
  const key = newPrefixKey();
  setPrefixKey(key, Uint8Array.of(10, number >> 16, number >> 8, number), length);
  return key;
}

describe('prefix table', () => {
  test('holds what was added and not removed, through growth, collisions and shrinking', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(40), fc.integer({ min: 30, max: 32 })), { maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.nat(), (all, seed) => {
        const table = new PrefixTable('ipv4', seed);
        const model = new Map<string, number>();
        for (const [add, number, length] of all) {
          const text = `${number}/${length}`;
          const key = keyOf(number, length);
          if (add) {
            const id = table.findOrAdd(key);
            expect(model.get(text) ?? id).toBe(id);
            model.set(text, id);
          } else if (model.has(text)) {
            table.remove(model.get(text)!);
            model.delete(text);
          }
          expect(table.find(key)).toBe(model.get(text) ?? 0);
        }
        expect(new Set(model.values()).size).toBe(table.count);
      }),
    );
  });

  test('100,000 prefixes are found again, and an emptied table gives its chunks back', () => {
    const table = new PrefixTable('ipv4', 3);
    const ids = Array.from({ length: 100_000 }, (_, i) => table.findOrAdd(keyOf(i)));
    expect(new Set(ids).size).toBe(100_000);
    expect(table.limit).toBe(100_001);
    for (let i = 0; i < 100_000; i += 997) expect(table.find(keyOf(i))).toBe(ids[i]);
    for (const id of ids) table.remove(id);
    expect([table.count, table.find(keyOf(5)), table.isUsed(ids[5])]).toEqual([0, 0, false]);
    expect(table.findOrAdd(keyOf(7))).toBe(1);
  });
});

describe('change log', () => {
  const logOf = (version = 0) => {
    const table = new PrefixTable('ipv4', 1);
    const log = new ChangeLog(table, version);
    const ids = Array.from({ length: 5 }, (_, i) => table.findOrAdd(keyOf(i)));
    const read = (position: ReturnType<ChangeLog['open']>) => {
      const found: number[] = [];
      for (let id = log.next(position); id !== 0; id = log.next(position)) {
        found.push(ids.indexOf(id));
        log.moveTo(position, id, log.versionOf(id));
      }
      return found;
    };
    return { table, log, ids, read };
  };

  test('a reader hears each change once, the newest last', () => {
    const { log, ids, read } = logOf();
    const [early, late] = [log.open(), log.open()];
    for (const id of ids) log.append(id);
    expect(read(early)).toEqual([0, 1, 2, 3, 4]);
    log.append(ids[2]);
    log.append(ids[0]);
    log.append(ids[2]);
    expect(read(early)).toEqual([0, 2]);
    expect(read(late)).toEqual([1, 3, 4, 0, 2]);
    expect(read(late)).toEqual([]);
  });

  test('a tombstone stays until every reader that holds it has passed', () => {
    const { table, log, ids, read } = logOf();
    const [early, late, mark] = [log.open(), log.open(), log.open(false)];
    for (const id of ids) log.append(id);
    read(early);
    log.bury(ids[3]);
    read(early);
    expect(log.removeTombstones(9)).toBe(false);
    expect(table.isUsed(ids[3])).toBe(true);
    expect(read(late)).toEqual([0, 1, 2, 4, 3]);
    log.removeTombstones(9);
    expect([table.isUsed(ids[3]), log.hasTombstones, log.next(mark)]).toEqual([false, false, ids[0]]);
    log.append(ids[1]);
    expect([read(early), read(late)]).toEqual([[1], [1]]);
  });

  test('versions that run out are counted anew; order and positions stay', () => {
    const { log, ids, read } = logOf(0xffffffff - 6);
    let renumbered = 0;
    log.onVoid = () => renumbered++;
    const [start, middle, end] = [log.open(), log.open(), log.open()];
    for (const id of ids) log.append(id);
    log.moveTo(middle, ids[1], log.versionOf(ids[1]));
    read(end);
    log.append(ids[1]);
    log.append(ids[0]);
    log.append(ids[4]);
    expect(renumbered).toBe(1);
    expect(log.version).toBeLessThan(20);
    expect([read(start), read(middle), read(end)]).toEqual([
      [2, 3, 1, 0, 4],
      [2, 3, 1, 0, 4],
      [1, 0, 4],
    ]);
  });
});

test('what a peer was told: the same prefixes as a set holds, near and far ones', () => {
  const prefix = fc.oneof(fc.nat(70), fc.nat(65_536 * 3));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.array(prefix, { maxLength: 8 })), { maxLength: 60 }), (steps) => {
      const told = new ToldPrefixes();
      const model = new Set<number>();
      for (const [add, prefixes] of steps) {
        if (add) {
          told.add(Uint32Array.from(prefixes), 0, prefixes.length);
          for (const number of prefixes) model.add(number);
        } else for (const number of prefixes) expect(told.delete(number)).toBe(model.delete(number));
        for (const number of prefixes) expect(told.has(number)).toBe(add);
      }
      expect(told.count).toBe(model.size);
      for (const number of model) expect(told.has(number)).toBe(true);
    }),
  );
});

describe('byte store', () => {
  test('keeps what was added, reuses what was freed, and gives empty slabs back', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 70 }), fc.boolean()), { maxLength: 300 });
    fc.assert(
      fc.property(steps, (all) => {
        const store = new ByteStore();
        const held: { address: number; value: number; length: number }[] = [];
        for (const [i, [length, free]] of all.entries()) {
          const value = i & 255;
          const bytes = new Uint8Array(length).fill(value);
          held.push({ address: store.add(bytes, 0, length), value, length });
          if (free) store.remove(held.splice((i * 7) % held.length, 1)[0].address);
        }
        for (const { address, value, length } of held) {
          const start = store.offsetOf(address);
          expect(
            store
              .bufferOf(address)
              .subarray(start, start + length)
              .every((byte) => byte === value),
          ).toBe(true);
        }
        for (const { address } of held) store.remove(address);
        expect(store.size).toBe(0);
      }),
    );
  });

  test('a long string has a slab of its own size', () => {
    const store = new ByteStore();
    const address = store.add(new Uint8Array(70_000).fill(7), 0, 70_000);
    expect([store.size, store.bufferOf(address)[69_999]]).toEqual([70_000, 7]);
    store.remove(address);
    expect(store.size).toBe(0);
  });
});

describe('attribute pool', () => {
  test('equal sets have one number, counted references, and go with the last', () => {
    const pool = new AttributePool(1);
    const set = originatedAttributes(['65000:1']);
    const other = originatedAttributes(['65000:2']);
    const first = pool.intern(set, 0, set.length);
    expect(pool.intern(set, 0, set.length)).toBe(first);
    expect(pool.intern(other, 0, other.length)).not.toBe(first);
    pool.release(first);
    expect(pool.view(first).communities).toEqual(['65000:1']);
    pool.release(first);
    expect(pool.count).toBe(1);
  });

  test('a row that is used again carries nothing of its earlier set', () => {
    const pool = new AttributePool(1);
    const full = hex(
      '04c0000201 40010102 40020602010000fde9 80040400000007 400504000000c8 c00804ffffff02 80090401010101 800a0402020202',
    );
    const first = pool.intern(full, 0, full.length);
    const columns = (id: number) => {
      const chunk = pool.chunk(id);
      const { localPref, med, neighborAs, originatorId, asPathLength, clusterListLength, origin, traits } = chunk;
      return [localPref, med, neighborAs, originatorId, asPathLength, clusterListLength, origin, traits].map(
        (column) => column[id],
      );
    };
    expect(columns(first)).toEqual([200, 7, 65001, 0x01010101, 1, 1, 2, 2]);
    const keep = originatedAttributes(['1:1']);
    pool.intern(keep, 0, keep.length);
    pool.release(first);
    const bare = originatedAttributes([]);
    const second = pool.intern(bare, 0, bare.length);
    expect(second).toBe(first);
    expect(columns(second)).toEqual([100, 0, 0, 0, 0, 0, 0, 4]);
  });
});
