/** Each BGP session: is it up, and is what the peer offered what was expected? */

import type { PeerStatus } from '../../bgp/index.ts';
import type { AgentAnswers, Facts, NetworkFacts } from './facts.ts';
import { dropHints, likelyCause } from './causes.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;
const largestTwoOctetAs = 65535;
/** A session that was lost so often is worth a look. */
const manyFlaps = 3;

export function judgeSessions({ protocols }: AgentAnswers, facts: Facts): Finding[] {
  const peers = protocols.flatMap((protocol) => (protocol.kind === 'bgp' ? [protocol.peer] : []));
  if (peers.length === 0) {
    return [warning('sessions', 'none is configured', 'write a BGPPeer, or turn the mesh on (nodeToNodeMeshEnabled)')];
  }
  const network = 'value' in facts.network ? facts.network.value : undefined;
  const findings = peers.flatMap((peer) => judgeSession(peer, network));
  const down = peers.some(({ state }) => state !== 'established');
  const hints = down ? dropHints(facts.tcpCounters) : [];
  return [
    ...findings,
    ...hints.map((text) =>
      warning('sessions', text, 'compare password and ttlSecurity of both sides of the sessions that are down'),
    ),
  ];
}

export function judgeSession(peer: PeerStatus, network: NetworkFacts | undefined): Finding[] {
  return peer.state === 'established' ? judgeEstablished(peer) : [judgeDown(peer, network)];
}

function judgeDown(peer: PeerStatus, network: NetworkFacts | undefined): Finding {
  const subject = subjectOf(peer);
  const where = `${peer.state} (${peer.address}, AS ${peer.remoteAs})`;
  if (peer.gracefulRestart === 'peerRestarting') {
    return warning(subject, `${where}: the peer restarts; its routes are kept meanwhile`, 'wait for its restart time');
  }
  if (peer.address !== '' && network !== undefined && network.reach[peer.address] === undefined) {
    return problem(
      subject,
      `${where}: no route to the peer${peer.lastError === undefined ? '' : `; last error: ${peer.lastError}`}`,
      'connected and static routes must lead to it (those of routing daemons do not count): add one, or correct peerIP',
    );
  }
  if (peer.lastError === undefined) {
    const text = peer.passive ? `${where}: waits for the peer to connect` : `${where}: no connection yet`;
    const remedy = peer.passive
      ? 'the peer must connect: see that it is not passive itself and has this node as a neighbour'
      : 'ask again in a moment';
    return warning(subject, text, remedy);
  }
  // A peer that refused an OPEN often refuses the next connections without a word.
  const before = peer.lastNotification === peer.lastError ? undefined : peer.lastNotification;
  const cause = (before === undefined ? undefined : likelyCause(before)) ?? likelyCause(peer.lastError);
  const told = before === undefined ? peer.lastError : `${peer.lastError}; before that ${before}`;
  const text = `${where}: ${told}${cause === undefined ? '' : `. Likely: ${cause.cause}`}`;
  return problem(subject, text, cause?.remedy ?? 'look at the log of the agent and of the peer');
}

function judgeEstablished(peer: PeerStatus): Finding[] {
  const subject = subjectOf(peer);
  const findings: Finding[] = [];
  for (const { family, negotiated } of peer.families) {
    if (negotiated) continue;
    findings.push(
      warning(
        subject,
        `${familyNames[family]} unicast is not among the peer's capabilities: no ${familyNames[family]} routes`,
        `activate ${family} unicast for this neighbour on the peer, or leave ${family} out of families`,
      ),
    );
  }
  const has = (capabilities: readonly string[], name: string) => capabilities.some((text) => text.startsWith(name));
  if (has(peer.localCapabilities, 'graceful restart') && !has(peer.remoteCapabilities, 'graceful restart')) {
    findings.push(
      warning(
        subject,
        'the peer has no graceful restart: it drops our routes whenever the agent restarts',
        'turn graceful restart (helper mode is enough) on for this neighbour',
      ),
    );
  }
  if (peer.localAs > largestTwoOctetAs && !has(peer.remoteCapabilities, '4-octet AS')) {
    findings.push(
      problem(
        subject,
        `the peer has no 4-octet AS numbers: it sees AS 23456 instead of ${peer.localAs}`,
        'use an AS number below 65536 towards it (localASNumber)',
      ),
    );
  }
  const { holdTimeSeconds: negotiated, offeredHoldTimeSeconds: offered } = peer;
  if (negotiated === 0 && offered !== 0) {
    findings.push(
      warning(subject, 'the peer wants no keepalives: a dead peer is not noticed', 'configure a hold time on the peer'),
    );
  }
  if (peer.counters.treatedAsWithdrawn > 0) {
    findings.push(
      warning(
        subject,
        `routes of ${peer.counters.treatedAsWithdrawn} UPDATEs were treated as withdrawn (RFC 7606): ${peer.lastTreatedAsWithdrawn ?? 'malformed'}`,
        'the peer sends malformed attributes: update it',
      ),
    );
  }
  const refused = peer.families.filter(({ imported, filtered }) => imported === 0 && filtered > 0);
  for (const { family, filtered } of refused) {
    findings.push(
      warning(
        subject,
        `all ${filtered} ${familyNames[family]} routes are refused by the import policy (${peer.policyText})`,
        `see why: godwit show route filtered protocol ${peer.name}; prefixes of the cluster need importClusterRoutes`,
      ),
    );
  }
  if (peer.counters.flaps >= manyFlaps) {
    const last = peer.lastError === undefined ? '' : `; last: ${peer.lastError}`;
    findings.push(
      warning(
        subject,
        `lost ${peer.counters.flaps} times${last}`,
        'look for lost packets, load, and a hold time too short',
      ),
    );
  }
  return findings.length > 0 ? findings : [ok(subject, summaryOf(peer))];
}

function summaryOf({ address, remoteAs, families, holdTimeSeconds, offeredHoldTimeSeconds }: PeerStatus): string {
  const carried = families.filter(({ negotiated }) => negotiated).map(({ family }) => familyNames[family]);
  const shorter =
    offeredHoldTimeSeconds !== undefined && holdTimeSeconds !== undefined && holdTimeSeconds < offeredHoldTimeSeconds
      ? ` (the peer's; ours is ${offeredHoldTimeSeconds} s)`
      : '';
  return `established with ${address}, AS ${remoteAs}: ${carried.join(' and ')}, hold time ${holdTimeSeconds} s${shorter}`;
}

function subjectOf({ name }: PeerStatus): string {
  return `session ${name}`;
}
