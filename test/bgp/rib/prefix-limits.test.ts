/** Limits on the routes of a peer: who is let in, who is beyond, what is told. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RouteFilter } from '../../../bgp/filter/filter.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { RibPeer } from '../../../bgp/rib/rib-types.ts';
import type { PrefixLimit } from '../../../bgp/settings.ts';
import { Neighbor, announce, client, local, policy, settle, withdraw } from './kit.ts';

const prefix = (n: number) => `10.0.${n}.0/24`;
const prefixes = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => prefix(from + i));

function limitOf(changes: Partial<PrefixLimit> = {}): PrefixLimit {
  return {
    kind: 'receive',
    family: 'ipv4',
    maximum: 3,
    warningPercent: 100,
    action: 'discard',
    restartSeconds: 60,
    ...changes,
  };
}

function withLimit(changes: Partial<PrefixLimit> = {}, differing: Partial<RibPeer> = {}) {
  const rib = new Rib({ local });
  const x = new Neighbor(rib, client('x', 1, { limits: [limitOf(changes)], ...differing }));
  const y = new Neighbor(rib, client('y', 2));
  return { rib, x, y };
}

const beyond = (rib: Rib) =>
  [...rib.routes({ filtered: true })].map((route) => `${route.prefix} ${route.lostAt}`).sort();

/** Accepts prefixes whose third number is even. */
const even = (key = 'even'): RouteFilter => ({
  name: key,
  key,
  evaluate: ({ prefixBytes }) =>
    prefixBytes[2] % 2 === 0 ? { kind: 'accept', rule: 'even' } : { kind: 'reject', rule: 'odd' },
});

