import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CniServer } from '../../../../src/agent/cni/cni-server.ts';
import type { Log } from '../../../../src/agent/log.ts';
import type { CniRequest } from '../../../../src/cni/request.ts';
import { eventually } from '../../../kit/eventually.ts';

let folder: string;
let server: CniServer;
let handle: (request: CniRequest) => Promise<object | undefined>;
const logged: unknown[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-cni-server-'));
  handle = async () => ({ cniVersion: '1.0.0' });
  logged.length = 0;
  const log = { warn() {}, error: (fields: unknown) => logged.push(fields) } as unknown as Log;
  server = await CniServer.start({ path: path(), handle: (request) => handle(request), log });
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const path = () => join(folder, 'cni.sock');

const request = JSON.stringify({
  command: 'ADD',
  containerId: 'c1',
  netns: '/run/netns/a',
  ifName: 'eth0',
  args: '',
  path: '',
  config: { cniVersion: '0.4.0', name: 'godwit' },
});

function open(): Socket {
  return connect({ path: path(), allowHalfOpen: true });
}

/** @returns the exit status and the object */
async function answerTo(text: string): Promise<[number, unknown]> {
  const socket = open();
  socket.end(text);
  let answer = '';
  for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk);
  const end = answer.indexOf('\n');
  const body = answer.slice(end + 1);
  return [Number(answer.slice(0, end)), body === '' ? undefined : JSON.parse(body)];
}

test('only root may call', () => {
  expect(statSync(path()).mode & 0o777).toBe(0o600);
});

test('a result, nothing, and an error, each in the version of the call', async () => {
  expect(await answerTo(request)).toEqual([0, { cniVersion: '1.0.0' }]);
  handle = async () => undefined;
  expect(await answerTo(request)).toEqual([0, undefined]);
  handle = async () => {
    throw new TypeError('ours');
  };
  expect(await answerTo(request)).toEqual([
    1,
    { cniVersion: '0.4.0', code: 999, msg: 'the Godwit agent failed', details: 'TypeError: ours' },
  ]);
  expect(logged).toHaveLength(1);
});

test.each(['', 'garbage', '{}', '{"config":', '\0\0'])('what is no call is answered with 6: %j', async (text) => {
  expect(await answerTo(text)).toMatchObject([1, { code: 6 }]);
});

test('a caller that goes away in the middle, or never ends, hinders neither the others nor the end', async () => {
  const gone = open();
  gone.write(request.slice(0, 20));
  await once(gone, 'connect');
  gone.destroy();
  const silent = open();
  silent.write(request.slice(0, 20));
  await once(silent, 'connect');
  expect(await answerTo(request)).toMatchObject([0, {}]);
  const ended = new Promise((resolve) => {
    silent.on('error', resolve).on('end', resolve).resume();
  });
  await server.close();
  await ended;
  silent.destroy();
});

test('one that writes without end is cut off', async () => {
  const flood = open();
  const closed = new Promise((resolve) => {
    flood.on('error', () => flood.destroy()).on('close', resolve);
  });
  flood.write('x'.repeat(6 * 1024 * 1024));
  await closed;
  expect(await answerTo(request)).toMatchObject([0, {}]);
});

test('the end waits for the call under way, and takes no other', async () => {
  let finish: (() => void) | undefined;
  handle = () =>
    new Promise((resolve) => {
      finish = () => resolve({ done: true });
    });
  const answer = answerTo(request);
  await eventually(() => finish !== undefined, { reason: 'the call is under way' });
  const closed = server.close();
  await expect(answerTo(request)).rejects.toThrow();
  finish?.();
  expect(await answer).toEqual([0, { done: true }]);
  await closed;
  expect(existsSync(path())).toBe(false);
});
