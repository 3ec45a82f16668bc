/**
 * The names that a node's protocols have in Calico's configuration of BIRD: `Mesh_10_0_0_2`, `Node_fd00__1`, `Global_10_0_0_9_port_1790`, and
 * `kernel1`, `static1` as BIRD numbers what has none. Calico's readers take from them what a session is for and whom it is with.
 * Holds: no two protocols of a family have one name.
 */

import { familyOfText, splitScope } from '../../bgp/ip.ts';
import type { PeerStatus } from '../../bgp/index.ts';
import type { Family } from '../../bgp/ip.ts';
import type { PeerOrigin, ProtocolStatus } from './model.ts';
import { protocolName } from './show-protocols.ts';

const sessionWords = { mesh: 'Mesh', node: 'Node', global: 'Global' } as const satisfies Record<
  PeerOrigin['kind'],
  string
>;

/** Our name → Calico's, in their order, of the protocols that have the family. A session that is in no configuration any more has none. */
export function calicoNames(protocols: readonly ProtocolStatus[], family: Family): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const numbers = new Map<string, number>();
  // Where a session runs over the other family, its name may not be that of a session with the node's address in this one.
  const taken = new Set(protocols.flatMap((protocol) => (protocol.kind === 'bgp' ? [protocol.peer.address] : [])));
  for (const protocol of protocols.filter((each) => hasFamily(each, family))) {
    if (protocol.kind === 'bgp') {
      if (protocol.origin !== undefined) {
        names.set(protocol.peer.name, sessionName(protocol.peer, protocol.origin, family, taken));
      }
      continue;
    }
    const word = protocol.protocol.toLowerCase();
    const number = (numbers.get(word) ?? 0) + 1;
    numbers.set(word, number);
    names.set(protocolName(protocol), `${word}${number}`);
  }
  return names;
}

/** What it is about, or is not known to be about another. */
function hasFamily(protocol: ProtocolStatus, family: Family): boolean {
  if (protocol.kind === 'bgp') {
    const { state, families } = protocol.peer;
    return families.some((each) => each.family === family && (each.negotiated || state !== 'established'));
  }
  return protocol.families?.includes(family) ?? true;
}

function sessionName(
  { address, port, range }: PeerStatus,
  { kind, addresses }: PeerOrigin,
  family: Family,
  taken: ReadonlySet<string>,
): string {
  const own = addresses?.[family];
  const shown = familyOfText(address) === family || own === undefined || taken.has(own) ? address : own;
  const { address: plain, scope } = splitScope(shown);
  const symbol = inFamily(plain, family).replaceAll(/[.:]/g, '_') + (scope === undefined ? '' : `_${scope}`);
  const hasPort = kind !== 'mesh' && range === undefined && port !== 179;
  return `${sessionWords[kind]}_${symbol}${hasPort ? `_port_${port}` : ''}`;
}

/** An IPv4 address in IPv6's form (RFC 4291 §2.5.5.2), for readers that expect colons. The other way there is no such form. */
function inFamily(address: string, family: Family): string {
  if (family === 'ipv4' || familyOfText(address) === 'ipv6') return address;
  const [a, b, c, d] = address.split('.').map(Number);
  return `::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
