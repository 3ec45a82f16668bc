/** What runs behind `--metrics`: the HTTP port, the metrics and the health of the agent, from before it runs until it ends. */

import type { HostPort } from '../cli/agent-flags.ts';
import type { RunningAgent } from './control-model.ts';
import { livenessOf, readinessOf, type Vitals } from './health.ts';
import { HttpServer } from './http.ts';
import type { Log } from './log.ts';
import { takeSnapshot, type HistogramKey } from './metrics.ts';
import { MetricsRegistry } from './metrics-registry.ts';

export class Monitor {
  readonly #registry: MetricsRegistry;
  readonly #server: HttpServer;

  /**
   * @param agent undefined while it starts.
   * @throws an Error with a message for the user where the port cannot be had.
   */
  static async start(at: HostPort, agent: () => RunningAgent | undefined, log: Log): Promise<Monitor> {
    const snapshot = () => {
      const running = agent();
      return running && takeSnapshot(running);
    };
    const registry = await MetricsRegistry.create(snapshot);
    const vitals = (): Vitals | undefined => agent();
    const server = await HttpServer.listen(
      at,
      {
        contentType: registry.contentType,
        metrics: () => registry.scrape(),
        live: () => livenessOf(vitals(), Date.now()),
        ready: () => readinessOf(vitals()),
      },
      log,
    );
    return new Monitor(registry, server);
  }

  private constructor(registry: MetricsRegistry, server: HttpServer) {
    this.#registry = registry;
    this.#server = server;
  }

  get port(): number {
    return this.#server.port;
  }

  observe(key: HistogramKey, milliseconds: number): void {
    this.#registry.observe(key, milliseconds);
  }

  close(): void {
    this.#server.close();
  }
}
