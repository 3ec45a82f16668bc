import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { neighbor, peerOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';

/** Packets take any time, so that the two dials cross in every order. */
const crossing = fc.record({
  latencies: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 }),
  startsLater: fc.integer({ min: 0, max: 500 }),
  gracefulRestartSeconds: fc.constantFrom(0, 120),
});

test('RFC 4271 §6.8: however two dials cross, both sides end with the same one session, without a flap', async () => {
  await fc.assert(
    fc.asyncProperty(crossing, async ({ latencies, startsLater, gracefulRestartSeconds }) => {
      const world = new VirtualWorld();
      let packets = 0;
      world.latency = () => latencies[packets++ % latencies.length];
      const changes = { gracefulRestartSeconds };
      const a = await startSpeaker(world, settings(A, 65001, [neighbor(B, 65002)], changes));
      world.run(startsLater);
      const b = await startSpeaker(world, settings(B, 65002, [neighbor(A, 65001)], changes));
      world.seconds(20);
      const peers = [peerOf(a, `to-${B}`), peerOf(b, `to-${A}`)];
      expect(peers.map(({ state, counters }) => [state, counters.flaps])).toEqual([
        ['established', 0],
        ['established', 0],
      ]);
      const directions = world.openBetween(A, B).map(({ direction }) => direction);
      expect(directions.sort()).toEqual(['incoming', 'outgoing']);
    }),
    { numRuns: 500 },
  );
});
