/**
 * Kubernetes' programs as scripts/build-kubernetes made them, outside of the repository.
 */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = resolve(process.env.GODWIT_KUBERNETES_CACHE ?? '/var/cache/godwit/kubernetes');

export type KubernetesProgram = 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler' | 'kubelet';

/** @throws an Error that says how to get it. */
export function kubernetesProgram(name: KubernetesProgram): string {
  const path = join(folder, 'bin', name);
  if (!existsSync(path)) throw new Error(`${path} is missing: run scripts/build-kubernetes`);
  return path;
}

/** To be seen by nodes, whose root file system shows only what is on the disk of /. */
export const kubernetesFolder = folder;
