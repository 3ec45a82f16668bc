/** RFC 9494: long-lived graceful restart, helper and restarting side. */

import { describe, expect, test } from 'vitest';
import type { Family } from '../../../bgp/ip.ts';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { RouteStatus } from '../../../bgp/status.ts';
import type { LongLivedEntry } from '../../../bgp/wire/capabilities.ts';
import { announce } from '../rib/kit.ts';
import type { Route } from '../rib/kit.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import type { TestSpeaker } from '../kit/speakers.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';
const D = '10.0.0.4';
const toB = `to-${B}`;
const toC = `to-${C}`;
const stale = '65535:6';
const prefix = '10.2.0.0/24';

interface Peers {
  /** Seconds that A keeps at most; what B offers is 600. */
  readonly a?: number;
  readonly restartTimeSeconds?: number;
  readonly families?: readonly Family[];
  readonly neighborB?: Partial<NeighborSettings>;
  readonly others?: readonly NeighborSettings[];
  readonly route?: Route;
}

/** A helps B, which says 10.2.0.0/24; B's capability is `entries`, whatever a test makes of it. */
async function helped(given: Peers = {}) {
  const { a: seconds = 3600, restartTimeSeconds = 20, families = ['ipv4'], neighborB, others = [], route } = given;
  const world = new VirtualWorld();
  const toPeer = neighbor(B, 65000, { passive: true, families, reflectorClient: true, ...neighborB });
  const ours = settings(A, 65000, [toPeer, ...others], { longLivedStaleSeconds: seconds });
  const a = await startSpeaker(world, ours);
  let entries: readonly LongLivedEntry[] | undefined = families.map((family) => ({
    family,
    forwardingPreserved: true,
    staleSeconds: 600,
  }));
  let preserved = true;
  const b = new ScriptedPeer(world, {
    address: B,
    to: A,
    asNumber: 65000,
    families,
    restartTimeSeconds,
    capabilities: () => ({
      longLivedRestart: entries,
      gracefulRestart: {
        restarting: true,
        notification: true,
        restartTimeSeconds,
        families: families.map((family) => ({ family, forwardingPreserved: preserved })),
      },
    }),
    table: () => [announce([prefix], { nextHop: B, ...route })],
  });
  b.connect();
  world.seconds(1);
  expect(a.speaker.peers()[0].state).toBe('established');
  b.persistent = false;
  return {
    world,
    a,
    b,
    ours,
    /** What B's next OPEN says. */
    offers: (next: readonly LongLivedEntry[] | undefined, restartPreserved = true) => {
      entries = next;
      preserved = restartPreserved;
    },
  };
}

const offered = (staleSeconds: number, forwardingPreserved = true, family: Family = 'ipv4'): LongLivedEntry => ({
  family,
  forwardingPreserved,
  staleSeconds,
});

function routeFrom({ speaker }: TestSpeaker, peer: string, wanted = prefix): RouteStatus | undefined {
  return [...speaker.routes({ peer, prefix: wanted })][0];
}

describe('§3.1, §4.1: the capability', () => {
  async function said(ours: Partial<SpeakerSettings>, changes: Partial<NeighborSettings> = {}) {
    const a = await startSpeaker(new VirtualWorld(), settings(A, 65000, [neighbor(B, 65000, changes)], ours));
    return peerOf(a, toB).localCapabilities.filter((text) => text.includes('graceful'));
  }

  test('is not sent unless asked for (§5)', async () => {
    expect(await said({})).toEqual(['graceful restart 120 s, NOTIFICATIONs too (N), IPv4']);
    expect(await said({ longLivedStaleSeconds: 600 }, { longLivedStaleSeconds: 0 })).toHaveLength(1);
  });

  test('comes with that of graceful restart, even where its time is 0', async () => {
    expect(await said({ gracefulRestartSeconds: 0 }, { longLivedStaleSeconds: 20_000_000 })).toEqual([
      'graceful restart 0 s, NOTIFICATIONs too (N), IPv4',
      'long-lived graceful restart, IPv4 16777215 s',
    ]);
  });
});

