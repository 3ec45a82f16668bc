/**
 * A mutation fuzzer: what real daemons said, changed at random, cut at random, to a live speaker under a virtual clock.
 * Holds the speaker to this: nothing but ProtocolError is ever thrown inside; the session with the liar ends where the RFC says
 * and nowhere else; an honest peer notices nothing; what the RIB counts is what it has, and nothing of the liar is left at the end.
 */

import { readFileSync } from 'node:fs';
import { keepaliveMessage } from '../../../bgp/wire/message.ts';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { expectedEnd } from './fuzz-oracle.ts';
import { fromHex, toHex } from './hex.ts';
import { neighbor, originated, peerOf, settings, startSpeaker } from './speakers.ts';
import type { TestSpeaker } from './speakers.ts';
import { VirtualWorld } from './virtual-world.ts';

const we = '10.99.0.1';
const liar = '10.99.0.2';
const honest = '10.99.0.9';

/** What was captured in one lab: whole messages. */
interface Corpus {
  readonly asNumber: number;
  readonly opens: readonly Uint8Array[];
  readonly others: readonly Uint8Array[];
}

function captured(file: string): readonly Uint8Array[] {
  return readFileSync(new URL(file, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => fromHex('ff'.repeat(16) + line.split(' ')[1]));
}

function corpusOf(asNumber: number, messages: readonly Uint8Array[]): Corpus {
  const opens = messages.filter((message) => message[18] === 1);
  return { asNumber, opens, others: [...messages.filter((message) => message[18] !== 1), keepaliveMessage] };
}

export const corpus = captured('captured-messages.txt');
const onePath = corpusOf(4_200_000_001, corpus);
const addPath = corpusOf(65_000, captured('captured-add-path-messages.txt'));
const severalPaths = { receive: true, sendMaximum: Infinity };

/** What an OPEN may say besides: next hops of RFC 8950, enhanced refresh, LLGR; each as code and value. */
const capabilities = [[5, 0, 1, 0, 1, 0, 2], [70], [71, 0, 1, 1, 0x80, 0, 0, 100, 0, 2, 1, 0x80, 0, 0, 100]] as const;

const limit = { maximum: 2, warningPercent: 50, action: 'discard', restartSeconds: 0 } as const;
/** Of a neighbour that may be a liar: one of each. */
const choices = {
  reflectorClient: [true, false],
  extendedNextHop: [undefined, 'always', 'never'],
  longLivedStaleSeconds: [undefined, 100],
  allowedOwnAs: [0, 2],
  limits: [
    undefined,
    [
      { ...limit, kind: 'receive', family: 'ipv4' },
      { ...limit, kind: 'import', family: 'ipv6' },
    ],
  ],
} as const satisfies { [K in keyof NeighborSettings]?: readonly NeighborSettings[K][] };

/** 0 <= x < below; the same row of numbers for the same seed. */
export type Random = (below: number) => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export interface EpisodeReport {
  readonly messages: number;
  /** The session came up at all. */
  readonly established: boolean;
  /** It ended before the liar hung up. */
  readonly ended: boolean;
  readonly treatedAsWithdrawn: number;
}

/** One session of a liar. @throws an Error that names the seed and the messages, where the speaker does wrong. */
export async function fuzzEpisode(seed: number): Promise<EpisodeReport> {
  const random = randomFrom(seed);
  const world = new VirtualWorld();
  const hasPathIds = random(3) === 0;
  const { asNumber, opens, others } = hasPathIds ? addPath : onePath;
  // In the other direction it is an honest peer that hears several paths.
  const toHonest = random(2) === 0 ? { addPaths: severalPaths } : {};
  const common = { families: ['ipv4', 'ipv6'] as const, passive: true, nextHopSelf: { ipv6: 'fd99::1' } };
  const neighbors = [
    neighbor(liar, asNumber, {
      ...common,
      ...chosenSettings(random),
      ...(hasPathIds && { addPaths: severalPaths }),
    }),
    neighbor(honest, asNumber, { ...common, ...toHonest, reflectorClient: true }),
  ];
  const a = await startSpeaker(world, settings(we, asNumber, neighbors, { originated: originated('10.10.0.0/24') }));
  const toUs = neighbor(we, asNumber, { families: ['ipv4', 'ipv6'], nextHopSelf: { ipv6: 'fd99::9' }, ...toHonest });
  const routes = originated('10.90.0.0/24', 'fd90::/64');
  const b = await startSpeaker(world, settings(honest, asNumber, [toUs], { originated: routes }));
  world.seconds(2);
  const before = JSON.stringify(a.speaker.totals());

  const honestOpening = random(10) < 8;
  const opening = withMoreCapabilities(opens[random(opens.length)], random);
  const said: Uint8Array[] = [honestOpening ? opening : mutate(opening, others, random), keepaliveMessage];
  const first = random(4) === 0 ? 0 : 1 + random(12);
  for (let i = 0; i < first; i++) {
    const message = others[random(others.length)];
    said.push(random(8) === 0 ? message : mutate(message, others, random));
  }
  const fail = (reason: string, cause?: unknown): never => {
    const words = said.map((message) => toHex(message)).join('\n');
    throw new Error(`seed ${seed}: ${reason}\nsaid:\n${words}`, { cause });
  };
  try {
    const connection = say(world, said, random);
    world.seconds(2);
    const state = peerOf(a, `to-${liar}`);
    const counters = state.counters;
    const established = state.state === 'established' || counters.flaps > 0;
    const ended = counters.flaps > 0;
    if (honestOpening) {
      if (!established) fail(`the session does not come up: ${state.lastError}`);
      const { must, may } = expectedEnd(said.slice(2), opening, hasPathIds);
      if (ended && !may) fail(`the session ended where it should not: ${state.lastError}`);
      if (!ended && must) fail('the session should have ended');
    }
    checkRib(a, fail);
    checkHonest(a, b, fail);
    connection.destroy();
    // A restart time that was changed may be long.
    world.run(honestOpening ? 500_000 : 5_000_000);
    checkHonest(a, b, fail);
    if (JSON.stringify(a.speaker.totals()) !== before) {
      fail(`something is left: ${JSON.stringify(a.speaker.totals())}, before: ${before}`);
    }
    return { messages: said.length, established, ended, treatedAsWithdrawn: counters.treatedAsWithdrawn };
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('seed ')) throw error;
    return fail('thrown inside the speaker', error);
  }
}

