import { OpenBgpd } from '../kit/more-daemons.ts';
import { addresses, ourAs, prefixes } from '../kit/interop-lab.ts';
import type { InteropLab } from '../kit/interop-lab.ts';
import type { Subject } from './router-stories.ts';
import { tellRouterStories } from './router-stories.ts';

const own =
  'set { community 65001:11 ext-community rt 65001:12 ext-community rt 4200000001:15 large-community 4200000001:13:14 }';

/** Passive: it takes any new connection of an established neighbour for a restart, so that two dials that cross unsettle it. */
const client = (address: string, more = '') => `neighbor ${address} {
  ${more}
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

const configuration = `
AS ${ourAs}
router-id ${addresses.daemon}
listen on ${addresses.daemon}
network ${prefixes.daemon[0]} ${own}
network ${prefixes.daemon[1]} ${own}
${client(addresses.we, 'ttl-security yes')}
${client(addresses.behind)}
allow from any
allow to any
match to any prefix ${prefixes.daemon[1]} set nexthop fd99::2
`;

class Router extends OpenBgpd implements Subject {
  readonly reflects = true;
  /** 7.7 takes the message and logs `route refresh: AID IPv4 unicast not negotiated`, though it was. */
  readonly refreshes = false;
  readonly helps = true;
  readonly communities = [/65001:11/, /rt 65001:12/, /rt 4200000001:15/, /4200000001:13:14/];

  constructor(lab: InteropLab) {
    super(lab.theirs.name);
  }

  override async start(): Promise<void> {
    await super.start(configuration);
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

/** Unsigned: 7.7 on Linux gives its listening socket no key. */
tellRouterStories((lab) => new Router(lab), { signed: false });
