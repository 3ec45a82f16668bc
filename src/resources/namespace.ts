/**
 * Namespace (v1): its labels.
 * Holds: the label kubernetes.io/metadata.name is there, as an API server makes it.
 */

import { z } from 'zod';
import { labelName, objectMeta, type DeepReadonly } from './define.ts';

export const namespaceSchema = z
  .object({
    apiVersion: z.literal('v1'),
    kind: z.literal('Namespace'),
    metadata: objectMeta().extend({ name: labelName() }),
  })
  .transform((namespace) => {
    const { name } = namespace.metadata;
    const labels: Record<string, string> = { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': name };
    return { ...namespace, metadata: { ...namespace.metadata, labels } };
  });

export type Namespace = DeepReadonly<z.output<typeof namespaceSchema>>;
