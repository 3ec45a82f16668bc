/**
 * Accepting connections where the settings say so, with the keys that they name (RFC 2385).
 * Holds: one change of the port after the other, however quickly the settings change.
 */

import type { Connection, Driver } from './driver.ts';
import { keysOf } from './session/keys.ts';
import type { SpeakerSettings } from './settings.ts';

export interface ListenerHost {
  /** As they are now. */
  settings(): SpeakerSettings;
  accept(connection: Connection): void;
  /** In words. */
  failed(reason: string): void;
}

export class Listener {
  private readonly driver: Driver;
  private readonly host: ListenerHost;
  private changing: Promise<void> = Promise.resolve();
  private stopped = false;
  private listens = false;

  constructor(driver: Driver, host: ListenerHost) {
    this.driver = driver;
    this.host = host;
  }

  /** Whether it accepts connections where the settings want it to. */
  get isListening(): boolean {
    return this.listens;
  }

  /** @throws an Error where the port is taken. */
  async start(): Promise<void> {
    const { listenPort: port, neighbors } = this.host.settings();
    this.listens = port === undefined;
    if (port === undefined) return;
    // Known before the first connection, and told once there is a socket that could refuse them.
    this.driver.setKeys(keysOf(neighbors));
    const onFailed = (reason: string) => this.host.failed(reason);
    await this.driver.listen(port, (connection) => this.host.accept(connection), onFailed);
    this.setKeys();
    this.listens = true;
  }

  /** One that the system refuses costs the connections that the peer makes: ours carry their key themselves. */
  setKeys(): void {
    const [first, ...others] = this.driver.setKeys(keysOf(this.host.settings().neighbors));
    if (first === undefined) return;
    const whose = first.prefixLength === undefined ? first.address : `${first.address}/${first.prefixLength}`;
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    this.host.failed(`a connection from ${whose}${more}: the TCP MD5 key is refused: ${first.reason}`);
  }

  /** The port is another. */
  startAnew(): void {
    this.changing = this.changing.then(async () => {
      if (this.stopped) return;
      try {
        await this.driver.stopListening();
        await this.start();
      } catch (error) {
        this.host.failed(error instanceof Error ? error.message : String(error));
      }
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.listens = false;
    await this.changing;
    await this.driver.stopListening();
  }
}
