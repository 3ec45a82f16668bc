/**
 * Pod (v1), trimmed to what routing and policy need: labels, node, addresses, phase, named ports.
 * Holds: podIPs includes podIP and what the pod's node has published of its addresses ahead of kubelet's status; containers includes the init containers that run on (restartPolicy: Always).
 */

import { z } from 'zod';
import { canonicalAddress } from '../../bgp/ip.ts';
import { namespacedObjectMeta, type DeepReadonly } from './define.ts';
import { address } from './fields.ts';

export const protocols = ['TCP', 'UDP', 'SCTP'] as const;
export type Protocol = (typeof protocols)[number];

const container = z.object({
  name: z.string(),
  restartPolicy: z.string().optional(),
  ports: z
    .array(
      z.object({
        name: z.string().optional(),
        containerPort: z.number().int().min(1).max(65535),
        protocol: z.enum(protocols).default('TCP'),
      }),
    )
    .default([]),
});

/** The pod's addresses, separated by commas, as the agent of its node publishes them when it has made its interface. */
export const podIpsAnnotation = 'godwit.dev/pod-ips';

export const podSchema = z
  .object({
    apiVersion: z.literal('v1'),
    kind: z.literal('Pod'),
    metadata: namespacedObjectMeta(),
    spec: z
      .object({
        nodeName: z.string().min(1).optional(),
        hostNetwork: z.boolean().default(false),
        containers: z.array(container).default([]),
        initContainers: z.array(container).default([]),
      })
      .prefault({})
      .transform(({ nodeName, hostNetwork, containers, initContainers }) => ({
        ...(nodeName !== undefined && { nodeName }),
        hostNetwork,
        containers: [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')].map(
          ({ name, ports }) => ({ name, ports }),
        ),
      })),
    status: z
      .object({
        phase: z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']).optional(),
        podIP: ip().optional(),
        podIPs: z.array(z.object({ ip: ip() })).default([]),
      })
      .prefault({})
      .transform(({ phase, podIP, podIPs }) => {
        const all = !podIP || podIPs.some(({ ip }) => ip === podIP) ? podIPs : [{ ip: podIP }, ...podIPs];
        // A manifest by hand may leave the phase out: a pod that has an address runs.
        return { phase: phase ?? (all.length > 0 ? ('Running' as const) : ('Pending' as const)), podIPs: all };
      }),
  })
  .transform((pod) => {
    const published = publishedIps(pod.metadata.annotations[podIpsAnnotation]);
    const further = published.filter((ip) => !pod.status.podIPs.some((known) => known.ip === ip));
    if (further.length === 0) return pod;
    return { ...pod, status: { ...pod.status, podIPs: [...pod.status.podIPs, ...further.map((ip) => ({ ip }))] } };
  });

/** What is no address is passed over: a Pod must not be lost for an annotation that anyone may write. */
function publishedIps(text: string | undefined): string[] {
  return (text?.split(',') ?? []).flatMap((word) => canonicalAddress(word.trim()) ?? []);
}

function ip() {
  return address();
}

export type Pod = DeepReadonly<z.output<typeof podSchema>>;

/** The numbers of the pod's ports that carry a name, for a protocol; containers may share a name. */
export function namedPorts(pod: Pod, name: string, protocol: Protocol): number[] {
  const numbers = pod.spec.containers.flatMap(({ ports }) =>
    ports.filter((port) => port.name === name && port.protocol === protocol).map(({ containerPort }) => containerPort),
  );
  return [...new Set(numbers)];
}
