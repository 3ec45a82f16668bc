import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeMessage, keepaliveMessage } from '../../../bgp/wire/message.ts';
import { toOpen } from '../../../bgp/session/negotiate.ts';
import { encodeOpen } from '../../../bgp/wire/open.ts';
import { neighbor, peerOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';

const open = encodeOpen(
  toOpen({
    localAs: 65002,
    bgpIdentifier: Uint8Array.of(10, 0, 0, 2),
    remoteAs: 65001,
    families: ['ipv4', 'ipv6'],
    extendedNextHop: false,
    holdTimeSeconds: 90,
    keepaliveTimeSeconds: undefined,
    restartTimeSeconds: 120,
    restarting: false,
    forwardingPreserved: true,
  }),
);

/** ORIGIN, AS_PATH 65002, NEXT_HOP, then 10.7.0.0/24. */
const update = encodeMessage(
  2,
  Uint8Array.from([
    0, 0, 0, 20, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea, 0x40, 3, 4, 10, 0, 0, 2, 24, 10, 7, 0,
  ]),
);

const mutated = fc
  .tuple(fc.constantFrom(open, update, keepaliveMessage), fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 3 }))
  .map(([message, changes]) => {
    const bytes = Uint8Array.from(message);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

const anyUpdate = fc.uint8Array({ minLength: 4, maxLength: 60 }).map((body) => encodeMessage(2, body));
const anyBytes = fc.oneof(mutated, anyUpdate, fc.uint8Array({ maxLength: 60 }));

/** What a hostile peer may say after the opening words, in chunks cut anywhere. */
test('whatever a peer sends, the speaker goes on, and the next good session comes up', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(anyBytes, { maxLength: 8 }),
      fc.integer({ min: 1, max: 100 }),
      async (opens, parts, cut) => {
        const world = new VirtualWorld();
        const given = neighbor(B, 65002, { families: ['ipv4', 'ipv6'], passive: true });
        const a = await startSpeaker(world, settings(A, 65001, [given]));
        const driver = world.host(B);
        const say = (...messages: Uint8Array[]) => {
          const bytes = Uint8Array.from(messages.flatMap((message) => [...message]));
          const nothing = { received: () => {}, drained: () => {}, closed: () => {} };
          const connection = driver.connect(
            { address: A, port: 179, hops: {} },
            {
              ...nothing,
              connected: () => {
                for (let at = 0; at < bytes.length; at += cut) connection.write([bytes.subarray(at, at + cut)]);
              },
            },
          );
          world.seconds(1);
        };
        say(...(opens ? [open, keepaliveMessage] : []), ...parts);
        world.cut(A, B);
        world.seconds(10);
        say(open, keepaliveMessage, update);
        expect(peerOf(a, `to-${B}`).state).toBe('established');
        expect([...a.speaker.routes({ prefix: '10.7.0.0/24' })]).toMatchObject([{ nextHop: B, stale: false }]);
      },
    ),
    { numRuns: 200 },
  );
});
