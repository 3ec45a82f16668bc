/** A reflector against an API server that fails in every way: stories over real HTTP. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiServer, type ApiServerOptions, type LiveWatch } from '../../kit/api-server.ts';
import { eventually } from '../../kit/eventually.ts';
import { follow, node, type Follower } from './kit.ts';

const nodes = '/api/v1/nodes';

let server: ApiServer;
const followers: Follower[] = [];

beforeEach(() => serve());

afterEach(async () => {
  for (const { reflector } of followers.splice(0)) reflector.stop();
  await server.stop();
});

describe.each([
  ['a server that knows WatchList', { watchList: true }],
  ['a server that does not', { watchList: false }],
  ['a server that says 410 as HTTP', { watchList: false, expiredAs: 'http' }],
] as const)('with %s', (_, options) => {
  beforeEach(() => serve(options));

  test('everything is told once, then what happens', async () => {
    put('a', 'b');
    const follower = await listed();
    expect(follower.told).toEqual(['upsert a 1', 'upsert b 1']);
    put('c');
    server.store.put(node('a', '2'));
    remove('b');
    await knows(follower, { a: '2', c: '1' });
    expect(follower.told.slice(2)).toEqual(['upsert c 1', 'upsert a 2', 'delete b']);
    expect(follower.listings).toBe(1);
    expect(follower.faults).toEqual([]);
  });

  test('an empty collection is a listing too', async () => {
    const follower = await listed();
    expect(follower.reflector.synced).toBe(true);
    expect(follower.told).toEqual([]);
  });

  test('a reset in the middle of a watch: it goes on where it was, without listing', async () => {
    put('a');
    const follower = await listed();
    const [watch] = await watching();
    watch.reset();
    put('b');
    await knows(follower, { a: '1', b: '1' });
    expect(follower.listings).toBe(1);
    expect(follower.told).toEqual(['upsert a 1', 'upsert b 1']);
  });

  test('a restart of the server: what was deleted meanwhile is deleted by the next listing, nothing else is told twice as gone', async () => {
    put('a', 'b');
    const follower = await listed();
    await server.stop();
    remove('a');
    put('c');
    server.store.compact();
    await server.start();
    await knows(follower, { b: '1', c: '1' });
    expect(follower.told.filter((line) => line.startsWith('delete'))).toEqual(['delete a']);
    expect(follower.listings).toBe(2);
  });

  test('410: a new listing, and what is known stays meanwhile', async () => {
    put('a', 'b');
    const follower = await listed();
    // The watch breaks, the past is gone, and the listing that this needs fails at first.
    const lift = server.inject({
      kind: 'status',
      status: 500,
      matches: ({ query }) =>
        query.resourceVersion === undefined || !('watch' in query) || query.sendInitialEvents === 'true',
    });
    remove('b');
    await knows(follower, { a: '1' });
    server.store.compact();
    const [watch] = await watching();
    watch.reset();
    await eventually(() => (follower.fault?.attempts ?? 0) >= 2, { reason: 'the listing fails' });
    expect(Object.fromEntries(follower.known)).toEqual({ a: '1' });
    lift();
    await eventually(() => follower.listings === 2 && follower.fault === undefined, { reason: 'listed again' });
    expect(follower.told.filter((line) => line.startsWith('delete'))).toEqual(['delete b']);
  });
});

test('the watch that lasts is asked for by timeoutSeconds between 300 and 600, with bookmarks', async () => {
  await listed();
  const asked = server.requests.filter(({ isWatch }) => isWatch);
  expect(asked).toHaveLength(1);
  const { timeoutSeconds, allowWatchBookmarks, sendInitialEvents } = asked[0].query;
  expect(Number(timeoutSeconds)).toBeGreaterThanOrEqual(300);
  expect(Number(timeoutSeconds)).toBeLessThanOrEqual(600);
  expect({ allowWatchBookmarks, sendInitialEvents }).toEqual({
    allowWatchBookmarks: 'true',
    sendInitialEvents: 'true',
  });
});

test('a bookmark moves the place on: after it a server may forget what was before', async () => {
  put('a');
  const follower = await listed();
  server.store.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'other' } });
  server.store.compact();
  const [watch] = await watching();
  watch.bookmark();
  put('b');
  await knows(follower, { a: '1', b: '1' });
  watch.end();
  put('c');
  await knows(follower, { a: '1', b: '1', c: '1' });
  expect(follower.listings).toBe(1);
});

test('a watch that the server ends in order is opened again, and is no fault', async () => {
  put('a');
  const follower = await listed();
  for (const name of ['b', 'c']) {
    const [watch] = await watching();
    watch.end();
    put(name);
    await eventually(() => follower.known.has(name), { reason: name });
  }
  expect(follower.faults).toEqual([]);
  expect(follower.listings).toBe(1);
});

test.each([
  [500, 'serverFault'],
  [429, 'serverFault'],
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'notFound'],
] as const)("status %i is a fault with its name and the server's words, and is tried again", async (status, kind) => {
  const lift = server.inject({ kind: 'status', status, message: 'not today' });
  const follower = followed();
  await eventually(() => (follower.fault?.attempts ?? 0) >= 3, { reason: 'three attempts' });
  expect(follower.fault?.error).toMatchObject({
    kind,
    status,
    message: expect.stringMatching(/^\d{3} .*: not today$/),
  });
  expect(follower.fault?.since).toBe(follower.faults[0].since);
  put('a');
  lift();
  await knows(follower, { a: '1' });
  await eventually(() => follower.fault === undefined, { reason: 'no fault' });
});

test('silence in a watch ends it after the idle time; the next one goes on from there', async () => {
  put('a');
  const follower = followed({ leastWatch: 150, mostWatch: 150, watchGrace: 50 });
  await eventually(() => follower.listings === 1, { reason: 'listed' });
  // Past the server's own limit of a second, which is rounded up: only our clock can end it.
  const [watch] = await watching();
  watch.mute();
  put('b');
  await knows(follower, { a: '1', b: '1' });
  expect(follower.faults[0].error).toMatchObject({ kind: 'silent', message: `${server.url} is silent` });
  expect(follower.listings).toBe(1);
});

test('a server that accepts and never answers is left after the idle time', async () => {
  put('a');
  const lift = server.inject({ kind: 'hang' });
  const follower = followed({ listIdle: 60 });
  await eventually(() => follower.fault?.error.kind === 'silent', { reason: 'silent' });
  lift();
  await knows(follower, { a: '1' });
});

test('garbage in a watch is a fault; what came before it counts, what came after it comes again', async () => {
  put('a');
  const follower = await listed();
  const [watch] = await watching();
  put('b');
  watch.send('{"type":"ADDED","object":');
  put('c');
  await knows(follower, { a: '1', b: '1', c: '1' });
  expect(follower.faults[0].error).toMatchObject({ kind: 'garbage' });
  expect(follower.told.filter((line) => line === 'upsert b 1')).toHaveLength(1);
});

test.each([
  ['no event', '[]'],
  ['an event of no known type', '{"type":"SUNSHINE","object":{}}'],
  ['an object without a name', '{"type":"ADDED","object":{"metadata":{}}}'],
  ['a bookmark without a place', '{"type":"BOOKMARK","object":{"metadata":{}}}'],
  ['a bookmark without anything', '{"type":"BOOKMARK"}'],
])('%s is garbage', async (_, line) => {
  const follower = await listed();
  const [watch] = await watching();
  watch.send(line);
  await eventually(() => follower.faults.length > 0, { reason: 'a fault' });
  expect(follower.faults[0].error.kind).toBe('garbage');
  put('a');
  await knows(follower, { a: '1' });
});

test('a page of a portal instead of an API server is garbage, not an empty cluster', async () => {
  put('a');
  const follower = await listed();
  const lift = server.inject({ kind: 'garbage' });
  server.store.compact();
  (await watching())[0].reset();
  await eventually(() => follower.fault?.error.kind === 'garbage', { reason: 'garbage' });
  expect(Object.fromEntries(follower.known)).toEqual({ a: '1' });
  lift();
  await eventually(() => follower.fault === undefined, { reason: 'mended' });
});

test.each([
  ['WatchList', true],
  ['list', false],
])('a %s that breaks off deletes nothing', async (_, watchList) => {
  await serve({ watchList });
  put('a', 'b', 'c');
  const follower = await listed();
  const lift = server.inject({
    kind: 'cut',
    bytes: 400,
    matches: ({ query }) => query.resourceVersion === undefined || !('watch' in query),
  });
  server.store.compact();
  (await watching())[0].reset();
  await eventually(() => (follower.fault?.attempts ?? 0) >= 2, { reason: 'broken twice' });
  expect([...follower.known.keys()]).toEqual(['a', 'b', 'c']);
  lift();
  await eventually(() => follower.listings === 2, { reason: 'listed again' });
  expect(follower.told.filter((line) => line.startsWith('delete'))).toEqual([]);
});

test('an ERROR event of another kind is a fault, and the watch goes on from its place', async () => {
  const follower = await listed();
  (await watching())[0].fail(500, 'InternalError');
  put('a');
  await knows(follower, { a: '1' });
  expect(follower.faults[0].error).toMatchObject({ kind: 'serverFault', status: 500 });
  expect(follower.listings).toBe(1);
});

describe('a list in pages', () => {
  /** Too many for a page, and a cache that does not help. */
  async function inPages(): Promise<Follower> {
    await serve({ watchList: false });
    for (let i = 0; i < 1200; i++) put(`n${i}`);
    server.inject({ kind: 'status', status: 504, times: 1, matches: ({ query }) => query.resourceVersion === '0' });
    return followed();
  }

  test('is read to its end', async () => {
    const follower = await inPages();
    await eventually(() => follower.listings === 1, { reason: 'listed' });
    expect(follower.known.size).toBe(1200);
    const pages = server.requests.filter(({ isWatch }) => !isWatch);
    expect(pages.map(({ query }) => [query.limit, query.continue === undefined])).toEqual([
      ['500', true],
      ['500', true],
      ['500', false],
      ['500', false],
    ]);
  });

  test('that is too old to be continued is asked for at once, without pages', async () => {
    await serve({ watchList: false });
    const expired = { kind: 'status', status: 410, times: 1 } as const;
    server.inject({ ...expired, matches: ({ query }) => query.continue !== undefined });
    for (let i = 0; i < 1200; i++) put(`n${i}`);
    server.inject({ kind: 'status', status: 504, times: 1, matches: ({ query }) => query.resourceVersion === '0' });
    const follower = followed();
    await eventually(() => follower.listings === 1, { reason: 'listed' });
    expect(follower.known.size).toBe(1200);
    expect(server.requests.filter(({ isWatch }) => !isWatch).at(-1)?.query).toEqual({ resourceVersion: '' });
  });
});

