/** What else deploy/ holds that is run: shell scripts, the probe, the systemd unit. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBirdServer } from '../../src/control/bird-server.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;
let probe: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-programs-'));
  probe = join(folder, 'godwit-probe');
  execFileSync('gcc', [
    '-static',
    '-Os',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    probe,
    `${top}deploy/image/godwit-probe.c`,
  ]);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('shellcheck has nothing to say about the shell scripts', () => {
  const scripts = readdirSync(`${top}scripts`, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => `scripts/${name}`)
    .filter((path) => readFileSync(top + path, 'utf8').startsWith('#!/bin/sh'));
  const all = [...scripts, 'deploy/kubectl/kubectl-godwit', 'deploy/image/godwit'];
  expect(spawnSync('shellcheck', all, { cwd: top, encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '' });
});

test('systemd finds nothing wrong with the unit', () => {
  const unit = readFileSync(`${top}deploy/systemd/godwit-reflector.service`, 'utf8');
  const file = join(folder, 'godwit-reflector.service');
  // The program is not installed where the test runs.
  writeFileSync(file, unit.replaceAll('/opt/godwit/bin/godwit', '/bin/true'));
  expect(spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
});

async function listen(server: Server, name: string): Promise<string> {
  const path = join(folder, name);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

/** Not `spawnSync`: the server that is asked lives in this process. */
async function ask(...args: readonly string[]): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(probe, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stderr };
}

test('an agent that starts is alive and not ready', async () => {
  const path = join(folder, 'starting.ctl');
  const server = await startBirdServer({ path, version: '1', model: () => undefined, onModelError() {} });
  try {
    expect(await ask('live', path)).toEqual({ status: 0, stderr: '' });
    expect(await ask('ready', path)).toEqual({
      status: 1,
      stderr: 'godwit-probe: show status: 8008 The agent is starting, it has nothing to tell yet\n',
    });
  } finally {
    await server.close();
  }
});

test('an agent that has too many clients is alive', async () => {
  const path = join(folder, 'crowded.ctl');
  const server = await startBirdServer({
    path,
    version: '1',
    model: () => undefined,
    onModelError() {},
    maximumClients: 0,
  });
  try {
    expect(await ask('live', path)).toEqual({ status: 0, stderr: '' });
    expect((await ask('ready', path)).stderr).toBe('godwit-probe: greeting: 8007 Too many clients (0)\n');
  } finally {
    await server.close();
  }
});

test('an agent that answers `show status` is ready', async () => {
  const server = createServer((socket) => {
    socket.write('0001 Godwit 1 ready.\n');
    socket.on('data', (chunk) =>
      socket.end(String(chunk) === 'show status\n' ? '1000-BIRD 2\n0013 Daemon is up and running\n' : '9000 what?\n'),
    );
    socket.on('error', () => {});
  });
  try {
    expect(await ask('ready', await listen(server, 'ready.ctl'))).toEqual({ status: 0, stderr: '' });
  } finally {
    server.close();
  }
});

test('an agent that is gone, hangs up, or says something else is not alive; the reason is told', async () => {
  const hangsUp = createServer((socket) => socket.destroy());
  const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\n'));
  try {
    expect(await ask('live', join(folder, 'none.ctl'))).toEqual({
      status: 1,
      stderr: `godwit-probe: ${folder}/none.ctl: No such file or directory\n`,
    });
    expect(await ask('live', await listen(hangsUp, 'hangs-up.ctl'))).toEqual({
      status: 1,
      stderr: 'godwit-probe: greeting: Connection reset by peer\n',
    });
    expect(await ask('live', await listen(other, 'other.ctl'))).toEqual({
      status: 1,
      stderr: 'godwit-probe: greeting: HTTP/1.1 400 Bad Request\n',
    });
    expect(await ask('well', 'x')).toEqual({ status: 1, stderr: 'usage: godwit-probe live|ready SOCKET\n' });
  } finally {
    hangsUp.close();
    other.close();
  }
});
