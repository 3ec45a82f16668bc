/** A speaker restarts while its peer dials it: however the two dials cross, the peer keeps the routes. */

import { describe, expect, test } from 'vitest';
import { encodeMessage, keepaliveMessage } from '../../../bgp/wire/message.ts';
import { encodeOpen } from '../../../bgp/wire/open.ts';
import type { GracefulRestartCapability } from '../../../bgp/wire/capabilities.ts';
import { toOpen } from '../../../bgp/session/negotiate.ts';
import type { Connection } from '../../../bgp/driver.ts';
import { announce } from '../rib/kit.ts';
import { helperOffer, RestartHelper } from '../kit/restart-helper.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const low = '10.0.0.1';
const high = '10.0.0.2';
const slow = 200;
/** So many packets from the peer's dial on are fast or slow in every combination. */
const packets = 7;
const helperPackets = 9;

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

describe.each([
  ['the higher identifier restarts', high, low],
  ['the lower identifier restarts', low, high],
])('RFC 4724 §4.2, §5 with a helper that takes every connection for a restart: %s', (_, restarting, peer) => {
  test.each([0, 2, slow])('%i ms after the helper has dialled: it keeps the routes', async (startsLater) => {
    for (let combination = 0; combination < 2 ** helperPackets; combination++) {
      const world = new VirtualWorld();
      world.acceptLatency = () => 0;
      let packet = 0;
      const next = () => ((combination >> packet++) & 1) * slow;
      const helper = new RestartHelper(world, peer, restarting, next);
      world.latency = () => next() + 1;
      world.answerLatency = () => next() + 1;
      const given = settings(restarting, 65000, [neighbor(peer, 65000)], { originated: originated('10.7.0.0/24') });
      // What it sent before is on its way when the other one is there again.
      world.host(restarting);
      helper.dial();
      world.run(startsLater);
      const again = await startSpeaker(world, given, { restarting: true, forwardingPreserved: true });
      world.seconds(30);
      expect({ combination, lost: helper.hasLost, routes: helper.routes, up: helper.isUp }).toEqual({
        combination,
        lost: false,
        routes: 'fresh',
        up: true,
      });
      expect(peerOf(again, `to-${peer}`).state).toBe('established');
    }
  });
});

test('RFC 4271 §6.8: a restarting peer keeps its own dial, where our session on the other connection is up: its routes stay', async () => {
  const world = new VirtualWorld();
  const a = await startSpeaker(world, settings(low, 65000, [neighbor(high, 65000)]));
  // It knows no N bit: a NOTIFICATION ends everything.
  const gracefulRestart = (restarting: boolean): GracefulRestartCapability => ({
    restarting,
    notification: false,
    restartTimeSeconds: 120,
    families: [{ family: 'ipv4', forwardingPreserved: true }],
  });
  const before = new ScriptedPeer(world, {
    address: high,
    to: low,
    asNumber: 65000,
    families: ['ipv4'],
    restartTimeSeconds: 120,
    capabilities: () => ({ gracefulRestart: gracefulRestart(false) }),
    table: () => [announce(['10.7.0.0/24'], { nextHop: high })],
  });
  before.persistent = false;
  before.connect();
  world.seconds(1);
  before.hangUp();
  const kept = [`10.7.0.0/24 from to-${high} stale`];
  world.run(100);
  expect(routesOf(a)).toEqual(kept);
  const open = encodeOpen({
    asNumberField: 65000,
    holdTimeSeconds: 90,
    bgpIdentifier: Uint8Array.of(10, 0, 0, 2),
    capabilities: { ...toOpen(helperOffer(high)).capabilities, gracefulRestart: gracefulRestart(true) },
  });
  const silent = { connected: () => {}, received: () => {}, drained: () => {}, closed: () => {} };
  let ours: Connection | undefined;
  const driver = world.host(high);
  void driver.listen(179, (connection) => {
    ours = connection;
    connection.setHandler(silent);
    connection.write([open, keepaliveMessage]);
  });
  while (peerOf(a, `to-${high}`).state !== 'established') world.run(10);
  const its = driver.connect({ address: low, port: 179, hops: {} }, silent);
  world.run(5);
  its.write([open, keepaliveMessage]);
  world.run(100);
  expect(routesOf(a)).toEqual(kept);
  ours?.write([encodeMessage(3, Uint8Array.of(6, 7))]);
  ours?.close();
  for (let i = 0; i < 100; i++) {
    world.run(10);
    expect(routesOf(a)).toEqual(kept);
  }
  expect(peerOf(a, `to-${high}`)).toMatchObject({ state: 'established', counters: { flaps: 2 } });
});