describe('discard', () => {
  test('those that came first stay; the others are kept, shown, and let in when there is room', () => {
    const { rib, x, y } = withLimit();
    x.says(announce(prefixes(1, 5)));
    expect(y.listen().prefixes()).toEqual(prefixes(1, 3));
    expect(beyond(rib)).toEqual([`${prefix(4)} beyondReceiveLimit`, `${prefix(5)} beyondReceiveLimit`]);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({
      imported: 3,
      filtered: 2,
      limits: [{ kind: 'receive', maximum: 3, count: 3, discarded: 2, state: 'exceeded' }],
    });
    x.says(withdraw([prefix(2)]));
    settle(rib);
    expect(y.listen().prefixes()).toHaveLength(3);
    expect(rib.counters(x.id, 'ipv4').limits).toMatchObject([{ count: 3, discarded: 1 }]);
    x.says(withdraw([prefix(1)]));
    settle(rib);
    expect(y.listen().prefixes()).toEqual(prefixes(3, 5));
    expect(rib.counters(x.id, 'ipv4').limits).toMatchObject([{ count: 3, discarded: 0, state: 'warning' }]);
  });

  test('a route that is told again keeps its place, with other attributes or the same, in or out', () => {
    const { rib, x, y } = withLimit();
    x.says(announce(prefixes(1, 4)));
    y.listen();
    const { announcements } = y;
    x.says(announce(prefixes(1, 4)));
    expect(y.listen().announcements).toBe(announcements);
    x.says(announce(prefixes(1, 4), { med: 7 }));
    expect(y.listen().prefixes()).toEqual(prefixes(1, 3));
    expect(y.routes.get(prefix(1))?.med).toBe(7);
    expect(beyond(rib)).toEqual([`${prefix(4)} beyondReceiveLimit`]);
    expect(y.withdrawals).toBe(0);
  });

  test('the import limit counts what the filter lets in', () => {
    const { rib, x, y } = withLimit({ kind: 'import' }, { importFilter: even() });
    x.says(announce(prefixes(1, 9)));
    expect(y.listen().prefixes()).toEqual([prefix(2), prefix(4), prefix(6)]);
    expect(beyond(rib).filter((line) => line.endsWith('Limit'))).toEqual([`${prefix(8)} beyondImportLimit`]);
    // A filter that lets everything in: the three stay, no other is let in.
    rib.setPolicy(x.id, policy({ limits: [limitOf({ kind: 'import' })] }));
    settle(rib);
    expect(y.listen().prefixes()).toEqual([prefix(2), prefix(4), prefix(6)]);
    expect(rib.counters(x.id, 'ipv4').limits).toMatchObject([{ count: 3, discarded: 6 }]);
  });

  test('a filtered route makes room under the import limit', () => {
    const { rib, x, y } = withLimit({ kind: 'import' });
    x.says(announce(prefixes(1, 6)));
    expect(y.listen().prefixes()).toEqual(prefixes(1, 3));
    rib.setPolicy(x.id, policy({ limits: [limitOf({ kind: 'import' })], importFilter: even() }));
    settle(rib);
    expect(y.listen().prefixes()).toEqual([prefix(2), prefix(4), prefix(6)]);
  });

  test('a limit that is raised, lowered, or taken away counts at once', () => {
    const { rib, x, y } = withLimit();
    const change = (limits: readonly PrefixLimit[]) => {
      rib.setPolicy(x.id, policy({ limits }));
      settle(rib);
      return y.listen().prefixes().length;
    };
    x.says(announce(prefixes(1, 6)));
    expect(y.listen().prefixes()).toHaveLength(3);
    expect(change([limitOf({ maximum: 5 })])).toBe(5);
    expect(change([limitOf({ maximum: 2 })])).toBe(2);
    expect(change([])).toBe(6);
    expect(beyond(rib)).toEqual([]);
    x.says(withdraw(prefixes(1, 6)));
    settle(rib);
    expect(rib.totals('ipv4')).toMatchObject({ prefixes: 0, paths: 0, attributes: 0 });
  });

  test('families have limits of their own', () => {
    const { rib, x, y } = withLimit({ family: 'ipv6', maximum: 1 });
    x.says(announce(prefixes(1, 5)));
    x.says(announce(['2001:db8:1::/48', '2001:db8:2::/48']));
    expect(y.listen().prefixes()).toEqual([...prefixes(1, 5), '2001:db8:1::/48']);
    expect(rib.counters(x.id, 'ipv4').limits).toEqual([]);
  });

  test('RFC 4724: through a restart each keeps its place; those that go make room for the others', () => {
    const { rib, x, y } = withLimit();
    x.says(announce(prefixes(1, 4)));
    y.listen();
    rib.closePeer(x.id, ['ipv4']);
    settle(rib);
    expect(y.listen().prefixes()).toEqual(prefixes(1, 3));
    const again = new Neighbor(rib, client('x', 1, { limits: [limitOf()] }));
    again.says(announce([6, 5, 4, 3].map(prefix)));
    settle(rib);
    expect(y.listen().prefixes()).toEqual(prefixes(1, 3));
    rib.endOfRib(again.id, 'ipv4');
    settle(rib);
    expect(y.listen().prefixes()).toHaveLength(3);
    expect(y.prefixes()).toContain(prefix(3));
    expect(y.prefixes()).not.toContain(prefix(1));
    expect(beyond(rib)).toHaveLength(1);
  });

  test('RFC 4724: what is stale does not count where the limit would end the session', () => {
    const { rib, x } = withLimit({ action: 'restart' });
    x.says(announce(prefixes(1, 3)));
    rib.closePeer(x.id, ['ipv4']);
    const again = new Neighbor(rib, client('x', 1, { limits: [limitOf({ action: 'restart' })] }));
    expect(again.says(announce(prefixes(4, 6)))).toMatchObject({ limits: [{ state: 'warning', count: 3 }] });
    expect(again.says(announce([prefix(1)]))).toMatchObject({ limits: [{ state: 'exceeded', count: 4 }] });
  });

  test('RFC 7313: a refresh in another order changes nothing', () => {
    const { rib, x, y } = withLimit();
    x.says(announce(prefixes(1, 5)));
    y.listen();
    const { announcements } = y;
    rib.beginRefresh(x.id, 'ipv4');
    for (const n of [5, 4, 3, 2, 1]) x.says(announce([prefix(n)]));
    rib.endOfRib(x.id, 'ipv4');
    settle(rib);
    expect([y.listen().prefixes(), y.announcements, y.withdrawals]).toEqual([prefixes(1, 3), announcements, 0]);
    expect(beyond(rib)).toHaveLength(2);
  });

  test('whatever is told and withdrawn: never more than the limit, never fewer than could be, and all counts are true', () => {
    const step = fc.record({
      withdrawn: fc.boolean(),
      first: fc.integer({ min: 1, max: 12 }),
      count: fc.integer({ min: 0, max: 5 }),
    });
    const kinds = fc.constantFrom<PrefixLimit['kind']>('receive', 'import');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 6 }), kinds, (steps, maximum, kind) => {
        const { rib, x, y } = withLimit({ kind, maximum }, { importFilter: even() });
        const told = new Set<string>();
        for (const { withdrawn, first, count } of steps) {
          const some = prefixes(first, first + count);
          x.says(withdrawn ? withdraw(some) : announce(some));
          for (const each of some)
            if (withdrawn) told.delete(each);
            else told.add(each);
          settle(rib);
          const passing = [...told].filter((text) => Number(text.split('.')[2]) % 2 === 0);
          const { limits, imported, filtered } = rib.counters(x.id, 'ipv4');
          expect(imported + filtered).toBe(told.size);
          expect(imported).toBe([...rib.routes({ peer: 'x' })].length);
          const discarded = beyond(rib).filter((line) => line.endsWith('Limit')).length;
          expect(limits[0].discarded).toBe(discarded);
          if (kind === 'import') {
            expect(imported).toBe(Math.min(maximum, passing.length));
            expect(discarded).toBe(passing.length - imported);
          } else expect(discarded).toBe(Math.max(0, told.size - maximum));
          expect(y.listen().prefixes()).toHaveLength(imported);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('what is told of a limit', () => {
  const states = (results: readonly ReturnType<Neighbor['says']>[]) =>
    results.flatMap(({ limits = [] }) => limits.map(({ state, count }) => `${state} ${count}`));

  test('each change once: near, exceeded, below again', () => {
    const { rib, x } = withLimit({ maximum: 4, warningPercent: 75, action: 'warn' });
    const results = [
      x.says(announce(prefixes(1, 2))),
      x.says(announce([prefix(3)])),
      x.says(announce([prefix(4)])),
      x.says(announce(prefixes(5, 6))),
      x.says(announce(prefixes(7, 8))),
      x.says(withdraw(prefixes(2, 8))),
    ];
    expect(states(results)).toEqual(['warning 3', 'exceeded 6', 'below 1']);
    expect(rib.counters(x.id, 'ipv4')).toMatchObject({ imported: 1, limits: [{ state: 'below', discarded: 0 }] });
  });

  test('settings that leave a limit as it is tell nothing again; another limit is told of', () => {
    const { rib, x } = withLimit({ action: 'warn' });
    expect(states([x.says(announce(prefixes(1, 4)))])).toEqual(['exceeded 4']);
    rib.setPolicy(x.id, policy({ limits: [limitOf({ action: 'warn' })] }));
    expect(rib.limitChanges(x.id)).toEqual([]);
    rib.setPolicy(x.id, policy({ limits: [limitOf({ action: 'warn', maximum: 2 })] }));
    expect(rib.limitChanges(x.id)).toMatchObject([{ state: 'exceeded', maximum: 2, count: 4 }]);
  });
});
