import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ControlServers } from '../../../src/control/server.ts';
import { listenOnSocketFile, SocketFileError } from '../../../src/control/socket-file.ts';
import { fakeModel } from './fake-model.ts';
import { converse, makeFolder, onEnd } from './control-kit.ts';

function server(): Server {
  // Whoever only looks whether somebody answers goes at once: writing to it fails.
  const made = createServer((socket) => socket.on('error', () => socket.destroy()).end('here'));
  onEnd(() => made.close());
  return made;
}

test('the folder is made, the socket has mode 0660, nothing else is left', async () => {
  const path = join(makeFolder(), 'run', 'godwit', 'a.ctl');
  const file = await listenOnSocketFile(server(), path);
  expect(lstatSync(path).mode & 0o777).toBe(0o660);
  expect(readdirSync(join(path, '..'))).toEqual(['a.ctl']);
  expect((await converse(path, '')).toString()).toBe('here');
  await file.remove();
  expect(existsSync(path)).toBe(false);
});

test('a second one on the same path is refused while the first answers, and the first goes on', async () => {
  const path = join(makeFolder(), 'a.ctl');
  await listenOnSocketFile(server(), path);
  await expect(listenOnSocketFile(server(), path)).rejects.toThrow(
    new SocketFileError('inUse', `another agent answers on ${path}`),
  );
  expect((await converse(path, '')).toString()).toBe('here');
  expect(readdirSync(join(path, '..'))).toEqual(['a.ctl']);
});

test('of many that start together exactly one has it', async () => {
  const path = join(makeFolder(), 'a.ctl');
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => listenOnSocketFile(server(), path)));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect((await converse(path, '')).toString()).toBe('here');
});

test('the socket of a process that was killed is replaced', async () => {
  const path = join(makeFolder(), 'a.ctl');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  expect(() => execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' })).toThrow();
  expect(lstatSync(path).isSocket()).toBe(true);
  await listenOnSocketFile(server(), path);
  expect((await converse(path, '')).toString()).toBe('here');
});

test.each([
  ['a file', (path: string) => writeFileSync(path, 'precious')],
  ['a symbolic link', (path: string) => symlinkSync('/nowhere', path)],
])('%s at the path is left alone', async (_, make) => {
  const path = join(makeFolder(), 'a.ctl');
  make(path);
  await expect(listenOnSocketFile(server(), path)).rejects.toThrow(
    new SocketFileError('notASocket', `${path} exists and is not a socket: it is left alone`),
  );
  expect(lstatSync(path).isSocket()).toBe(false);
});

test('a socket that another has put there meanwhile is not removed', async () => {
  const path = join(makeFolder(), 'a.ctl');
  const first = await listenOnSocketFile(server(), path);
  rmSync(path);
  await listenOnSocketFile(server(), path);
  await first.remove();
  expect((await converse(path, '')).toString()).toBe('here');
});

test('a path that cannot be made is refused with the reason', async () => {
  const folder = makeFolder();
  writeFileSync(join(folder, 'file'), '');
  const path = join(folder, 'file', 'a.ctl');
  await expect(listenOnSocketFile(server(), path)).rejects.toThrow(
    `cannot listen on ${path}: EEXIST: file already exists, mkdir`,
  );
});

test('an agent that cannot have its second socket gives the first one back', async () => {
  const folder = makeFolder();
  const log = { error: () => undefined };
  const [socket, other, api] = ['a.ctl', 'b.ctl', 'api.sock'].map((name) => join(folder, name));
  const first = await ControlServers.claim({ mayChange: () => false, socket, api, log });
  onEnd(() => first.close());
  first.serve(fakeModel());
  await expect(ControlServers.claim({ mayChange: () => false, socket: other, api, log })).rejects.toThrow(
    `another agent answers on ${api}`,
  );
  expect(readdirSync(folder).toSorted()).toEqual(['a.ctl', 'api.sock']);
  expect((await converse(socket, 'show status\n')).toString()).toContain('Router ID is 10.1.1.11');
});

test("Calico's sockets: both are made where they are asked for, with the rights of the others; one that another answers on is not taken", async () => {
  const folder = makeFolder();
  const log = { error: () => undefined };
  const path = (name: string) => join(folder, name);
  const options = { mayChange: () => false, log, calicoFolder: path('calico') };
  const first = await ControlServers.claim({ ...options, socket: path('a.ctl'), api: path('a.sock') });
  onEnd(() => first.close());
  expect((await converse(path('calico/bird.ctl'), 'show status\n')).toString()).toMatch(
    /^0001 BIRD v1\.6 .* ready\.\n8008 The agent is starting/,
  );
  first.serve(fakeModel());
  expect((await converse(path('calico/bird.ctl'), 'show protocols\n')).toString()).toContain('Node_10_1_1_2');
  expect((await converse(path('calico/bird6.ctl'), 'show protocols\n')).toString()).not.toContain('Node_10_1_1_2');
  expect((await converse(path('calico/bird.ctl'), 'disable Node_10_1_1_2\n')).toString()).toContain('Access denied');
  for (const name of ['bird.ctl', 'bird6.ctl']) expect(statSync(path(`calico/${name}`)).mode & 0o777).toBe(0o660);
  const second = ControlServers.claim({ ...options, socket: path('b.ctl'), api: path('b.sock') });
  await expect(second).rejects.toThrow(`another agent answers on ${path('calico/bird.ctl')}`);
  expect(readdirSync(folder).toSorted()).toEqual(['a.ctl', 'a.sock', 'calico']);
  await first.close();
  expect(readdirSync(path('calico'))).toEqual([]);
});
