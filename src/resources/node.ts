/**
 * Node (v1), trimmed to what routing needs: labels, annotations, pod ranges, addresses.
 * Holds: podCIDRs includes podCIDR; texts are canonical; the annotations of ours are valid or the object is refused.
 */

import { z } from 'zod';
import { familyOfText, parseAddress, type Family } from '../../bgp/ip.ts';
import { objectMeta, type DeepReadonly } from './define.ts';
import { address, cidr, parseAsNumber } from './fields.ts';

/** Makes the node a route reflector; the value is its cluster id in IPv4 form (RFC 4456 §7). */
export const clusterIdAnnotation = 'godwit.dev/route-reflector-cluster-id';
/** The node's own AS number, where not that of the BGPConfiguration. */
export const asNumberAnnotation = 'godwit.dev/as-number';

/** RFC 8326: `true` while the node is about to be taken out of service. */
export const gracefulShutdownAnnotation = 'godwit.dev/graceful-shutdown';

const ipAddressTypes: readonly string[] = ['InternalIP', 'ExternalIP'];

export const nodeSchema = z
  .object({
    apiVersion: z.literal('v1'),
    kind: z.literal('Node'),
    metadata: objectMeta(),
    spec: z
      .object({ podCIDR: cidr().optional(), podCIDRs: z.array(cidr()).default([]) })
      .prefault({})
      .transform(({ podCIDR, podCIDRs }) => ({
        podCIDRs: podCIDR === undefined || podCIDRs.includes(podCIDR) ? podCIDRs : [podCIDR, ...podCIDRs],
      })),
    status: z
      .object({
        addresses: z.array(nodeAddress()).default([]),
      })
      .prefault({}),
  })
  .superRefine(({ metadata: { annotations } }, context) => {
    const complain = (annotation: string, message: string) =>
      context.addIssue({ code: 'custom', path: ['metadata', 'annotations', annotation], message, input: annotations });
    const clusterId = annotations[clusterIdAnnotation];
    if (clusterId !== undefined && (clusterId.includes(':') || !parseAddress(clusterId) || clusterId === '0.0.0.0')) {
      complain(clusterIdAnnotation, `${JSON.stringify(clusterId)} is not a cluster id of the form 10.0.0.1`);
    }
    const shutdown = annotations[gracefulShutdownAnnotation];
    if (shutdown !== undefined && shutdown !== 'true' && shutdown !== 'false') {
      complain(gracefulShutdownAnnotation, `${JSON.stringify(shutdown)} is neither "true" nor "false"`);
    }
    const asNumber = annotations[asNumberAnnotation];
    const parsed = asNumber === undefined ? undefined : parseAsNumber(asNumber);
    if (parsed !== undefined && 'reason' in parsed) complain(asNumberAnnotation, parsed.reason);
  });

/** The address of a type that is an IP's, in canonical text; that of another type (Hostname, InternalDNS) is any text. */
function nodeAddress() {
  return z.object({ type: z.string(), address: z.string() }).transform((entry, context) => {
    if (!ipAddressTypes.includes(entry.type)) return entry;
    const checked = address().safeParse(entry.address);
    if (checked.success) return { type: entry.type, address: checked.data };
    context.issues.push({
      code: 'custom',
      path: ['address'],
      message: checked.error.issues[0].message,
      input: entry.address,
    });
    return z.NEVER;
  });
}

export type Node = DeepReadonly<z.output<typeof nodeSchema>>;

/** The first InternalIP of the family, canonical text. */
export function internalIp(node: Node, family: Family): string | undefined {
  return node.status.addresses.find(({ type, address }) => type === 'InternalIP' && familyOfText(address) === family)
    ?.address;
}

/** The node's own AS number, where an annotation gives one. */
export function annotatedAsNumber(node: Node): number | undefined {
  const text = node.metadata.annotations[asNumberAnnotation];
  if (text === undefined) return undefined;
  const parsed = parseAsNumber(text);
  return 'asNumber' in parsed ? parsed.asNumber : undefined;
}

/** The cluster id, where the node is a route reflector. */
export function routeReflectorClusterId(node: Node): string | undefined {
  return node.metadata.annotations[clusterIdAnnotation];
}

/** RFC 8326: whether the node is about to be taken out of service. */
export function isShuttingDown(node: Node): boolean {
  return node.metadata.annotations[gracefulShutdownAnnotation] === 'true';
}
