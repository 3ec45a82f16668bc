/**
 * BGPPeer: sessions of some nodes with one address, with a range of addresses, with the router at the end of a link, or with other nodes.
 * Leaves out: peering with workloads.
 */

import { z } from 'zod';
import { parsePrefix, prefixCovers } from '../../bgp/ip.ts';
import { addPathsField } from './add-paths.ts';
import { defineCustomResource, withRules, type CustomObject } from './define.ts';
import { asNumber, bfdFields, cidr, duration, interfaceName, peerAddress, selector } from './fields.ts';
import { secretKeyRef } from './secret.ts';
import { sessionPolicyFields } from './session-policy.ts';

const fields = z.strictObject({
  node: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .meta({ description: 'The one node that has this peering. Without `node` and `nodeSelector`: every node.' }),
  nodeSelector: selector().optional().meta({ description: 'The nodes that have this peering, by their labels.' }),
  peerIP: peerAddress().optional().meta({
    description:
      'The peer: `IP`, `IPv4:PORT`, `[IPv6]:PORT`, or a link-local address with its interface: `fe80::1%eth0`. Port 179, or the `listenPort` of the node that has the address.',
  }),
  interface: interfaceName().optional().meta({
    description:
      'The peer is the router at the other end of this interface\'s link ("unnumbered"), found by its router advertisements; ours are sent there. With `peerRange`: the one interface that members come by.',
  }),
  peerRange: cidr().optional().meta({
    description: 'Every neighbour whose address lies in this CIDR is accepted (dynamic neighbours). Implies `passive`.',
  }),
  peerSelector: selector().optional().meta({
    description:
      'The peers are the nodes with these labels (route reflectors, as a rule); one session a common address family.',
  }),
  asNumber: asNumber().optional().meta({
    description:
      'AS number of the peer, a number or "x.y". Required, except with `dynamicASN`, and with `peerSelector`, where the nodes\' own holds.',
  }),
  dynamicASN: z.enum(['external', 'internal']).optional().meta({
    description: 'Instead of `asNumber`. external: the peer has any AS number but ours; internal: it has ours.',
  }),
  localASNumber: asNumber().optional().meta({ description: "Our AS number towards this peer. Default: the node's." }),
  passive: z
    .boolean()
    .optional()
    .meta({ description: 'Never connects, only accepts. Default: false; true with `peerRange`.' }),
  reflectorClient: z
    .boolean()
    .default(false)
    .meta({ description: 'The peer is our route reflection client (RFC 4456); iBGP only.' }),
  families: z
    .array(z.enum(['ipv4', 'ipv6']))
    .min(1)
    .max(2)
    .refine((families) => new Set(families).size === families.length, { error: 'names a family twice' })
    .prefault(['ipv4', 'ipv6'])
    .meta({ description: 'Address families offered on the session.', 'x-kubernetes-list-type': 'set' }),
  extendedNextHop: z.enum(['Auto', 'Always', 'Never']).default('Auto').meta({
    description:
      'IPv4 routes with an IPv6 next hop (RFC 8950). Auto: offered on sessions over IPv6, and used where the session runs between link-local addresses or the node has no IPv4 address. Always: offered and used. Never: not offered.',
  }),
  addPaths: addPathsField,
  holdTime: duration({ least: 3, most: 65535, orZero: true }).optional().meta({
    description: 'Hold time proposed to this peer: 0s or at least 3s. Default: that of the BGPConfiguration.',
  }),
  keepaliveTime: duration({ least: 1, most: 21845 })
    .optional()
    .meta({ description: 'Time between KEEPALIVE messages. Default: a third of the negotiated hold time.' }),
  connectRetryTime: duration({ least: 1, most: 65535 })
    .prefault('5s')
    .meta({ description: 'Rest between attempts to connect (RFC 4271 ConnectRetryTimer).' }),
  maxRestartTime: duration({ least: 0, most: 4095 }).optional().meta({
    description:
      'Graceful restart time offered to this peer (RFC 4724); 0s turns it off. Default: `nodeMeshMaxRestartTime` of the BGPConfiguration.',
  }),
  longLivedStaleTime: duration({ least: 0, most: 16_777_215 }).optional().meta({
    description:
      'After the restart time, how long the peer may keep our routes, and we its own, as a last resort that any other route is better than (RFC 9494, long-lived graceful restart); up to 4660h; 0s: not at all. Of every family of the session. Default: that of the BGPConfiguration.',
  }),
  nextHopMode: z.enum(['Auto', 'Self', 'Keep']).default('Auto').meta({
    description:
      'Next hop of the routes told to the peer. Auto: as RFC 4271 §5.1.3 says (eBGP: ourselves; iBGP: unchanged).',
  }),
  numAllowedLocalASNumbers: z
    .number()
    .int()
    .min(0)
    .max(10)
    .default(0)
    .meta({ description: 'How often our own AS number may stand in the AS path of a received route.' }),
  sourceAddress: z
    .enum(['UseNodeIP', 'None'])
    .default('UseNodeIP')
    .meta({ description: "Source address of the connection: the node's address, or the kernel's choice." }),
  ttlSecurity: z
    .number()
    .int()
    .min(1)
    .max(254)
    .optional()
    .meta({ description: 'GTSM (RFC 5082): packets from farther than this many hops are dropped.' }),
  bfd: z
    .strictObject({
      ...bfdFields,
      multihop: z.boolean().optional().meta({
        description:
          'RFC 5883 (UDP port 4784) instead of RFC 5881 (3784, only on the link). Default: false to an eBGP peer on a connected network, else true.',
      }),
    })
    .optional()
    .meta({ description: 'BFD (RFC 5880): when the path to the peer fails, the session ends at once. Default: none.' }),
  ebgpMultihop: z
    .number()
    .int()
    .min(1)
    .max(255)
    .optional()
    .meta({ description: 'IP TTL of eBGP packets. Default: 1, the peer is on a connected network.' }),
  password: secretKeyRef().meta({
    description:
      'TCP MD5 key (RFC 2385) of these sessions: 1 to 80 bytes of a Secret. While it is missing, they are held down.',
  }),
  filters: z
    .array(z.string().min(1).max(253))
    .max(32)
    .default([])
    .meta({ description: 'Names of BGPFilters, asked in this order; the first rule that matches decides.' }),
  ...sessionPolicyFields,
  importClusterRoutes: z.boolean().default(false).meta({
    description:
      "Accept prefixes inside the cluster's pools from this eBGP peer (fabrics that carry pod routes between nodes).",
  }),
  reversePeering: z
    .enum(['Auto', 'Manual'])
    .default('Auto')
    .meta({ description: 'With `peerSelector`: whether the selected nodes peer back by themselves.' }),
  description: z.string().max(255).optional().meta({ description: 'Free text, printed by `show protocols all`.' }),
});

