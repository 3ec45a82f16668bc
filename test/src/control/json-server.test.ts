/** The framed-JSON socket, through its own client and through raw bytes. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ApiClient, ConnectionError, RefusedError } from '../../../src/control/client.ts';
import { encodeFrame, FrameDecoder } from '../../../src/control/json-protocol.ts';
import { eventually } from '../../kit/eventually.ts';
import { converse, onEnd, RawClient, serve } from './control-kit.ts';
import { fakeModel, fakeProtocols, fakeRoutes, fakeStatus } from './fake-model.ts';

async function connected(path: string): Promise<ApiClient> {
  const client = await ApiClient.connect(path);
  onEnd(() => client.close());
  return client;
}

const hello = { hello: { protocol: 'godwit', version: 1, agent: '0.1.0' } };

/** All values the server sent. */
const values = (bytes: Uint8Array): unknown[] => [...new FrameDecoder(16 * 1024 * 1024).push(bytes)];

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of from) values.push(value);
  return values;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('methods', () => {
  test('values arrive as the model gave them', async () => {
    const { json } = await serve();
    const client = await connected(json.path);
    expect(await client.call('status', {})).toEqual(plain(fakeStatus));
    expect(await client.call('protocols', {})).toEqual(plain(fakeProtocols));
    expect(await client.call('why', { target: '10.244.1.7' })).toMatchObject({ prefix: '10.244.1.0/24' });
    expect(await client.call('policy', { pod: 'default/web' })).toMatchObject({ interfaceName: 'gw-web' });
    expect(await client.call('memory', {})).toHaveLength(2);
    expect(await collect(client.routes({}))).toEqual(plain(fakeRoutes));
  });

  test('routes come in pages, all but the last with more', async () => {
    const { json } = await serve(fakeModel({ many: 450 }));
    const reply = values(await converse(json.path, encodeFrame({ id: 7, method: 'routes', params: {} })));
    const pages = reply.slice(1) as { id: number; more?: boolean; result: unknown[] }[];
    expect(pages.map(({ id, more, result }) => [id, more, result.length])).toEqual([
      [7, true, 200],
      [7, true, 200],
      [7, undefined, 50],
    ]);
  });

  test('requests that come together are answered in their order', async () => {
    const { json } = await serve();
    const requests = [1, 2, 3].map((id) => encodeFrame({ id, method: id === 2 ? 'routes' : 'status' }));
    const reply = values(await converse(json.path, Buffer.concat(requests))) as { id: number }[];
    expect(reply.slice(1).map(({ id }) => id)).toEqual([1, 2, 3]);
  });
});

describe('requests that are refused', () => {
  test.each([
    [
      { id: 1, method: 'reboot' },
      1,
      'unknownMethod',
      "'reboot' is none of status, protocols, routes, policy, why, memory, interfaces",
    ],
    [{ id: 1, method: 'constructor' }, 1, 'unknownMethod', expect.stringContaining("'constructor' is none of")],
    [{ id: 1, method: 'routes', params: { prefix: '10.0.0.0/33' } }, 1, 'badParams', 'params.prefix: is not a prefix'],
    [{ id: 1, method: 'routes', params: { colour: 'red' } }, 1, 'badParams', expect.stringContaining('colour')],
    [{ id: 1, method: 'policy', params: {} }, 1, 'badParams', expect.stringContaining('params.pod')],
    [{ id: 1, method: 'policy', params: { pod: 'a/b' } }, 1, 'notFound', 'pod a/b not found'],
    [{ id: 4, method: 5 }, 4, 'badRequest', expect.stringContaining('request.method')],
    [{ method: 'status' }, null, 'badRequest', expect.stringContaining('request.id')],
    [[], null, 'badRequest', expect.stringContaining('request')],
    [null, null, 'badRequest', expect.stringContaining('request')],
  ])('%j', async (request, id, code, message) => {
    const { json } = await serve();
    const sent = [encodeFrame(request), encodeFrame({ id: 9, method: 'memory' })];
    const reply = values(await converse(json.path, Buffer.concat(sent)));
    expect(reply[1]).toEqual({ id, error: { code, message } });
    // The connection goes on.
    expect(reply[2]).toMatchObject({ id: 9 });
  });

  test('prefixes are made canonical before the model sees them', async () => {
    const asked: unknown[] = [];
    const { json } = await serve({
      ...fakeModel(),
      routes(query) {
        asked.push(query);
        return [];
      },
    });
    const client = await connected(json.path);
    await collect(client.routes({ prefix: '10.1.2.3/16', for: 'FD00::0:1' }));
    expect(asked).toEqual([{ prefix: '10.1.0.0/16', for: 'fd00::1' }]);
  });

  test('a fault of the model reaches the client and the log', async () => {
    const { json, faults } = await serve({
      ...fakeModel(),
      status: () => Promise.reject(new Error('broken')),
    });
    const client = await connected(json.path);
    await expect(client.call('status', {})).rejects.toThrow(
      new RefusedError('internal', 'the agent failed to answer: broken'),
    );
    expect(faults).toEqual([new Error('broken')]);
    expect(await client.call('memory', {})).toHaveLength(2);
  });

  test('an agent that starts says so', async () => {
    const { json } = await serve(undefined, { starting: true });
    const client = await connected(json.path);
    await expect(client.call('status', {})).rejects.toMatchObject({ code: 'starting' });
  });
});

describe('garbage', () => {
  test.each([
    ['a frame that is too large', Buffer.from([0x7f, 0, 0, 0, 1]), /more than the 1048576 allowed/],
    ['no JSON', Buffer.from('\0\0\0\x02{]', 'latin1'), /not JSON/],
    ['no UTF-8', Buffer.from('\0\0\0\x03"\xff"', 'latin1'), /not JSON/],
    ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n', /more than the 1048576 allowed/],
  ])('%s gets an error and the end', async (_, sent, message) => {
    const { json } = await serve();
    const client = new RawClient(json.path);
    client.socket.write(sent);
    await eventually(() => client.ended, { reason: 'the server ends the connection' });
    expect(values(Buffer.concat(client.chunks))).toEqual([
      hello,
      { id: null, error: { code: 'badFrame', message: expect.stringMatching(message) } },
    ]);
  });

  test('whatever comes, the server speaks frames, ends in order, and has no fault of its own', async () => {
    const { json, faults } = await serve();
    const request = fc
      .record({ id: fc.jsonValue(), method: fc.constantFrom('status', 'routes', 'why', 'x'), params: fc.jsonValue() })
      .map(encodeFrame);
    const sent = fc.array(fc.oneof(request, fc.uint8Array({ maxLength: 30 })), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sent, async (chunks) => {
        const reply = values(await converse(json.path, Buffer.concat(chunks)));
        expect(reply[0]).toEqual(hello);
      }),
      { numRuns: 300 },
    );
    expect(faults).toEqual([]);
  });

  test('a client that never reads is cut off, its cursor ended', async () => {
    const model = fakeModel({ many: 1_000_000 });
    const { json } = await serve(model, { patience: 300 });
    const client = new RawClient(json.path);
    client.socket.write(encodeFrame({ id: 1, method: 'routes' }));
    client.socket.pause();
    await eventually(() => model.read() > 0 && model.open() === 0, { reason: 'the cursor is ended' });
    expect(model.read()).toBeLessThan(50_000);
  });
});

test('the client refuses what is not an agent', async () => {
  const { bird } = await serve();
  await expect(ApiClient.connect(bird.path)).rejects.toThrow(ConnectionError);
});
