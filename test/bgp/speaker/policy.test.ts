/** What operators ask of sessions beyond filters, as stories of whole speakers. */

import { describe, expect, test } from 'vitest';
import type { NeighborSettings, PrefixLimit, SpeakerSettings } from '../../../bgp/settings.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const toA = `to-${A}`;
const toB = `to-${B}`;

describe('RFC 8212: an eBGP peer without a policy', () => {
  const silent = { importFilter: undefined, exportFilter: undefined };

  async function pair(asOfB: number) {
    const world = new VirtualWorld();
    const bare = settings(A, 65001, [neighbor(B, asOfB, silent)], { originated: originated('10.1.0.0/24') });
    const a = await startSpeaker(world, bare);
    const b = await startSpeaker(
      world,
      settings(B, asOfB, [neighbor(A, 65001)], { originated: originated('10.2.0.0/24') }),
    );
    world.seconds(1);
    return { world, a, b, bare };
  }

  test('is told nothing, and what it tells takes no part, with the reason', async () => {
    const { a, b } = await pair(65002);
    expect(peerOf(a, toB)).toMatchObject({
      state: 'established',
      families: [{ imported: 0, filtered: 1, exported: 0 }],
    });
    expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods']);
    expect([...a.speaker.routes({ filtered: true })]).toMatchObject([
      { prefix: '10.2.0.0/24', lostAt: 'filtered', rule: 'no import policy (RFC 8212)' },
    ]);
    expect(routesOf(b)).toEqual(['10.2.0.0/24 from node-pods']);
    expect(b.endsOfRib).toEqual([`${toA} ipv4`]);
  });

  test('has its routes at once when a policy is given, without a new session', async () => {
    const { world, a, b, bare } = await pair(65002);
    expect(a.speaker.configure({ ...bare, neighbors: [neighbor(B, 65002)] }).reset).toEqual([]);
    world.seconds(1);
    expect(routesOf(a)).toContain(`10.2.0.0/24 from ${toB}`);
    expect(routesOf(b)).toContain(`10.1.0.0/24 from ${toA}`);
  });

  test('an iBGP peer needs none', async () => {
    const { a, b } = await pair(65001);
    expect(routesOf(a)).toContain(`10.2.0.0/24 from ${toB}`);
    expect(routesOf(b)).toContain(`10.1.0.0/24 from ${toA}`);
  });
});

/** A (AS 65001) and B (AS 65002), with what differs. */
async function pair(
  ofA: Partial<NeighborSettings>,
  ofB: Partial<NeighborSettings> = {},
  fromB: readonly string[] = ['10.2.0.0/24'],
) {
  const world = new VirtualWorld();
  const given = settings(A, 65001, [neighbor(B, 65002, ofA)], { originated: originated('10.1.0.0/24') });
  const givenB = settings(B, 65002, [neighbor(A, 65001, ofB)], { originated: originated(...fromB) });
  const a = await startSpeaker(world, given);
  const b = await startSpeaker(world, givenB);
  world.seconds(1);
  const configure = (changes: Partial<NeighborSettings>, speaker: Partial<SpeakerSettings> = {}) => {
    const result = a.speaker.configure({ ...given, ...speaker, neighbors: [neighbor(B, 65002, changes)] });
    world.seconds(1);
    return result;
  };
  return { world, a, b, given, givenB, configure };
}

