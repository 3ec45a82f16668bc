/** Events: aggregated, paced, and written later where the server is away. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventRecorder, type EventObject } from '../../../src/kube/event-recorder.ts';
import { ApiServer } from '../../kit/api-server.ts';
import { VirtualClock } from '../../kit/virtual-clock.ts';

let server: ApiServer;
let clock: VirtualClock;
let recorder: EventRecorder;
let refused: string[];

beforeEach(async () => {
  server = new ApiServer();
  await server.start();
  clock = new VirtualClock();
  refused = [];
  let chance = 0;
  recorder = new EventRecorder({
    client: clock.clientOf(server),
    clock,
    host: 'node-1',
    random: () => (chance = (chance + 0.37) % 1),
    onRefused: (key) => void refused.push(key),
  });
});

afterEach(async () => {
  recorder.stop();
  await server.stop();
});

const tor: EventObject = { apiVersion: 'godwit.dev/v1', kind: 'BGPPeer', name: 'tor', uid: '7' };

function record(about: EventObject, message: string, reason = 'BGPSessionDown'): void {
  recorder.record({ about, type: 'Warning', reason, message });
}

function events(namespace = 'default') {
  return server.store.list(server.store.typeOf('v1', 'Event'), namespace);
}

const writes = () => server.count(({ method }) => method !== 'GET');

test('an Event has what kubectl describe looks for', async () => {
  record(tor, 'session peer_tor went down');
  await clock.advance(0);
  expect(events()).toMatchObject([
    {
      metadata: { namespace: 'default', name: expect.stringMatching(/^tor\.[0-9a-f]+$/) },
      involvedObject: tor,
      type: 'Warning',
      reason: 'BGPSessionDown',
      message: 'session peer_tor went down',
      source: { component: 'godwit', host: 'node-1' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
    },
  ]);
});

test('an Event about a Pod is in its namespace', async () => {
  record({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web' }, 'no address');
  await clock.advance(0);
  expect(events('shop')).toHaveLength(1);
});

test('what goes on for a time is one Event with a count, written once a minute', async () => {
  for (let i = 0; i < 120; i++) {
    record(tor, `down, ${i}`);
    await clock.advance(1000);
  }
  await clock.advance(60_000);
  expect(events()).toMatchObject([
    { count: 120, message: 'down, 119', firstTimestamp: '2026-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:01:59Z' },
  ]);
  expect(writes()).toBe(3);
});

test('two reasons about one object are two Events, a minute apart', async () => {
  record(tor, 'down');
  record(tor, 'up', 'BGPSessionEstablished');
  await clock.advance(59_000);
  expect(events()).toHaveLength(1);
  await clock.advance(2000);
  expect(
    events()
      .map(({ reason }) => reason)
      .sort(),
  ).toEqual(['BGPSessionDown', 'BGPSessionEstablished']);
});

test('after ten quiet minutes it is another Event', async () => {
  record(tor, 'down');
  await clock.advance(601_000);
  record(tor, 'down again');
  await clock.advance(60_000);
  expect(events().map(({ count }) => count)).toEqual([1, 1]);
});

test('an Event that the server has forgotten is made anew, with the whole count', async () => {
  record(tor, 'down');
  await clock.advance(0);
  const [{ metadata }] = events();
  server.store.delete(server.store.typeOf('v1', 'Event'), 'default', metadata.name);
  record(tor, 'down again');
  await clock.advance(60_000);
  expect(events()).toMatchObject([{ count: 2, message: 'down again' }]);
});

test('at most 20 a minute, whatever happens to how many', async () => {
  for (let i = 0; i < 100; i++) record({ ...tor, name: `peer-${i}` }, 'down');
  await clock.advance(60_000);
  expect(writes()).toBe(40);
  await clock.advance(60_000);
  expect(writes()).toBe(60);
  await clock.advance(180_000);
  expect(events()).toHaveLength(100);
});

test('while the server is away nothing is lost', async () => {
  await server.stop();
  record(tor, 'down');
  await clock.advance(120_000);
  record(tor, 'down again');
  await clock.advance(120_000);
  await server.start();
  await clock.advance(120_000);
  expect(events()).toMatchObject([{ count: 2, message: 'down again', firstTimestamp: '2026-01-01T00:00:00Z' }]);
  expect(refused).toEqual([]);
});

test('an answer that was lost makes no second Event', async () => {
  server.inject({ kind: 'cut', bytes: 5, times: 1, matches: ({ method }) => method === 'POST' });
  record(tor, 'down');
  await clock.advance(10_000);
  record(tor, 'down again');
  await clock.advance(120_000);
  expect(events()).toMatchObject([{ count: 2 }]);
});