/** Ways to say the peer; an interface beside a range only narrows that. */
const waysOf = ({ peerIP, peerRange, peerSelector, interface: link }: z.output<typeof fields>) =>
  [peerIP, peerRange, peerSelector, peerRange === undefined ? link : undefined].filter((way) => way !== undefined)
    .length;

const waysCel =
  '(has(self.peerIP) ? 1 : 0) + (has(self.peerRange) ? 1 : 0) + (has(self.peerSelector) ? 1 : 0) + (has(self.interface) && !has(self.peerRange) ? 1 : 0)';

const linkLocalRange = parsePrefix('fe80::/10')!;

const spec = withRules(fields, [
  {
    cel: '!has(self.node) || !has(self.nodeSelector)',
    holds: ({ node, nodeSelector }) => node === undefined || nodeSelector === undefined,
    field: 'nodeSelector',
    reason: 'node and nodeSelector exclude each other',
  },
  {
    cel: `${waysCel} > 0`,
    holds: (peer) => waysOf(peer) > 0,
    field: 'peerIP',
    reason: 'one of peerIP, peerRange, interface and peerSelector is required',
  },
  {
    cel: `${waysCel} < 2`,
    holds: (peer) => waysOf(peer) < 2,
    field: 'peerIP',
    reason: 'peerIP, peerRange, interface and peerSelector exclude each other (an interface may narrow a peerRange)',
  },
  {
    cel: "!has(self.interface) || !has(self.peerRange) || !isCIDR(self.peerRange) || cidr('fe80::/10').containsCIDR(self.peerRange)",
    holds: ({ interface: link, peerRange }) =>
      link === undefined || peerRange === undefined || prefixCovers(linkLocalRange, parsePrefix(peerRange)!),
    field: 'interface',
    reason: 'narrows only a peerRange of link-local addresses (fe80::/10)',
  },
  {
    cel: '!has(self.dynamicASN) || !(has(self.asNumber) || has(self.peerSelector))',
    holds: ({ dynamicASN, asNumber, peerSelector }) =>
      dynamicASN === undefined || (asNumber === undefined && peerSelector === undefined),
    field: 'dynamicASN',
    reason: 'not allowed with asNumber or peerSelector',
  },
  {
    cel: '!has(self.peerSelector) || !has(self.asNumber)',
    holds: ({ peerSelector, asNumber }) => peerSelector === undefined || asNumber === undefined,
    field: 'asNumber',
    reason: "not allowed with peerSelector: the selected nodes' own AS number holds",
  },
  {
    cel: 'has(self.peerSelector) || has(self.asNumber) || has(self.dynamicASN)',
    holds: ({ peerSelector, asNumber, dynamicASN }) =>
      peerSelector !== undefined || asNumber !== undefined || dynamicASN !== undefined,
    field: 'asNumber',
    reason: 'required, or dynamicASN, with peerIP, peerRange and interface',
  },
  {
    cel: '!has(self.peerRange) || !has(self.passive) || self.passive',
    holds: ({ peerRange, passive }) => peerRange === undefined || passive !== false,
    field: 'passive',
    reason: 'must not be false with peerRange: members of a range are only accepted, never called',
  },
  {
    cel: '!has(self.ttlSecurity) || !has(self.ebgpMultihop)',
    holds: ({ ttlSecurity, ebgpMultihop }) => ttlSecurity === undefined || ebgpMultihop === undefined,
    field: 'ebgpMultihop',
    reason: 'ttlSecurity and ebgpMultihop exclude each other',
  },
  {
    cel: '!has(self.role) || !has(self.peerSelector)',
    holds: ({ role, peerSelector }) => role === undefined || peerSelector === undefined,
    field: 'role',
    reason: 'not allowed with peerSelector: roles are for peers in other networks',
  },
  {
    cel: '!has(self.roleStrict) || !self.roleStrict || has(self.role)',
    holds: ({ role, roleStrict }) => !roleStrict || role !== undefined,
    field: 'roleStrict',
    reason: 'needs role',
  },
  {
    cel: "!has(self.localASMode) || self.localASMode == 'Replace' || has(self.localASNumber)",
    holds: ({ localASMode, localASNumber }) => localASMode === 'Replace' || localASNumber !== undefined,
    field: 'localASMode',
    reason: 'needs localASNumber',
  },
  {
    cel: "!has(self.keepaliveTime) || !has(self.holdTime) || duration(self.holdTime) == duration('0s') || duration(self.keepaliveTime) < duration(self.holdTime)",
    holds: ({ keepaliveTime, holdTime }) =>
      keepaliveTime === undefined || holdTime === undefined || holdTime === 0 || keepaliveTime < holdTime,
    field: 'keepaliveTime',
    reason: 'must be shorter than holdTime',
  },
]);