function chosenSettings(random: Random): Partial<NeighborSettings> {
  return Object.fromEntries(Object.entries(choices).map(([field, values]) => [field, values[random(values.length)]]));
}

/** Some, each in an optional parameter of its own, after those that are there. */
function withMoreCapabilities(open: Uint8Array, random: Random): Uint8Array {
  const added = capabilities
    .filter(() => random(3) === 0)
    .flatMap(([code, ...value]) => [2, 2 + value.length, code, value.length, ...value]);
  const bytes = Uint8Array.from([...open, ...added]);
  bytes[17] += added.length;
  bytes[28] += added.length;
  return bytes;
}

function say(world: VirtualWorld, messages: readonly Uint8Array[], random: Random) {
  const bytes = Uint8Array.from(messages.flatMap((message) => [...message]));
  const whole = random(2) === 0;
  const driver = world.hosts.get(liar) ?? world.host(liar);
  const connection = driver.connect(
    { address: we, port: 179, hops: {} },
    {
      received: () => {},
      drained: () => {},
      closed: () => {},
      connected: () => {
        for (let at = 0; at < bytes.length;) {
          const size = whole ? bytes.length : 1 + random(random(3) === 0 ? 4 : 200);
          connection.write([bytes.subarray(at, at + size)]);
          at += size;
        }
      },
    },
  );
  return connection;
}

/** Some bytes are others, some are missing, doubled or foreign; mostly under a header that is right. */
function mutate(message: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = [...message];
  for (let i = 1 + random(3); i > 0; i--) {
    const at = 19 + random(Math.max(1, bytes.length - 19));
    const kind = random(7);
    if (kind <= 2) bytes[Math.min(at, bytes.length - 1)] = random(4) === 0 ? [0, 1, 255, 128][random(4)] : random(256);
    else if (kind === 3) bytes[Math.min(at, bytes.length - 1)] ^= 1 << random(8);
    else if (kind === 4) bytes.splice(at, 1 + random(6));
    else if (kind === 5) bytes.splice(at, 0, ...Array.from({ length: 1 + random(6) }, () => random(256)));
    else {
      // A piece of another message, or of itself.
      const other = others[random(others.length)];
      const from = 19 + random(Math.max(1, other.length - 19));
      bytes.splice(at, random(2) * 8, ...other.subarray(from, from + 1 + random(40)));
    }
  }
  bytes = bytes.slice(0, 4096);
  if (random(16) === 0) {
    bytes[random(19)] = random(256);
    return Uint8Array.from(bytes);
  }
  bytes[16] = bytes.length >> 8;
  bytes[17] = bytes.length & 255;
  return Uint8Array.from(bytes);
}

function checkRib({ speaker }: TestSpeaker, fail: (reason: string) => never): void {
  for (const family of ['ipv4', 'ipv6'] as const) {
    let held = 0;
    for (const { name, families } of speaker.peers()) {
      const counted = families.find((entry) => entry.family === family);
      const found = [
        ...speaker.routes({ family, peer: name }),
        ...speaker.routes({ family, peer: name, filtered: true }),
      ];
      held += found.length;
      const said = (counted?.imported ?? 0) + (counted?.filtered ?? 0);
      if (said !== found.length) fail(`${name} has ${found.length} ${family} routes, ${said} are counted`);
    }
    const ours = [...speaker.routes({ family, peer: 'node-pods' })].length;
    const { paths } = speaker.totals()[family];
    if (paths !== held + ours) fail(`${held + ours} ${family} paths, ${paths} are counted`);
  }
}

function checkHonest(a: TestSpeaker, b: TestSpeaker, fail: (reason: string) => never): void {
  const ours = peerOf(b, `to-${we}`);
  if (ours.state !== 'established' || ours.counters.flaps > 0)
    fail(`the honest session is ${ours.state}: ${ours.lastError}`);
  if (ours.counters.treatedAsWithdrawn > 0) fail(`we told the honest peer nonsense: ${ours.lastTreatedAsWithdrawn}`);
  const theirs = peerOf(a, `to-${honest}`);
  for (const family of ['ipv4', 'ipv6'] as const) {
    const told = theirs.families.find((entry) => entry.family === family)?.exported;
    const heard = ours.families.find((entry) => entry.family === family);
    const has = (heard?.imported ?? 0) + (heard?.filtered ?? 0);
    if (told !== has) fail(`the honest peer was told ${told} ${family} routes, and has ${has}`);
  }
}
