import { describe, expect, test } from 'vitest';
import type { FilteredRoute, FilterVerdict, RouteFilter } from '../../../bgp/index.ts';
import type { BgpFilter } from '../../../src/resources/bgp-filter.ts';
import { toRouteFilter, type Direction } from '../../../src/topology/route-filters.ts';
import { clusterOf, ours, routeOf } from '../../kit/cluster.ts';

interface Options {
  readonly direction?: Direction;
  readonly peerType?: 'iBGP' | 'eBGP';
  readonly defaultPolicy?: RouteFilter;
  readonly names?: readonly string[];
}

function filtersOf(specs: Record<string, string>): ReadonlyMap<string, BgpFilter> {
  return clusterOf(...Object.entries(specs).map(([name, spec]) => ours('BGPFilter', name, spec))).bgpFilters;
}

function filterOf(specs: Record<string, string>, options: Options = {}): RouteFilter | undefined {
  const { direction = 'import', peerType = 'eBGP', names = Object.keys(specs), defaultPolicy } = options;
  return toRouteFilter({ direction, peerType, names, filters: filtersOf(specs), defaultPolicy });
}

/** `accept RULE` or `reject RULE`. */
function verdictOf(filter: RouteFilter | undefined, route: FilteredRoute): string {
  const verdict = filter!.evaluate(route);
  return `${verdict.kind} ${verdict.rule}`;
}

/** One import rule that rejects what it matches. */
const matches = (rule: string, prefix: string, fields: Partial<FilteredRoute> = {}) => {
  const field = prefix.includes(':') ? 'importV6' : 'importV4';
  const filter = filterOf({ f: `{ ${field}: [{ action: Reject, ${rule} }] }` });
  return filter!.evaluate(routeOf(prefix, fields)).kind === 'reject';
};

describe('a rule matches by prefix', () => {
  test.each([
    ['cidr: 10.0.0.0/8, matchOperator: Equal', '10.0.0.0/8', true],
    ['cidr: 10.0.0.0/8, matchOperator: Equal', '10.0.0.0/9', false],
    ['cidr: 10.0.0.0/8, matchOperator: NotEqual', '10.0.0.0/8', false],
    ['cidr: 10.0.0.0/8, matchOperator: NotEqual', '10.0.0.0/9', true],
    ['cidr: 10.0.0.0/8, matchOperator: In', '10.0.0.0/8', true],
    ['cidr: 10.0.0.0/8, matchOperator: In', '10.255.1.0/24', true],
    ['cidr: 10.0.0.0/8, matchOperator: In', '0.0.0.0/0', false],
    ['cidr: 10.0.0.0/8, matchOperator: In', '11.0.0.0/8', false],
    ['cidr: 10.0.0.0/8, matchOperator: NotIn', '10.1.0.0/16', false],
    ['cidr: 10.0.0.0/8, matchOperator: NotIn', '0.0.0.0/0', true],
    ['cidr: 0.0.0.0/0, matchOperator: Equal', '0.0.0.0/0', true],
    ['cidr: 0.0.0.0/0, matchOperator: In', '192.0.2.1/32', true],
    ['cidr: 10.0.0.0/8, matchOperator: In, prefixLength: { min: 16 }', '10.0.0.0/15', false],
    ['cidr: 10.0.0.0/8, matchOperator: In, prefixLength: { min: 16 }', '10.0.0.0/16', true],
    ['cidr: 10.0.0.0/8, matchOperator: In, prefixLength: { max: 24 }', '10.0.0.0/24', true],
    ['cidr: 10.0.0.0/8, matchOperator: In, prefixLength: { max: 24 }', '10.0.0.0/25', false],
    ['cidr: 10.0.0.0/8, matchOperator: In, prefixLength: { min: 24, max: 24 }', '10.0.0.0/24', true],
    ["cidr: 'fd00::/8', matchOperator: In, prefixLength: { min: 64, max: 64 }", 'fd00:1::/64', true],
    ["cidr: 'fd00::/8', matchOperator: In, prefixLength: { min: 64, max: 64 }", 'fd00:1::/48', false],
    ["cidr: 'fd00::/8', matchOperator: In", 'fe00::/8', false],
  ])('%s  %s  %s', (rule, prefix, wanted) => {
    expect(matches(rule, prefix)).toBe(wanted);
  });
});

