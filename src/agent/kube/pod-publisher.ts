/** A new pod's addresses, as an annotation of its object: other nodes' policies need not wait for kubelet's status. */

import type { KubeClient } from '../../kube/client.ts';
import type { PacedWriter } from '../../kube/paced-writer.ts';
import { mergePatch, objectPath } from '../../kube/writes.ts';
import { podIpsAnnotation, type Pod } from '../../resources/pod.ts';
import type { PodAddressPublisher } from '../cni/publisher.ts';

export interface PodPublisherOptions {
  readonly client: KubeClient;
  readonly writer: PacedWriter;
  readonly pods: () => ReadonlyMap<string, Pod>;
}

export function podPublisher({ client, writer, pods }: PodPublisherOptions): PodAddressPublisher {
  return {
    publish({ namespace, name }, addresses) {
      const path = objectPath(`/api/v1/namespaces/${namespace}/pods`, name);
      // With the uid the patch is refused where a newer pod has the name, here or on another node.
      const uid = pods().get(`${namespace}/${name}`)?.metadata.uid;
      const metadata = { ...(uid !== undefined && { uid }), annotations: { [podIpsAnnotation]: addresses.join(',') } };
      writer.put(`Pod ${namespace}/${name}`, { send: (signal) => mergePatch(client, path, { metadata }, signal) });
    },
  };
}
