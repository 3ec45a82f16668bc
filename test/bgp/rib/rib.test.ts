/** Stories of the whole RIB: what neighbours say, and what others then hold. */

import { describe, expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import { Neighbor, announce, client, external, local, ribOf, settle, withdraw } from './kit.ts';

const P = '192.168.1.0/24';
const Q = '192.168.2.0/24';
const R = '2001:db8:1::/48';

describe('withdraw and announce as the best path moves', () => {
  test('a route is told to the others and never to its sender', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P, Q]));
    expect(x.listen().prefixes()).toEqual([]);
    expect(y.listen().prefixes()).toEqual([P, Q]);
  });

  test('when best moves from X to Y, Y hears a withdraw and X an announcement', () => {
    const rib = ribOf();
    const [x, y, z] = [client('x', 1), client('y', 2), client('z', 3)].map((each) => new Neighbor(rib, each));
    x.says(announce([P], { localPref: 100, nextHop: '192.0.2.1' }));
    for (const each of [x, y, z]) each.listen();
    y.says(announce([P], { localPref: 200, nextHop: '192.0.2.2' }));
    for (const each of [x, y, z]) each.listen();
    expect(y.prefixes()).toEqual([]);
    expect(x.routes.get(P)?.nextHop).toBe('192.0.2.2');
    expect(z.routes.get(P)?.nextHop).toBe('192.0.2.2');
    expect([x.withdrawals, y.withdrawals, z.withdrawals]).toEqual([0, 1, 0]);
  });

  test('a withdraw goes only to those that were told', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P]));
    y.listen();
    const late = new Neighbor(rib, client('late', 3));
    x.says(withdraw([P]));
    for (const each of [x, y, late]) each.listen();
    expect([x, y, late].map((each) => each.withdrawals)).toEqual([0, 1, 0]);
    expect(late.announcements).toBe(0);
  });

  test('a change that is undone before anyone listens is not told twice', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    y.listen();
    for (let i = 0; i < 50; i++) {
      x.says(announce([P], { med: i }));
      x.says(withdraw([P]));
    }
    x.says(announce([P], { med: 7 }));
    y.listen();
    expect([y.announcements, y.withdrawals, y.routes.get(P)?.med]).toEqual([1, 0, 7]);
  });

  test('an UPDATE that says what is known changes nothing', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P]));
    y.listen();
    x.says(announce([P]));
    expect(rib.hasOutput(y.id)).toBe(false);
  });

  test('withdrawn and announced in one UPDATE: the announcement counts', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    const both = announce([P]);
    const update = Uint8Array.from([0, 4, 24, 192, 168, 1, ...both.subarray(2)]);
    x.says(update);
    expect(y.listen().prefixes()).toEqual([P]);
  });
});

describe('End-of-RIB', () => {
  test('is sent once a family when everything known at the start was told', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    x.says(announce(Array.from({ length: 5000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)));
    const y = new Neighbor(rib, client('y', 2));
    y.listenOnce(1);
    expect(y.endOfRib).toEqual([]);
    y.listen();
    expect([y.endOfRib, y.routes.size]).toEqual([['ipv4', 'ipv6'], 5000]);
    x.says(announce([P]));
    y.listen();
    expect(y.endOfRib).toEqual(['ipv4', 'ipv6']);
    expect(rib.counters(y.id, 'ipv4')).toMatchObject({ exported: 5001, endOfRibSent: true });
  });

  test('is not held up by what keeps changing behind the start', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    x.says(announce([P]));
    const y = new Neighbor(rib, client('y', 2));
    x.says(announce([P], { med: 1 }));
    y.listenOnce(1);
    expect(y.endOfRib).toEqual(['ipv4']);
  });

  test.each([
    ['ipv4', Uint8Array.of(0, 0, 0, 0)],
    ['ipv6', Uint8Array.of(0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1)],
    ['ipv6', Uint8Array.of(0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1)],
  ])('of %s is known when received', (family, update) => {
    expect(new Neighbor(ribOf(), client('x', 1)).says(update)).toEqual({ endOfRib: family });
  });
});

