/** A clock that a test owns, for what talks to an API server: time stands still while requests are under way. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { KubeClient, type KubeRequest } from '../../src/kube/client.ts';
import type { KubeClock } from '../../src/kube/clock.ts';
import type { ApiServer } from './api-server.ts';

export class VirtualClock implements KubeClock {
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  readonly #clients: CountingClient[] = [];
  #now = 0;

  now(): number {
    return this.#now;
  }

  /** 2026-01-01 at the start. */
  epoch(): number {
    return Date.UTC(2026, 0, 1) + this.#now;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.#now + milliseconds, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** A client whose requests hold this clock. */
  clientOf(server: ApiServer): CountingClient {
    const client = new CountingClient({
      server: new URL(server.url),
      forRequest: () => Promise.resolve({ headers: {}, tls: {} }),
    });
    this.#clients.push(client);
    return client;
  }

  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await this.#settle();
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await this.#settle();
    }
    this.#now = end;
  }

  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 4; quiet++) {
      await nextTurn();
      if (this.#clients.some(({ underWay }) => underWay > 0)) quiet = 0;
    }
  }
}

class CountingClient extends KubeClient {
  underWay = 0;

  override async request(method: string, path: string, options?: KubeRequest): Promise<unknown> {
    this.underWay++;
    try {
      return await super.request(method, path, options);
    } finally {
      this.underWay--;
    }
  }
}
