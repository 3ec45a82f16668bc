/** `godwit show` against both sockets, and the program itself as a user starts it. */

import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { runShow } from '../../../src/cli/show.ts';
import { exitCodes, UsageError } from '../../../src/cli/usage.ts';
import { fakeModel, fakeRoutes, fakeStatus } from '../control/fake-model.ts';
import { makeFolder, onEnd, serve } from '../control/control-kit.ts';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const program = new URL('../../../src/main.ts', import.meta.url).pathname;

function godwit(...args: string[]): Promise<Result> {
  return new Promise((resolve, reject) => {
    const options = { timeout: 30_000, maxBuffer: 100 * 1024 * 1024 };
    execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The same without a process of its own: most of the time here is Node's start. */
async function ask(...args: string[]): Promise<Result> {
  const text = { stdout: '', stderr: '' };
  const gather = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        text[name] += chunk.toString();
        done();
      },
    });
  try {
    const code = await runShow(args, { stdout: gather('stdout'), stderr: gather('stderr') });
    return { code, ...text };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { code: exitCodes.usage, stdout: text.stdout, stderr: `godwit: ${error.message}\n` };
  }
}

const seeHelp = "See 'godwit --help'.\n";

describe('text', () => {
  test('is what birdc would print, without the greeting', async () => {
    const { bird } = await serve();
    const { code, stdout, stderr } = await godwit('-s', bird.path, 'show', 'route', 'for', '10.244.1.5', 'all');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(0, 5)).toEqual([
      'Table master4:',
      expect.stringMatching(/^10\.244\.1\.0\/24 {8}unicast \[rr-1 .* from 10\.1\.1\.2\] \* \(100\) \[i\]$/),
      '\tvia 10.1.1.12 on eth0',
      '\tType: BGP univ',
      '\tBGP.origin: IGP',
    ]);
  });

  test('the last line of an answer is printed where it says something', async () => {
    const { bird } = await serve();
    const { stdout } = await ask('show', '--socket', bird.path, 'status');
    expect(stdout).toMatch(/^Godwit 0\.1\.0\n(.*\n)*Daemon is up and running\n$/);
  });

  test('show policy and show why, which birdc does not know', async () => {
    const { bird } = await serve();
    expect((await ask('-s', bird.path, 'show', 'policy', 'web')).stdout).toContain('allow TCP 80 from pods app=front');
    expect((await ask('-s', bird.path, 'show', 'why', '10.244.1.7')).stdout).toContain('! kernel     not installed');
  });
});

describe('--json', () => {
  test.each([
    [['show', 'status'], fakeStatus],
    [['show', 'route'], fakeRoutes],
    [['show', 'route', 'in', '10.244.0.0/24'], [fakeRoutes[0]]],
    [['show', 'route', 'in', '10.99.0.0/24'], []],
    [['show', 'route', 'count'], { routes: 4, networks: 3 }],
  ])('%j is one document', async (words, value) => {
    const { bird } = await serve();
    const { code, stdout, stderr } = await ask('-s', bird.path, '--json', ...words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(value)));
  });

  test('--api names another socket; names are filtered', async () => {
    const { json } = await serve();
    const { stdout } = await ask('show', 'protocols', 'tor*', '--json', '--api', json.path);
    expect(JSON.parse(stdout)).toMatchObject([{ kind: 'bgp', peer: { name: 'tor-a' } }]);
  });
});

describe('exit codes', () => {
  test.each([
    [['show', 'route', '10.99.0.0/24'], 1, 'godwit: Network not found\n'],
    [['show', 'policy', 'nobody'], 1, 'godwit: Pod default/nobody not found\n'],
    [['show', 'policy', 'nobody', '--json'], 1, 'godwit: pod default/nobody not found\n'],
    [['show', 'protocols', 'nobody', '--json'], 1, 'godwit: No protocols match\n'],
    [['show', 'bogus'], 2, expect.stringContaining("not 'bogus'")],
    [['show'], 2, expect.stringContaining('show needs one of')],
    [['show', 'status', '--api'], 2, 'godwit: --api: needs a value\n'],
    [['show', 'status', '--api', '/x'], 2, 'godwit: --api: is only used with --json\n'],
  ])('%j: %i', async (words, code, stderr) => {
    const { bird } = await serve();
    expect(await ask('-s', bird.path, ...words)).toEqual({ code, stdout: '', stderr });
  });

  test.each([
    [[], 'a command is missing'],
    [['fly'], "there is no command 'fly'"],
    [['show', 'status', '--yaml'], '--yaml: there is no such flag'],
    [['agent', '--roles', 'fly', '--source', 'kube'], "--roles: 'fly' is none of bgp, routes, policy, cni"],
  ])('a wrong command line, %j: 2', async (args, reason) => {
    expect(await godwit(...args)).toEqual({ code: 2, stdout: '', stderr: `godwit: ${reason}\n${seeHelp}` });
  });

  test.each([[['show', 'status']], [['show', 'status', '--json']]])('no agent, %j: 3', async (words) => {
    const socket = join(makeFolder(), 'api.sock');
    const reason = `${socket}: there is no such socket: is the agent running?`;
    expect(await ask('-s', socket, ...words)).toEqual({ code: 3, stdout: '', stderr: `godwit: ${reason}\n` });
  });

  test('an agent that breaks off in the middle: 3', async () => {
    const path = join(makeFolder(), 'a.ctl');
    const server = createServer((socket) => {
      socket.write('0001 Godwit 0.1.0 ready.\n');
      socket.once('data', () => socket.end('1007-Table master4:\n'));
    });
    onEnd(() => server.close());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(await ask('-s', path, 'show', 'route')).toEqual({
      code: 3,
      stdout: 'Table master4:\n',
      stderr: `godwit: ${path}: the connection ended before the answer did\n`,
    });
  });

  test('a socket of something else: 3', async () => {
    const path = join(makeFolder(), 'a.ctl');
    const server = createServer((socket) => socket.end('220 mail.example.net ESMTP\n'));
    onEnd(() => server.close());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const { code, stderr } = await ask('-s', path, 'show', 'route');
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: `godwit: ${path}: not a reply: '220 mail.example.net ESMTP'\n`,
    });
  });
});

test('a reader that goes away early ends the program in silence', async () => {
  const { bird } = await serve(fakeModel({ many: 100_000 }));
  const result = await new Promise<Result>((resolve) => {
    const line = `'${process.execPath}' '${program}' -s '${bird.path}' show route | head -1; exit \${PIPESTATUS[0]}`;
    execFile('bash', ['-c', line], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
  expect(result).toEqual({ code: 0, stdout: 'Table master4:\n', stderr: '' });
});

test('--help and --version', async () => {
  expect((await godwit('--help')).stdout).toMatch(/^godwit: BGP network controller for Kubernetes\n/);
  expect((await godwit('agent', '--help')).stdout).toContain('--source dir:PATH');
  expect((await godwit('--version')).stdout).toMatch(/^godwit \d+\.\d+\.\d+\n$/);
});
