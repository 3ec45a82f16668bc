/** OpenBGPD as the daemon of kit/interop-lab.ts. */

import { OpenBgpd } from '../more-daemons.ts';
import { addresses, ourAs, prefixes } from '../interop-lab.ts';
import { allNeighbors } from '../subject.ts';
import type { Subject } from '../subject.ts';

const own =
  'set { community 65001:11 ext-community rt 65001:12 ext-community rt 4200000001:15 large-community 4200000001:13:14 }';

/** Passive: it takes any new connection of an established neighbour for a restart, so that two dials that cross unsettle it. */
const client = (address: string) => `neighbor ${address} {
  ${address === addresses.we ? 'ttl-security yes' : ''}
  passive
  remote-as ${ourAs}
  local-address ${addresses.daemon}
  announce IPv4 unicast
  announce IPv6 unicast
  announce restart yes
  announce enhanced refresh yes
  holdtime 9
  route-reflector 2.2.2.2
}`;

const configurationOf = (neighbors: readonly string[]) => `
AS ${ourAs}
router-id ${addresses.daemon}
listen on ${addresses.daemon}
network ${prefixes.daemon[0]} ${own}
network ${prefixes.daemon[1]} ${own}
${neighbors.map(client).join('\n')}
allow from any
allow to any
match to any prefix ${prefixes.daemon[1]} set nexthop fd99::2
`;

export class OpenBgpdRouter extends OpenBgpd implements Subject {
  readonly reflects = true;
  /** 7.7 takes the message and logs `route refresh: AID IPv4 unicast not negotiated`, though it was. */
  readonly refreshes = false;
  readonly helps = true;
  readonly communities = [/65001:11/, /rt 65001:12/, /rt 4200000001:15/, /4200000001:13:14/];

  private readonly neighbors: readonly string[];

  constructor(namespace: string, neighbors: readonly string[] = allNeighbors) {
    super(namespace);
    this.neighbors = neighbors;
  }

  override async start(): Promise<void> {
    await super.start(configurationOf(this.neighbors));
  }

  askRefresh(): void {
    this.command(`neighbor ${addresses.we} refresh`);
  }

  shutDown(text: string): void {
    this.ask('bgpctl', '-s', this.socket, 'neighbor', addresses.we, 'down', text);
  }

  resume(): void {
    this.command(`neighbor ${addresses.we} up`);
  }

  lastReason(): string {
    return this.show(`neighbor ${addresses.we}`);
  }
}