describe('§4.2: the helper', () => {
  test('keeps routes as a last resort once the restart time is over, until the long-lived stale time is', async () => {
    const { world, a, b } = await helped();
    b.hangUp();
    world.seconds(19);
    expect(routeFrom(a, toB)).toMatchObject({ stale: true, communities: [] });
    world.seconds(2);
    expect(routeFrom(a, toB)).toMatchObject({ stale: true, communities: [stale], selected: 'best' });
    expect(peerOf(a, toB).gracefulRestart).toBe('peerLongGone');
    world.seconds(595);
    expect(routesOf(a)).toHaveLength(1);
    world.seconds(10);
    expect(routesOf(a)).toEqual([]);
    expect(peerOf(a, toB).gracefulRestart).toBe('none');
  });

  test('a restart time of 0: they are that at once', async () => {
    const { world, a, b } = await helped({ restartTimeSeconds: 0 });
    b.hangUp();
    world.seconds(1);
    expect(routeFrom(a, toB)).toMatchObject({ stale: true, communities: [stale] });
    world.seconds(602);
    expect(routesOf(a)).toEqual([]);
  });

  test('our own time is the longest that we keep them', async () => {
    const { world, a, b } = await helped({ a: 60 });
    b.hangUp();
    world.seconds(79);
    expect(routesOf(a)).toHaveLength(1);
    world.seconds(3);
    expect(routesOf(a)).toEqual([]);
  });

  test('turned off here: nothing is kept beyond the restart time', async () => {
    const { world, a, b } = await helped({ a: 0 });
    b.hangUp();
    world.seconds(22);
    expect(routesOf(a)).toEqual([]);
  });

  test('each family has its own time', async () => {
    const { world, a, b, offers } = await helped({ families: ['ipv4', 'ipv6'] });
    offers([offered(600), offered(60, true, 'ipv6')]);
    b.options.table = () => [announce([prefix], { nextHop: B }), announce(['fd00:2::/64'], { nextHop: 'fd00::2' })];
    b.hangUp();
    b.connect();
    world.seconds(1);
    b.hangUp();
    world.seconds(79);
    expect([routesOf(a), routesOf(a, 'ipv6')].flat()).toHaveLength(2);
    world.seconds(3);
    expect([routesOf(a).length, routesOf(a, 'ipv6').length]).toEqual([1, 0]);
  });

  test('NO_LLGR: the route goes when the restart time is over', async () => {
    const { world, a, b } = await helped({ route: { communities: ['65535:7'] } });
    b.hangUp();
    world.seconds(19);
    expect(routesOf(a)).toHaveLength(1);
    world.seconds(2);
    expect(routesOf(a)).toEqual([]);
  });

  test('NO_LLGR of an import filter does the same', async () => {
    const importFilter = {
      name: 'no-llgr',
      key: '1',
      evaluate: () => ({ kind: 'accept', rule: '', changes: { addCommunities: ['65535:7'] } }) as const,
    };
    const { world, a, b } = await helped({ neighborB: { importFilter } });
    b.hangUp();
    world.seconds(21);
    expect(routesOf(a)).toEqual([]);
  });

  test('a filter that changes meanwhile changes nothing of it', async () => {
    const { world, a, b, ours } = await helped();
    b.hangUp();
    world.seconds(21);
    const importFilter = {
      name: 'red',
      key: '1',
      evaluate: () => ({ kind: 'accept', rule: '', changes: { addCommunities: ['65000:1'] } }) as const,
    };
    const [toPeer] = ours.neighbors;
    a.speaker.configure({ ...ours, neighbors: [{ ...toPeer, importFilter }] });
    world.seconds(1);
    expect(routeFrom(a, toB)?.communities).toEqual(['65000:1', stale]);
  });

  test('a NOTIFICATION starts it as a lost connection does (RFC 8538), a Hard Reset does not', async () => {
    for (const [body, communities] of [
      [Uint8Array.of(6, 6), [stale]],
      [Uint8Array.of(6, 9, 6, 2), undefined],
    ] as const) {
      const { world, a, b } = await helped();
      b.notifies(body);
      world.seconds(21);
      expect(routeFrom(a, toB)?.communities).toEqual(communities);
    }
  });
});

