import { describe, expect, test } from 'vitest';
import type { LocalOffer } from '../../../bgp/session/negotiate.ts';
import { negotiate, toOpen } from '../../../bgp/session/negotiate.ts';
import type { Capabilities } from '../../../bgp/wire/capabilities.ts';
import type { Open } from '../../../bgp/wire/open.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import { toHex } from '../kit/hex.ts';

const ours: LocalOffer = {
  localAs: 65001,
  bgpIdentifier: Uint8Array.of(10, 0, 0, 1),
  remoteAs: 65002,
  families: ['ipv4', 'ipv6'],
  extendedNextHop: false,
  holdTimeSeconds: 90,
  keepaliveTimeSeconds: undefined,
  restartTimeSeconds: 120,
  restarting: false,
  forwardingPreserved: false,
};

const oldSpeaker: Capabilities = {
  families: undefined,
  routeRefresh: false,
  extendedNextHop: false,
  extendedMessage: false,
  fourOctetAs: undefined,
  gracefulRestart: undefined,
  longLivedRestart: undefined,
  enhancedRouteRefresh: false,
  addPath: [],
  roles: [],
  others: [],
};

function theirs(changes: Partial<Open> = {}, capabilities: Partial<Capabilities> = {}): Open {
  return {
    asNumberField: 65002,
    holdTimeSeconds: 180,
    bgpIdentifier: Uint8Array.of(10, 0, 0, 2),
    capabilities: { ...oldSpeaker, ...capabilities },
    ...changes,
  };
}

test('a peer that knows only RFC 4271: IPv4 unicast, 2-octet AS numbers', () => {
  expect(negotiate(ours, theirs())).toMatchObject({
    remoteAs: 65002,
    remoteRouterId: '10.0.0.2',
    families: ['ipv4'],
    fourOctetAs: false,
    extendedMessage: false,
    routeRefresh: false,
    gracefulRestart: undefined,
    holdTimeSeconds: 90,
    keepaliveTimeSeconds: 30,
  });
});

test('RFC 6793 §4.1: the AS number in the capability counts, not the field', () => {
  const open = theirs({ asNumberField: 23456 }, { fourOctetAs: 4_200_000_000 });
  expect(negotiate({ ...ours, remoteAs: 4_200_000_000 }, open)).toMatchObject({
    remoteAs: 4_200_000_000,
    fourOctetAs: true,
  });
});

test('both families where both offer them, in our order', () => {
  expect(negotiate(ours, theirs({}, { families: ['ipv6', 'ipv4'] })).families).toEqual(['ipv4', 'ipv6']);
});

test.each<[string, number, number, number | undefined, number, number]>([
  ['the smaller hold time, and a third of it', 90, 30, undefined, 30, 10],
  ['our own keepalive time', 90, 180, 5, 90, 5],
  ['RFC 4271 §4.4: never less often than a third of the hold time', 90, 30, 60, 30, 10],
  ['none, where one says 0', 90, 0, 60, 0, 0],
])('timers: %s', (_, local, remote, keepaliveTimeSeconds, hold, keepalive) => {
  const offer = { ...ours, holdTimeSeconds: local, keepaliveTimeSeconds };
  expect(negotiate(offer, theirs({ holdTimeSeconds: remote }))).toMatchObject({
    holdTimeSeconds: hold,
    keepaliveTimeSeconds: keepalive,
  });
});

test('graceful restart counts only where we offer it ourselves', () => {
  const gracefulRestart = { restarting: false, notification: false, restartTimeSeconds: 60, families: [] };
  expect(negotiate(ours, theirs({}, { gracefulRestart })).gracefulRestart).toEqual(gracefulRestart);
  expect(
    negotiate({ ...ours, restartTimeSeconds: 0 }, theirs({}, { gracefulRestart })).gracefulRestart,
  ).toBeUndefined();
});

