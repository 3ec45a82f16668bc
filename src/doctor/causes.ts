/**
 * Why a session is down: the last error, its likely cause, what to do.
 * Reads: `lastError` of the speaker, as bgp/session writes it (RFC 4271 §4.5 codes in brackets), and the kernel's TCP counters.
 */

export interface Cause {
  readonly cause: string;
  readonly remedy: string;
}

/** NOTIFICATION codes, and which side sent it: `2/2 received`; without a subcode: `4 sent`. */
const notifications: Readonly<Record<string, Cause>> = {
  '2/1 received': { cause: 'the peer speaks another version of BGP', remedy: 'ask its operator for BGP-4' },
  '2/2 received': {
    cause: 'the peer expects another AS number of this node',
    remedy: "make the switch's remote-as our local AS number, or set localASNumber in the BGPPeer",
  },
  '2/2 sent': {
    cause: 'the peer has another AS number than the BGPPeer says',
    remedy: 'correct asNumber in the BGPPeer, or the AS number of the peer',
  },
  '2/3 received': {
    cause: "the peer does not take our router id: another speaker has it, or it is the peer's own",
    remedy: 'look for two nodes with one IPv4 address',
  },
  '2/3 sent': {
    cause: 'the peer has our own router id, or none',
    remedy: 'give the peer a router id of its own; look for two nodes with one IPv4 address',
  },
  '2/4 received': {
    cause: 'the peer does not understand capabilities (RFC 5492)',
    remedy: 'update the peer: Godwit needs them',
  },
  '2/6 received': {
    cause: 'the peer refuses our hold time',
    remedy: 'set holdTime of the BGPPeer as the peer wants it',
  },
  '2/6 sent': { cause: 'the peer proposes a hold time of 1 or 2 s', remedy: 'configure 0 or at least 3 s on the peer' },
  '2/7 received': {
    cause: 'the peer wants a capability that we do not offer',
    remedy: 'compare the address families of both sides (families of the BGPPeer)',
  },
  '2/7 sent': {
    cause: 'the peer offers none of our address families',
    remedy: 'activate the family on the peer, or change families of the BGPPeer',
  },
  '2/11 received': {
    cause: 'the roles of the two sides do not fit, or the peer demands one (RFC 9234)',
    remedy: 'set role in the BGPPeer to what we are to the peer: its Customer where it is a provider',
  },
  '2/11 sent': {
    cause: "the peer's BGP role does not fit ours, or it tells none and roleStrict wants one (RFC 9234)",
    remedy: 'correct role in the BGPPeer, or the role on the peer; a peer that knows no roles needs roleStrict: false',
  },
  '4 sent': {
    cause: 'the peer fell silent: it hangs, or its packets do not arrive',
    remedy:
      'if sessions come up and end after the hold time, large packets are lost: compare the MTU of both ends and of what lies between',
  },
  '4 received': {
    cause: 'the peer heard nothing of us for its hold time',
    remedy:
      "if sessions come up and end after the hold time, large packets are lost: compare the MTU of both ends; else look at this node's load",
  },
  '6/1 received': {
    cause: 'we told the peer more prefixes than its limit',
    remedy: "raise the peer's maximum-prefix for this node, then clear the session there",
  },
  '6/1 sent': {
    cause: 'the peer told more prefixes than the BGPPeer allows; none is let in until restartTime is over',
    remedy: 'look at what the peer tells; raise receiveLimit or importLimit, or make their action Discard',
  },
  '6/2 received': { cause: 'the peer was shut down by its operator', remedy: 'enable the session on the peer' },
  '6/2 sent': { cause: 'the session was shut down here', remedy: 'nothing, if that was meant' },
  '6/3 received': {
    cause: 'the peer no longer has this node in its configuration',
    remedy: 'configure it there: godwit tor-config prints the lines',
  },
  '6/4 received': { cause: 'the peer was reset by its operator', remedy: 'nothing: the session comes back' },
  '6/5 received': {
    cause: 'the peer refuses the connection: it does not know this address, or has another session with us',
    remedy: 'configure this node on the peer: godwit tor-config prints the lines',
  },
  '6/7 received': { cause: 'both sides connected at once', remedy: 'nothing: the other connection stays' },
  '6/8 received': { cause: 'the peer is out of resources', remedy: 'look at the memory of the peer' },
  '6/10 received': {
    cause: 'BFD on the peer found that the path from us had failed',
    remedy: "look at the link and at this node's load; longer intervals in spec.bfd of the BGPPeer bear more",
  },
  '6/10 sent': {
    cause: 'BFD here found that the path from the peer had failed',
    remedy: 'look at the link and at the peer (show bfd sessions); the session comes back with the path',
  },
};

