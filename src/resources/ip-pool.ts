/**
 * IPPool: a range of pod addresses, and how packets to it travel between nodes.
 * Leaves out: address allocation (the pod ranges of nodes are in the Node objects), NAT.
 */

import { z } from 'zod';
import { parsePrefix, prefixCovers, prefixesOverlap, type Prefix } from '../../bgp/ip.ts';
import { defineCustomResource, withRules, type CustomObject } from './define.ts';
import { cidr, selector } from './fields.ts';

const encapsulation = () => z.enum(['Never', 'CrossSubnet', 'Always']).default('Never');

const linkLocal = { ipv4: '169.254.0.0/16', ipv6: 'fe80::/10' } as const;

const spec = withRules(
  z.strictObject({
    cidr: cidr().meta({ description: 'The range. No two pools may overlap.' }),
    ipipMode: encapsulation().meta({
      description:
        'IP-in-IP between nodes. CrossSubnet: only where the other node is not on a connected subnet. IPv4 only.',
    }),
    vxlanMode: encapsulation().meta({ description: 'VXLAN between nodes; the modes mean the same as of `ipipMode`.' }),
    nodeSelector: selector().prefault('all()').meta({
      description: 'The nodes that advertise their ranges of this pool and use its tunnels, by their labels.',
    }),
    disabled: z.boolean().default(false).meta({ description: 'No tunnels for this pool; its range stays reserved.' }),
    disableBGPExport: z
      .boolean()
      .default(false)
      .meta({ description: 'Ranges of this pool are not told to eBGP peers outside the cluster.' }),
  }),
  [
    {
      cel: "!has(self.ipipMode) || !has(self.vxlanMode) || self.ipipMode == 'Never' || self.vxlanMode == 'Never'",
      holds: ({ ipipMode, vxlanMode }) => ipipMode === 'Never' || vxlanMode === 'Never',
      field: 'vxlanMode',
      reason: 'ipipMode and vxlanMode exclude each other: one must be Never',
    },
    {
      cel: "!has(self.ipipMode) || self.ipipMode == 'Never' || !self.cidr.contains(':')",
      holds: ({ ipipMode, cidr }) => ipipMode === 'Never' || !cidr.includes(':'),
      field: 'ipipMode',
      reason: 'must be Never for an IPv6 pool',
    },
    {
      cel: `!isCIDR(self.cidr) || !(cidr('${linkLocal.ipv4}').containsCIDR(self.cidr) || cidr('${linkLocal.ipv6}').containsCIDR(self.cidr))`,
      holds: ({ cidr }) => !Object.values(linkLocal).some((outer) => comparePrefixes(prefixCovers, outer, cidr)),
      field: 'cidr',
      reason: 'must not be link-local',
    },
  ],
);

export const ipPoolDefinition = defineCustomResource({
  kind: 'IPPool',
  plural: 'ippools',
  shortNames: [],
  description:
    'A range of pod addresses, and how packets to it travel between nodes: directly, by IP-in-IP or by VXLAN.',
  spec,
  status: true,
  columns: [
    { name: 'CIDR', type: 'string', jsonPath: '.spec.cidr' },
    { name: 'IPIP', type: 'string', jsonPath: '.spec.ipipMode' },
    { name: 'VXLAN', type: 'string', jsonPath: '.spec.vxlanMode' },
    { name: 'Disabled', type: 'boolean', jsonPath: '.spec.disabled', wide: true },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: godwit.dev/v1
kind: IPPool
metadata:
  name: pods
spec:
  cidr: 10.244.0.0/16
  vxlanMode: CrossSubnet
`,
});

export type IpPool = CustomObject<'IPPool', typeof spec>;
export type EncapsulationMode = IpPool['spec']['ipipMode'];

export function poolsOverlap(a: IpPool, b: IpPool): boolean {
  return comparePrefixes(prefixesOverlap, a.spec.cidr, b.spec.cidr);
}

/** @param a and `b`: CIDRs that are known to be valid. */
function comparePrefixes(compare: (a: Prefix, b: Prefix) => boolean, a: string, b: string): boolean {
  const [first, second] = [parsePrefix(a), parsePrefix(b)];
  return first !== undefined && second !== undefined && compare(first, second);
}
