import { GoBgp } from '../kit/more-daemons.ts';
import { addresses, ourAs, password, prefixes } from '../kit/interop-lab.ts';
import type { InteropLab } from '../kit/interop-lab.ts';
import type { Subject } from './router-stories.ts';
import { tellRouterStories } from './router-stories.ts';

const families = ['ipv4-unicast', 'ipv6-unicast']
  .map(
    (name) => `
[[neighbors.afi-safis]]
  [neighbors.afi-safis.config]
    afi-safi-name = "${name}"
  [neighbors.afi-safis.mp-graceful-restart.config]
    enabled = true
  [neighbors.afi-safis.long-lived-graceful-restart.config]
    enabled = true
    restart-time = 600`,
  )
  .join('\n');

const client = (address: string, protection = { word: '', ttl: '' }) => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${address}"
    peer-as = ${ourAs}
    ${protection.word}
  ${protection.ttl}
  [neighbors.transport.config]
    local-address = "${addresses.daemon}"
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
    hold-time = 9
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 60
    notification-enabled = true
    long-lived-enabled = true
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "2.2.2.2"
${families}
`;

const configuration = `
[global.config]
  as = ${ourAs}
  router-id = "${addresses.daemon}"
  port = 179
  local-address-list = ["${addresses.daemon}"]
${client(addresses.we, {
  word: `auth-password = "${password}"`,
  ttl: '[neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255',
})}
${client(addresses.behind)}
`;

class Router extends GoBgp implements Subject {
  readonly reflects = true;
  readonly refreshes = true;
  readonly helps = true;
  readonly communities = [/65001:11/, /65001:12/, /64086\.59905:15/, /4200000001:13:14/];

  constructor(lab: InteropLab) {
    super(lab.theirs.name);
  }

  override async start(...words: string[]): Promise<void> {
    await super.start(configuration, ...words);
    // It writes 4200000001 as 64086.59905, and does not read it otherwise.
    const attributes = 'community 65001:11 rt 65001:12 64086.59905:15 large-community 4200000001:13:14';
    this.announce(prefixes.daemon[0], addresses.daemon, attributes);
    this.announce(prefixes.daemon[1], 'fd99::2', attributes);
  }

  async restart(): Promise<void> {
    await this.start('-r');
  }

  shutDown(text: string): void {
    this.ask('gobgp', '--target', this.target, 'neighbor', addresses.we, 'shutdown', '--reason', text);
  }

  /** It does not read what a Hard Reset carries (RFC 8538), but logs its octets. */
  lastReason(): string {
    const octets = [...this.log.matchAll(/Data="\[([\d ]+)\]"/g)].at(-1)?.[1].split(' ') ?? [];
    return String.fromCharCode(...octets.map(Number));
  }
}

tellRouterStories((lab) => new Router(lab));
