/** One interface of one container, as the ledger keeps it: all that makes the link, the result and the policy again. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { AttachmentKey } from '../../cni/request.ts';
import type { AttachmentResult } from '../../cni/result.ts';
import { podGateway, podRoutes, type PodLink } from '../../../dataplane/index.ts';

export const attachmentSchema = z.object({
  /** The kernel's name of the boot: links do not outlive it. */
  bootId: z.string(),
  network: z.string(),
  containerId: z.string(),
  ifName: z.string(),
  namespace: z.string(),
  /** Absent: no pod of Kubernetes. */
  pod: z
    .object({
      namespace: z.string(),
      name: z.string(),
      uid: z.string().optional(),
      labels: z.record(z.string(), z.string()),
    })
    .optional(),
  addresses: z.array(z.string()).min(1),
  hostName: z.string(),
  hostMac: z.string(),
  podMac: z.string(),
  mtu: z.number(),
  defaultRoute: z.boolean(),
  routes: z.array(z.string()),
  /** Milliseconds since the epoch. */
  attachedAt: z.number(),
});

export type Attachment = z.infer<typeof attachmentSchema>;

/** Names the holder of an address, for people too. */
export function ownerOf({ containerId, ifName }: AttachmentKey): string {
  return `${containerId}/${ifName}`;
}

/** `NAMESPACE/NAME`, as in ClusterState. */
export function podKeyOf(pod: { readonly namespace: string; readonly name: string }): string {
  return `${pod.namespace}/${pod.name}`;
}

/** The same for the same container and interface, whenever it is asked: whoever lost the ledger still finds the link. */
export function linkNamesOf(key: AttachmentKey): { hostName: string; hostMac: string; podMac: string } {
  const digits = createHash('sha256').update(ownerOf(key)).digest('hex');
  return { hostName: `gw${digits.slice(0, 13)}`, hostMac: macOf(digits, 20), podMac: macOf(digits, 30) };
}

export function toPodLink(attachment: Attachment): PodLink {
  const { namespace, ifName, podMac, hostName, hostMac, mtu, addresses, defaultRoute, routes } = attachment;
  return { namespace, podName: ifName, podMac, hostName, hostMac, mtu, addresses, defaultRoute, routes };
}

export function toResult(attachment: Attachment): AttachmentResult {
  const { namespace, ifName, podMac, hostName, hostMac, mtu, addresses } = attachment;
  return {
    host: { name: hostName, mac: hostMac },
    pod: { name: ifName, mac: podMac, namespace },
    mtu,
    addresses,
    gateways: podGateway,
    routes: podRoutes(toPodLink(attachment)),
  };
}

/** Locally administered, unicast. */
function macOf(digits: string, at: number): string {
  const bytes = [0, 2, 4, 6, 8].map((offset) => digits.slice(at + offset, at + offset + 2));
  return ['02', ...bytes].join(':');
}
