/**
 * IPPool: a range of pod addresses, how packets to it travel between nodes, and, with `--ipam pools`, which pods have
 * addresses of it.
 * Leaves out: allocation (src/ipam), the rules of NAT (src/nat).
 */

import { z } from 'zod';
import { familyOfText, parsePrefix, prefixCovers, prefixesOverlap, type Family, type Prefix } from '../../bgp/ip.ts';
import { defineCustomResource, withRules, type CustomObject } from './define.ts';
import { cidr, selector } from './fields.ts';

const encapsulation = () => z.enum(['Never', 'CrossSubnet', 'Always']).default('Never');

const linkLocal = { ipv4: '169.254.0.0/16', ipv6: 'fe80::/10' } as const;

/** Of every block the first and, in IPv4, the last address is nobody's: smaller ones would be nothing but those. */
const largestBlockSize = { ipv4: 30, ipv6: 126 } as const satisfies Record<Family, number>;
const smallestBlockSize = { ipv4: 20, ipv6: 116 } as const satisfies Record<Family, number>;
const usualBlockSize = { ipv4: 26, ipv6: 122 } as const satisfies Record<Family, number>;

const spec = withRules(
  z.strictObject({
    cidr: cidr().meta({ description: 'The range. No two pools may overlap.' }),
    ipipMode: encapsulation().meta({
      description:
        'IP-in-IP between nodes. CrossSubnet: only where the other node is not on a connected subnet. IPv4 only.',
    }),
    vxlanMode: encapsulation().meta({ description: 'VXLAN between nodes; the modes mean the same as of `ipipMode`.' }),
    blockSize: z.number().int().min(smallestBlockSize.ipv4).max(largestBlockSize.ipv6).optional().meta({
      description:
        'With `--ipam pools`: the prefix length of the blocks that nodes claim, 20 to 30 of an IPv4 pool (default 26), 116 to 126 of an IPv6 pool (default 122). It cannot be changed: make another pool.',
    }),
    nodeSelector: selector().prefault('all()').meta({
      description:
        'The nodes that advertise their ranges of this pool and use its tunnels, by their labels. With `--ipam pools` also those that claim blocks of it.',
    }),
    namespaceSelector: selector().prefault('all()').meta({
      description: 'With `--ipam pools`: the namespaces whose pods have addresses of this pool, by their labels.',
    }),
    strictAffinity: z.boolean().default(false).meta({
      description:
        "With `--ipam pools`: no node borrows single addresses of other nodes' blocks when the pool has no free block. A borrowed address is advertised as a /32 or /128.",
    }),
    disabled: z.boolean().default(false).meta({
      description: 'No tunnels for this pool, and no pod is given an address of it; its range stays reserved.',
    }),
    natOutgoing: z.boolean().default(false).meta({
      description:
        "Packets from pods of this pool to destinations outside every pool and every Node's addresses leave the node with the node's address (masqueraded).",
    }),
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
    {
      cel: `!has(self.blockSize) || (self.cidr.contains(':') ? self.blockSize >= ${smallestBlockSize.ipv6} : self.blockSize <= ${largestBlockSize.ipv4})`,
      holds: ({ cidr, blockSize }) =>
        blockSize === undefined ||
        (familyOfText(cidr) === 'ipv6' ? blockSize >= smallestBlockSize.ipv6 : blockSize <= largestBlockSize.ipv4),
      field: 'blockSize',
      reason: 'must be 20 to 30 of an IPv4 pool, 116 to 126 of an IPv6 pool',
    },
    {
      cel: '!has(self.blockSize) || !isCIDR(self.cidr) || cidr(self.cidr).prefixLength() <= self.blockSize',
      holds: ({ cidr, blockSize }) => blockSize === undefined || parsePrefix(cidr)!.length <= blockSize,
      field: 'blockSize',
      reason: 'a block must not be larger than the pool',
    },
    {
      // Two sizes at one time would give two nodes blocks that overlap. Only an API server knows what was before.
      cel: 'has(self.blockSize) == has(oldSelf.blockSize) && (!has(self.blockSize) || self.blockSize == oldSelf.blockSize)',
      holds: () => true,
      field: 'blockSize',
      reason: 'cannot be changed',
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
    { name: 'Tunnels', type: 'string', jsonPath: '.status.conditions[?(@.type=="TunnelsReady")].status' },
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

/** The prefix length of the blocks that nodes claim of the pool. */
export function blockSizeOf({ spec: { cidr, blockSize } }: IpPool): number {
  return blockSize ?? Math.max(usualBlockSize[familyOfText(cidr)], parsePrefix(cidr)!.length);
}

/** @param a and `b`: CIDRs that are known to be valid. */
function comparePrefixes(compare: (a: Prefix, b: Prefix) => boolean, a: string, b: string): boolean {
  const [first, second] = [parsePrefix(a), parsePrefix(b)];
  return first !== undefined && second !== undefined && compare(first, second);
}
