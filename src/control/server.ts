/**
 * Both control sockets of an agent. They are claimed before the agent touches anything, so that a second agent ends before it
 * does harm; until the agent has something to tell, clients are told that it starts.
 */

import { version } from '../version.ts';
import { startBirdServer } from './bird-server.ts';
import type { ControlServer, ControlServerOptions } from './bird-server.ts';
import { startJsonServer } from './json-server.ts';
import type { ControlModel } from './model.ts';

export interface ControlServersOptions {
  /** Path of the socket that speaks BIRD's protocol. */
  readonly socket: string;
  /** Path of the socket that speaks framed JSON. */
  readonly api: string;
  readonly log: { error(fields: object, message: string): void };
  /** Whether a client of the first may change anything. */
  readonly mayChange: NonNullable<ControlServerOptions['mayChange']>;
}

export class ControlServers {
  readonly #servers: readonly ControlServer[];
  readonly #serve: (model: ControlModel) => void;

  private constructor(servers: readonly ControlServer[], serve: (model: ControlModel) => void) {
    this.#servers = servers;
    this.#serve = serve;
  }

  /** @throws SocketFileError where another agent answers on one of the paths, or it cannot be made. */
  static async claim({ socket, api, log, mayChange }: ControlServersOptions): Promise<ControlServers> {
    let served: ControlModel | undefined;
    const shared = {
      version,
      model: () => served,
      onModelError: (error: unknown) =>
        log.error({ err: error }, 'a question on a control socket could not be answered'),
    };
    const bird = await startBirdServer({ ...shared, path: socket, mayChange });
    try {
      const json = await startJsonServer({ ...shared, path: api });
      return new ControlServers([bird, json], (model) => {
        served = model;
      });
    } catch (error) {
      await bird.close();
      throw error;
    }
  }

  serve(model: ControlModel): void {
    this.#serve(model);
  }

  /** Ends the clients and removes the sockets' files. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }
}