describe('a rule matches by attributes', () => {
  test.each<[string, Partial<FilteredRoute>, boolean]>([
    ['communities: { values: ["64512:1", "64512:2"] }', { communities: ['64512:2'] }, true],
    ['communities: { values: ["64512:1"] }', { communities: ['64512:2'] }, false],
    ['communities: { values: ["64512:1:1"] }', { largeCommunities: ['64512:1:1'] }, true],
    ['communities: { values: ["64512:1"] }', {}, false],
    ['communities: { values: [no-export] }', { communities: ['65535:65281'] }, true],
    ['communities: { values: ["64512:*"] }', { communities: ['1:1', '64512:77'] }, true],
    ['communities: { values: ["64512:*"] }', { largeCommunities: ['64512:1:1'] }, false],
    ['communities: { values: ["rt:64512:*"] }', { extendedCommunities: ['rt:64512:7'] }, true],
    ['communities: { values: ["soo:10.0.0.1:7"] }', { extendedCommunities: ['ro:10.0.0.1:7'] }, true],
    ["asPath: '* 65001'", { asPath: [7, 65001] }, true],
    ["asPath: '* 65001'", { asPath: [65001, 7] }, false],
    ['nextHop: 192.0.2.0/24', { nextHop: '192.0.2.7' }, true],
    ['nextHop: 192.0.2.0/24', { nextHop: '198.51.100.7' }, false],
    ["nextHop: 'fe80::/10'", { nextHop: 'fe80::1%eth0' }, true],
    ['interface: eth0', { peerInterface: 'eth0' }, true],
    ['interface: eth0', { peerInterface: 'eth01' }, false],
    ["interface: 'eth*'", { peerInterface: 'eth01' }, true],
    ["interface: '*'", { peerInterface: undefined }, false],
    ["interface: '*'", { peerInterface: 'bond0' }, true],
    ['asPathPrefix: [65001, 65000]', { asPath: [65001, 65000, 64512] }, true],
    ['asPathPrefix: [65001, 65000]', { asPath: [65001] }, false],
    ['asPathPrefix: [65000]', { asPath: [65001, 65000] }, false],
    // LOCAL_PREF 2147483647 less it, as Calico's nodes tell it; what an import rule gave goes before that.
    ['priority: 512', { localPref: 2147483135 }, true],
    ['priority: 512', { localPref: 512 }, false],
    ['priority: 512', { localPref: undefined }, false],
    ['priority: 512', { fibMetric: 512, localPref: 100 }, true],
    ['priority: 512', { fibMetric: 70, localPref: 2147483135 }, false],
    ['priority: 2147483646', { localPref: 1 }, true],
    ['source: RemotePeers', { peerType: 'eBGP' }, true],
    ['source: RemotePeers', { peerType: 'local' }, false],
    ['peerType: eBGP', {}, true],
    ['peerType: iBGP', {}, false],
    [
      'communities: { values: ["64512:1"] }, asPathPrefix: [65001]',
      { communities: ['64512:1'], asPath: [65002] },
      false,
    ],
  ])('%s  %o  %s', (rule, fields, wanted) => {
    expect(matches(rule, '10.0.0.0/24', fields)).toBe(wanted);
  });

  test('peerType is that of the session, also where the route came from elsewhere', () => {
    const filter = filterOf(
      { f: '{ exportV4: [{ action: Reject, peerType: iBGP }] }' },
      { direction: 'export', peerType: 'iBGP' },
    );
    expect(verdictOf(filter, routeOf('10.0.0.0/24', { peerType: 'local' }))).toBe('reject f exportV4[0]');
  });
});

describe('which rule decides', () => {
  const specs = {
    first:
      '{ importV4: [{ action: Reject, cidr: 10.1.0.0/16, matchOperator: In }, { action: Accept, cidr: 10.0.0.0/8, matchOperator: In }] }',
    second: '{ importV4: [{ action: Reject, cidr: 10.0.0.0/7, matchOperator: In }] }',
  };
  test.each([
    ['10.1.2.0/24', 'reject first importV4[0]'],
    ['10.2.0.0/16', 'accept first importV4[1]'],
    ['11.0.0.0/8', 'reject second importV4[0]'],
    ['192.0.2.0/24', 'accept default'],
    ['fd00::/8', 'accept default'],
  ])('the first that matches, over all filters in order: %s is %s', (prefix, wanted) => {
    expect(verdictOf(filterOf(specs), routeOf(prefix))).toBe(wanted);
  });

  test('the order of the filters is that of the BGPPeer', () => {
    const filter = filterOf(specs, { names: ['second', 'first'] });
    expect(verdictOf(filter, routeOf('10.1.2.0/24'))).toBe('reject second importV4[0]');
  });

  test('where no rule matches, the default policy decides', () => {
    const refusal: FilterVerdict = { kind: 'reject', rule: 'no' };
    const defaultPolicy: RouteFilter = { name: 'd', key: 'd', evaluate: () => refusal };
    const filter = filterOf(specs, { defaultPolicy });
    expect(verdictOf(filter, routeOf('192.0.2.0/24'))).toBe('reject no');
    expect(verdictOf(filter, routeOf('10.2.0.0/16'))).toBe('accept first importV4[1]');
  });

  test('a filter without rules for the direction is no filter', () => {
    expect(filterOf(specs, { direction: 'export' })).toBeUndefined();
    expect(filterOf({})).toBeUndefined();
  });

  test('a filter that is named but missing refuses everything', () => {
    const filter = filterOf(specs, { names: ['first', 'none-such'] });
    expect(verdictOf(filter, routeOf('10.2.0.0/16'))).toBe('accept first importV4[1]');
    expect(verdictOf(filter, routeOf('192.0.2.0/24'))).toBe('reject BGPFilter none-such is missing');
  });
});

