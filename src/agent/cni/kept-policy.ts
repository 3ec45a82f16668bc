/** The agent's policy as attachments need it: told of the pod's address here and now, and waited for. */

import { CniError, CniErrorCode } from '../../cni/cni-error.ts';
import type { Pod } from '../../resources/pod.ts';
import type { ResourceChange } from '../../resources/resource.ts';
import type { PolicyKeeper } from '../policy-keeper.ts';
import { podKeyOf, type Attachment } from './attachment.ts';
import type { PodPolicy } from './attacher.ts';
import type { LocalPods } from './local-pods.ts';

export class KeptPolicy implements PodPolicy {
  readonly #pods: LocalPods;
  readonly #keeper: PolicyKeeper | undefined;

  /** @param keeper undefined: this agent does not keep policy, and nobody waits for it. */
  constructor(pods: LocalPods, keeper: PolicyKeeper | undefined) {
    this.#pods = pods;
    this.#keeper = keeper;
  }

  async attach(attachment: Attachment, object: Pod | undefined): Promise<void> {
    await this.#tell(this.#pods.attach(attachment, object));
    const problem = this.problem();
    if (problem !== undefined) {
      throw new CniError(CniErrorCode.tryAgainLater, "the pod's policy cannot be put in force", problem);
    }
  }

  async detach(attachment: Attachment): Promise<void> {
    await this.#tell(this.#pods.detach(attachment));
  }

  addressesOf({ pod }: Attachment): readonly string[] {
    return pod === undefined ? [] : this.#pods.addressesOf(podKeyOf(pod));
  }

  problem(): string | undefined {
    return this.#keeper?.problem();
  }

  async #tell(changes: readonly ResourceChange[]): Promise<void> {
    this.#keeper?.onChanges(changes);
    await this.#keeper?.flush();
  }
}
