/**
 * A lab for one real daemon: we, the daemon in a namespace of its own, and BIRD as judge of what we pass on. Both families
 * everywhere; 10.99.0.N is fd99::N. The session between us and the daemon is signed (RFC 2385), where the daemon
 * can, and takes nothing from afar (RFC 5082).
 *
 *     .2 the daemon ── iBGP, each the other's client ── .1 we ──┬── .3 BIRD, iBGP client
 *      └────────────── iBGP, the daemon's client ── .5 BIRD  .6 └── .4 BIRD, eBGP, AS 4200000004
 */

import type { NeighborSettings } from '../../../bgp/settings.ts';
import type { PeerStatus, RouteStatus } from '../../../bgp/status.ts';
import { Bird } from './daemons.ts';
import { SpeakerLab } from './speaker-lab.ts';
import { neighbor, originated, settings } from './speakers.ts';

export const addresses = {
  we: '10.99.0.1',
  daemon: '10.99.0.2',
  client: '10.99.0.3',
  external: '10.99.0.4',
  behind: '10.99.0.5',
  /** We, for the eBGP session: BIRD has one session at most with an address. */
  weToo: '10.99.0.6',
} as const;

/** Neither fits into 16 bits. */
export const ourAs = 4_200_000_001;
export const externalAs = 4_200_000_004;

/** Of the session between us and the daemon (RFC 2385). */
export const password = 'between-us';

/** What each is the source of; the second of a pair is IPv6. */
export const prefixes = {
  we: ['10.10.0.0/24', 'fd10::/64'],
  daemon: ['10.20.0.0/24', 'fd20::/64'],
  client: ['10.30.0.0/24', 'fd30::/64'],
  external: ['10.40.0.0/24', 'fd40::/64'],
  behind: ['10.50.0.0/24', 'fd50::/64'],
} as const;

/** On every route that is not ours: communities of three kinds; extended ones of an AS of two and of four octets. */
const attributes = `
    bgp_community.add((65001, 11));
    bgp_ext_community.add((rt, 65001, 12));
    bgp_ext_community.add((rt, 4200000001, 15));
    bgp_large_community.add((4200000001, 13, 14));
    accept;`;

function side(name: 'client' | 'external' | 'behind', neighborAddress: string, asNumber: number): string {
  const [v4, v6] = prefixes[name];
  const host = addresses[name].at(-1);
  return `
ipv4 table ${name}4; ipv6 table ${name}6;
protocol static ${name}_s4 { ipv4 { table ${name}4; import filter { ${attributes} }; }; route ${v4} blackhole; }
protocol static ${name}_s6 { ipv6 { table ${name}6; import filter { ${attributes} }; }; route ${v6} blackhole; }
protocol bgp to_${name} {
  local ${addresses[name]} as ${asNumber};
  neighbor ${neighborAddress} as ${ourAs};
  strict bind yes; multihop; graceful restart on; enable extended messages yes;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { table ${name}4; import all; export all; next hop self; gateway recursive; };
  ipv6 { table ${name}6; import all; export all; next hop address fd99::${host}; gateway recursive; };
}`;
}

const birdConfiguration = `
router id 10.99.0.3;
protocol device {}
${side('client', addresses.we, ourAs)}
${side('external', addresses.weToo, externalAs)}
${side('behind', addresses.daemon, ourAs)}
`;

export interface InteropLabOptions {
  /** The daemon can do RFC 2385; true unless told. */
  readonly signed?: boolean;
}

export class InteropLab extends SpeakerLab {
  readonly theirs = this.neighbor();
  readonly bird = this.use(new Bird(this.home.name));
  readonly signed: boolean;

  constructor({ signed = true }: InteropLabOptions = {}) {
    super();
    this.signed = signed;
    for (const [name, address] of Object.entries(addresses)) {
      const namespace = name === 'daemon' ? this.theirs : this.home;
      namespace.addAddresses('eth0', `${address}/24`, `fd99::${address.at(-1)}/64`);
    }
  }

  /** BIRD, then the speaker. */
  async start(): Promise<void> {
    await this.bird.start(birdConfiguration);
    await this.startOurs({ restarting: false });
  }

  async startOurs({ restarting }: { readonly restarting: boolean }): Promise<void> {
    const both: Partial<NeighborSettings> = {
      families: ['ipv4', 'ipv6'],
      localAddress: addresses.we,
      nextHopSelf: { ipv6: 'fd99::1' },
      holdTimeSeconds: 9,
      connectRetrySeconds: 1,
    };
    const neighbors = [
      neighbor(addresses.daemon, ourAs, {
        ...both,
        name: 'daemon',
        reflectorClient: true,
        ...(this.signed && { password }),
        ttlSecurityHops: 1,
      }),
      neighbor(addresses.client, ourAs, { ...both, name: 'client', reflectorClient: true }),
      neighbor(addresses.external, externalAs, { ...both, name: 'external', localAddress: addresses.weToo, ttl: 64 }),
    ];
    const ours = settings(addresses.we, ourAs, neighbors, {
      clusterId: '1.1.1.1',
      originated: originated(...prefixes.we),
    });
    await this.startSpeaker(ours, { restarting, listenAddresses: [addresses.we, addresses.weToo] });
  }

  override peer(name = 'daemon'): PeerStatus {
    return super.peer(name);
  }

  /** Our route for the prefix from the daemon. */
  route(prefix: string): RouteStatus | undefined {
    return this.routeFrom('daemon', prefix);
  }

  /** Which of the daemon's own prefixes we have from it; ` stale` where they are. */
  fromDaemon(): string[] {
    return prefixes.daemon.flatMap((prefix) => {
      const found = this.route(prefix);
      return found === undefined ? [] : [prefix + (found.stale ? ' stale' : '')];
    });
  }

  /** What BIRD shows of the prefix at one of its places. */
  atBird(name: 'client' | 'external' | 'behind', prefix: string): string {
    return this.bird.route(prefix, `${name}${prefix.includes(':') ? 6 : 4}`);
  }
}
