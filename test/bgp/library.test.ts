/**
 * `godwit/bgp` as somebody else's program sees it: packed, unpacked in an empty folder, and the programs of docs/library.md checked
 * against its types and run with plain node.
 */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSpeaker, toSpeakerSettings } from '../../bgp/index.ts';
import type { CreateSpeakerOptions, SpeakerConfiguration } from '../../bgp/index.ts';
import { eventually } from '../kit/eventually.ts';
import { TestNamespace } from '../kit/netns.ts';
import { enterNamespace } from './kit/enter-namespace.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'godwit-library-'));
const project = join(folder, 'project');
const namespace = new TestNamespace();
const programs = new Set<ChildProcess>();
let leave: (() => void) | undefined;

/** Packs a copy, so that nobody's dist/ changes, and installs it as npm would, but for what the registry would have to send. */
function install(): void {
  const copy = join(folder, 'copy');
  const modules = join(project, 'node_modules');
  const theirs = join(top, 'node_modules');
  for (const name of [
    'package.json',
    'tsconfig.json',
    'tsconfig.library.json',
    'rolldown.config.ts',
    'docs/library.md',
  ]) {
    cpSync(join(top, name), join(copy, name));
  }
  for (const name of ['bgp', 'dataplane', 'src', 'scripts'])
    cpSync(join(top, name), join(copy, name), { recursive: true });
  symlinkSync(theirs, join(copy, 'node_modules'));
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: copy, stdio: 'pipe' });
  mkdirSync(join(modules, 'godwit'), { recursive: true });
  execFileSync('tar', ['-xf', 'godwit-0.1.0.tgz', '--strip-components=1', '-C', join(modules, 'godwit')], {
    cwd: folder,
  });
  symlinkSync(join(theirs, 'koffi'), join(modules, 'koffi'));
  symlinkSync(join(theirs, '@types'), join(modules, '@types'));
}

/** Each block of the page whose first line names it. */
function writeExamples(): string[] {
  const page = readFileSync(join(top, 'docs/library.md'), 'utf8');
  return [...page.matchAll(/^```ts\n(\/\/ (\S+)\n[\s\S]*?)^```$/gm)].map(([, text, name]) => {
    writeFileSync(join(project, name), text);
    return name;
  });
}

interface Program {
  readonly process: ChildProcess;
  /** On both streams. */
  said: string;
}

function run(name: string): Program {
  const process = spawn('ip', ['netns', 'exec', namespace.name, 'node', name], { cwd: project, stdio: 'pipe' });
  programs.add(process);
  process.once('exit', () => programs.delete(process));
  const program = { process, said: '' };
  for (const stream of [process.stdout, process.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (program.said += text));
  }
  return program;
}

async function ended({ process }: Program): Promise<number | null> {
  if (process.exitCode !== null) return process.exitCode;
  return await new Promise((resolve) => process.once('exit', resolve));
}

async function says(program: Program, pattern: RegExp): Promise<void> {
  await eventually(() => expect(program.said).toMatch(pattern), { reason: `the program says ${pattern}` });
}

async function stopped(program: Program): Promise<void> {
  program.process.kill('SIGTERM');
  expect(await ended(program)).toBe(0);
}

/** A speaker of ours, in the namespace of the programs. */
async function neighborOf(
  address: string,
  options: Partial<CreateSpeakerOptions>,
): Promise<ReturnType<typeof createSpeaker>> {
  const speaker = createSpeaker({ asNumber: 64512, routerId: address, listenAddresses: [address], ...options });
  await speaker.start();
  return speaker;
}

const prefixesOf = (speaker: ReturnType<typeof createSpeaker>) =>
  [...speaker.routes({})].map(({ prefix }) => prefix).sort();

let names: string[];

beforeAll(() => {
  install();
  names = writeExamples();
  for (const host of [1, 2, 10, 11, 20, 129, 130]) namespace.ip(`addr add 192.0.2.${host}/24 dev lo`);
  leave = enterNamespace(namespace.path);
});

afterAll(() => {
  for (const program of programs) program.kill('SIGKILL');
  leave?.();
  namespace.remove();
  rmSync(folder, { recursive: true });
});

test('the page has its programs, and TypeScript finds them right against the package', () => {
  expect(names).toEqual([
    'announce.ts',
    'filter.ts',
    'reflector.ts',
    'collector.ts',
    'memory-network.ts',
    'in-memory.ts',
  ]);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  const compilerOptions = { target: 'es2024', module: 'nodenext', strict: true, noEmit: true, types: ['node'] };
  const strip = { allowImportingTsExtensions: true, erasableSyntaxOnly: true, verbatimModuleSyntax: true };
  const write = (files: readonly string[]) =>
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...compilerOptions, ...strip }, files }),
    );
  const check = () =>
    spawnSync(join(top, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: project, encoding: 'utf8' }).stdout;
  write(names);
  expect(check()).toBe('');
  // What is wrong is seen: the types are those of the package, not `any`.
  const wrong =
    "import { createSpeaker } from 'godwit/bgp';\ncreateSpeaker({ asNumber: '1', routerId: '192.0.2.1' });\n";
  writeFileSync(join(project, 'wrong.ts'), wrong);
  write(['wrong.ts']);
  expect(check()).toMatch(/^wrong\.ts\(2,\d+\): error TS2322/);
});

