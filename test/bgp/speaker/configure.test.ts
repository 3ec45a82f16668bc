import { describe, expect, test } from 'vitest';
import type { RouteFilter } from '../../../bgp/filter/filter.ts';
import type { BestPathChange } from '../../../bgp/status.ts';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';
const toA = `to-${A}`;
const toB = `to-${B}`;
const toC = `to-${C}`;

/** A reflects between B and C; all in AS 65000. */
async function triangle() {
  const world = new VirtualWorld();
  const client = { reflectorClient: true };
  const given = settings(A, 65000, [neighbor(B, 65000, client), neighbor(C, 65000, client)], {
    originated: originated('10.1.0.0/24'),
  });
  const a = await startSpeaker(world, given);
  const b = await startSpeaker(
    world,
    settings(B, 65000, [neighbor(A, 65000)], { originated: originated('10.2.0.0/24') }),
  );
  const c = await startSpeaker(
    world,
    settings(C, 65000, [neighbor(A, 65000)], { originated: originated('10.3.0.0/24') }),
  );
  world.seconds(2);
  expect(routesOf(c)).toEqual([`10.1.0.0/24 from ${toA}`, `10.2.0.0/24 from ${toA}`, '10.3.0.0/24 from node-pods']);
  return { world, given, a, b, c };
}

function withNeighbor(given: SpeakerSettings, name: string, changes: Partial<NeighborSettings>): SpeakerSettings {
  return {
    ...given,
    neighbors: given.neighbors.map((entry) => (entry.name === name ? { ...entry, ...changes } : entry)),
  };
}

const rejectAll: RouteFilter = {
  name: 'nothing',
  key: 'reject',
  evaluate: () => ({ kind: 'reject', rule: 'no route at all' }),
};

test('the same settings again change nothing', async () => {
  const { world, given, a } = await triangle();
  expect(a.speaker.configure(structuredClone(given))).toEqual({ added: [], removed: [], reset: [] });
  world.seconds(10);
  expect([toB, toC].map((name) => peerOf(a, name).counters.flaps)).toEqual([0, 0]);
});

test('a field that the session was opened with resets that session alone, with Cease 6/6', async () => {
  const { world, given, a, b } = await triangle();
  const result = a.speaker.configure(withNeighbor(given, toB, { holdTimeSeconds: 30 }));
  expect(result).toEqual({ added: [], removed: [], reset: [toB] });
  world.seconds(5);
  expect(b.events).toContainEqual({
    kind: 'peerDown',
    peer: toA,
    reason: 'cease: other configuration change (6/6), received',
  });
  expect(peerOf(a, toB)).toMatchObject({ state: 'established', holdTimeSeconds: 30, counters: { flaps: 1 } });
  expect(peerOf(a, toC).counters.flaps).toBe(0);
});

test('filters, texts and originated routes take effect while the sessions go on', async () => {
  const { world, given, a, b, c } = await triangle();
  const changed = withNeighbor(given, toB, {
    importFilter: rejectAll,
    policyText: 'nothing in',
    description: 'rack 1',
  });
  expect(a.speaker.configure({ ...changed, originated: originated('10.11.0.0/24') }).reset).toEqual([]);
  world.seconds(1);
  expect(routesOf(c)).toEqual([`10.11.0.0/24 from ${toA}`, '10.3.0.0/24 from node-pods']);
  expect(peerOf(a, toB)).toMatchObject({
    policyText: 'nothing in',
    description: 'rack 1',
    families: [{ imported: 0, filtered: 1 }],
    counters: { flaps: 0 },
  });
  expect(routesOf(b)).toContain(`10.3.0.0/24 from ${toA}`);
  a.speaker.configure(given);
  world.seconds(1);
  expect(routesOf(c)).toContain(`10.2.0.0/24 from ${toA}`);
});

test('a neighbour that is removed hears Cease 6/3; one that is added is dialled', async () => {
  const { world, given, a, b } = await triangle();
  const result = a.speaker.configure({ ...given, neighbors: [given.neighbors[1], neighbor('10.0.0.4', 65000)] });
  expect(result).toEqual({ added: ['to-10.0.0.4'], removed: [toB], reset: [] });
  world.seconds(1);
  expect(b.events.at(-1)).toMatchObject({
    reason: 'cease: hard reset (6/9) with cease: peer de-configured (6/3), received',
  });
  expect(a.speaker.peers().map(({ name }) => name)).toEqual([toC, 'to-10.0.0.4']);
  expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods', `10.3.0.0/24 from ${toC}`]);
});

test('a neighbour that becomes active dials; its session, where there is one, goes on', async () => {
  const world = new VirtualWorld();
  const given = settings(A, 65000, [neighbor(B, 65000, { passive: true })]);
  const a = await startSpeaker(world, given);
  await startSpeaker(world, settings(B, 65000, [neighbor(A, 65000, { passive: true })]));
  world.seconds(60);
  expect(peerOf(a, toB).state).toBe('active');
  a.speaker.configure(settings(A, 65000, [neighbor(B, 65000)]));
  world.seconds(1);
  expect(peerOf(a, toB).state).toBe('established');
  a.speaker.configure(given);
  world.seconds(1);
  expect(peerOf(a, toB)).toMatchObject({ state: 'established', passive: true, counters: { flaps: 0 } });
});

describe('another AS number or router id', () => {
  test('resets every session with Cease 6/6, and best path readers hear what is gone', async () => {
    const { world, given, a, b } = await triangle();
    const prefixes = new Map<string, BestPathChange>();
    const reader = a.speaker.bestPathReader(() => {
      for (;;) {
        const changes = reader.read(1);
        if (changes.length === 0) break;
        for (const change of changes) prefixes.set(change.prefix, change);
      }
    });
    world.seconds(1);
    expect([...prefixes.keys()].sort()).toEqual(['10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24']);
    const result = a.speaker.configure({ ...given, asNumber: 65009, originated: originated('10.9.0.0/24') });
    expect(result.reset).toEqual([toB, toC]);
    world.seconds(5);
    expect(b.events.some((event) => event.kind === 'peerDown' && event.reason.includes('(6/6), received'))).toBe(true);
    const present = [...prefixes.values()].filter(({ paths }) => paths.length > 0).map(({ prefix }) => prefix);
    expect(present).toEqual(['10.9.0.0/24']);
    expect(peerOf(a, toB)).toMatchObject({
      localAs: 65009,
      peerType: 'eBGP',
      state: expect.not.stringMatching('established'),
    });
  });
});

test('two neighbours of one address are refused, and nothing changes', async () => {
  const { given, a } = await triangle();
  const twice = { ...given, neighbors: [...given.neighbors, { ...neighbor(B, 65000), name: 'again' }] };
  expect(() => a.speaker.configure(twice)).toThrow(`neighbours ${toB} and again have the same address ${B}`);
  expect(a.speaker.peers()).toHaveLength(2);
});