test('rests between attempts are longer and longer, and differ by chance', async () => {
  server.inject({ kind: 'status', status: 500 });
  const follower = followed({ firstRest: 1, longestRest: 8 });
  await eventually(() => (follower.fault?.attempts ?? 0) >= 6, { reason: 'six attempts' });
  expect(server.requests.length).toBeGreaterThanOrEqual(6);
});

test('a server whose every watch is expired is listed more and more seldom, and that is a fault', async () => {
  await serve({ watchList: false });
  server.inject({
    kind: 'status',
    status: 410,
    matches: ({ query }) => query.watch === 'true' && 'resourceVersion' in query,
  });
  const follower = followed({ firstRest: 1, longestRest: 4 });
  await eventually(() => follower.faults.some(({ error }) => error.kind === 'expired'), { reason: 'a fault' });
  expect(follower.listings).toBeGreaterThanOrEqual(3);
});

test('a long rest is cut short where there is reason to', async () => {
  const lift = server.inject({ kind: 'status', status: 500 });
  const follower = followed({ firstRest: 1, longestRest: 3_600_000 });
  // By then the rests are so long that the last one would outlast the test.
  await eventually(() => (follower.fault?.attempts ?? 0) >= 10, { reason: 'ten attempts' });
  const asked = server.requests.length;
  lift();
  put('a');
  await eventually(
    () => {
      follower.reflector.retrySoon();
      return follower.known.has('a');
    },
    { reason: 'known' },
  );
  expect(server.requests.length).toBeLessThan(asked + 8);
});

