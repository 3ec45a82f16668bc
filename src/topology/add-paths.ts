/** Several paths of a prefix (RFC 7911): from a BGPPeer's words to what this end of the session offers. */

import type { NeighborSettings } from '../../bgp/index.ts';
import type { Peering } from './peering.ts';

export function toAddPaths({ peer, mirrored }: Peering): Pick<NeighborSettings, 'addPaths'> {
  const spec = peer?.spec.addPaths;
  if (spec === undefined) return {};
  const { receive, send, sendMaximum = Infinity } = spec;
  const sends = send !== 'None';
  if (mirrored) return { addPaths: { receive: sends, sendMaximum: receive ? sendMaximum : 0 } };
  return { addPaths: { receive, sendMaximum: sends ? sendMaximum : 0 } };
}
