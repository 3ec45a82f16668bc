/** Sessions and facts of a node, in short. */

import type { PeerStatus } from '../../../bgp/index.ts';
import type { NodeFacts } from '../../../src/reports/node-report.ts';

export function session(name: string, changes: Partial<PeerStatus> = {}): PeerStatus {
  return {
    name,
    address: '10.0.0.1',
    port: 179,
    peerType: 'eBGP',
    remoteAs: 65001,
    localAs: 64512,
    passive: false,
    reflectorClient: false,
    gracefulShutdown: false,
    state: 'established',
    since: Date.UTC(2025, 11, 31),
    localCapabilities: [],
    remoteCapabilities: [],
    gracefulRestart: 'none',
    families: [],
    policyText: '',
    counters: {
      messagesReceived: 1,
      messagesSent: 1,
      updatesReceived: 1,
      updatesSent: 1,
      treatedAsWithdrawn: 0,
      flaps: 0,
    },
    ...changes,
  };
}

export function factsOf(peers: readonly PeerStatus[], changes: Partial<NodeFacts> = {}): NodeFacts {
  return {
    version: '0.1.0',
    asNumber: 64512,
    routerId: '10.0.0.11',
    peers,
    // peer_tor_node-2 is of BGPPeer tor.
    owners: new Map(
      peers.flatMap(({ name, range = name }) => {
        const owner = /^peer_([^_]+)/.exec(range)?.[1];
        return owner === undefined ? [] : [[range, owner]];
      }),
    ),
    conditions: [],
    ownProblems: [],
    ...changes,
  };
}
