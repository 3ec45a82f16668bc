/** A peer without a RIB of its own: says what a test tells it to, and believes what it hears. Cheap enough for hundreds. */

import type { Family } from '../../../bgp/ip.ts';
import type { AddPathSettings } from '../../../bgp/settings.ts';
import type { Capabilities } from '../../../bgp/wire/capabilities.ts';
import { toOpen } from '../../../bgp/session/negotiate.ts';
import { encodeMessage, keepaliveMessage, MessageStream } from '../../../bgp/wire/message.ts';
import { encodeOpen } from '../../../bgp/wire/open.ts';
import { endOfRibMessage } from '../../../bgp/wire/update.ts';
import { Receiver } from '../rib/kit.ts';
import type { VirtualConnection, VirtualDriver, VirtualWorld } from './virtual-world.ts';

export interface ScriptedPeerOptions {
  readonly address: string;
  /** The speaker. */
  readonly to: string;
  readonly asNumber: number;
  readonly families: readonly Family[];
  /** Seconds; 0: no graceful restart. */
  readonly restartTimeSeconds: number;
  /** What its OPEN says instead, each time that it is made. */
  readonly capabilities?: () => Partial<Capabilities>;
  /** Asked once its table was sent; unless told, it says so. */
  endsTable?: () => boolean;
  /** RFC 7911: what it offers. */
  readonly addPaths?: AddPathSettings;
  /** Bytes of the next TCP segment; unless told, each write is one. */
  readonly segment?: () => number;
  /** UPDATE bodies that the peer begins each session with; End-of-RIB follows. */
  table: () => readonly Uint8Array[];
}

const retryMilliseconds = 1000;
const keepaliveMilliseconds = 20_000;

export class ScriptedPeer {
  readonly options: ScriptedPeerOptions;
  /** Of the present session, or of the last. */
  heard: Receiver;
  state: 'down' | 'opening' | 'up' = 'down';
  sessions = 0;
  /** Whether it dials again by itself. */
  persistent = true;
  private readonly world: VirtualWorld;
  private readonly driver: VirtualDriver;
  private connection: VirtualConnection | undefined;

  constructor(world: VirtualWorld, options: ScriptedPeerOptions) {
    this.world = world;
    this.options = options;
    this.driver = world.host(options.address);
    this.heard = this.newReceiver();
  }

  connect(): void {
    if (this.state !== 'down') return;
    this.state = 'opening';
    const stream = new MessageStream();
    const connection = this.driver.connect(
      { address: this.options.to, port: 179, hops: {} },
      {
        connected: () => this.write(this.open()),
        received: (bytes) => {
          stream.push(bytes);
          while (this.connection === connection && stream.next()) this.hears(stream);
        },
        drained: () => {},
        closed: () => {
          if (this.connection === connection) this.lost();
        },
      },
    );
    this.connection = connection as VirtualConnection;
  }

  /** An UPDATE. */
  says(body: Uint8Array): void {
    this.sends(2, body);
  }

  sends(type: number, body: Uint8Array): void {
    if (this.state === 'up') this.write(encodeMessage(type, body));
  }

  /** End-of-RIB. */
  endTable(family: Family): void {
    this.write(endOfRibMessage(family));
  }

  /** NOTIFICATION: Cease, administrative reset. */
  cease(): void {
    this.notifies(Uint8Array.of(6, 4));
  }

  /** A NOTIFICATION, and the end of the connection. */
  notifies(body: Uint8Array): void {
    this.write(encodeMessage(3, body));
    this.hangUp();
  }

  /** Ends the connection without a word. */
  hangUp(): void {
    this.connection?.close();
    this.lost();
  }

  private hears(stream: MessageStream): void {
    const { type, body } = stream;
    if (type === 1) this.write(keepaliveMessage);
    else if (type === 4 && this.state === 'opening') {
      this.state = 'up';
      this.sessions++;
      this.heard = this.newReceiver();
      for (const update of this.options.table()) this.says(update);
      if (this.options.endsTable?.() ?? true) for (const family of this.options.families) this.endTable(family);
      this.keepAlive(this.connection);
    } else if (type === 2) this.heard.hears(encodeMessage(2, body));
    else if (type === 3) this.hangUp();
  }

  private newReceiver(): Receiver {
    const { address: name, addPaths, families } = this.options;
    // The speaker offers its part wherever a test has the peer offer this.
    return new Receiver({ name, addPath: { receive: [], send: addPaths?.receive ? families : [], sendMaximum: 0 } });
  }

  private keepAlive(connection: VirtualConnection | undefined): void {
    if (connection !== this.connection || this.state !== 'up') return;
    this.write(keepaliveMessage);
    this.world.after(keepaliveMilliseconds, () => this.keepAlive(connection));
  }

  private lost(): void {
    this.connection = undefined;
    this.state = 'down';
    if (!this.persistent) return;
    this.world.after(retryMilliseconds, () => {
      if (this.persistent) this.connect();
    });
  }

  private write(bytes: Uint8Array): void {
    const { segment } = this.options;
    for (let at = 0; at < bytes.length;) {
      const size = Math.max(1, segment?.() ?? bytes.length);
      this.connection?.write([bytes.subarray(at, at + size)]);
      at += size;
    }
  }

  private open(): Uint8Array {
    const { address, asNumber, families, restartTimeSeconds } = this.options;
    const open = toOpen({
      localAs: asNumber,
      bgpIdentifier: Uint8Array.from(address.split('.').map(Number)),
      remoteAs: asNumber,
      families,
      extendedNextHop: false,
      holdTimeSeconds: 90,
      keepaliveTimeSeconds: undefined,
      restartTimeSeconds,
      restarting: this.sessions > 0,
      forwardingPreserved: true,
      addPaths: this.options.addPaths,
    });
    return encodeOpen({ ...open, capabilities: { ...open.capabilities, ...this.options.capabilities?.() } });
  }
}