describe('slow readers', () => {
  test('see the present state only, and end as the quick do', () => {
    const rib = ribOf();
    const [x, quick, slow] = [client('x', 1), client('quick', 2), client('slow', 3)].map(
      (each) => new Neighbor(rib, each),
    );
    const prefixes = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    const say = (med: number, part: readonly string[]) => {
      for (let i = 0; i < part.length; i += 500) x.says(announce(part.slice(i, i + 500), { med }));
    };
    say(1, prefixes);
    slow.listenOnce(1);
    quick.listen();
    say(2, prefixes.slice(5000));
    quick.listen();
    slow.listenOnce(1);
    for (let i = 0; i < 4000; i += 500) x.says(withdraw(prefixes.slice(i, i + 500)));
    quick.listen();
    say(3, prefixes.slice(100, 200));
    quick.listen();
    slow.listen();
    expect(slow.routes).toEqual(quick.routes);
    expect(slow.routes.size).toBe(16_100);
    expect(slow.announcements).toBeLessThan(quick.announcements);
  });

  test('nothing waits for one that it was never told of, and what was packed of it is void', () => {
    const rib = new Rib({ local, tombstoneSlack: 0 });
    const [x, quick, slow] = [client('x', 1), client('quick', 2), client('slow', 3)].map(
      (each) => new Neighbor(rib, each),
    );
    for (const each of [x, quick, slow]) each.listen();
    x.says(announce([P]));
    for (const each of [x, quick]) each.listen();
    x.says(withdraw([P]));
    for (const each of [x, quick]) each.listen();
    settle(rib);
    // The row of P is free: Q takes it.
    x.says(announce([Q]));
    expect(slow.listen().prefixes()).toEqual([Q]);
    expect(rib.counters(slow.id, 'ipv4').exported).toBe(1);
    x.says(withdraw([Q]));
    expect(slow.listen().prefixes()).toEqual([]);
  });

  test('one that reads nothing costs no more rows than it was told, however many prefixes come and go', () => {
    const rib = new Rib({ local, tombstoneSlack: 1000 });
    const [x, quick, slow] = [client('x', 1), client('quick', 2), client('slow', 3)].map(
      (each) => new Neighbor(rib, each),
    );
    const batch = (i: number, size: number) =>
      Array.from({ length: size }, (_, j) => `10.${i}.${j >> 8}.${j & 255}/32`);
    x.says(announce(batch(0, 700)));
    for (const each of [x, quick, slow]) each.listen();
    x.says(withdraw(batch(0, 700)));
    for (let i = 1; i <= 200; i++) {
      x.says(announce(batch(i, 700)));
      x.says(withdraw(batch(i, 700)));
      for (const each of [x, quick]) each.listen();
      settle(rib);
    }
    // 700 that it was told of, twice as many and the slack before the next sweep, and one batch.
    expect(rib.totals('ipv4').rows).toBeLessThanOrEqual(1000 + 3 * 700 + 700);
    expect(slow.listen().prefixes()).toEqual([]);
    settle(rib);
    expect(rib.totals('ipv4')).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
  });
});

describe('memory', () => {
  test('a peer that is gone leaves no row, no set and no prefix behind', () => {
    const rib = ribOf();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    for (let i = 0; i < 3000; i++) x.says(announce([`10.${i >> 8}.${i & 255}.0/24`], { med: i }));
    x.says(announce([R]));
    y.listen();
    const reader = rib.bestPathReader();
    reader.read(5);
    rib.closePeer(x.id, []);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([]);
    reader.close();
    settle(rib);
    for (const family of ['ipv4', 'ipv6'] as const) {
      expect(rib.totals(family)).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
      expect(rib.counters(y.id, family)).toMatchObject({ exported: 0 });
    }
  });

  test('work stops at its deadline and goes on where it stopped', () => {
    const rib = ribOf();
    const x = new Neighbor(rib, client('x', 1));
    for (let i = 0; i < 3000; i += 300) {
      x.says(announce(Array.from({ length: 300 }, (_, j) => `10.${(i + j) >> 8}.${(i + j) & 255}.0/24`)));
    }
    rib.closePeer(x.id, []);
    let looks = 0;
    expect(rib.work(() => looks++ >= 2)).toBe(true);
    const left = rib.totals('ipv4').paths;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(3000);
    settle(rib);
    expect(rib.totals('ipv4').paths).toBe(0);
  });
});

describe('originated routes', () => {
  test('have ourselves as next hop, win over learned ones, and are compared with those before', () => {
    const rib = ribOf();
    const inside = new Neighbor(rib, client('inside', 1));
    const outside = new Neighbor(rib, external('outside', 2, 65002));
    inside.says(announce([P], { nextHop: '192.0.2.1' }));
    rib.setOriginated([
      { prefix: P, source: 'node-pods', communities: ['65000:1'] },
      { prefix: R, source: 'node-pods' },
    ]);
    for (const each of [inside, outside]) each.listen();
    expect(inside.routes.get(P)).toEqual({
      nextHop: '10.0.0.254',
      origin: 0,
      asPath: [],
      localPref: 100,
      communities: 'fde80001',
    });
    expect(outside.routes.get(P)).toEqual({
      nextHop: '10.0.0.254',
      origin: 0,
      asPath: [65000],
      communities: 'fde80001',
    });
    expect(outside.routes.get(R)?.nextHop).toBe('2001:db8::254');
    expect([...rib.routes({ prefix: P })]).toMatchObject([
      { peerName: 'node-pods', peerType: 'local', selected: 'best' },
      { peerName: 'inside', lostAt: 'locallyOriginated' },
    ]);
    const before = outside.messages;
    rib.setOriginated([{ prefix: P, source: 'node-pods', communities: ['65000:1'] }]);
    for (const each of [inside, outside]) each.listen();
    expect(outside.prefixes()).toEqual([P]);
    expect(outside.messages - before).toBe(1);
    rib.setOriginated([]);
    for (const each of [inside, outside]) each.listen();
    expect(inside.prefixes()).toEqual([]);
    expect(outside.routes.get(P)?.asPath).toEqual([65000]);
  });
});