/** Words of a connection that failed. */
const connections: readonly (readonly [RegExp, Cause])[] = [
  [
    /^connection refused/,
    {
      cause: 'the host is there, and nobody listens on the port or a firewall refuses',
      remedy: "start the peer's BGP, check the port in peerIP, and that the peer has this node as a neighbour",
    },
  ],
  [
    /^connection reset|^connection closed|^the connection ended|^closed/,
    {
      cause: 'the peer took the connection and dropped it: most speakers do so where they do not know the address',
      remedy: "configure this node's address on the peer (godwit tor-config prints the lines); check sourceAddress",
    },
  ],
  [
    /^host unreachable/,
    {
      cause: 'nobody answers for the address on the link (ARP, neighbour discovery), or a router says so',
      remedy: "check peerIP, the peer's address and the cable or VLAN; ping it from here",
    },
  ],
  [/^network unreachable/, { cause: 'there is no route to the peer', remedy: 'add a route, or correct peerIP' }],
  [
    /timed out/,
    {
      cause: 'packets to the peer or back are dropped in silence',
      remedy:
        'a firewall on the way; a password (TCP MD5) on one side only; GTSM on one side only; or the peer is farther than ebgpMultihop allows',
    },
  ],
  [
    /^no such interface/,
    {
      cause: 'the peer has a link-local address on an interface that this node does not have',
      remedy: 'correct the interface in peerIP, or let nodeSelector choose the nodes that have it',
    },
  ],
  [
    /^no router on \S+ has sent a router advertisement yet/,
    {
      cause: 'the other end of the link is down, or no router that advertises itself',
      remedy:
        'there, switch router advertisements on (FRR: "neighbor IFACE interface" does); or name its address in peerIP',
    },
  ],
  [
    /^local address not available/,
    {
      cause: 'the node does not have its own address',
      remedy: 'correct --node-ip or the InternalIP of the Node; or sourceAddress: None',
    },
  ],
  [
    /^forbidden by this host/,
    { cause: 'a firewall rule of this host forbids the connection', remedy: 'let outgoing TCP to port 179 pass' },
  ],
];

/** @returns undefined: the error speaks for itself. */
export function likelyCause(lastError: string): Cause | undefined {
  // The words that a peer sends with a shutdown are its own.
  const text = lastError.replace(/"[^"]*"/, '');
  const coded = /\((\d+)(?:\/(\d+))?\)\s*, (sent|received)/.exec(text);
  if (coded !== null) {
    const [, code, subcode, direction] = coded;
    for (const key of [`${code}/${subcode} ${direction}`, `${code} ${direction}`]) {
      if (Object.hasOwn(notifications, key)) return notifications[key];
    }
  }
  return connections.find(([pattern]) => pattern.test(lastError))?.[1];
}

/** Counters of the kernel that tell of packets it dropped before a socket saw them. */
const dropCounters: Readonly<Record<string, string>> = {
  TCPMD5NotFound: 'segments without the TCP MD5 signature that a socket here demands',
  TCPMD5Unexpected: 'segments with a TCP MD5 signature where none is configured here: the peer has a password',
  TCPMD5Failure: 'segments whose TCP MD5 signature is wrong: the passwords differ',
  TCPMinTTLDrop:
    'segments from farther away than ttlSecurity allows: the peer sends without GTSM, or there are more hops',
};

/** @param counters since boot, of all connections. */
export function dropHints(counters: Readonly<Record<string, number>>): string[] {
  return Object.entries(dropCounters).flatMap(([name, meaning]) =>
    (counters[name] ?? 0) > 0 ? [`the kernel dropped ${counters[name]} ${meaning} (${name}, since boot)`] : [],
  );
}
