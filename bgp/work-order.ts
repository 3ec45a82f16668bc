/**
 * The order of work within a turn of the event loop, and its bounds.
 * Holds: timers come before input, input before the RIB's own work, that before output; each has its share of a turn, so
 * that none starves another, and keepalives are never late by more than a turn. A slow peer is skipped, never waited for.
 */

import type { Clock, Driver, Write } from './driver.ts';
import type { Link } from './session/link.ts';
import type { Peer } from './session/peer.ts';

/** Milliseconds of one turn that each may take. */
const inputShare = 2;
const ribShare = 1;
const outputShare = 2;
/**
 * Milliseconds that output waits for input that is there already: what many peers announce at once is packed together, and each of them
 * is sent one long message instead of dozens of short ones.
 */
const mostHeld = 50;

/** Whole messages that wait in the transport for one peer: bytes. */
const mostInFlight = 256 * 1024;
/** What one peer is sent before the next one's turn: bytes. */
const mostAtOnce = 64 * 1024;
/** Peers whose output is packed before any of it is sent: see Driver.writeAll. */
const mostInBatch = 256;
/** Unread input of one connection, and of all, above which a connection is not read on: bytes. */
const mostUnread = 256 * 1024;
const mostUnreadInAll = 4 * 1024 * 1024;

/** The RIB, as far as this order of work is concerned. */
export interface Worker {
  work(deadline: () => boolean): boolean;
  hasOutput(ribId: number): boolean;
  takeOutput(ribId: number, maximumBytes: number): readonly Uint8Array[];
}

export class WorkOrder {
  private readonly clock: Clock;
  private readonly driver: Pick<Driver, 'writeAll'>;
  private readonly links = new Queue<Link>();
  private readonly peers = new Queue<Peer>();
  private unread = 0;
  /** On the clock; when the output at hand leaves whether or not there is input. */
  private heldUntil = -Infinity;
  /** Peers that are served, and what they are sent. */
  private readonly served: Peer[] = [];
  private readonly writes: Write[] = [];

  constructor(clock: Clock, driver: Pick<Driver, 'writeAll'>) {
    this.clock = clock;
    this.driver = driver;
  }

  inputArrived(link: Link, bytes: number): void {
    this.unread += bytes;
    if (!link.readQueued) {
      link.readQueued = true;
      this.links.push(link);
    }
    if (link.paused || (this.unread < mostUnreadInAll && link.unreadBytes < mostUnread)) return;
    link.paused = true;
    link.connection?.pauseReading();
  }

  /** Input that was read, or will not be. */
  inputTaken(bytes: number): void {
    this.unread -= bytes;
  }

  outputArrived(peer: Peer): void {
    if (peer.outputQueued) return;
    if (this.peers.length === 0) this.heldUntil = this.clock.now() + mostHeld;
    peer.outputQueued = true;
    this.peers.push(peer);
  }

  /** @returns whether there is more to do now. */
  turn(rib: Worker): boolean {
    this.readInput(this.clock.now() + inputShare);
    const ribUntil = this.clock.now() + ribShare;
    const moreWork = rib.work(() => this.clock.now() >= ribUntil);
    const now = this.clock.now();
    if (this.links.length === 0 || now >= this.heldUntil) this.sendOutput(rib, now + outputShare);
    return moreWork || this.links.length > 0 || this.peers.length > 0;
  }

  private readInput(until: number): void {
    for (;;) {
      const link = this.links.shift();
      if (link === undefined) return;
      link.readQueued = false;
      if (link.peer.read(link)) {
        link.readQueued = true;
        this.links.push(link);
      } else if (link.paused) {
        link.paused = false;
        link.connection?.resumeReading();
      }
      if (this.clock.now() >= until) return;
    }
  }

  private sendOutput(rib: Worker, until: number): void {
    // A peer that has had its share stands at the end of the queue: everyone is served before anyone is served twice.
    while (this.peers.length > 0) {
      this.takeOutput(rib, until);
      this.send(rib);
      if (this.clock.now() >= until) return;
    }
  }

  /** What the next peers are to be sent. */
  private takeOutput(rib: Worker, until: number): void {
    const { served, writes } = this;
    let bytes = 0;
    while (served.length < mostInBatch && bytes < mostAtOnce) {
      const peer = this.peers.shift();
      if (peer === undefined) return;
      peer.outputQueued = false;
      const { ribId, connection } = peer;
      if (ribId === undefined || connection === undefined || peer.state !== 'established') continue;
      const room = mostInFlight - connection.unsentBytes;
      // The transport calls when it has room again: see Speaker.outputDrained.
      if (room <= 0) continue;
      const buffers = rib.takeOutput(ribId, Math.min(room, mostAtOnce));
      for (const { length } of buffers) bytes += length;
      served.push(peer);
      writes.push({ connection, buffers });
      // Finding out that there is nothing to tell takes its time, too.
      if (this.clock.now() >= until) return;
    }
  }

  private send(rib: Worker): void {
    const { served, writes } = this;
    const now = this.clock.now();
    if (this.driver.writeAll === undefined) for (const { connection, buffers } of writes) connection.write(buffers);
    else this.driver.writeAll(writes);
    for (const [i, peer] of served.entries()) {
      const { connection, buffers } = writes[i];
      if (buffers.length > 0) peer.updatesWritten(buffers, now);
      const { ribId } = peer;
      if (ribId === undefined || connection.unsentBytes >= mostInFlight) continue;
      if (rib.hasOutput(ribId)) this.outputArrived(peer);
    }
    served.length = 0;
    writes.length = 0;
  }
}

/** First in, first out; an array whose head moves. */
class Queue<T> {
  private items: T[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head++];
    if (this.head === this.items.length) {
      this.items = [];
      this.head = 0;
    } else if (this.head >= 1024 && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }
}
