/**
 * The cluster's objects as the source tells them, and whom a change concerns.
 * Holds: however many changes come in one turn, each part is told once.
 */

import { applyChange, emptyClusterState, type ClusterState } from '../resources/cluster-state.ts';
import type { ResourceChange, ResourceKind } from '../resources/resource.ts';

/** Which parts read a kind. */
const readers = {
  Node: ['topology', 'policy'],
  Pod: ['policy'],
  Namespace: ['policy'],
  NetworkPolicy: ['policy'],
  Secret: ['topology'],
  BGPConfiguration: ['topology'],
  BGPPeer: ['topology'],
  BGPFilter: ['topology'],
  IPPool: ['topology'],
  // Read when an address is given.
  IPReservation: [],
  IPAMBlock: ['topology'],
} as const satisfies Record<ResourceKind, readonly ('topology' | 'policy')[]>;

export interface ClusterWatchOptions {
  readonly onTopologyChanged: () => void;
  /** All changes of the turn that policy reads, in order. */
  readonly onPolicyChanged: (changes: readonly ResourceChange[]) => void;
}

export class ClusterWatch {
  readonly state: ClusterState = emptyClusterState();
  readonly #options: ClusterWatchOptions;
  #policyChanges: ResourceChange[] = [];
  #topologyChanged = false;
  #scheduled = false;

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
  }

  apply(changes: readonly ResourceChange[]): void {
    for (const change of changes) {
      applyChange(this.state, change);
      const parts: readonly string[] = readers[change.object.kind];
      if (parts.includes('policy')) this.#policyChanges.push(change);
      if (parts.includes('topology')) this.#topologyChanged = true;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#tell());
  }

  #tell(): void {
    this.#scheduled = false;
    const policyChanges = this.#policyChanges;
    const topologyChanged = this.#topologyChanged;
    this.#policyChanges = [];
    this.#topologyChanged = false;
    if (policyChanges.length > 0) this.#options.onPolicyChanged(policyChanges);
    if (topologyChanged) this.#options.onTopologyChanged();
  }
}