test('the server may ask for patience: Retry-After is a least rest', async () => {
  put('a');
  server.inject({ kind: 'status', status: 429, retryAfter: 1, times: 1 });
  const began = Date.now();
  const follower = await listed();
  expect(Date.now() - began).toBeGreaterThanOrEqual(1000);
  expect(follower.faults[0].error.retryAfter).toBe(1000);
});

test('a token that is changed is used at the next attempt', async () => {
  await serve({ tokens: ['old'] });
  put('a');
  let token = 'old';
  const follower = follow(server, nodes, {}, () => token);
  followers.push(follower);
  await eventually(() => follower.listings === 1, { reason: 'listed' });
  server.options.tokens = ['new'];
  (await watching())[0].reset();
  await eventually(() => follower.fault?.error.kind === 'unauthorized', { reason: '401' });
  token = 'new';
  put('b');
  await knows(follower, { a: '1', b: '1' });
  expect(server.requests.at(-1)?.token).toBe('new');
});

test('a slow server is waited for, as long as it says something', async () => {
  put('a', 'b', 'c');
  server.inject({ kind: 'slow', bytes: 64, rest: 1, times: 1 });
  const follower = await listed({ listIdle: 400 });
  expect(follower.faults).toEqual([]);
  expect(follower.told).toHaveLength(3);
});