describe('best path readers', () => {
  test('begin with everything, then hear each change once, in its present state', () => {
    const rib = ribOf({ maximumPaths: 2 });
    let hints = 0;
    rib.onBestPaths = () => hints++;
    const [x, y] = [new Neighbor(rib, external('x', 1, 65001)), new Neighbor(rib, external('y', 2, 65002))];
    x.says(announce([P, Q], { asPath: [65001], nextHop: '192.0.2.1' }));
    const reader = rib.bestPathReader();
    expect(reader.read(1)).toEqual([
      {
        family: 'ipv4',
        prefix: P,
        paths: [
          {
            nextHop: '192.0.2.1',
            peerName: 'x',
            peerType: 'eBGP',
            originatorId: undefined,
            asPath: [65001],
            stale: false,
          },
        ],
      },
    ]);
    expect(reader.read(10).map((change) => change.prefix)).toEqual([Q]);
    y.says(announce([P], { asPath: [65002], nextHop: '192.0.2.2' }));
    y.says(announce([Q], { asPath: [65002, 1], nextHop: '192.0.2.2' }));
    expect(hints).toBe(1);
    const changes = reader.read(10);
    expect(changes.map((change) => [change.prefix, change.paths.map((path) => path.nextHop)])).toEqual([
      [P, ['192.0.2.1', '192.0.2.2']],
    ]);
    x.says(withdraw([P, Q]));
    y.says(withdraw([Q]));
    expect(reader.read(10).map((change) => [change.prefix, change.paths.map((path) => path.peerName)])).toEqual([
      [P, ['y']],
      [Q, []],
    ]);
    expect(reader.read(10)).toEqual([]);
  });
});

describe('route queries', () => {
  const rib = ribOf();
  const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
  x.says(announce(['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0'], { med: 1 }));
  y.says(announce(['10.1.0.0/16'], { med: 2 }));
  x.says(announce([R, '::/0']));
  const texts = (query: Parameters<Rib['routes']>[0]) =>
    [...rib.routes(query)].map((route) => `${route.prefix} ${route.peerName}`).sort();

  test.each([
    [{ prefix: '10.1.0.0/16' }, ['10.1.0.0/16 x', '10.1.0.0/16 y']],
    [{ prefix: '10.1.0.0/16', peer: 'y' }, ['10.1.0.0/16 y']],
    [{ prefix: '10.1.0.0/17' }, []],
    [{ for: '10.1.2.3' }, ['10.1.0.0/16 x', '10.1.0.0/16 y']],
    [{ for: '10.2.2.3' }, ['10.0.0.0/8 x']],
    [{ for: '11.0.0.1' }, ['0.0.0.0/0 x']],
    [{ for: '2001:db8:1::5' }, [`${R} x`]],
    [{ for: '2001:db9::5' }, ['::/0 x']],
    [{ family: 'ipv6' as const }, [`${R} x`, '::/0 x'].sort()],
    [{ peer: 'y' }, ['10.1.0.0/16 y']],
  ])('%j', (query, found) => expect(texts(query)).toEqual(found));

  test('an iterator survives growth and deletion between its steps', () => {
    const grown = ribOf();
    const feeder = new Neighbor(grown, client('x', 1));
    feeder.says(announce([P, Q]));
    const iterator = grown.routes({});
    expect(iterator.next().value).toMatchObject({ prefix: P });
    feeder.says(withdraw([Q]));
    settle(grown);
    for (let i = 0; i < 70_000; i += 500) {
      const prefixes = Array.from(
        { length: 500 },
        (_, j) => `${10 + ((i + j) >> 16)}.${((i + j) >> 8) & 255}.${(i + j) & 255}.0/24`,
      );
      feeder.says(announce(prefixes));
    }
    expect([...iterator]).toHaveLength(70_000);
  });
});
