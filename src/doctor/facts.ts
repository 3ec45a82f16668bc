/** What doctor judges: the agent's answers and the host as it was found. Values only, so that a test writes them down. */

import type { AgentStatus, ProtocolStatus } from '../control/model.ts';
import type { LinkStatus, ResolvedNextHop } from '../../dataplane/index.ts';

/** Something that could be looked at, or why not (a program is missing, permission). */
export type Fact<T> = { readonly value: T } | { readonly unknown: string };

export interface Facts {
  readonly agent: Fact<AgentAnswers>;
  readonly network: Fact<NetworkFacts>;
  /** Settings of the kernel by their sysctl name; absent: this kernel has none. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Counters of TcpExt in /proc/net/netstat, since boot. */
  readonly tcpCounters: Readonly<Record<string, number>>;
  readonly listeners: Fact<readonly Listener[]>;
  readonly firewall: Fact<FirewallFacts>;
  readonly rules: Fact<readonly PolicyRule[]>;
  readonly networkd: NetworkdFacts;
  /** Of /etc/cni/net.d, in the order in which a runtime reads them. */
  readonly cniConfigurations: Fact<readonly CniConfiguration[]>;
}

export interface AgentAnswers {
  readonly status: AgentStatus;
  readonly protocols: readonly ProtocolStatus[];
}

export interface NetworkFacts {
  readonly links: readonly LinkStatus[];
  /** Interfaces to which pods' addresses lead. */
  readonly podInterfaces: readonly string[];
  /** By the peer's address: how connected and static routes lead to it. Absent: they do not. */
  readonly reach: Readonly<Record<string, ResolvedNextHop>>;
  /** By protocol number (rtnetlink's), of routing daemons alone: how many routes the kernel holds. */
  readonly daemonRoutes: Readonly<Record<number, number>>;
}

/** A listening TCP socket. */
export interface Listener {
  readonly port: number;
  readonly address: string;
  /** Words of the process's command line; absent: not seen from here. */
  readonly command?: readonly string[];
}

export interface FirewallFacts {
  /** Base chains at the forward hook that filter. */
  readonly forward: readonly ForwardChain[];
  /** `ip filter KUBE-ROUTER-INPUT`: every chain. */
  readonly chains: readonly string[];
}

export interface ForwardChain {
  /** `ip filter FORWARD` */
  readonly name: string;
  /** What becomes of a packet that no rule decides on. */
  readonly rest: 'accept' | 'drop';
  /** Rules that accept by address alone, or everything. */
  readonly accepts: readonly ForwardAccept[];
}

export interface ForwardAccept {
  /** CIDR; absent: any. */
  readonly source?: string;
  readonly destination?: string;
}

export interface PolicyRule {
  readonly priority: number;
  readonly table: string;
}

export interface NetworkdFacts {
  readonly running: boolean;
  /** networkd.conf(5): both are yes unless a file says otherwise. */
  readonly manageForeignRoutes: boolean;
  readonly manageForeignRoutingPolicyRules: boolean;
}

export interface CniConfiguration {
  readonly file: string;
  /** The plugins' types; empty: not readable as a configuration. */
  readonly types: readonly string[];
}