describe('RFC 7911 §5: several paths only where one side sends and the other receives, by family', () => {
  const both = { receive: true, sendMaximum: Infinity };
  const entry = (family: 'ipv4' | 'ipv6', receive: boolean, send: boolean) => ({ family, receive, send });
  test.each<[string, LocalOffer['addPaths'], Capabilities['addPath'], string[], string[]]>([
    [
      'both directions',
      both,
      [entry('ipv4', true, true), entry('ipv6', true, true)],
      ['ipv4', 'ipv6'],
      ['ipv4', 'ipv6'],
    ],
    ['each its own', both, [entry('ipv4', true, false), entry('ipv6', false, true)], ['ipv6'], ['ipv4']],
    ['we only receive', { receive: true, sendMaximum: 0 }, [entry('ipv4', true, true)], ['ipv4'], []],
    ['we only send', { receive: false, sendMaximum: 2 }, [entry('ipv4', true, true)], [], ['ipv4']],
    ['both only receive', { receive: true, sendMaximum: 0 }, [entry('ipv4', true, false)], [], []],
    ['the peer has no such capability', both, [], [], []],
    ['we offer none', undefined, [entry('ipv4', true, true)], [], []],
  ])('%s', (_, addPaths, addPath, receive, send) => {
    const open = theirs({}, { families: ['ipv4', 'ipv6'], addPath });
    expect(negotiate({ ...ours, addPaths }, open).addPath).toEqual({ receive, send });
  });

  test('not of a family that is not common to both', () => {
    const open = theirs({}, { families: ['ipv4'], addPath: [entry('ipv6', true, true)] });
    expect(negotiate({ ...ours, addPaths: both }, open).addPath).toEqual({ receive: [], send: [] });
  });

  test('the capability that we send', () => {
    const capability = (addPaths: LocalOffer['addPaths']) => toOpen({ ...ours, addPaths }).capabilities.addPath;
    expect(capability(undefined)).toEqual([]);
    expect(capability({ receive: false, sendMaximum: 0 })).toEqual([]);
    expect(capability({ receive: true, sendMaximum: 0 })).toEqual([
      entry('ipv4', true, false),
      entry('ipv6', true, false),
    ]);
    expect(capability({ receive: false, sendMaximum: 3 })).toEqual([
      entry('ipv4', false, true),
      entry('ipv6', false, true),
    ]);
  });
});

test('RFC 9494 §4.2, §4.5: long-lived graceful restart counts where both offer it, with the other capability, for no longer than we say', () => {
  const gracefulRestart = { restarting: false, notification: false, restartTimeSeconds: 0, families: [] };
  const entry = { family: 'ipv4' as const, forwardingPreserved: true, staleSeconds: 900 };
  const offered = theirs({}, { gracefulRestart, longLivedRestart: [entry] });
  const long = { ...ours, restartTimeSeconds: 0, longLivedStaleSeconds: 600 };
  expect(negotiate(long, offered)).toMatchObject({
    gracefulRestart,
    longLivedRestart: [{ ...entry, staleSeconds: 600 }],
  });
  expect(negotiate(ours, offered).longLivedRestart).toEqual([]);
  expect(negotiate(long, theirs({}, { longLivedRestart: [entry] })).longLivedRestart).toEqual([]);
  expect(toOpen(long).capabilities).toMatchObject({
    gracefulRestart: { restartTimeSeconds: 0, notification: true },
    longLivedRestart: [
      { family: 'ipv4', forwardingPreserved: false, staleSeconds: 600 },
      { family: 'ipv6', forwardingPreserved: false, staleSeconds: 600 },
    ],
  });
});

describe('RFC 4271 §6.2: an OPEN that does not suit', () => {
  const noIdentifier = Uint8Array.of(0, 0, 0, 0);
  test.each<[string, LocalOffer, Open, number, string, string]>([
    ['another AS', ours, theirs({ asNumberField: 65009 }), 2, '', 'expected 65002, got 65009'],
    ['RFC 7607: AS 0', { ...ours, remoteAs: 0 }, theirs({ asNumberField: 0 }), 2, '', 'expected 0, got 0'],
    ['identifier 0.0.0.0', ours, theirs({ bgpIdentifier: noIdentifier }), 3, '', '0.0.0.0'],
    ['a hold time of 1', ours, theirs({ holdTimeSeconds: 1 }), 6, '', 'a hold time of 1 s; 0 or at least 3'],
    ['a hold time of 2', ours, theirs({ holdTimeSeconds: 2 }), 6, '', 'a hold time of 2 s; 0 or at least 3'],
    [
      'RFC 5492 §5: no family in common',
      { ...ours, families: ['ipv6'] },
      theirs(),
      7,
      '010400020001',
      'none of our address families (ipv6) is offered',
    ],
  ])('%s', (_, offer, open, subcode, data, message) => {
    let thrown: unknown;
    try {
      negotiate(offer, open);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProtocolError);
    const { code, subcode: found, data: bytes, message: text } = thrown as ProtocolError;
    expect({ code, subcode: found, data: toHex(bytes), message: text }).toEqual({ code: 2, subcode, data, message });
  });

  test('RFC 6286 §2.2: our own identifier is refused within our AS, and welcome from another', () => {
    const same = theirs({ bgpIdentifier: ours.bgpIdentifier });
    expect(negotiate(ours, same).remoteRouterId).toBe('10.0.0.1');
    const internal = { ...ours, remoteAs: 65001 };
    expect(() => negotiate(internal, { ...same, asNumberField: 65001 })).toThrow('10.0.0.1 is our own');
  });
});