describe('§4.2: the peer is back', () => {
  test('its routes are as before, what it does not say again goes with End-of-RIB', async () => {
    const { world, a, b } = await helped();
    b.says(announce(['10.3.0.0/24'], { nextHop: B }));
    world.seconds(1);
    b.hangUp();
    world.seconds(100);
    expect(routesOf(a)).toHaveLength(2);
    b.connect();
    world.seconds(1);
    expect([...a.speaker.routes({})]).toMatchObject([{ prefix, stale: false, communities: [] }]);
    b.hangUp();
    world.seconds(1);
    expect(routeFrom(a, toB)).toMatchObject({ stale: true, communities: [] });
  });

  test.each<[string, readonly LongLivedEntry[] | undefined, boolean]>([
    ['without the F bit', [offered(600, false)], true],
    ["without the F bit of RFC 4724's capability", [offered(600)], false],
    ['without the family', [], true],
    ['without the capability', undefined, true],
  ])('%s: they go at once', async (_, next, preserved) => {
    const { world, a, b, offers } = await helped();
    b.hangUp();
    world.seconds(100);
    expect(routesOf(a)).toHaveLength(1);
    offers(next, preserved);
    b.options.table = () => [];
    b.connect();
    world.run(100);
    expect(peerOf(a, toB).state).toBe('established');
    expect(routesOf(a)).toEqual([]);
  });

  test('while the restart time runs, the F bit of RFC 4724 alone counts', async () => {
    const { world, a, b, offers } = await helped();
    b.hangUp();
    world.seconds(10);
    offers(undefined);
    b.connect();
    world.run(100);
    expect(routesOf(a)).toEqual([`${prefix} from ${toB}`]);
  });

  /** It comes back after 100 s, says something else and no End-of-RIB. */
  async function backForAMoment() {
    const story = await helped();
    const { world, b } = story;
    b.hangUp();
    world.seconds(100);
    b.options.table = () => [announce(['10.3.0.0/24'], { nextHop: B })];
    b.options.endsTable = () => false;
    b.connect();
    world.seconds(1);
    return story;
  }

  test('a loss before End-of-RIB: the time goes on where it was, and what came in between has a restart time first', async () => {
    const { world, a, b } = await backForAMoment();
    b.hangUp();
    world.seconds(1);
    expect(routeFrom(a, toB)).toMatchObject({ stale: true, communities: [stale] });
    expect(routeFrom(a, toB, '10.3.0.0/24')).toMatchObject({ stale: true, communities: [] });
    world.seconds(20);
    expect(routeFrom(a, toB, '10.3.0.0/24')).toMatchObject({ stale: true, communities: [stale] });
    world.seconds(495);
    expect(routesOf(a)).toHaveLength(2);
    world.seconds(5);
    expect(routesOf(a)).toEqual([]);
  });

  test('the time ends while the peer sends its table: what it has not sent goes; a loss then ends the rest', async () => {
    const { world, a, b } = await backForAMoment();
    world.seconds(525);
    expect(routesOf(a)).toEqual([`10.3.0.0/24 from ${toB}`]);
    b.hangUp();
    world.seconds(1);
    expect(routesOf(a)).toEqual([]);
  });

  test('after End-of-RIB the time is a new one', async () => {
    const { world, a, b } = await backForAMoment();
    b.endTable('ipv4');
    world.seconds(1);
    b.hangUp();
    world.seconds(615);
    expect(routesOf(a)).toEqual([`10.3.0.0/24 from ${toB} stale`]);
  });
});

