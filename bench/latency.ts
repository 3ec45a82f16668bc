/**
 * How late the speaker is while a full table arrives: keepalives of other sessions, and answers of the control socket.
 * Then everything is withdrawn, and the memory should come back. Then all of it once more, beside a peer that has stopped reading.
 *
 *     node --expose-gc bench/latency.ts [prefixes] [watchers]
 *
 * The speaker has this process and real TCP on 127.0.0.0/8; who feeds it, who hears everything and who measures are processes
 * of their own. Prints milliseconds: how much later than due a keepalive came, how long `show status` took, and the processor
 * time of a turn of the speaker; and MiB. It keeps its memory small as the agent does.
 */

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Speaker, systemClock, TcpDriver } from '../bgp/index.ts';
import type { Family } from '../bgp/ip.ts';
import { toOpen } from '../bgp/session/negotiate.ts';
import { encodeMessage, keepaliveMessage, MessageStream } from '../bgp/wire/message.ts';
import { encodeOpen } from '../bgp/wire/open.ts';
import { startBirdServer } from '../src/control/bird-server.ts';
import { keepYoungHeapSmall, returnMemory } from '../src/agent/process-memory.ts';
import { askBird } from '../src/control/client.ts';
import type { ControlModel } from '../src/control/model.ts';
import { random, updateBody } from './kit/updates.ts';

const [role = 'speaker', ...words] = Number.isNaN(Number(process.argv[2] ?? 'x'))
  ? process.argv.slice(2)
  : ['speaker', ...process.argv.slice(2)];

const port = 17_900;
const us = '127.0.0.1';
const asNumber = 65000;
const keepaliveMilliseconds = 1000;
const socketPath = `/tmp/godwit-latency-${role === 'speaker' ? process.pid : words[0]}.ctl`;

/** What a child sends when its part is done; the numbers of a phase are for `watch`. */
interface Report {
  readonly kind: 'ready' | 'done' | 'numbers';
  readonly late?: readonly number[];
  readonly answers?: readonly number[];
}

function report(value: Report): void {
  process.send?.(value);
}

/** Opens a session as `address`, and keeps it. @param heard each message after the opening ones: its type */
async function openSession(
  address: string,
  families: readonly Family[],
  heard: (type: number) => void,
): Promise<Socket> {
  const identifier = Uint8Array.from(address.split('.').map(Number));
  const open = toOpen({
    localAs: asNumber,
    bgpIdentifier: identifier,
    remoteAs: asNumber,
    families,
    extendedNextHop: false,
    holdTimeSeconds: 180,
    keepaliveTimeSeconds: undefined,
    restartTimeSeconds: 0,
    restarting: false,
    forwardingPreserved: false,
  });
  const socket = connect({ host: us, port, localAddress: address });
  socket.setNoDelay(true);
  socket.write(encodeOpen(open));
  const stream = new MessageStream();
  await new Promise<void>((resolve, reject) => {
    let up = false;
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      if (up && families.includes('ipv4')) return;
      stream.push(bytes);
      while (stream.next()) {
        if (stream.type === 1) socket.write(keepaliveMessage);
        else if (stream.type === 4 && !up) {
          up = true;
          resolve();
        } else heard(stream.type);
      }
    });
  });
  setInterval(() => socket.write(keepaliveMessage), 30_000);
  return socket;
}

async function write(socket: Socket, messages: readonly Uint8Array[]): Promise<void> {
  for (let i = 0; i < messages.length; i += 200) {
    if (!socket.write(Buffer.concat(messages.slice(i, i + 200)))) {
      await new Promise((resolve) => socket.once('drain', resolve));
    }
  }
}

