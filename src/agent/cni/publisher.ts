/** Tells the other nodes a pod's addresses at once: their policies need not wait for kubelet's status. */

import type { PodName } from '../../cni/request.ts';

export interface PodAddressPublisher {
  /**
   * Writes the annotation godwit.dev/pod-ips of the Pod. Returns at once, never throws; whoever implements it retries and tells.
   * @param addresses canonical; all of the pod's
   */
  publish(pod: PodName, addresses: readonly string[]): void;
}

/** A folder of manifests is nobody's to write to; with an API server it is src/agent/kube/pod-publisher.ts. */
export const noPublisher: PodAddressPublisher = { publish() {} };
