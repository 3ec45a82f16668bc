import { Frr } from '../kit/daemons.ts';
import { addresses, ourAs, password, prefixes } from '../kit/interop-lab.ts';
import type { InteropLab } from '../kit/interop-lab.ts';
import type { Subject } from './router-stories.ts';
import { tellRouterStories } from './router-stories.ts';

const client = (address: string) => ` neighbor ${address} remote-as ${ourAs}
 neighbor ${address} timers connect 1`;

const inFamily = (prefix: string) => `  network ${prefix} route-map own
${[addresses.we, addresses.behind].map((address) => `  neighbor ${address} activate\n  neighbor ${address} route-reflector-client`).join('\n')}`;

const configuration = `
hostname test
route-map own permit 10
 set community 65001:11
 set extcommunity rt 65001:12 4200000001:15
 set large-community 4200000001:13:14
router bgp ${ourAs}
 bgp router-id ${addresses.daemon}
 bgp cluster-id 2.2.2.2
 no bgp default ipv4-unicast
 bgp log-neighbor-changes
 no bgp network import-check
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
${client(addresses.we)}
 neighbor ${addresses.we} password ${password}
 neighbor ${addresses.we} ttl-security hops 1
${client(addresses.behind)}
 address-family ipv4 unicast
${inFamily(prefixes.daemon[0])}
 exit-address-family
 address-family ipv6 unicast
${inFamily(prefixes.daemon[1])}
 exit-address-family
`;

class Router extends Frr implements Subject {
  readonly reflects = true;
  readonly refreshes = true;
  readonly helps = true;
  readonly communities = [
    /Community: 65001:11/,
    /RT:65001:12/,
    /RT:4200000001:15/,
    /Large Community: 4200000001:13:14/,
  ];

  constructor(lab: InteropLab) {
    super(lab.theirs.name);
  }

  override async start(): Promise<void> {
    await super.start(configuration);
  }

  async restart(): Promise<void> {
    await this.start();
  }

  askRefresh(): void {
    this.command(`clear bgp ipv4 unicast ${addresses.we} in`);
  }

  shutDown(text: string): void {
    this.configure(`router bgp ${ourAs}`, `neighbor ${addresses.we} shutdown message ${text}`);
  }

  resume(): void {
    this.configure(`router bgp ${ourAs}`, `no neighbor ${addresses.we} shutdown`);
  }

  lastReason(): string {
    return this.log;
  }
}

tellRouterStories((lab) => new Router(lab));
