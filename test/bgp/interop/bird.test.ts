import { Bird } from '../kit/daemons.ts';
import { addresses, ourAs, password, prefixes } from '../kit/interop-lab.ts';
import type { InteropLab } from '../kit/interop-lab.ts';
import type { Subject } from './router-stories.ts';
import { tellRouterStories } from './router-stories.ts';

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

const client = (name: string, address: string, protection: string) => `
protocol bgp ${name} {
  local ${addresses.daemon} as ${ourAs};
  neighbor ${address} as ${ourAs};
  ${protection}
  strict bind yes; graceful restart on; enable extended messages yes;
  rr client; rr cluster id 2.2.2.2;
  hold time 9; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export all; next hop keep; };
  ipv6 { import all; export all; next hop keep; };
}`;

const configuration = `
router id ${addresses.daemon};
protocol device {}
${own('ipv4', prefixes.daemon[0])}
${own('ipv6', prefixes.daemon[1])}
${client('godwit', addresses.we, `password "${password}"; direct; ttl security on;`)}
${client('behind', addresses.behind, 'direct;')}
`;

class Router extends Bird implements Subject {
  readonly reflects = true;
  readonly refreshes = true;
  readonly helps = true;
  readonly communities = [/\(65001,11\)/, /\(rt, 65001, 12\)/, /\(rt, 4200000001, 15\)/, /\(4200000001, 13, 14\)/];

  constructor(lab: InteropLab) {
    super(lab.theirs.name);
  }

  override async start(...words: string[]): Promise<void> {
    await super.start(configuration, ...words);
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

tellRouterStories((lab) => new Router(lab));
