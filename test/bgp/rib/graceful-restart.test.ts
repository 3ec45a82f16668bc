/** Routes of a peer that restarts: kept, fresh, swept; and nothing told while we restart. */

import { describe, expect, test } from 'vitest';
import { Neighbor, announce, client, ribOf, settle } from './kit.ts';

const P = '192.168.1.0/24';
const Q = '192.168.2.0/24';
const R = '2001:db8:1::/48';

describe('graceful restart (RFC 4724)', () => {
  const story = () => {
    const rib = ribOf();
    const settings = client('x', 1);
    const x = new Neighbor(rib, settings);
    const y = new Neighbor(rib, client('y', 2));
    x.says(announce([P, Q]));
    x.says(announce([R]));
    y.listen();
    return { rib, settings, x, y };
  };

  test('kept families stay as stale and are told no withdraw; the others go', () => {
    const { rib, x, y } = story();
    rib.closePeer(x.id, ['ipv4']);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P, Q]);
    expect([...rib.routes({})].map((route) => route.stale)).toEqual([true, true]);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({ stale: 2, imported: 2 });
  });

  test('what the returned peer does not say again goes at its End-of-RIB', () => {
    const { rib, settings, x, y } = story();
    rib.closePeer(x.id, ['ipv4', 'ipv6']);
    const back = new Neighbor(rib, settings);
    expect(back.id).toBe(x.id);
    back.says(announce([P]));
    y.listen();
    expect(y.withdrawals).toBe(0);
    expect(rib.counters(back.id, 'ipv4')).toMatchObject({ stale: 1 });
    rib.endOfRib(back.id, 'ipv4');
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P, R]);
    rib.endOfRib(back.id, 'ipv6');
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    expect(y.announcements).toBe(3);
  });

  test('a second restart deletes what was stale from the first', () => {
    const { rib, settings, x, y } = story();
    rib.closePeer(x.id, ['ipv4']);
    const back = new Neighbor(rib, settings);
    back.says(announce([P]));
    rib.closePeer(back.id, ['ipv4']);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([P]);
    expect([...rib.routes({})]).toMatchObject([{ prefix: P, stale: true }]);
  });

  test('the end of the restart timer removes what is kept, and forgets the peer', () => {
    const { rib, settings, x, y } = story();
    rib.closePeer(x.id, ['ipv4', 'ipv6']);
    for (const family of ['ipv4', 'ipv6'] as const) rib.dropStale(x.id, family);
    settle(rib);
    expect(y.listen().prefixes()).toEqual([]);
    expect(new Neighbor(rib, settings).id).not.toBe(x.id);
  });

  test('deferral: nobody is told anything until it ends, then End-of-RIB follows everything', () => {
    const rib = ribOf();
    const hints: number[] = [];
    rib.onOutput = (id) => hints.push(id);
    rib.setDeferral(true);
    const reader = rib.bestPathReader();
    const [x, y] = [new Neighbor(rib, client('x', 1)), new Neighbor(rib, client('y', 2))];
    x.says(announce([P]));
    expect([rib.hasOutput(y.id), rib.takeOutput(y.id, 1000), reader.read(10), hints]).toEqual([false, [], [], []]);
    rib.setDeferral(false);
    expect(hints).toEqual([x.id, y.id]);
    y.listen();
    expect([y.prefixes(), y.endOfRib]).toEqual([[P], ['ipv4', 'ipv6']]);
    expect(reader.read(10)).toHaveLength(1);
  });
});