async function feed(count: number): Promise<void> {
  const messages: Uint8Array[] = [];
  for (let first = 0; first < count;) {
    const size = Math.min(1 + random(11), count - first);
    messages.push(encodeMessage(2, updateBody(first, size, 257, 1 + random(4) + random(4))));
    first += size;
  }
  const withdrawals = Array.from({ length: Math.ceil(count / 1000) }, (_, i) => {
    const prefixes = Array.from({ length: Math.min(1000, count - i * 1000) }, (_unused, j) => {
      const address = Math.imul(i * 1000 + j, 0x9e3779b1) & 0xffffff;
      return [24, address >>> 16, (address >>> 8) & 255, address & 255];
    }).flat();
    return encodeMessage(2, Uint8Array.from([prefixes.length >> 8, prefixes.length & 255, ...prefixes, 0, 0]));
  });
  const socket = await openSession('127.0.1.1', ['ipv4'], () => {});
  report({ kind: 'ready' });
  process.on('message', (text) => {
    void write(socket, text === 'announce' ? messages : withdrawals).then(() => report({ kind: 'done' }));
  });
}

async function sink(): Promise<void> {
  await openSession('127.0.2.1', ['ipv4'], () => {});
  report({ kind: 'ready' });
}

async function deaf(): Promise<void> {
  const socket = await openSession('127.0.2.2', ['ipv4'], () => {});
  socket.pause();
  report({ kind: 'ready' });
}

/** The watchers' sessions carry IPv6 only: nothing but keepalives is said on them. */
async function watch(count: number): Promise<void> {
  let late: number[] = [];
  let answers: number[] = [];
  for (let i = 0; i < count; i++) {
    let last = performance.now();
    await openSession(`127.0.3.${i + 1}`, ['ipv6'], (type) => {
      const now = performance.now();
      if (type === 4) late.push(now - last - keepaliveMilliseconds);
      last = now;
    });
    await rest(1000 / count);
  }
  report({ kind: 'ready' });
  process.on('message', () => {
    report({ kind: 'numbers', late, answers });
    late = [];
    answers = [];
  });
  for (;;) {
    const asked = performance.now();
    for await (const _ of askBird(socketPath, 'show status'));
    answers.push(performance.now() - asked);
    await rest(5);
  }
}

// The speaker, and what it is asked to do.

/** Milliseconds of processor time of each turn: what the speaker itself costs, however busy the machine is. */
let turns: number[] = [];

class TimedDriver extends TcpDriver {
  override requestTurn(task: () => void): void {
    super.requestTurn(() => {
      const before = process.threadCpuUsage();
      task();
      const { user, system } = process.threadCpuUsage(before);
      turns.push((user + system) / 1000);
    });
  }
}

function makeSpeaker(): Speaker {
  return new Speaker({
    settings: {
      asNumber,
      routerId: us,
      clusterId: us,
      listenPort: port,
      gracefulRestartSeconds: 0,
      maximumPaths: 1,
      neighbors: [
        {
          name: 'clients',
          remote: { kind: 'range', prefix: '127.0.0.0/16' },
          remoteAs: asNumber,
          passive: true,
          reflectorClient: true,
          families: ['ipv4', 'ipv6'],
          holdTimeSeconds: 180,
          keepaliveTimeSeconds: keepaliveMilliseconds / 1000,
          connectRetrySeconds: 30,
          nextHopMode: 'auto',
          allowedOwnAs: 0,
          policyText: 'everything',
        },
      ],
      originated: [],
    },
    driver: new TimedDriver({ listenAddresses: [us] }),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
    // No jitter: what is due when is known from outside.
    random: () => 1 - Number.EPSILON,
  });
}

function makeModel(speaker: Speaker): ControlModel {
  const startedAt = Date.now();
  return {
    status: () => ({
      nodeName: 'bench',
      version: 'bench',
      routerId: us,
      asNumber,
      startedAt,
      roles: ['bgp'],
      source: { text: `${speaker.peers().length} peers`, synced: true, problems: [] },
      restart: { inProgress: false },
      conditions: [],
    }),
    protocols: () => [],
    routes: () => [],
    policy: () => undefined,
    why: (target) => {
      throw new Error(`not asked here: ${target}`);
    },
    memory: () => [],
    interfaces: () => [],
    changePeers: () => [],
    bestPathCounts: () => ({}),
    rereadSource: () => [],
  };
}

