/**
 * Writing to a client that may read slowly, or never.
 * Holds: at most one piece more than the socket's own buffer waits in memory; a client that takes nothing for too long is cut off.
 */

import type { Socket } from 'node:net';

export class SlowWriter {
  readonly #socket: Socket;
  readonly #patience: number;

  /** @param patience milliseconds in which a full buffer must drain. */
  constructor(socket: Socket, patience: number) {
    this.#socket = socket;
    this.#patience = patience;
  }

  /** Resolves once more may be written: true, or false when the client has gone. */
  async write(piece: string | Uint8Array): Promise<boolean> {
    const socket = this.#socket;
    if (socket.destroyed) return false;
    if (socket.write(piece)) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), this.#patience);
      const finish = () => {
        clearTimeout(timer);
        socket.off('drain', finish).off('close', finish);
        resolve();
      };
      socket.on('drain', finish).on('close', finish);
    });
    return !socket.destroyed;
  }
}

/** Keeps an answer from holding the event loop. */
export class TimeSlice {
  #started = performance.now();

  /** Rests for one turn of the event loop when the slice (milliseconds) is used up. */
  async restIfOver(slice = 3): Promise<void> {
    if (performance.now() - this.#started < slice) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#started = performance.now();
  }
}
