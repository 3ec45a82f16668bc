/** All facts, gathered once. */

import type { Facts } from '../facts.ts';
import { gatherAgent } from './agent.ts';
import { gatherCni, gatherListeners, gatherNetwork, gatherNetworkd, gatherSysctls, gatherTcpCounters } from './host.ts';
import { gatherFirewall, gatherRules } from './programs.ts';

const standardPort = 179;

/** @param api path of the agent's framed-JSON socket; `root` stands for `/` in the paths of configuration files. */
export async function gather(api: string, root = '/'): Promise<Facts> {
  const agent = await gatherAgent(api);
  const answers = 'value' in agent ? agent.value : undefined;
  const peers = (answers?.protocols ?? []).flatMap((protocol) =>
    protocol.kind === 'bgp' ? [protocol.peer.address] : [],
  );
  return {
    agent,
    network: gatherNetwork(peers.filter((address) => address !== '')),
    sysctls: gatherSysctls(),
    tcpCounters: gatherTcpCounters(),
    listeners: gatherListeners(answers?.status.listenPort ?? standardPort),
    firewall: await gatherFirewall(),
    rules: await gatherRules(),
    networkd: gatherNetworkd(root),
    cniConfigurations: gatherCni(root),
  };
}