describe('RFC 9234: roles', () => {
  test('a provider and its customer: each shows what the other is, and our routes are marked', async () => {
    const { a, b } = await pair({ role: 'provider', roleStrict: true }, { role: 'customer' });
    expect(peerOf(a, toB)).toMatchObject({ state: 'established' });
    expect(peerOf(a, toB).remoteCapabilities).toContain('BGP role customer');
    expect(peerOf(a, toB).localCapabilities).toContain('BGP role provider');
    expect(routesOf(a)).toContain(`10.2.0.0/24 from ${toB}`);
    expect(routesOf(b)).toContain(`10.1.0.0/24 from ${toA}`);
  });

  test.each<[string, Partial<NeighborSettings>, Partial<NeighborSettings>]>([
    ['two providers', { role: 'provider' }, { role: 'provider' }],
    ['strict, and the peer tells none', { role: 'provider', roleStrict: true }, {}],
  ])('%s: a role mismatch, and no session', async (_name, ofA, ofB) => {
    const { a, b } = await pair(ofA, ofB);
    const reasons = [peerOf(a, toB), peerOf(b, toA)].map(({ state, lastNotification }) => [
      state === 'established',
      lastNotification?.includes('OPEN error: role mismatch (2/11)'),
    ]);
    expect(reasons.map(([up]) => up)).toEqual([false, false]);
    expect(reasons.some(([, told]) => told)).toBe(true);
  });

  test('within the AS no role is told', async () => {
    const world = new VirtualWorld();
    const a = await startSpeaker(world, settings(A, 65001, [neighbor(B, 65001, { role: 'peer', roleStrict: true })]));
    await startSpeaker(world, settings(B, 65001, [neighbor(A, 65001)]));
    world.seconds(1);
    expect(peerOf(a, toB)).toMatchObject({ state: 'established' });
    expect(peerOf(a, toB).localCapabilities.join()).not.toContain('role');
  });

  test('another role needs a new session', async () => {
    const { configure } = await pair({ role: 'provider' }, { role: 'customer' });
    expect(configure({ role: 'peer' }).reset).toEqual([toB]);
  });
});

describe('RFC 8326: graceful shutdown', () => {
  const localPrefs = (speaker: Awaited<ReturnType<typeof pair>>['b'], prefix: string) =>
    [...speaker.speaker.routes({ prefix })].map(({ localPref, communities }) => [localPref, communities]);

  test('one session: marked while it goes on, the peer lowers it, and back', async () => {
    const { a, b, configure } = await pair({});
    expect(localPrefs(b, '10.1.0.0/24')).toEqual([[undefined, []]]);
    expect(configure({ gracefulShutdown: true }).reset).toEqual([]);
    expect(localPrefs(b, '10.1.0.0/24')).toEqual([[0, ['65535:0']]]);
    expect(localPrefs(a, '10.2.0.0/24')).toEqual([[0, []]]);
    expect(peerOf(a, toB)).toMatchObject({ gracefulShutdown: true, counters: { flaps: 0 } });
    configure({});
    expect(localPrefs(b, '10.1.0.0/24')).toEqual([[undefined, []]]);
    expect(localPrefs(a, '10.2.0.0/24')).toEqual([[undefined, []]]);
  });

  test('a peer that does not obey sees the community, no more', async () => {
    const { b, configure } = await pair({}, { obeysGracefulShutdown: false });
    configure({ gracefulShutdown: true });
    expect(localPrefs(b, '10.1.0.0/24')).toEqual([[undefined, ['65535:0']]]);
  });

  test('the whole speaker: what it tells is marked; what it hears is as it was', async () => {
    const { a, b, configure } = await pair({});
    configure({}, { gracefulShutdown: true });
    expect(localPrefs(b, '10.1.0.0/24')).toEqual([[0, ['65535:0']]]);
    expect(localPrefs(a, '10.2.0.0/24')).toEqual([[undefined, []]]);
    expect(peerOf(a, toB).gracefulShutdown).toBe(true);
  });
});

