/** Other programs on the node that work against us. */

import { parsePrefix, prefixCovers } from '../../bgp/ip.ts';
import type { CniConfiguration, FirewallFacts, ForwardAccept, Listener, NetworkdFacts } from './facts.ts';
import { notChecked, ok, problem, warning, type Finding } from './finding.ts';

/** @param podRanges the node's own, CIDRs. */
export function judgeForwarding({ forward }: FirewallFacts, podRanges: readonly string[]): Finding[] {
  const findings = forward.flatMap(({ name, rest, accepts }): Finding[] => {
    if (rest === 'accept') return [];
    const family = name.split(' ')[0];
    const concerned = podRanges.filter((range) => family === 'inet' || range.includes(':') === (family === 'ip6'));
    const ranges = podRanges.length === 0 ? ['the pod range'] : concerned;
    const closed = ranges.filter(
      (range) => !passes(accepts, range, 'source') || !passes(accepts, range, 'destination'),
    );
    if (closed.length === 0) return [];
    const command = family === 'ip6' ? 'ip6tables' : 'iptables';
    return [
      problem(
        'firewall',
        `${name} drops what it has no rule for (Docker and firewalld do so): packets of ${closed.join(', ')} between pods and nodes`,
        `${command} -P FORWARD ACCEPT; or accept the pod ranges: ${command} -I FORWARD -s RANGE -j ACCEPT and -d RANGE; with firewalld: firewall-cmd --zone=trusted --add-source=RANGE`,
      ),
    ];
  });
  return findings.length > 0 ? findings : [ok('firewall', 'forwarded packets pass')];
}

function passes(accepts: readonly ForwardAccept[], range: string, side: keyof ForwardAccept): boolean {
  const other = side === 'source' ? 'destination' : 'source';
  const inner = parsePrefix(range);
  return accepts.some((accept) => {
    if (accept[other] !== undefined) return false;
    const text = accept[side];
    if (text === undefined) return true;
    const outer = parsePrefix(text);
    return outer !== undefined && inner !== undefined && prefixCovers(outer, inner);
  });
}

export function judgeNetworkd({
  running,
  manageForeignRoutes,
  manageForeignRoutingPolicyRules,
}: NetworkdFacts): Finding[] {
  if (!running) return [];
  const wrong = [
    ...(manageForeignRoutes ? ['ManageForeignRoutes'] : []),
    ...(manageForeignRoutingPolicyRules ? ['ManageForeignRoutingPolicyRules'] : []),
  ];
  if (wrong.length === 0) return [ok('systemd-networkd', "leaves others' routes alone")];
  return [
    warning(
      'systemd-networkd',
      `${wrong.join(' and ')} ${wrong.length === 1 ? 'is' : 'are'} on (the default): it deletes our routes when it configures a link`,
      `in /etc/systemd/networkd.conf.d/godwit.conf: [Network] with ${wrong.map((name) => `${name}=no`).join(' and ')}; then restart systemd-networkd`,
    ),
  ];
}

/** The type of our plugin in a CNI configuration: the program's name in /opt/cni/bin. */
const ourPlugin = 'godwit-cni';

export function judgeCni(configurations: readonly CniConfiguration[]): Finding[] {
  const [first] = configurations;
  if (first === undefined) return [notChecked('cni', 'there is no configuration in /etc/cni/net.d')];
  const ours = configurations.findIndex(({ types }) => types.includes(ourPlugin));
  if (ours <= 0) {
    const whose = ours === 0 ? 'ours' : `${first.types.join(', ') || 'unreadable'}`;
    return [ok('cni', `${first.file} is in force (${whose})`)];
  }
  return [
    problem(
      'cni',
      `${first.file} (${first.types.join(', ') || 'unreadable'}) sorts before ours, ${configurations[ours].file}: new pods get their network from it`,
      `move /etc/cni/net.d/${first.file} away`,
    ),
  ];
}

/** @param port where the agent listens; `agentRuns`: whether it answers. */
export function judgeListeners(listeners: readonly Listener[], port: number, agentRuns: boolean): Finding[] {
  const there = listeners.filter((listener) => listener.port === port);
  const others = there.filter(({ command }) => command !== undefined && !isAgent(command));
  if (others.length > 0) {
    const names = [...new Set(others.map(({ command }) => command!.slice(0, 3).join(' ')))];
    return [
      problem(
        'port',
        `${names.join(', ')} listens on port ${port}: sessions that peers open do not reach the agent`,
        'stop it, or set another listenPort in the BGPConfiguration (and its port on the peers)',
      ),
    ];
  }
  if (there.length === 0) {
    return agentRuns
      ? [
          warning(
            'port',
            `nobody listens on port ${port}: no peer can connect to this node`,
            'see the log of the agent',
          ),
        ]
      : [];
  }
  if (!agentRuns) {
    return [
      warning(
        'port',
        `somebody listens on port ${port}, but the agent does not answer`,
        'see which process it is: ss -ltnp',
      ),
    ];
  }
  return [ok('port', `the agent listens on port ${port}`)];
}

function isAgent(command: readonly string[]): boolean {
  return command.includes('agent') && command.some((word) => /(^|\/)(godwit|main\.[jt]s)$/.test(word));
}
