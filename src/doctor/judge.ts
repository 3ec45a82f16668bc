/** The whole judgement: facts in, findings out, in the order in which one would look. */

import { families, familyOfText } from '../../bgp/ip.ts';
import type { AgentAnswers, Fact, Facts } from './facts.ts';
import { notChecked, problem, type Finding } from './finding.ts';
import { judgeCni, judgeForwarding, judgeListeners, judgeNetworkd } from './hostile.ts';
import { judgeLeftovers } from './leftovers.ts';
import { judgeAgent, judgeMtus, judgeSysctls } from './node.ts';
import { judgeSessions } from './sessions.ts';

const standardPort = 179;

export function judge(facts: Facts): Finding[] {
  const { agent, network, firewall, rules, listeners, cniConfigurations } = facts;
  const answers = valueOf(agent);
  const podRanges = answers === undefined ? [] : podRangesOf(answers);
  const addresses = answers === undefined ? [] : localAddressesOf(answers);
  const ipv6 = [...podRanges, ...addresses].some((text) => familyOfText(text) === families[1]);
  return [
    ...checked('agent', agent, judgeAgent, (reason) =>
      problem('agent', reason, 'start the agent, or name its socket with -s'),
    ),
    ...(answers === undefined ? [] : judgeSessions(answers, facts)),
    ...judgeSysctls(facts.sysctls, ipv6),
    ...checked('mtu', network, (value) => judgeMtus(value, addresses)),
    ...checked('firewall', firewall, (value) => judgeForwarding(value, podRanges)),
    ...checked('port', listeners, (value) =>
      judgeListeners(value, answers?.status.listenPort ?? standardPort, answers !== undefined),
    ),
    ...judgeNetworkd(facts.networkd),
    ...checked('cni', cniConfigurations, judgeCni),
    ...('unknown' in rules ? [notChecked('leftovers', `policy rules: ${rules.unknown}`)] : []),
    ...judgeLeftovers({ network: valueOf(network), firewall: valueOf(firewall), rules: valueOf(rules) }),
  ];
}

function checked<T>(
  subject: string,
  fact: Fact<T>,
  look: (value: T) => Finding[],
  otherwise: (reason: string) => Finding = (reason) => notChecked(subject, reason),
): Finding[] {
  return 'value' in fact ? look(fact.value) : [otherwise(fact.unknown)];
}

function valueOf<T>(fact: Fact<T>): T | undefined {
  return 'value' in fact ? fact.value : undefined;
}

/** What the node originates of its own: the agent shows it as a protocol. */
function podRangesOf({ protocols }: AgentAnswers): readonly string[] {
  return protocols.flatMap((protocol) =>
    protocol.kind === 'other' && protocol.name === 'node-pods' ? (protocol.details ?? []) : [],
  );
}

function localAddressesOf({ protocols }: AgentAnswers): readonly string[] {
  return protocols.flatMap((protocol) =>
    protocol.kind === 'bgp' && protocol.peer.localAddress !== undefined ? [protocol.peer.localAddress] : [],
  );
}