test('in memory: a day passes', async () => {
  const program = run('in-memory.ts');
  expect(await ended(program)).toBe(0);
  expect(program.said).toBe('a day without a flap\n');
});

test('announce.ts: its prefixes come, ours are printed, and its end is told in words', async () => {
  const speaker = await neighborOf('192.0.2.2', {
    asNumber: 65002,
    originated: ['203.0.113.0/24'],
    neighbors: [
      { address: '192.0.2.1', remoteAs: 65001, passive: true, importFilter: 'acceptAll', exportFilter: 'acceptAll' },
    ],
  });
  const program = run('announce.ts');
  await says(program, /^203\.0\.113\.0\/24 via 192\.0\.2\.2 \[65002\]$/m);
  await eventually(
    () => expect(prefixesOf(speaker)).toEqual(['198.51.100.0/24', '2001:db8:1::/48', '203.0.113.0/24']),
    {
      reason: 'what it announces',
    },
  );
  const [route] = speaker.routes({ prefix: '2001:db8:1::/48' });
  expect(route).toMatchObject({ nextHop: '2001:db8::1', communities: ['65001:7'], asPath: '65001' });
  await stopped(program);
  await eventually(() => expect(speaker.peers()[0].lastNotification).toContain('maintenance, back at noon'), {
    reason: 'its word',
  });
  await speaker.stop('shutdown');
});

test('reflector.ts: a client and two members of the range hear each other', async () => {
  const program = run('reflector.ts');
  const client = (address: string, originated: string) =>
    neighborOf(address, {
      originated: [originated],
      neighbors: [{ address: '192.0.2.10', remoteAs: 64512, localAddress: address, connectRetrySeconds: 1 }],
    });
  const clients = [
    await client('192.0.2.11', '10.11.0.0/16'),
    await client('192.0.2.129', '10.129.0.0/16'),
    await client('192.0.2.130', '10.130.0.0/16'),
  ];
  const all = ['10.11.0.0/16', '10.129.0.0/16', '10.130.0.0/16'];
  for (const speaker of clients) {
    await eventually(() => expect(prefixesOf(speaker)).toEqual(all), { reason: 'everything reflected' });
  }
  await says(program, /^rack_192\.0\.2\.129 is here$/m);
  await clients[2].stop('shutdown', 'moved');
  await says(program, /^rack_192\.0\.2\.130 is gone: .*"moved", received$/m);
  await stopped(program);
  for (const speaker of clients) await speaker.stop('shutdown');
});

