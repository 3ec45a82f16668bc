/** Several paths of a prefix (RFC 7911): from a BGPPeer's words to what this end of the session offers. */

import type { NeighborSettings } from '../../bgp/index.ts';
import type { Peering } from './peering.ts';

export function toAddPaths({ peer, told }: Peering): Pick<NeighborSettings, 'addPaths'> {
  const spec = peer?.spec.addPaths;
  if (spec === undefined) return {};
  const { receive, send, sendMaximum = Infinity } = spec;
  const sends = send !== 'None';
  const own = { receive, sendMaximum: sends ? sendMaximum : 0 };
  const counterpart = { receive: sends, sendMaximum: receive ? sendMaximum : 0 };
  if (told === undefined) return { addPaths: own };
  if (told === 'other') return { addPaths: counterpart };
  return {
    addPaths: {
      receive: own.receive || counterpart.receive,
      sendMaximum: Math.max(own.sendMaximum, counterpart.sendMaximum),
    },
  };
}