describe('§4.4: the decision', () => {
  const others = [neighbor(C, 65000, { passive: true, reflectorClient: true })];

  async function contested(route: Route) {
    const story = await helped({ others, route: { localPref: 200, ...route } });
    const c = new ScriptedPeer(story.world, {
      address: C,
      to: A,
      asNumber: 65000,
      families: ['ipv4'],
      restartTimeSeconds: 0,
      table: () => [announce([prefix], { nextHop: C, localPref: 1 })],
    });
    c.connect();
    story.world.seconds(1);
    return { ...story, c };
  }

  test('any other route is better than a long-lived stale one', async () => {
    const { world, a, b, c } = await contested({});
    expect(routeFrom(a, toB)?.selected).toBe('best');
    b.hangUp();
    world.seconds(19);
    expect(routeFrom(a, toB)?.selected).toBe('best');
    world.seconds(2);
    expect(routeFrom(a, toB)).toMatchObject({ selected: 'no', lostAt: 'notLongLivedStale' });
    expect(routeFrom(a, toC)?.selected).toBe('best');
    c.says(Uint8Array.of(0, 4, 24, 10, 2, 0, 0, 0));
    world.seconds(1);
    expect(routeFrom(a, toB)?.selected).toBe('best');
    b.connect();
    world.seconds(1);
    expect(routeFrom(a, toB)).toMatchObject({ selected: 'best', communities: [] });
  });

  test('§4.3: a route that comes with LLGR_STALE is one, too', async () => {
    const { a } = await contested({ communities: [stale] });
    expect(routeFrom(a, toB)).toMatchObject({ selected: 'no', lostAt: 'notLongLivedStale', stale: false });
  });

  test('between two of them the usual rungs decide', async () => {
    const { world, a, c } = await contested({ communities: [stale] });
    c.says(announce([prefix], { nextHop: C, localPref: 1, communities: [stale] }));
    world.seconds(1);
    expect(routeFrom(a, toB)?.selected).toBe('best');
    expect(routeFrom(a, toC)?.lostAt).toBe('higherLocalPref');
  });
});

describe('§4.3, §4.6: who is told', () => {
  /** C is iBGP, D is eBGP. */
  async function observed(longLivedStaleSeconds: number) {
    const others = [neighbor(C, 65000, { reflectorClient: true }), neighbor(D, 65001)];
    const story = await helped({ others, route: { localPref: 200, communities: ['65000:1'] } });
    const changes = { longLivedStaleSeconds };
    const c = await startSpeaker(story.world, settings(C, 65000, [neighbor(A, 65000)], changes));
    const d = await startSpeaker(story.world, settings(D, 65001, [neighbor(A, 65000)], changes));
    story.world.seconds(5);
    const told = () => [c, d].map((speaker) => routeFrom(speaker, `to-${A}`));
    expect(told()).toMatchObject([{ communities: ['65000:1'] }, { communities: ['65000:1'] }]);
    story.b.hangUp();
    story.world.seconds(21);
    return { ...story, told };
  }

  test('peers with the capability hear it again, with the community', async () => {
    const { told } = await observed(600);
    expect(told()).toMatchObject([
      { communities: ['65000:1', stale], localPref: 200 },
      { communities: ['65000:1', stale] },
    ]);
  });

  test('without it: withdrawn from another AS; within ours it is the last choice and goes no farther', async () => {
    const { told, world, b } = await observed(0);
    expect(told()).toMatchObject([{ communities: ['65000:1', stale, '65535:65281'], localPref: 0 }, undefined]);
    b.connect();
    world.seconds(1);
    expect(told()).toMatchObject([{ communities: ['65000:1'], localPref: 200 }, { communities: ['65000:1'] }]);
  });
});

test.each([5, 0])(
  'the restarting side: the restart takes longer than the restart time of %i s, and no route is missed',
  async (gracefulRestartSeconds) => {
    const world = new VirtualWorld();
    const changes = { gracefulRestartSeconds, longLivedStaleSeconds: 600 };
    const given = settings(B, 65000, [neighbor(A, 65000)], { ...changes, originated: originated(prefix) });
    const a = await startSpeaker(world, settings(A, 65000, [neighbor(B, 65000)], changes));
    const before = await startSpeaker(world, given);
    world.seconds(5);
    await before.speaker.stop('restart');
    before.driver.kill();
    for (let i = 0; i < 60; i++) {
      world.seconds(1);
      expect(routesOf(a)).toHaveLength(1);
    }
    expect(routeFrom(a, toB)?.communities).toEqual([stale]);
    const again = await startSpeaker(world, given, { restarting: true, forwardingPreserved: true });
    expect(peerOf(again, `to-${A}`).localCapabilities.join()).toContain('restarting (R)');
    for (let i = 0; i < 600; i++) {
      world.run(100);
      expect(routesOf(a)).toHaveLength(1);
    }
    expect(routeFrom(a, toB)).toMatchObject({ stale: false, communities: [] });
    expect(peerOf(a, toB).remoteCapabilities).toContain('long-lived graceful restart, IPv4 600 s state preserved (F)');
  },
);
