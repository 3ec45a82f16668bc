/**
 * A peer that helps in a graceful restart by the letter of RFC 4724, as OpenBGPD and BIRD do: a connection that comes while its
 * session is up is a restart at once (§5); a session that ends before End-of-RIB is another restart, which deletes what was
 * stale before (§4.2); a NOTIFICATION ends everything. Of two connections that are not up yet it closes the later one.
 * Its program is one loop: what reaches its host it looks at in that order, but late.
 */

import type { LocalOffer } from '../../../bgp/session/negotiate.ts';
import { toOpen } from '../../../bgp/session/negotiate.ts';
import { keepaliveMessage, MessageStream } from '../../../bgp/wire/message.ts';
import { encodeOpen } from '../../../bgp/wire/open.ts';
import { endOfRibMessage } from '../../../bgp/wire/update.ts';
import type { Connection, ConnectionHandler } from '../../../bgp/driver.ts';
import type { VirtualDriver, VirtualWorld } from './virtual-world.ts';

type State = 'connecting' | 'opening' | 'up';

interface Attempt {
  readonly connection: Connection;
  state: State;
}

export class RestartHelper {
  /** What it has of the peer's routes; it begins with those that it kept when the session was lost. */
  routes: 'stale' | 'fresh' | 'none' = 'stale';
  /** Whether it has ever had none. */
  hasLost = false;
  readonly driver: VirtualDriver;

  private readonly world: VirtualWorld;
  private readonly address: string;
  private readonly peer: string;
  private current: Attempt | undefined;
  private readonly stall: () => number;
  private readonly waiting: (() => void)[] = [];

  /** @param stall milliseconds that the program is busy with something else, each time that something has come */
  constructor(world: VirtualWorld, address: string, peer: string, stall: () => number) {
    this.world = world;
    this.address = address;
    this.peer = peer;
    this.driver = world.host(address);
    this.stall = stall;
    void this.driver.listen(179, (connection) => this.enqueue(() => this.accepted(connection)));
  }

  get isUp(): boolean {
    return this.current?.state === 'up';
  }

  dial(): void {
    if (this.current !== undefined) return;
    const handler = this.handlerOf(() => attempt);
    const connection = this.driver.connect({ address: this.peer, port: 179, hops: {} }, handler);
    const attempt: Attempt = { connection, state: 'connecting' };
    this.current = attempt;
  }

  private accepted(connection: Connection): void {
    if (this.current?.state === 'opening') {
      connection.close();
      return;
    }
    if (this.current?.state === 'up') this.sessionLost();
    this.current?.connection.close();
    const attempt: Attempt = { connection, state: 'opening' };
    this.current = attempt;
    connection.setHandler(this.handlerOf(() => attempt));
    this.sayOpen(connection);
  }

  private handlerOf(attempt: () => Attempt): ConnectionHandler {
    const stream = new MessageStream();
    const whileCurrent = (task: () => void) =>
      this.enqueue(() => {
        if (this.current === attempt()) task();
      });
    return {
      connected: () =>
        whileCurrent(() => {
          attempt().state = 'opening';
          this.sayOpen(attempt().connection);
        }),
      received: (bytes) =>
        whileCurrent(() => {
          stream.push(bytes);
          while (this.current === attempt() && stream.next()) this.hears(attempt(), stream);
        }),
      drained: () => {},
      closed: () => whileCurrent(() => this.closed()),
    };
  }

  private hears(attempt: Attempt, { type, body }: MessageStream): void {
    if (type === 1) attempt.connection.write([keepaliveMessage]);
    else if (type === 4 && attempt.state === 'opening') {
      attempt.state = 'up';
      attempt.connection.write([keepaliveMessage, endOfRibMessage('ipv4')]);
    } else if (type === 2 && body.length > 4) this.routes = 'fresh';
    else if (type === 3) {
      if (attempt.state === 'up') this.lose();
      this.closed();
    }
  }

  private closed(): void {
    if (this.current?.state === 'up') this.sessionLost();
    this.current?.connection.close();
    this.current = undefined;
    this.world.after(1000, () => this.dial());
  }

  /** Its routes are stale from now on; what was that already goes. */
  private sessionLost(): void {
    if (this.routes === 'stale') this.lose();
    else if (this.routes === 'fresh') this.routes = 'stale';
  }

  private lose(): void {
    this.routes = 'none';
    this.hasLost = true;
  }

  private sayOpen(connection: Connection): void {
    const open = toOpen(helperOffer(this.address));
    const { gracefulRestart } = open.capabilities;
    const capabilities = { ...open.capabilities, gracefulRestart: { ...gracefulRestart!, notification: false } };
    connection.write([encodeOpen({ ...open, capabilities })]);
  }

  private enqueue(task: () => void): void {
    this.waiting.push(task);
    if (this.waiting.length > 1) return;
    this.world.after(this.stall(), () => {
      for (const next of this.waiting.splice(0)) next();
    });
  }
}

export function helperOffer(address: string): LocalOffer {
  return {
    localAs: 65000,
    bgpIdentifier: Uint8Array.from(address.split('.').map(Number)),
    remoteAs: 65000,
    families: ['ipv4'],
    extendedNextHop: false,
    holdTimeSeconds: 90,
    keepaliveTimeSeconds: undefined,
    restartTimeSeconds: 120,
    restarting: false,
    forwardingPreserved: true,
  };
}