describe('RFC 4486: the maximum number of prefixes', () => {
  const limit = (changes: Partial<PrefixLimit> = {}): Partial<NeighborSettings> => ({
    limits: [
      {
        kind: 'receive',
        family: 'ipv4',
        maximum: 2,
        warningPercent: 50,
        action: 'restart',
        restartSeconds: 120,
        ...changes,
      },
    ],
  });
  const three = ['10.2.0.0/24', '10.2.1.0/24', '10.2.2.0/24'];
  const told = 'cease: hard reset (6/9) with cease: maximum number of prefixes reached (6/1)';

  test('restart: the session ends with 6/1 and its data, nothing is kept, and none is made or accepted until it is time', async () => {
    const { world, a, b } = await pair(limit(), {}, three);
    expect(peerOf(a, toB)).toMatchObject({
      state: 'idle',
      lastError: `${told}, sent: 3 IPv4 routes received, the receive limit is 2; the next session is made in 120 s`,
    });
    // RFC 4486 §4: AFI, SAFI, the bound.
    expect(b.events.at(-1)).toMatchObject({ kind: 'peerDown', reason: `${told}, received` });
    expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods']);
    expect(a.events.filter(({ kind }) => kind === 'prefixLimit')).toMatchObject([
      { peer: toB, limit: { state: 'exceeded', count: 3, maximum: 2, action: 'restart' } },
    ]);
    const attempts = world.connections.filter(({ here }) => here === A).length;
    world.seconds(115);
    expect(peerOf(a, toB).state).toBe('idle');
    expect(
      world.connections.filter(({ here, direction }) => here === A && direction === 'outgoing').length,
    ).toBeLessThanOrEqual(attempts);
    expect(a.events.filter(({ kind }) => kind === 'peerEstablished')).toHaveLength(1);
    world.seconds(60);
    expect(a.events.filter(({ kind }) => kind === 'peerEstablished').length).toBeGreaterThan(1);
  });

  test('a member of a range is not forgotten while it waits: it cannot come back as a new one', async () => {
    const world = new VirtualWorld();
    const members = neighbor('', 65002, { ...limit(), name: 'rack', remote: { kind: 'range', prefix: '10.0.0.0/24' } });
    const a = await startSpeaker(world, settings(A, 65001, [{ ...members, passive: true }]));
    await startSpeaker(world, settings(B, 65002, [neighbor(A, 65001)], { originated: originated(...three) }));
    const sessions = () => a.events.filter(({ kind }) => kind === 'peerEstablished').length;
    world.seconds(5);
    expect(sessions()).toBe(1);
    expect(peerOf(a, `rack_${B}`)).toMatchObject({ lastError: expect.stringContaining(told) });
    world.seconds(110);
    expect(sessions()).toBe(1);
    expect(a.speaker.peers()).toHaveLength(1);
    world.seconds(120);
    expect(sessions()).toBeGreaterThan(1);
  });

  test('a person who starts it, or another limit, ends the wait', async () => {
    const { world, a, configure } = await pair(limit(), {}, three);
    a.speaker.peerAction(toB, 'restart');
    world.seconds(2);
    expect(a.events.filter(({ kind }) => kind === 'peerEstablished')).toHaveLength(2);
    expect(peerOf(a, toB).state).toBe('idle');
    configure(limit({ maximum: 3 }));
    world.seconds(5);
    expect(peerOf(a, toB)).toMatchObject({ state: 'established', families: [{ imported: 3 }] });
  });

  test('a limit that is lowered below what is there ends the session, too', async () => {
    const { b, a, configure } = await pair(limit({ maximum: 3 }), {}, three);
    expect(peerOf(a, toB).state).toBe('established');
    expect(configure(limit({ maximum: 2 })).reset).toEqual([]);
    expect(peerOf(a, toB)).toMatchObject({
      state: 'idle',
      lastError: expect.stringContaining('the receive limit is 2'),
    });
    expect(b.events.at(-1)).toMatchObject({ reason: `${told}, received` });
  });

  test('discard: the session goes on with those that came first', async () => {
    const { a } = await pair(limit({ action: 'discard' }), {}, three);
    expect(peerOf(a, toB)).toMatchObject({
      state: 'established',
      families: [{ imported: 2, filtered: 1, limits: [{ state: 'exceeded', discarded: 1 }] }],
    });
    expect([...a.speaker.routes({ filtered: true })]).toMatchObject([{ lostAt: 'beyondReceiveLimit' }]);
  });

  test('warn: everything is taken, and it is told', async () => {
    const { a } = await pair(limit({ action: 'warn' }), {}, three);
    expect(peerOf(a, toB)).toMatchObject({ state: 'established', families: [{ imported: 3 }] });
    expect(a.events.filter(({ kind }) => kind === 'prefixLimit')).toMatchObject([
      { text: '3 IPv4 routes received, the receive limit is 2' },
    ]);
  });
});
