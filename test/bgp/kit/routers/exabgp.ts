/** ExaBGP as the daemon of kit/interop-lab.ts. */

import { ExaBgp } from '../more-daemons.ts';
import { addresses, ourAs, password, prefixes } from '../interop-lab.ts';
import type { Subject } from '../subject.ts';

const communities =
  'community [65001:11] extended-community [target:65001:12 target:4200000001:15] large-community [4200000001:13:14]';

const configuration = `
neighbor ${addresses.we} {
  router-id ${addresses.daemon};
  local-address ${addresses.daemon};
  local-as ${ourAs};
  peer-as ${ourAs};
  hold-time 9;
  md5-password "${password}";
  outgoing-ttl 255;
  incoming-ttl 255;
  family { ipv4 unicast; ipv6 unicast; }
  capability { asn4 enable; route-refresh enable; graceful-restart 60; }
  api { processes [ api ]; neighbor-changes; receive { parsed; update; refresh; } }
  static {
    route ${prefixes.daemon[0]} next-hop ${addresses.daemon} ${communities};
    route ${prefixes.daemon[1]} next-hop fd99::2 ${communities};
  }
}
`;

/** It shows no word that we end a session with (it stumbles over a NOTIFICATION that it tells its process), and has none itself. */
export class ExaBgpRouter extends ExaBgp implements Subject {
  readonly reflects = false;
  /** 4.2.21 offers RFC 7313 and falls over its own BoRR (a TypeError): it comes back, and says everything anew. */
  readonly refreshes = true;
  readonly helps = false;
  readonly communities = [
    /\[ ?65001, ?11 ?\]/,
    /"target:65001:12"/,
    /"target:4200000001L:15"/,
    /\[ ?4200000001, ?13 ?, ?14 ?\]/,
  ];

  override async start(): Promise<void> {
    await super.start(configuration);
  }

  async restart(): Promise<void> {
    await this.start();
  }

  askRefresh(): void {
    this.command(`neighbor ${addresses.we} announce route-refresh ipv4 unicast`);
  }
}
