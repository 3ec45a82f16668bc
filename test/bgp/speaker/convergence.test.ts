/** Convergence is a law: what is said ends in one state, however it is interleaved, doubled, split, or cut into segments. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { announce, withdraw } from '../rib/kit.ts';
import { randomFrom } from '../kit/fuzzer.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import { neighbor, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const we = '10.0.0.1';
const asNumber = 65000;
const addresses = ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.7'];
const clients = 3;
/** RFC 7911, of the peers' own ends: the third sends several paths and hears all, the last two hear all, or the best two. */
const addPaths: Record<string, { readonly receive: boolean; readonly sendMaximum: number }> = {
  '10.0.0.4': { receive: true, sendMaximum: Infinity },
  '10.0.0.6': { receive: true, sendMaximum: 0 },
  '10.0.0.7': { receive: true, sendMaximum: 0 },
};
const prefixes = ['10.1.0.0/16', '10.2.0.0/16', '10.2.3.0/24', 'fd00:1::/64', 'fd00:2::/64'];
const families = ['ipv4', 'ipv6'] as const;

/** What one peer says, of prefixes of one family at once. */
interface Saying {
  readonly prefixes: readonly string[];
  /** Used by who sends path identifiers. */
  readonly pathId: number;
  /** Undefined: a withdraw. */
  readonly localPref: number | undefined;
}

/** How it is said: the seed decides who speaks next, what is doubled, split and cut, and how long a packet takes. */
interface Manner {
  readonly seed: number;
  readonly doubled: boolean;
  readonly split: boolean;
  readonly segmented: boolean;
  readonly hasty: boolean;
}

const plainly: Manner = { seed: 1, doubled: false, split: false, segmented: false, hasty: false };

const saying = fc
  .record({
    prefixes: fc.oneof(
      fc.subarray(prefixes.slice(0, 3), { minLength: 1 }),
      fc.subarray(prefixes.slice(3), { minLength: 1 }),
    ),
    pathId: fc.nat(2),
    localPref: fc.oneof(fc.constantFrom(100, 200, 300), fc.constant(undefined)),
  })
  .map((value): Saying => value);

const manner = fc.record({
  seed: fc.nat(),
  doubled: fc.boolean(),
  split: fc.boolean(),
  segmented: fc.boolean(),
  hasty: fc.boolean(),
});

/** @returns the RIB, and what each peer holds in the end. */
async function outcome(script: readonly (readonly Saying[])[], how: Manner) {
  const random = randomFrom(how.seed);
  const world = new VirtualWorld();
  if (how.hasty) world.latency = () => 1 + random(50);
  const neighbors = addresses.map((address, i) =>
    neighbor(address, asNumber, {
      families,
      passive: true,
      reflectorClient: i < clients,
      nextHopSelf: { ipv6: 'fd00::1' },
      addPaths: { receive: true, sendMaximum: address === '10.0.0.7' ? 2 : Infinity },
    }),
  );
  const a = await startSpeaker(world, settings(we, asNumber, neighbors));
  const segment = how.segmented ? () => 1 + random(40) : undefined;
  const peers = addresses.map(
    (address) =>
      new ScriptedPeer(world, {
        address,
        to: we,
        asNumber,
        families,
        restartTimeSeconds: 0,
        addPaths: addPaths[address],
        segment,
        table: () => [],
      }),
  );
  for (const peer of peers) peer.connect();
  world.seconds(2);
  const queues = script.map((sayings) => [...sayings]);
  for (
    let left = queues.filter(({ length }) => length > 0);
    left.length > 0;
    left = queues.filter(({ length }) => length > 0)
  ) {
    const queue = left[random(left.length)];
    const peer = peers[queues.indexOf(queue)];
    const next = queue.shift()!;
    const parts = how.split ? next.prefixes.map((prefix) => [prefix]) : [next.prefixes];
    for (const part of parts) {
      const body = bodyOf(peer, part, next);
      for (let times = how.doubled ? 1 + random(3) : 1; times > 0; times--) peer.says(body);
    }
    if (!how.hasty) world.run(random(20));
  }
  world.seconds(5);
  return {
    rib: [...a.speaker.routes({})]
      .map((route) => [route.peerName, route.prefix, route.pathId, route.localPref, route.selected])
      .sort(),
    // Identifiers are ours to choose: what counts is which paths there are.
    told: peers.map(({ heard, state }) => [
      state,
      [...heard.routes].map(([key, told]) => `${key.split('#')[0]} ${JSON.stringify(told)}`).sort(),
    ]),
    totals: a.speaker.totals(),
  };
}

function bodyOf(peer: ScriptedPeer, part: readonly string[], { localPref, pathId }: Saying): Uint8Array {
  const { address, addPaths: offered } = peer.options;
  const named = (offered?.sendMaximum ?? 0) > 0 ? part.map((prefix) => `${prefix}#${pathId}`) : part;
  if (localPref === undefined) return withdraw(named);
  const nextHop = part[0].includes(':') ? `fd00::${address.at(-1)}${pathId}` : `10.9.${pathId}.${address.at(-1)}`;
  return announce(named, { nextHop, localPref });
}

test('the same sayings in any manner end in the same RIB, and in the same at every peer', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(saying, { maxLength: 8 }), { minLength: addresses.length, maxLength: addresses.length }),
      manner,
      async (script, how) => {
        const expected = await outcome(script, plainly);
        expect(expected.told.map(([state]) => state)).toEqual(addresses.map(() => 'up'));
        expect(await outcome(script, how)).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});
