/** One leader among several: a fake API server over HTTP, with a clock of the test's. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KubeClock } from '../../../src/kube/clock.ts';
import { LeaderElection } from '../../../src/kube/lease.ts';
import { ApiServer } from '../../kit/api-server.ts';
import { VirtualClock } from '../../kit/virtual-clock.ts';

const times = { duration: 30_000, deadline: 20_000, renew: 8000 } as const;
const poll = 10_000;

let server: ApiServer;
let clock: VirtualClock;
let elections: LeaderElection[];
/** `SECONDS a leads`, `SECONDS a follows`. */
let story: string[];

beforeEach(async () => {
  server = new ApiServer();
  await server.start();
  clock = new VirtualClock();
  [elections, story] = [[], []];
});

afterEach(async () => {
  for (const election of elections) await election.stop();
  await server.stop();
});

function candidate(identity: string, ownClock: KubeClock = clock): LeaderElection {
  const election = new LeaderElection({
    client: clock.clientOf(server),
    clock: ownClock,
    namespace: 'godwit',
    name: 'lease',
    identity,
    poll: () => poll,
    times,
    random: () => 0.5,
    onChange: (leading) => {
      story.push(`${clock.now() / 1000} ${identity} ${leading ? 'leads' : 'follows'}`);
      expect(elections.filter((other) => other.leading).length).toBeLessThan(2);
    },
  });
  elections.push(election);
  election.start();
  return election;
}

function lease() {
  return server.store.get(server.store.typeOf('coordination.k8s.io/v1', 'Lease'), 'godwit', 'lease').spec as Record<
    string,
    unknown
  >;
}

test('the first one leads, renews, and stays it', async () => {
  candidate('a');
  await clock.advance(1000);
  candidate('b');
  await clock.advance(300_000);
  expect(story).toEqual(['2.5 a leads']);
  expect(lease()).toMatchObject({
    holderIdentity: 'a',
    leaseDurationSeconds: 30,
    acquireTime: '2026-01-01T00:00:02.500000Z',
    leaseTransitions: 0,
  });
  expect(String(lease().renewTime)).toMatch(/^2026-01-01T00:0[45]:\d\d\.\d{6}Z$/);
});

test('two at one time: one is given it', async () => {
  candidate('a');
  candidate('b');
  await clock.advance(60_000);
  expect(story).toHaveLength(1);
});

test('one that ends gives it back, and the next one need not wait for the duration', async () => {
  const a = candidate('a');
  candidate('b');
  await clock.advance(20_000);
  expect(a.leading).toBe(true);
  await a.stop();
  await clock.advance(poll + 1);
  expect(story).toEqual(['2.5 a leads', '20 a follows', expect.stringMatching(/b leads/)]);
  expect(lease()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
});

test('a leader that can reach nobody stops before anyone else may lead', async () => {
  candidate('a');
  await clock.advance(5000);
  const heal = server.inject({ kind: 'status', status: 503, matches: () => true });
  await clock.advance(60_000);
  // Renewed at 2.5 s; the next attempt at 10.5 s failed.
  expect(story).toEqual(['2.5 a leads', '22.5 a follows']);
  heal();
  await clock.advance(20_000);
  expect(story[2]).toMatch(/a leads/);
});

test("a dead leader's lease is taken over when it has not changed for its duration, by the taker's own clock", async () => {
  const dead = candidate('a');
  await clock.advance(5000);
  // Killed: nothing is given back.
  server.inject({ kind: 'reset', matches: ({ method }) => method !== 'GET', times: 1 });
  await dead.stop();
  expect(lease().holderIdentity).toBe('a');
  // Its clock is a day ahead, or behind: no matter.
  for (const [name, skew] of [
    ['b', 86_400_000],
    ['c', -86_400_000],
  ] as const) {
    candidate(name, {
      now: () => clock.now(),
      epoch: () => clock.epoch() + skew,
      after: (...args) => clock.after(...args),
    });
  }
  await clock.advance(28_000);
  expect(story).toEqual(['2.5 a leads', '5 a follows']);
  await clock.advance(30_000);
  expect(story).toHaveLength(3);
  expect(story[2]).toMatch(/^(3[5-9]|4\d)[.\d]* [bc] leads$/);
  await clock.advance(300_000);
  expect(story).toHaveLength(3);
});

test('an answer that comes later than the deadline makes no leader', async () => {
  const late = clock.clientOf(server);
  const request = late.request.bind(late);
  late.request = async (method, ...rest) => {
    const answer = await request(method, ...rest);
    if (method === 'POST') await new Promise<void>((resolve) => void clock.after(25_000, resolve));
    return answer;
  };
  const election = new LeaderElection({
    client: late,
    clock,
    namespace: 'godwit',
    name: 'lease',
    identity: 'a',
    poll: () => poll,
    times,
    random: () => 0.5,
    onChange: (leading) => void story.push(`${leading}`),
  });
  elections.push(election);
  election.start();
  await clock.advance(29_000);
  expect(story).toEqual([]);
});
