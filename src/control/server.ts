/**
 * The control sockets of an agent. They are claimed before the agent touches anything, so that a second agent ends before it
 * does harm; until the agent has something to tell, clients are told that it starts.
 */

import { families } from '../../bgp/ip.ts';
import type { Family } from '../../bgp/ip.ts';
import { version } from '../version.ts';
import { bird1Form } from './bird-form.ts';
import { startBirdServer } from './bird-server.ts';
import type { ControlServer, ControlServerOptions } from './bird-server.ts';
import { calicoView } from './calico-view.ts';
import { startJsonServer } from './json-server.ts';
import type { ControlModel } from './model.ts';

export interface ControlServersOptions {
  /** Path of the socket that speaks BIRD's protocol. */
  readonly socket: string;
  /** Path of the socket that speaks framed JSON. */
  readonly api: string;
  /** Folder of the sockets that speak BIRD 1's protocol to Calico's readers; undefined: there are none. */
  readonly calicoFolder?: string | undefined;
  readonly log: { error(fields: object, message: string): void };
  /** Whether a client of BIRD's protocol may change anything. */
  readonly mayChange: NonNullable<ControlServerOptions['mayChange']>;
}

/** As Calico's processes of BIRD have them. */
const calicoSockets = { ipv4: 'bird.ctl', ipv6: 'bird6.ctl' } as const satisfies Record<Family, string>;

export class ControlServers {
  readonly #servers: readonly ControlServer[];
  readonly #serve: (model: ControlModel) => void;

  private constructor(servers: readonly ControlServer[], serve: (model: ControlModel) => void) {
    this.#servers = servers;
    this.#serve = serve;
  }

  /** @throws SocketFileError where another agent answers on one of the paths, or it cannot be made. */
  static async claim({ socket, api, calicoFolder, log, mayChange }: ControlServersOptions): Promise<ControlServers> {
    let served: ControlModel | undefined;
    const shared = {
      version,
      model: () => served,
      onModelError: (error: unknown) =>
        log.error({ err: error }, 'a question on a control socket could not be answered'),
    };
    const servers: ControlServer[] = [];
    try {
      servers.push(await startBirdServer({ ...shared, path: socket, mayChange }));
      servers.push(await startJsonServer({ ...shared, path: api }));
      for (const family of calicoFolder === undefined ? [] : families) {
        servers.push(
          await startBirdServer({
            ...shared,
            model: () => served && calicoView(served, family),
            path: `${calicoFolder}/${calicoSockets[family]}`,
            mayChange,
            form: bird1Form(family),
          }),
        );
      }
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      throw error;
    }
    return new ControlServers(servers, (model) => {
      served = model;
    });
  }

  serve(model: ControlModel): void {
    this.#serve(model);
  }

  /** Ends the clients and removes the sockets' files. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }
}