test('collector.ts: a line of JSON a change; it says nothing itself', async () => {
  const program = run('collector.ts');
  const configuration = {
    asNumber: 65001,
    routerId: '192.0.2.1',
    originated: ['10.1.0.0/16'],
    neighbors: [
      {
        address: '192.0.2.20',
        remoteAs: 65000,
        localAddress: '192.0.2.1',
        connectRetrySeconds: 1,
        importFilter: 'acceptAll',
        exportFilter: 'acceptAll',
      },
    ],
  } satisfies SpeakerConfiguration;
  const speaker = await neighborOf('192.0.2.1', configuration);
  await says(program, /"10\.1\.0\.0\/16","paths":\[\{/);
  speaker.configure(toSpeakerSettings({ ...configuration, originated: [] }));
  await says(program, /"10\.1\.0\.0\/16","paths":\[\]/);
  const [first, last] = program.said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(first).toMatchObject({
    prefix: '10.1.0.0/16',
    paths: [{ peerName: 'feeds_192.0.2.1', asPath: '65001', selected: 'best' }],
  });
  expect(last.paths).toEqual([]);
  await speaker.stop('shutdown');
  await stopped(program);
});

test('the policy in force is told: RFC 8212 for an eBGP neighbour without filters', () => {
  const of = (remoteAs: number) =>
    toSpeakerSettings({ asNumber: 65001, routerId: '192.0.2.1', neighbors: [{ address: '192.0.2.2', remoteAs }] });
  const textOf = (remoteAs: number) => of(remoteAs).neighbors[0].policyText;
  expect(textOf(65002)).toBe('import: no import policy (RFC 8212); export: no export policy (RFC 8212)');
  expect(textOf(65001)).toBe('import: all; export: all');
});

test('neighbours on a link without addresses', () => {
  const neighbors = [
    { address: 'FE80::1%eth0', remoteAs: 'external' },
    { range: 'fe80::/10', interfaceName: 'eth1', remoteAs: 65001 },
  ] as const;
  expect(toSpeakerSettings({ asNumber: 65001, routerId: '192.0.2.1', neighbors }).neighbors).toMatchObject([
    { name: 'fe80::1%eth0', remote: { kind: 'address', address: 'fe80::1%eth0', port: 179 }, remoteAs: 'external' },
    { remote: { kind: 'range', prefix: 'fe80::/10', interfaceName: 'eth1' }, passive: true },
  ]);
});

test.each<[string, Partial<SpeakerConfiguration>, string]>([
  ['an AS number of 0', { asNumber: 0 }, 'asNumber: 0 is no AS number (1 to 4294967295)'],
  ['a router id of words', { routerId: 'me' }, 'routerId: me is no identifier (as 192.0.2.1, and not 0.0.0.0)'],
  [
    'a cluster id of zeros',
    { clusterId: '0.0.0.0' },
    'clusterId: 0.0.0.0 is no identifier (as 192.0.2.1, and not 0.0.0.0)',
  ],
  ['a prefix without length', { originated: ['10.0.0.0'] }, 'originated[0]: 10.0.0.0 is no prefix'],
  [
    'half an address',
    { neighbors: [{ address: '192.0.2', remoteAs: 1 }] },
    'neighbors[0].address: 192.0.2 is no IP address',
  ],
  [
    'a link-local address without its interface',
    { neighbors: [{ address: 'fe80::1', remoteAs: 1 }] },
    'neighbors[0].address: fe80::1 is link-local, and lacks its interface (fe80::1%eth0)',
  ],
  [
    'an interface without a range',
    { neighbors: [{ address: 'fe80::1%eth0', interfaceName: 'eth0', remoteAs: 1 }] },
    'neighbors[0].interfaceName: without a range',
  ],
  ['neither address nor range', { neighbors: [{ remoteAs: 1 }] }, 'neighbors[0]: either address or range'],
  ['both', { neighbors: [{ remoteAs: 1, address: '::1', range: '::/0' }] }, 'neighbors[0]: either address or range'],
  ['no range', { neighbors: [{ remoteAs: 1, range: '::' }] }, 'neighbors[0].range: :: is no prefix'],
  ['no port', { neighbors: [{ remoteAs: 1, address: '::1', port: 0 }] }, 'neighbors[0].port: 0 is not from 1 to 65535'],
  [
    'a hold time of 2',
    { neighbors: [{ remoteAs: 1, address: '::1', holdTimeSeconds: 2 }] },
    'neighbors[0].holdTimeSeconds: 2 is neither 0 nor from 3 to 65535',
  ],
  [
    'half a path',
    { neighbors: [{ remoteAs: 1, address: '::1', addPaths: { receive: true, sendMaximum: 0.5 } }] },
    'neighbors[0].addPaths.sendMaximum: 0.5 is neither a whole number from 0 on nor Infinity',
  ],
  ['no family', { neighbors: [{ remoteAs: 1, address: '::1', families: [] }] }, 'neighbors[0].families: at least one'],
  [
    'a neighbour AS of 2 ** 32',
    { neighbors: [{ remoteAs: 2 ** 32, address: '::1' }] },
    'neighbors[0].remoteAs: 4294967296 is no AS number (1 to 4294967295)',
  ],
  ['a port of 0', { listenPort: 0 }, 'listenPort: 0 is not a whole number from 1 to 65535'],
  ['no path at all', { maximumPaths: 0 }, 'maximumPaths: 0 is not a whole number from 1 on'],
  [
    'a restart time that has no room in the capability',
    { gracefulRestartSeconds: 4096 },
    'gracefulRestartSeconds: 4096 is not a whole number from 0 to 4095',
  ],
  [
    'a TTL of 256',
    { neighbors: [{ remoteAs: 1, address: '::1', ttl: 256 }] },
    'neighbors[0].ttl: 256 is not a whole number from 1 to 255',
  ],
  [
    'half a second',
    { neighbors: [{ remoteAs: 1, address: '::1', connectRetrySeconds: 0.5 }] },
    'neighbors[0].connectRetrySeconds: 0.5 is not a whole number from 1 on',
  ],
  ['a field that there is not', { asnumber: 1 } as object, 'asnumber: unknown'],
  [
    'a field that neighbours do not have',
    { neighbors: [{ remoteAs: 1, address: '::1', holdTime: 9 } as never] },
    'neighbors[0].holdTime: unknown',
  ],
])('what cannot be is named: %s', (_, change, message) => {
  expect(() => createSpeaker({ asNumber: 65001, routerId: '192.0.2.1', ...change })).toThrow(new RangeError(message));
});
