/** The order of work within a turn, with a clock that reading moves on. */

import { expect, test } from 'vitest';
import type { Connection } from '../../../bgp/driver.ts';
import type { Link } from '../../../bgp/session/link.ts';
import type { Peer } from '../../../bgp/session/peer.ts';
import { WorkOrder } from '../../../bgp/work-order.ts';

/** Peers that are told a message each time that something was read; reading a chunk takes a millisecond. */
class World {
  now = 0;
  /** What it takes to find the output of one peer. */
  takeMilliseconds = 0;
  readonly sent: { readonly peer: number; readonly at: number; readonly messages: number }[] = [];
  readonly order = new WorkOrder({ now: () => this.now, epoch: () => 0 }, {});
  /** Messages that wait in the RIB, by peer. */
  readonly waiting: number[];
  private readonly peers: Peer[];

  constructor(peerCount: number) {
    this.waiting = Array.from({ length: peerCount }, () => 0);
    this.peers = this.waiting.map((_, ribId) => {
      const connection: Pick<Connection, 'unsentBytes' | 'write'> = {
        unsentBytes: 0,
        write: ({ length }) => this.sent.push({ peer: ribId, at: this.now, messages: length }),
      };
      return { ribId, connection, state: 'established', outputQueued: false, updatesWritten() {} } as unknown as Peer;
    });
  }

  /** A connection with so many chunks of input. */
  input(chunks: number): void {
    let left = chunks;
    const read = () => {
      this.now++;
      for (const [i, peer] of this.peers.entries()) {
        this.waiting[i]++;
        this.order.outputArrived(peer);
      }
      return --left > 0;
    };
    this.order.inputArrived({ readQueued: false, paused: false, unreadBytes: 1, peer: { read } } as unknown as Link, 1);
  }

  /** Turns until nothing is left to do. @returns how many */
  run(): number {
    const rib = {
      work: () => false,
      hasOutput: (id: number) => this.waiting[id] > 0,
      takeOutput: (id: number) => {
        this.now += this.takeMilliseconds;
        const messages = Array.from({ length: this.waiting[id] }, () => Uint8Array.of(0));
        this.waiting[id] = 0;
        return messages;
      },
    };
    let turns = 1;
    while (this.order.turn(rib)) turns++;
    return turns;
  }
}

test('what came alone is told in the same turn', () => {
  const world = new World(2);
  world.input(1);
  expect(world.run()).toBe(1);
  expect(world.sent).toEqual([0, 1].map((peer) => ({ peer, at: 1, messages: 1 })));
});

test('what comes in one flood is told when it was read, all at once', () => {
  const world = new World(3);
  world.input(30);
  world.run();
  expect(world.sent).toEqual([0, 1, 2].map((peer) => ({ peer, at: 30, messages: 30 })));
});

test('a flood without an end holds output up for 50 ms at most', () => {
  const world = new World(1);
  world.input(200);
  world.run();
  expect(world.sent[0]).toEqual({ peer: 0, at: 52, messages: 52 });
  const gaps = world.sent.slice(1).map(({ at }, i) => at - world.sent[i].at);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(52);
  expect(world.sent.reduce((sum, { messages }) => sum + messages, 0)).toBe(200);
});

test('peers whose output takes long to be found have more than one turn', () => {
  const world = new World(10);
  world.takeMilliseconds = 1;
  world.input(1);
  expect(world.run()).toBe(5);
  expect(world.sent.map(({ peer }) => peer)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
