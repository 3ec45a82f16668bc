/** What of a running agent its node's report is made from. */

import type { NodeFacts } from '../../reports/node-report.ts';
import type { RunningAgent } from '../control-model.ts';

export function toNodeFacts(agent: RunningAgent): NodeFacts {
  const { settings, conditions, owners } = agent.config();
  return {
    version: agent.version,
    asNumber: settings.asNumber,
    routerId: settings.routerId,
    peers: agent.speaker.peers(),
    owners,
    conditions: [...conditions, ...(agent.routes?.conditions() ?? [])],
    kernel: agent.routes?.numbers(),
    policy: agent.policy?.status(agent.policyCounts()),
    ownProblems: agent.ownConditions().map(({ message }) => message),
  };
}

/** @returns the BGPPeer of a session; undefined: the mesh's, or one that is gone. */
export function ownerOfSession(agent: RunningAgent, name: string): string | undefined {
  const { owners } = agent.config();
  if (owners.has(name)) return owners.get(name);
  // Only what came by a range has another name than what was configured.
  if (agent.config().settings.neighbors.some((neighbor) => neighbor.name === name)) return undefined;
  return owners.get(agent.speaker.peers().find((peer) => peer.name === name)?.range ?? name);
}
