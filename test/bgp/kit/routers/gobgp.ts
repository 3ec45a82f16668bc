/** GoBGP as the daemon of kit/interop-lab.ts. */

import { GoBgp } from '../more-daemons.ts';
import { addresses, ourAs, password, prefixes } from '../interop-lab.ts';
import { allNeighbors } from '../subject.ts';
import type { Subject } from '../subject.ts';

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

const protection = `
  [neighbors.ttl-security.config]
    enabled = true
    ttl-min = 255`;

/** Down until it has its routes: it would tell End-of-RIB before them. */
const client = (address: string) => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${address}"
    peer-as = ${ourAs}
    admin-down = true
    auth-password = "${address === addresses.we ? password : ''}"
${address === addresses.we ? protection : ''}
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

const configurationOf = (neighbors: readonly string[]) => `
[global.config]
  as = ${ourAs}
  router-id = "${addresses.daemon}"
  port = 179
  local-address-list = ["${addresses.daemon}"]
${neighbors.map(client).join('')}
`;

export class GoBgpRouter extends GoBgp implements Subject {
  readonly reflects = true;
  readonly refreshes = true;
  readonly helps = true;
  readonly communities = [/65001:11/, /65001:12/, /64086\.59905:15/, /4200000001:13:14/];

  private readonly neighbors: readonly string[];

  constructor(namespace: string, neighbors: readonly string[] = allNeighbors) {
    super(namespace);
    this.neighbors = neighbors;
  }

  override async start(...words: string[]): Promise<void> {
    await super.start(configurationOf(this.neighbors), ...words);
    // It writes 4200000001 as 64086.59905, and does not read it otherwise.
    const attributes = 'community 65001:11 rt 65001:12 64086.59905:15 large-community 4200000001:13:14';
    this.announce(prefixes.daemon[0], addresses.daemon, attributes);
    this.announce(prefixes.daemon[1], 'fd99::2', attributes);
    for (const address of this.neighbors) this.ask('gobgp', '--target', this.target, 'neighbor', address, 'enable');
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
