/**
 * What happens to sessions, as Events about the Node and about the BGPPeer.
 * Holds: a session that comes up is news only after it was down; in a mesh of many nodes one that restarts would be an Event
 * of every other: there the mesh is told of by the NodeNetworkStatus alone.
 */

import type { SpeakerEvent } from '../../../bgp/index.ts';
import type { EventObject, RecordedEvent } from '../../kube/event-recorder.ts';
import type { ClusterState } from '../../resources/cluster-state.ts';

const largestTalkativeMesh = 100;

const limitReasons = { warning: 'BGPPrefixLimitNear', exceeded: 'BGPPrefixLimitExceeded' } as const;

export interface SessionEventsOptions {
  readonly record: (event: RecordedEvent) => void;
  readonly nodeName: string;
  readonly state: () => ClusterState;
  /** Name of a neighbour → its BGPPeer. */
  readonly ownerOf: (peer: string) => string | undefined;
}

export class SessionEvents {
  readonly #options: SessionEventsOptions;
  readonly #wentDown = new Set<string>();

  constructor(options: SessionEventsOptions) {
    this.#options = options;
  }

  onSpeakerEvent(event: SpeakerEvent): void {
    if (event.kind === 'peerDown') {
      this.#wentDown.add(event.peer);
      this.#tell(event.peer, 'Warning', 'BGPSessionDown', `session ${event.peer} went down: ${event.reason}`);
    } else if (event.kind === 'peerEstablished' && this.#wentDown.delete(event.peer)) {
      this.#tell(event.peer, 'Normal', 'BGPSessionEstablished', `session ${event.peer} is up again`);
    } else if (event.kind === 'prefixLimit' && event.limit.state !== 'below') {
      this.#tell(event.peer, 'Warning', limitReasons[event.limit.state], `session ${event.peer}: ${event.text}`);
    }
  }

  #tell(peer: string, type: RecordedEvent['type'], reason: string, text: string): void {
    const { record, nodeName, state, ownerOf } = this.#options;
    const owner = ownerOf(peer);
    if (owner === undefined && state().nodes.size > largestTalkativeMesh) return;
    record({ about: nodeObject(nodeName), type, reason, message: text });
    const bgpPeer = owner === undefined ? undefined : state().bgpPeers.get(owner);
    if (bgpPeer === undefined) return;
    const { apiVersion, kind, metadata } = bgpPeer;
    const about = { apiVersion, kind, name: metadata.name, ...(metadata.uid !== undefined && { uid: metadata.uid }) };
    record({ about, type, reason, message: `${nodeName}: ${text}` });
  }
}

/** As kubelet refers to its Node: by the name in place of the uid, which is where kubectl looks. */
export function nodeObject(name: string): EventObject {
  return { apiVersion: 'v1', kind: 'Node', name, uid: name };
}