function start(
  name: string,
  argument: string,
): { child: ChildProcess; next: (kind: Report['kind']) => Promise<Report> } {
  const child = fork(fileURLToPath(import.meta.url), [name, String(process.pid), argument]);
  const next = (kind: Report['kind']) =>
    new Promise<Report>((resolve) => {
      const listen = (value: unknown) => {
        const given = value as Report;
        if (given.kind !== kind) return;
        child.off('message', listen);
        resolve(given);
      };
      child.on('message', listen);
    });
  return { child, next };
}

/** The most that is allowed while a table comes or goes: milliseconds. */
const goals = { late: 100, answer: 50 };

function summary(numbers: readonly number[], goal = Infinity): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const worst = sorted.at(-1) ?? 0;
  const verdict = goal === Infinity ? '' : `  (goal ${goal} ms: ${worst <= goal ? 'ok' : 'MISSED'})`;
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  return `p50 ${at(0.5).padStart(6)}  p99 ${at(0.99).padStart(6)}  max ${at(1).padStart(6)} ms  of ${sorted.length}${verdict}`;
}

function memory(): string {
  globalThis.gc?.();
  const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return `RSS ${mib(rss)}, array buffers ${mib(arrayBuffers)}, heap ${mib(heapUsed)}`;
}

async function main(prefixCount: number, watcherCount: number): Promise<void> {
  keepYoungHeapSmall();
  returnMemory();
  const speaker = makeSpeaker();
  await speaker.start();
  const model = makeModel(speaker);
  const onModelError = (error: unknown) => {
    throw error;
  };
  const control = await startBirdServer({ path: socketPath, model: () => model, version: 'bench', onModelError });
  const watcher = start('watch', String(watcherCount));
  await watcher.next('ready');
  const listener = start('sink', '');
  await listener.next('ready');
  const feeder = start('feed', String(prefixCount));
  await feeder.next('ready');
  const told = () => speaker.peers().find(({ address }) => address === '127.0.2.1')?.families[0]?.exported ?? 0;
  const rows = () => `${speaker.totals().ipv4.rows} rows`;
  const phase = async (name: string, work: () => Promise<unknown>) => {
    watcher.child.send('numbers');
    await watcher.next('numbers');
    const began = performance.now();
    turns = [];
    await work();
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    watcher.child.send('numbers');
    const { late = [], answers = [] } = await watcher.next('numbers');
    console.log(`${name} (${seconds} s): ${memory()}, ${rows()}`);
    console.log(`  keepalives late  ${summary(late, goals.late)}`);
    console.log(`  \`show status\`    ${summary(answers, goals.answer)}`);
    console.log(`  turns (CPU)      ${summary(turns)}`);
  };
  const settled = async (count: number) => {
    while (speaker.totals().ipv4.paths !== count || told() !== count) await rest(20);
  };
  await phase('quiet', () => rest(3000));
  await phase(`${prefixCount} prefixes arrive`, async () => {
    feeder.child.send('announce');
    await settled(prefixCount);
  });
  await phase('all withdrawn', async () => {
    feeder.child.send('withdraw');
    await settled(0);
  });
  await phase('quiet again', () => rest(3000));
  const stalled = start('deaf', '');
  await stalled.next('ready');
  await phase(`${prefixCount} prefixes arrive, and a peer reads nothing`, async () => {
    feeder.child.send('announce');
    await settled(prefixCount);
  });
  await phase('all withdrawn', async () => {
    feeder.child.send('withdraw');
    await settled(0);
  });
  await phase('quiet again', () => rest(3000));
  for (const { child } of [watcher, listener, feeder, stalled]) child.kill('SIGKILL');
  await control.close();
  await speaker.stop('shutdown');
  rmSync(socketPath, { force: true });
}

switch (role) {
  case 'feed':
    await feed(Number(words[1]));
    break;
  case 'sink':
    await sink();
    break;
  case 'deaf':
    await deaf();
    break;
  case 'watch':
    await watch(Number(words[1]));
    break;
  default:
    await main(Number(words[0] ?? 1_000_000), Number(words[1] ?? 20));
    process.exit(0);
}
