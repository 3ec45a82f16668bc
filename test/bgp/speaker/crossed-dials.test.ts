/** A speaker restarts while its peer dials it: however the two dials cross, the peer keeps the routes. */

import { describe, expect, test } from 'vitest';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const low = '10.0.0.1';
const high = '10.0.0.2';
const slow = 200;
/** So many packets from the peer's dial on are fast or slow in every combination. */
const packets = 7;

/** @returns how often the peer missed a route of the one that restarts, and how both stand in the end. */
async function restartWhileDialled(restarting: string, peer: string, startsLater: number, combination: number) {
  const world = new VirtualWorld();
  const given = settings(restarting, 65000, [neighbor(peer, 65000)], { originated: originated('10.7.0.0/24') });
  const before = await startSpeaker(world, given);
  const helper = await startSpeaker(world, settings(peer, 65000, [neighbor(restarting, 65000)]));
  world.seconds(10);
  await before.speaker.stop('restart');
  before.driver.kill();
  // Its next dial is on its way when the other one is there again.
  const dials: number[] = [];
  const connect = helper.driver.connect.bind(helper.driver);
  let packet = 0;
  helper.driver.connect = (request, handler) => {
    dials.push(world.time);
    world.latency = () => ((combination >> packet++) & 1) * slow + 1;
    return connect(request, handler);
  };
  while (dials.length === 0) world.run(1);
  helper.driver.connect = connect;
  world.run(startsLater);
  const again = await startSpeaker(world, given, { restarting: true, forwardingPreserved: true });
  let missed = 0;
  for (let i = 0; i < 250; i++) {
    world.run(10);
    if (routesOf(helper).length === 0) missed++;
  }
  world.seconds(20);
  const states = [peerOf(helper, `to-${restarting}`).state, peerOf(again, `to-${peer}`).state];
  return { missed, states, routes: routesOf(helper) };
}

describe.each([
  ['the higher identifier restarts', high, low],
  ['the lower identifier restarts', low, high],
])('RFC 4724 §4.2, §5: %s', (_, restarting, peer) => {
  test.each([0, 2, slow])('%i ms after the peer has dialled: its routes are never missed', async (startsLater) => {
    for (let combination = 0; combination < 2 ** packets; combination++) {
      const result = await restartWhileDialled(restarting, peer, startsLater, combination);
      expect({ combination, ...result }).toEqual({
        combination,
        missed: 0,
        states: ['established', 'established'],
        routes: [`10.7.0.0/24 from to-${restarting}`],
      });
    }
  });
});
