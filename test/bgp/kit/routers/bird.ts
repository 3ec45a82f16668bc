/** BIRD 2 as the daemon of kit/interop-lab.ts. */

import { Bird } from '../daemons.ts';
import { addresses, ourAs, password, prefixes } from '../interop-lab.ts';
import { allNeighbors } from '../subject.ts';
import type { Subject } from '../subject.ts';

const own = (family: 'ipv4' | 'ipv6', prefix: string) => `
protocol static s_${family} {
  ${family} { import filter {
    bgp_community.add((65001, 11));
    bgp_ext_community.add((rt, 65001, 12));
    bgp_ext_community.add((rt, 4200000001, 15));
    bgp_large_community.add((4200000001, 13, 14));
    accept;
  }; };
  route ${prefix} blackhole;
}`;

const client = (address: string) => `
protocol bgp ${address === addresses.we ? 'godwit' : 'behind'} {
  local ${addresses.daemon} as ${ourAs};
  neighbor ${address} as ${ourAs};
  direct; ${address === addresses.we ? `password "${password}"; ttl security on;` : ''}
  strict bind yes; graceful restart on; enable extended messages yes;
  rr client; rr cluster id 2.2.2.2;
  hold time 9; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; next hop keep; };
  ipv6 { import all; export all; next hop keep; };
}`;

const configurationOf = (neighbors: readonly string[]) => `
router id ${addresses.daemon};
protocol device {}
${own('ipv4', prefixes.daemon[0])}
${own('ipv6', prefixes.daemon[1])}
${neighbors.map(client).join('')}
`;

export class BirdRouter extends Bird implements Subject {
  readonly reflects = true;
  readonly refreshes = true;
  readonly helps = true;
  readonly communities = [/\(65001,11\)/, /\(rt, 65001, 12\)/, /\(rt, 4200000001, 15\)/, /\(4200000001, 13, 14\)/];

  private readonly neighbors: readonly string[];

  constructor(namespace: string, neighbors: readonly string[] = allNeighbors) {
    super(namespace);
    this.neighbors = neighbors;
  }

  override async start(...words: string[]): Promise<void> {
    await super.start(configurationOf(this.neighbors), ...words);
  }

  async restart(): Promise<void> {
    await this.start('-R');
  }

  askRefresh(): void {
    this.command('reload in godwit');
  }

  shutDown(text: string): void {
    this.command(`disable godwit "${text}"`);
  }

  resume(): void {
    this.command('enable godwit');
  }

  lastReason(): string {
    return this.show('protocols all godwit');
  }
}
