/**
 * A session with the connection it runs on, and what has come on it and is not yet read.
 * Holds: what a connection tells goes to the link's owner, never past it to the session.
 */

import type { Connection, ConnectionHandler } from '../driver.ts';
import type { Open } from '../wire/open.ts';
import { InputQueue } from './input-queue.ts';
import type { Negotiated } from './negotiate.ts';
import type { Session } from './session.ts';

/** The peer, as its links see it. */
export interface LinkOwner {
  connectionConnected(link: Link): void;
  connectionDrained(link: Link): void;
  connectionClosed(link: Link, reason: string): void;
  inputArrived(link: Link, bytes: number): void;
  /** Input that was read, or is not going to be. */
  inputTaken(bytes: number): void;
  /** Reads the next chunk of the link's input. @returns whether there is more. */
  read(link: Link): boolean;
  /** @throws ProtocolError */
  deliverUpdate(body: Uint8Array): void;
}

export class Link implements ConnectionHandler {
  readonly peer: LinkOwner;
  readonly session: Session;
  /** Made once, so that reading makes no closure. */
  readonly deliver: (body: Uint8Array) => void;
  connection: Connection | undefined;
  /** When the connection came to stand, on the speaker's clock; Infinity: it did not yet, or the last one never did. */
  begunAt = Infinity;
  /** It ends because another takes its place. */
  quiet = false;
  /** The peer's OPEN has come and waits for what becomes of the other connection: nothing more is read until then. */
  waiting: { readonly open: Open; readonly negotiated: Negotiated; readonly until: number } | undefined;
  /** It stands in the speaker's queue of links to be read. */
  readQueued = false;
  /** Its connection is not read for now. */
  paused = false;

  private readonly input = new InputQueue();
  /** What had been sent when the send hold timer was started. */
  private sentBefore = 0;

  constructor(peer: LinkOwner, session: Session) {
    this.peer = peer;
    this.session = session;
    this.deliver = (body) => peer.deliverUpdate(body);
  }

  get direction(): 'incoming' | 'outgoing' {
    return this.connection?.direction ?? 'outgoing';
  }

  get hasInput(): boolean {
    return !this.input.isEmpty;
  }

  get unreadBytes(): number {
    return this.input.unreadBytes;
  }

  /** The next bytes; they are lent until `inputRead`. */
  takeInput(): Uint8Array | undefined {
    const chunk = this.input.take();
    if (chunk !== undefined) this.peer.inputTaken(chunk.length);
    return chunk;
  }

  inputRead(): void {
    this.input.release();
  }

  attach(connection: Connection): void {
    this.connection = connection;
    this.begunAt = Infinity;
  }

  write(buffers: readonly Uint8Array[], now: number, sendHoldMilliseconds: number): void {
    this.connection?.write(buffers);
    this.written(now, sendHoldMilliseconds);
  }

  /** Something was written: what of it does not leave for so long ends the session (RFC 9687). */
  written(now: number, sendHoldMilliseconds: number): void {
    const { connection } = this;
    if (connection === undefined) return;
    if (connection.unsentBytes === 0 || this.session.timers.sendHold !== Infinity) return;
    this.sentBefore = connection.sentBytes;
    this.session.timers.sendHold = now + sendHoldMilliseconds;
  }

  /** The send hold timer has come to its end: is it true that nothing left? RFC 9687 §3. */
  checkSendProgress(now: number, sendHoldMilliseconds: number): void {
    const sent = this.connection?.sentBytes ?? 0;
    if (sent === this.sentBefore) return;
    this.sentBefore = sent;
    this.session.timers.sendHold = now + sendHoldMilliseconds;
  }

  closeConnection(): void {
    const { connection } = this;
    this.forgetConnection();
    connection?.close();
  }

  destroyConnection(): void {
    const { connection } = this;
    this.forgetConnection();
    connection?.destroy();
  }

  forgetConnection(): void {
    this.connection = undefined;
    this.waiting = undefined;
    this.paused = false;
    this.peer.inputTaken(this.unreadBytes);
    this.input.clear();
  }

  connected(): void {
    this.peer.connectionConnected(this);
  }

  received(bytes: Uint8Array): void {
    this.input.push(bytes);
    this.peer.inputArrived(this, bytes.length);
  }

  drained(): void {
    this.peer.connectionDrained(this);
  }

  closed(reason: string): void {
    this.peer.connectionClosed(this, reason);
  }
}
