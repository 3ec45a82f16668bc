/** FRR as the daemon of kit/interop-lab.ts. */

import { Frr } from '../daemons.ts';
import { addresses, ourAs, password, prefixes } from '../interop-lab.ts';
import { allNeighbors } from '../subject.ts';
import type { Subject } from '../subject.ts';

const client = (address: string) => ` neighbor ${address} remote-as ${ourAs}
 neighbor ${address} timers connect 1`;

const inFamily = (prefix: string, neighbors: readonly string[]) => `  network ${prefix} route-map own
${neighbors.map((address) => `  neighbor ${address} activate\n  neighbor ${address} route-reflector-client`).join('\n')}`;

const configurationOf = (neighbors: readonly string[]) => `
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
${neighbors.map(client).join('\n')}
 neighbor ${addresses.we} password ${password}
 neighbor ${addresses.we} ttl-security hops 1
 address-family ipv4 unicast
${inFamily(prefixes.daemon[0], neighbors)}
 exit-address-family
 address-family ipv6 unicast
${inFamily(prefixes.daemon[1], neighbors)}
 exit-address-family
`;

export class FrrRouter extends Frr implements Subject {
  readonly reflects = true;
  readonly refreshes = true;
  readonly helps = true;
  readonly communities = [
    /Community: 65001:11/,
    /RT:65001:12/,
    /RT:4200000001:15/,
    /Large Community: 4200000001:13:14/,
  ];

  private readonly neighbors: readonly string[];

  constructor(namespace: string, neighbors: readonly string[] = allNeighbors) {
    super(namespace);
    this.neighbors = neighbors;
  }

  override async start(): Promise<void> {
    await super.start(configurationOf(this.neighbors));
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
