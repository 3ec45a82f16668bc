/**
 * What policy is told of this node's pods: the addresses that they have here and now, not those that the API server has heard of.
 * Holds: a pod's policy is told with its address before the pod can send, and stays until its last interface is gone, also
 * where the Pod object went before (forced deletion); an address that passed on is told of its new pod only.
 */

import type { Pod } from '../../resources/pod.ts';
import { objectName, type ResourceChange } from '../../resources/resource.ts';
import { ownerOf, podKeyOf, type Attachment } from './attachment.ts';

interface LocalPod {
  /** By owner. */
  readonly addresses: Map<string, readonly string[]>;
  /** As last told, with the addresses of the API server. */
  object: Pod;
  /** The Pod object was deleted. */
  gone: boolean;
}

export class LocalPods {
  readonly #nodeName: string;
  readonly #pods = new Map<string, LocalPod>();
  /** Address to the key of the pod that has it. */
  readonly #holders = new Map<string, string>();

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** The source's changes as policy shall see them. */
  translate(changes: readonly ResourceChange[]): ResourceChange[] {
    return changes.flatMap(({ kind, object }): ResourceChange[] => {
      if (object.kind !== 'Pod') return [{ kind, object }];
      const key = objectName(object);
      const local = this.#pods.get(key);
      if (local === undefined) return [{ kind, object: this.#withoutPassedOn(object) }];
      local.gone = kind === 'delete';
      if (local.gone) return [];
      local.object = object;
      return [{ kind, object: told(local) }];
    });
  }

  /** @param object the Pod; absent (after a restart): as the attachment remembers it. @returns what to tell policy */
  attach(attachment: Attachment, object?: Pod): ResourceChange[] {
    if (attachment.pod === undefined) return [];
    const key = podKeyOf(attachment.pod);
    const remembered = object ?? toPod(attachment.pod, this.#nodeName);
    const local = this.#pods.get(key) ?? { addresses: new Map(), object: remembered, gone: false };
    if (object !== undefined) Object.assign(local, { object, gone: false });
    local.addresses.set(ownerOf(attachment), attachment.addresses);
    this.#pods.set(key, local);
    for (const address of attachment.addresses) this.#holders.set(address, key);
    return [{ kind: 'upsert', object: told(local) }];
  }

  /** @returns what to tell policy */
  detach(attachment: Attachment): ResourceChange[] {
    if (attachment.pod === undefined) return [];
    const key = podKeyOf(attachment.pod);
    const local = this.#pods.get(key);
    if (local?.addresses.delete(ownerOf(attachment)) !== true) return [];
    for (const address of attachment.addresses) this.#holders.delete(address);
    if (local.addresses.size === 0) this.#pods.delete(key);
    if (local.addresses.size === 0 && local.gone) return [{ kind: 'delete', object: local.object }];
    return [{ kind: 'upsert', object: told(local) }];
  }

  /** All addresses of the pod, of all its interfaces. */
  addressesOf(key: string): readonly string[] {
    const local = this.#pods.get(key);
    return local === undefined ? [] : [...local.addresses.values()].flat();
  }

  #withoutPassedOn(pod: Pod): Pod {
    const key = objectName(pod);
    const podIPs = pod.status.podIPs.filter(({ ip }) => (this.#holders.get(ip) ?? key) === key);
    return podIPs.length === pod.status.podIPs.length ? pod : { ...pod, status: { ...pod.status, podIPs } };
  }
}

function told({ object, addresses }: LocalPod): Pod {
  const podIPs = [...addresses.values()].flat().map((ip) => ({ ip }));
  // A pod that is told as ended may still send as long as it has an interface (eviction tells first and stops then).
  const phase = podIPs.length > 0 ? 'Running' : object.status.phase;
  return { ...object, status: { phase, podIPs } };
}

function toPod({ namespace, name, labels }: NonNullable<Attachment['pod']>, nodeName: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels, annotations: {} },
    spec: { nodeName, hostNetwork: false, containers: [] },
    status: { phase: 'Running', podIPs: [] },
  };
}