test('objects known from elsewhere are taken back by the first listing that lacks them', async () => {
  put('a');
  const follower = followed();
  follower.reflector.seed(['a', 'z']);
  await eventually(() => follower.listings === 1, { reason: 'listed' });
  expect(follower.told).toEqual(['upsert a 1', 'delete z']);
});

test('after stop() nothing is asked and nothing is told', async () => {
  put('a');
  const follower = await listed();
  follower.reflector.stop();
  await eventually(() => server.watches().length === 0, { reason: 'no watch' });
  put('b');
  const asked = server.requests.length;
  const other = await listed();
  expect(other.known.size).toBe(2);
  expect(follower.known.size).toBe(1);
  expect(server.requests.length).toBe(asked + 1);
});

async function serve(options: ApiServerOptions = {}): Promise<void> {
  await server?.stop();
  server = new ApiServer(options);
  await server.start();
}

function put(...names: string[]): void {
  for (const name of names) server.store.put(node(name));
}

function remove(name: string): void {
  server.store.delete(server.store.typeOf('v1', 'Node'), undefined, name);
}

function followed(times = {}): Follower {
  const follower = follow(server, nodes, times);
  followers.push(follower);
  return follower;
}

async function listed(times = {}): Promise<Follower> {
  const follower = followed(times);
  await eventually(() => follower.listings === 1, { reason: 'listed' });
  return follower;
}

async function watching(): Promise<LiveWatch[]> {
  await eventually(() => server.watches(nodes).length === 1, { reason: 'one watch' });
  return server.watches(nodes);
}

async function knows(follower: Follower, racks: Record<string, string>): Promise<void> {
  await eventually(() => expect(Object.fromEntries(follower.known)).toEqual(racks), { reason: 'known' });
}
