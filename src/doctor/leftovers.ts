/**
 * What other networks leave on a node, and how it is known. One table.
 * Leaves out: bridges, which ordinary hosts have too.
 */

import type { FirewallFacts, NetworkFacts, PolicyRule } from './facts.ts';
import { ok, warning, type Finding } from './finding.ts';

interface Traces {
  readonly links: RegExp;
  /** Protocol numbers of its routes. */
  readonly protocols: readonly number[];
  readonly chains: RegExp;
  /** Routing tables to which its policy rules lead. */
  readonly tables: RegExp;
  readonly remedy: string;
}

const nothing = /^(?!)/;

const networks: Readonly<Record<string, Traces>> = {
  Calico: {
    links: /^(cali[0-9a-f]{11}|tunl0|vxlan(-v6)?\.calico|wireguard\.cali|wg-v6\.cali|bpf(in|out)\.cali)$/,
    protocols: [80],
    chains: /(^| )cali-|^\S+ calico /,
    tables: nothing,
    remedy:
      "drain the node, delete Calico's links, routes (ip route flush proto 80) and chains cali-*; a restart of the node does all of it",
  },
  flannel: {
    links: /^flannel(\.\d+|-v6\.\d+|-wg|-wg-v6|0)$/,
    protocols: [],
    chains: /(^| )FLANNEL-|^\S+ flannel-/,
    tables: nothing,
    remedy: 'ip link delete flannel.1, and delete the chains FLANNEL-*; a restart of the node does all of it',
  },
  'kube-router': {
    links: /^(kube-bridge|kube-dummy-if|kube-tunnel-if|tun-[0-9a-f]{11,})$/,
    protocols: [17],
    chains: / KUBE-(ROUTER-|POD-FW-|NWPLCY-)/,
    tables: /^(77|78|79|kube-router|kube-router-dsr|external_ip)$/,
    remedy: 'run kube-router --cleanup-config on the node, or restart it',
  },
  Cilium: {
    links: /^(cilium_(host|net|vxlan|geneve|wg0)|lxc[0-9a-f]{12})$/,
    protocols: [],
    chains: /(^| )(OLD_)?CILIUM_/,
    tables: /^(2004|2005)$/,
    remedy: 'run cilium-dbg cleanup on the node, or restart it',
  },
};

/** Daemons that are no network of Kubernetes' by themselves. */
const daemons: Readonly<Record<number, string>> = { 11: 'zebra (FRR)', 12: 'BIRD', 42: 'babel', 186: 'BGP of FRR' };

export interface Remains {
  readonly network?: NetworkFacts;
  readonly firewall?: FirewallFacts;
  readonly rules?: readonly PolicyRule[];
}

export function judgeLeftovers({ network, firewall, rules }: Remains): Finding[] {
  const findings = Object.entries(networks).flatMap(([name, traces]): Finding[] => {
    const links = (network?.links ?? []).filter((link) => traces.links.test(link.name)).map((link) => link.name);
    const routes = traces.protocols.reduce((sum, number) => sum + (network?.daemonRoutes[number] ?? 0), 0);
    const chains = (firewall?.chains ?? []).filter((chain) => traces.chains.test(chain));
    const tables = (rules ?? []).filter(({ table }) => traces.tables.test(table));
    const found = [
      links.length > 0 ? `links ${some(links)}` : '',
      routes > 0 ? `${routes} routes` : '',
      tables.length > 0 ? `rules to table ${some(tables.map(({ table }) => table))}` : '',
      chains.length > 0 ? `${chains.length} chains (${some(chains)})` : '',
    ].filter((part) => part !== '');
    return found.length === 0
      ? []
      : [warning('leftovers', `of ${name}: ${found.join('; ')}`, `if ${name} no longer runs here: ${traces.remedy}`)];
  });
  for (const [number, count] of Object.entries(network?.daemonRoutes ?? {})) {
    const name = daemons[Number(number)];
    if (name === undefined || count === 0) continue;
    findings.push(
      warning(
        'leftovers',
        `${count} routes of ${name}`,
        'a second routing daemon on one node: make sure that they are not the routes of pods',
      ),
    );
  }
  return findings.length > 0 ? findings : [ok('leftovers', 'none of another network')];
}

function some(names: readonly string[]): string {
  const unique = [...new Set(names)];
  return unique.length <= 3 ? unique.join(', ') : `${unique.slice(0, 3).join(', ')} and ${unique.length - 3} more`;
}