test('what we offer: AS_TRANS in the field, the R bit while we restart, no graceful restart with a time of 0', () => {
  const open = toOpen({ ...ours, localAs: 4_200_000_000, restarting: true, forwardingPreserved: true });
  expect(open).toMatchObject({
    asNumberField: 23456,
    capabilities: {
      fourOctetAs: 4_200_000_000,
      gracefulRestart: {
        restarting: true,
        restartTimeSeconds: 120,
        families: [
          { family: 'ipv4', forwardingPreserved: true },
          { family: 'ipv6', forwardingPreserved: true },
        ],
      },
    },
  });
  expect(toOpen({ ...ours, restartTimeSeconds: 0 }).capabilities.gracefulRestart).toBeUndefined();
});

test.each([
  [true, true, ['ipv4', 'ipv6'], true],
  [true, false, ['ipv4', 'ipv6'], false],
  [false, true, ['ipv4', 'ipv6'], false],
  // It speaks of IPv4 routes.
  [true, true, ['ipv6'], false],
] as const)(
  'RFC 8950 §4: offered %s, by the peer %s, families %j: %s',
  (extendedNextHop, theirsToo, families, both) => {
    const offer = { ...ours, extendedNextHop, families };
    const open = theirs({}, { families: ['ipv4', 'ipv6'], extendedNextHop: theirsToo });
    expect(negotiate(offer, open).extendedNextHop).toBe(both);
    expect(toOpen(offer).capabilities.extendedNextHop).toBe(extendedNextHop && families.length === 2);
  },
);

test.each([
  [65002, 65002],
  [65003, 65003],
  [65001, '2/2 expected any but our own 65001, got 65001'],
  [0, '2/2 expected any but our own 65001, got 0'],
])('any AS number but ours: AS %d comes', (asNumberField, expected) => {
  const outcome = () => {
    try {
      return negotiate({ ...ours, remoteAs: 'external' }, theirs({ asNumberField })).remoteAs;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return `${error.code}/${error.subcode} ${error.message}`;
    }
  };
  expect(outcome()).toBe(expected);
});

describe('RFC 9234 §4.2: roles', () => {
  const names = ['provider', 'routeServer', 'routeServerClient', 'customer', 'peer'] as const;
  const pairs = [
    'provider customer',
    'customer provider',
    'routeServer routeServerClient',
    'routeServerClient routeServer',
  ];
  const refusal = (role: LocalOffer['role'], roles: readonly number[]) => {
    try {
      negotiate({ ...ours, role }, theirs({}, { roles }));
      return 'accepted';
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return `${error.code}/${error.subcode}: ${error.message}`;
    }
  };

  test('of 25 pairs five are right; every other is a role mismatch, 2/11', () => {
    const accepted = names.flatMap((role) =>
      names.flatMap((theirs, code) => {
        const outcome = refusal({ role, strict: false }, [code]);
        if (outcome !== 'accepted') expect(outcome).toMatch(/^2\/11: we are /);
        return outcome === 'accepted' ? [`${role} ${theirs}`] : [];
      }),
    );
    expect(accepted.sort()).toEqual([...pairs, 'peer peer'].sort());
  });

  test.each<[string, LocalOffer['role'], readonly number[], string]>([
    ['the peer tells none', { role: 'provider', strict: false }, [], 'accepted'],
    [
      'the peer tells none, strict mode',
      { role: 'provider', strict: true },
      [],
      '2/11: we are provider and expect customer, none is told',
    ],
    [
      'the peer contradicts itself',
      { role: 'provider', strict: false },
      [3, 4],
      '2/11: we are provider and expect customer, got customer and peer',
    ],
    [
      'a role that there is not',
      { role: 'customer', strict: false },
      [9],
      '2/11: we are customer and expect provider, got role 9',
    ],
    ['we have none: whatever the peer tells', undefined, [0, 4], 'accepted'],
  ])('%s', (_name, role, roles, outcome) => expect(refusal(role, roles)).toBe(outcome));

  test('our role is offered, and none where we have none', () => {
    expect(toOpen({ ...ours, role: { role: 'customer', strict: true } }).capabilities.roles).toEqual([3]);
    expect(toOpen(ours).capabilities.roles).toEqual([]);
  });
});
