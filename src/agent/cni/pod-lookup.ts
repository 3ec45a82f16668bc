/**
 * A pod's object for its ADD: kubelet may ask before our watch has told of the pod, so the question waits a while.
 * Holds: a pod of an earlier life of the same name is not taken for the new one, where both say who they are.
 */

import type { Clock } from '../../../dataplane/index.ts';
import { CniError, CniErrorCode } from '../../cni/cni-error.ts';
import type { PodName } from '../../cni/request.ts';
import type { Pod } from '../../resources/pod.ts';
import { objectName, type ResourceChange } from '../../resources/resource.ts';
import { podKeyOf } from './attachment.ts';

/** On the mirror of a static pod: kubelet's own id of the pod, which is not that of the object. */
const mirrorHashAnnotation = 'kubernetes.io/config.hash';

export interface PodLookupOptions {
  readonly nodeName: string;
  readonly pods: () => ReadonlyMap<string, Pod>;
  readonly clock: Clock;
  readonly patienceMilliseconds?: number;
}

export class PodLookup {
  readonly #options: PodLookupOptions;
  readonly #waiting = new Map<string, Set<() => void>>();
  #closed = false;

  constructor(options: PodLookupOptions) {
    this.#options = options;
  }

  onChanges(changes: readonly ResourceChange[]): void {
    for (const { object } of changes) {
      if (object.kind === 'Pod') for (const wake of this.#waiting.get(objectName(object)) ?? []) wake();
    }
  }

  /** The agent ends: nobody waits any longer. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
  }

  /** @throws CniError tryAgainLater where the pod has not been heard of in time. */
  async find(pod: PodName): Promise<Pod> {
    const { clock, patienceMilliseconds = 5000 } = this.#options;
    const deadline = clock.now() + patienceMilliseconds;
    for (;;) {
      const found = this.#find(pod);
      if (typeof found === 'object') return found;
      const left = deadline - clock.now();
      if (left <= 0 || this.#closed) {
        throw new CniError(CniErrorCode.tryAgainLater, `the labels of pod ${podKeyOf(pod)} cannot be had`, found);
      }
      await this.#change(podKeyOf(pod), left);
    }
  }

  /** @returns why not, where it is not the one. */
  #find(wanted: PodName): Pod | string {
    const { nodeName, pods } = this.#options;
    const pod = pods().get(podKeyOf(wanted));
    if (pod === undefined) return 'no such Pod object is known';
    if (pod.spec.nodeName !== nodeName) return `the Pod object is of node ${pod.spec.nodeName ?? '(none)'}`;
    const ids = [pod.metadata.uid, pod.metadata.annotations[mirrorHashAnnotation]];
    if (wanted.uid === undefined || pod.metadata.uid === undefined || ids.includes(wanted.uid)) return pod;
    return `the Pod object has the uid ${pod.metadata.uid}, not ${wanted.uid}`;
  }

  #change(key: string, milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const wake = () => {
        cancel();
        waiting.delete(wake);
        if (waiting.size === 0) this.#waiting.delete(key);
        resolve();
      };
      const cancel = this.#options.clock.after(milliseconds, wake);
      waiting.add(wake);
    });
  }
}