test('operations become changes, in their order', () => {
  const filter = filterOf(
    {
      f: `{ exportV4: [{ action: Accept, operations: [
        { addCommunity: { value: '64512:1' } }, { prependASPath: { prefix: [65001] } }, { prependASPath: { prefix: [65002, 65003] } },
        { addCommunity: { value: '64512:1:2' } }, { setLocalPreference: { value: 50 } }, { setMED: { value: 7 } } ] }] }`,
    },
    { direction: 'export' },
  );
  expect(filter!.evaluate(routeOf('10.0.0.0/24'))).toEqual({
    kind: 'accept',
    rule: 'f exportV4[0]',
    changes: {
      addCommunities: ['64512:1', '64512:1:2'],
      prependAsPath: [65002, 65003, 65001],
      localPref: 50,
      med: 7,
    },
  });
});

describe('what setPriority comes to', () => {
  test.each<[Direction, string, object]>([
    ['import', '{ setPriority: { value: 50 } }', { fibMetric: 50 }],
    ['import', '{ setPriority: { value: 50 } }, { setPriority: { value: 60 } }', { fibMetric: 60 }],
    ['import', '{ setLocalPreference: { value: 7 } }, { setPriority: { value: 50 } }', { localPref: 7, fibMetric: 50 }],
    ['export', '{ setPriority: { value: 512 } }', { localPref: 2147483135 }],
    ['export', '{ setLocalPreference: { value: 7 } }, { setPriority: { value: 512 } }', { localPref: 2147483135 }],
    ['export', '{ setPriority: { value: 512 } }, { setLocalPreference: { value: 0 } }', { localPref: 0 }],
  ])('%s: %s', (direction, operations, changes) => {
    const filter = filterOf(
      { f: `{ ${direction}V4: [{ action: Accept, operations: [${operations}] }] }` },
      { direction },
    );
    expect(filter!.evaluate(routeOf('10.0.0.0/24'))).toHaveProperty('changes', changes);
  });
});

describe('what operations on communities come to', () => {
  const changesOf = (operations: string) => {
    const verdict = filterOf({ f: `{ importV4: [{ action: Accept, operations: [${operations}] }] }` })!.evaluate(
      routeOf('10.0.0.0/24'),
    );
    const { removesCommunity, ...rest } = (verdict.kind === 'accept' && verdict.changes) || {};
    const removed = ['1:1', '1:2', '1:2:3', 'rt:1:1'].filter((community) => removesCommunity?.(community));
    return { ...rest, ...(removed.length > 0 && { removed }) };
  };

  test.each([
    ['{ addCommunity: { value: no-advertise } }', { addCommunities: ['65535:65282'] }],
    ["{ addCommunity: { value: '!lb:64512:1250000001' } }", { addCommunities: ['!lb:64512:1250000000'] }],
    ["{ removeCommunity: { value: '1:1' } }", { removed: ['1:1'] }],
    ["{ removeCommunity: { value: '1:*' } }", { removed: ['1:1', '1:2'] }],
    [
      "{ removeCommunity: { value: '*:*:*' } }, { removeCommunity: { value: 'rt:1:*' } }",
      { removed: ['1:2:3', 'rt:1:1'] },
    ],
    [
      "{ removeCommunity: { value: '1:1' } }, { addCommunity: { value: '1:1' } }",
      { addCommunities: ['1:1'], removed: ['1:1'] },
    ],
    ["{ addCommunity: { value: '1:1' } }, { removeCommunity: { value: '1:*' } }", { removed: ['1:1', '1:2'] }],
    [
      "{ addCommunity: { value: '1:1' } }, { addCommunity: { value: '1:1:1' } }, { setCommunities: { values: ['2:2', 'rt:2:2'] } }",
      { clearCommunities: ['standard', 'extended'], addCommunities: ['1:1:1', '2:2', 'rt:2:2'] },
    ],
  ])('%s', (operations, expected) => expect(changesOf(operations)).toEqual(expected));
});

describe('the key', () => {
  const key = (spec: string, options: Options = {}) => filterOf({ f: spec }, options)!.key;
  const spec = '{ importV4: [{ action: Reject, cidr: 10.0.0.0/8, matchOperator: In }] }';

  test('is equal for equal rules', () => {
    expect(key(spec)).toBe(key(spec));
  });

  test('does not change with rules of the other direction', () => {
    expect(key(spec.replace(/}$/, ', exportV4: [{ action: Reject }] }'))).toBe(key(spec));
  });

  test.each<[string, string, Options]>([
    ['a rule', spec.replace('10.0.0.0/8', '10.0.0.0/9'), {}],
    ['the type of the session', spec, { peerType: 'iBGP' }],
    [
      'the default policy',
      spec,
      { defaultPolicy: { name: '', key: 'other', evaluate: () => ({ kind: 'accept', rule: '' }) } },
    ],
  ])('changes with %s', (_, changed, options) => {
    expect(key(changed, options)).not.toBe(key(spec));
  });
});