export const bgpPeerDefinition = defineCustomResource({
  kind: 'BGPPeer',
  plural: 'bgppeers',
  shortNames: [],
  description: 'Sessions of some nodes with one address, with every neighbour of a range, or with other nodes.',
  spec,
  status: true,
  columns: [
    { name: 'Peer', type: 'string', jsonPath: '.spec.peerIP' },
    { name: 'AS', type: 'string', jsonPath: '.spec.asNumber' },
    { name: 'Node', type: 'string', jsonPath: '.spec.node' },
    { name: 'Accepted', type: 'string', jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
    { name: 'Established', type: 'string', jsonPath: '.status.conditions[?(@.type=="Established")].message' },
    { name: 'Node-Selector', type: 'string', jsonPath: '.spec.nodeSelector', wide: true },
    { name: 'Peer-Selector', type: 'string', jsonPath: '.spec.peerSelector', wide: true },
    { name: 'Interface', type: 'string', jsonPath: '.spec.interface', wide: true },
    { name: 'Range', type: 'string', jsonPath: '.spec.peerRange', wide: true },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: godwit.dev/v1
kind: BGPPeer
metadata:
  name: rack-1-tor
spec:
  nodeSelector: rack == '1'
  peerIP: 10.1.1.1
  asNumber: 65001
`,
});

/** Times are in seconds. `passive` undefined is false, except with `peerRange`: ask isPassive. */
export type BgpPeer = CustomObject<'BGPPeer', typeof spec>;

/** Whether the peering only accepts: said so, or a range. */
export function isPassive({ spec }: BgpPeer): boolean {
  return spec.peerRange !== undefined || spec.passive === true;
}
