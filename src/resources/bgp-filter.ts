/**
 * BGPFilter: which routes are taken from a peer and told to it, and how they are changed on the way.
 * Holds: rules are asked in order, the first that matches decides; a rule without a condition matches every route.
 * Leaves out: what `priority` and `setPriority` come to (topology/route-filters.ts, route-matchers.ts).
 */

import { z } from 'zod';
import type { Family } from '../../bgp/ip.ts';
import { defineCustomResource, withRules, type CustomObject } from './define.ts';
import { asPathPattern, cidr, pathAsNumber } from './fields.ts';
import { community, communityForms, communityPattern } from './communities.ts';

const number32 = () => z.number().int().min(0).max(0xffff_ffff);

/** A priority and the LOCAL_PREF that tells it come to this together. */
export const priorityBase = 0x7fff_ffff;

/** A priority in Calico's range: 2147483647 less it is a LOCAL_PREF that BIRD's filters can calculate with. */
const priority = () =>
  z
    .number()
    .int()
    .min(1)
    .max(priorityBase - 1);

/** One a change; exactly one of them stands in an operation. */
const operationFields = {
  addCommunity: z
    .strictObject({ value: community().meta({ description: `Of any kind: ${communityForms}.` }) })
    .optional()
    .meta({ description: 'Adds a community.' }),
  removeCommunity: z
    .strictObject({
      value: communityPattern().meta({ description: 'Of any kind; `64512:*` and the like are all that begin so.' }),
    })
    .optional()
    .meta({ description: 'Removes a community, or all that begin alike.' }),
  setCommunities: z
    .strictObject({ values: z.array(community()).min(1).max(32) })
    .optional()
    .meta({ description: 'Puts these communities in place of all of their kinds (standard, extended, large).' }),
  prependASPath: z
    .strictObject({
      prefix: z
        .array(pathAsNumber())
        .min(1)
        .max(10)
        .meta({ description: 'AS numbers, left to right as they will stand at the beginning of the path.' }),
    })
    .optional()
    .meta({ description: 'Puts AS numbers before the AS path.' }),
  setLocalPreference: z
    .strictObject({ value: number32() })
    .optional()
    .meta({ description: 'Sets LOCAL_PREF (higher wins).' }),
  setMED: z.strictObject({ value: number32() }).optional().meta({ description: 'Sets MULTI_EXIT_DISC (lower wins).' }),
  setPriority: z.strictObject({ value: priority() }).optional().meta({
    description:
      "Import: the metric of the kernel's route, in place of 1670 (lower wins, among the host's routes to one prefix); which path is best does not depend on it. Export: LOCAL_PREF 2147483647 less the value, which Calico's nodes take for the metric.",
  }),
};

const operationNames = Object.keys(operationFields);

const operation = withRules(z.strictObject(operationFields), [
  {
    cel: `${operationNames.map((name) => `(has(self.${name}) ? 1 : 0)`).join(' + ')} == 1`,
    holds: (operation) => Object.values(operation).filter((part) => part !== undefined).length === 1,
    field: 'addCommunity',
    reason: `exactly one of ${operationNames.slice(0, -1).join(', ')} and ${operationNames.at(-1)} is required`,
  },
]);

const longest = { ipv4: 32, ipv6: 128 } as const satisfies Record<Family, number>;

function rule(family: Family) {
  const length = () => z.number().int().min(0).max(longest[family]);
  const prefixLength = withRules(z.strictObject({ min: length().optional(), max: length().optional() }), [
    {
      cel: '!has(self.min) || !has(self.max) || self.min <= self.max',
      holds: ({ min, max }) => min === undefined || max === undefined || min <= max,
      field: 'min',
      reason: 'is more than max',
    },
  ]);
  return withRules(
    z.strictObject({
      action: z.enum(['Accept', 'Reject']).meta({ description: 'What becomes of a route that matches.' }),
      cidr: cidr(family).optional().meta({ description: "Compared with the route's prefix by `matchOperator`." }),
      matchOperator: z
        .enum(['Equal', 'NotEqual', 'In', 'NotIn'])
        .optional()
        .meta({ description: 'Equal: the prefix is `cidr`. In: it lies inside `cidr` (or is it).' }),
      prefixLength: prefixLength.optional().meta({
        description: 'The length of the prefix must lie between `min` and `max` (both inclusive). Needs `cidr`.',
      }),
      source: z
        .enum(['RemotePeers'])
        .optional()
        .meta({ description: 'RemotePeers: only routes that were learned from a peer, not our own.' }),
      peerType: z.enum(['eBGP', 'iBGP']).optional().meta({ description: 'Only on sessions of this type.' }),
      communities: z
        .strictObject({ values: z.array(communityPattern()).min(1).max(32) })
        .optional()
        .meta({
          description: `The route carries at least one of these communities, of any kind: ${communityForms}; \`64512:*\` and the like are all that begin so.`,
        }),
      asPathPrefix: z
        .array(pathAsNumber())
        .min(1)
        .max(10)
        .optional()
        .meta({ description: 'The AS path begins with these AS numbers.' }),
      asPath: asPathPattern().optional().meta({
        description:
          'The AS path, whole: AS numbers and ranges (`64512-65534`), `?` any one, `*` any number of any; `* 65001` ends in 65001.',
      }),
      nextHop: cidr()
        .optional()
        .meta({ description: 'The next hop of the route lies in this CIDR, of either family.' }),
      priority: priority().optional().meta({
        description:
          "The route's priority: what `setPriority` of an import rule gave it, else 2147483647 less the LOCAL_PREF that it carries, as Calico's nodes tell it. A route without either has none.",
      }),
      interface: z
        .string()
        .regex(/^[^/\s*]{0,15}[*]?$/)
        .min(1)
        .max(16)
        .optional()
        .meta({
          description:
            'Only routes from a peer on a link of this interface of the node; `eth*` is every one that begins so. A peer behind a router has none.',
        }),
      operations: z
        .array(operation)
        .max(10)
        .default([])
        .meta({ description: 'Changes to an accepted route, in this order.' }),
    }),
    [
      {
        cel: 'has(self.cidr) == has(self.matchOperator)',
        holds: ({ cidr, matchOperator }) => (cidr === undefined) === (matchOperator === undefined),
        field: 'matchOperator',
        reason: 'cidr and matchOperator go together',
      },
      {
        cel: '!has(self.prefixLength) || has(self.cidr)',
        holds: ({ prefixLength, cidr }) => prefixLength === undefined || cidr !== undefined,
        field: 'prefixLength',
        reason: 'needs cidr',
      },
      {
        cel: "self.action == 'Accept' || !has(self.operations) || size(self.operations) == 0",
        holds: ({ action, operations }) => action === 'Accept' || operations.length === 0,
        field: 'operations',
        reason: 'only with action Accept',
      },
    ],
  );
}

const rules = (family: Family, description: string) =>
  z.array(rule(family)).max(256).prefault([]).meta({ description });

const spec = z.strictObject({
  importV4: rules('ipv4', 'Rules for IPv4 routes that the peer sends.'),
  importV6: rules('ipv6', 'Rules for IPv6 routes that the peer sends.'),
  exportV4: rules('ipv4', 'Rules for IPv4 routes that the peer is told.'),
  exportV6: rules('ipv6', 'Rules for IPv6 routes that the peer is told.'),
});

export const bgpFilterDefinition = defineCustomResource({
  kind: 'BGPFilter',
  plural: 'bgpfilters',
  shortNames: [],
  description:
    'Which routes are taken from a peer and told to it, and how they are changed on the way. A BGPPeer names the filters it uses; the first rule that matches decides, and a route that no rule matches is treated as without a filter. A filter that is named but does not exist refuses every route.',
  spec,
  specOptional: true,
  status: false,
  columns: [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
  example: `apiVersion: godwit.dev/v1
kind: BGPFilter
metadata:
  name: only-defaults-in
spec:
  importV4:
    - { action: Accept, cidr: 0.0.0.0/0, matchOperator: Equal }
    - { action: Reject }
  exportV4:
    - action: Accept
      cidr: 10.244.0.0/16
      matchOperator: In
      operations:
        - addCommunity: { value: "64512:100" }
`,
});

export type BgpFilter = CustomObject<'BGPFilter', typeof spec>;
export type BgpFilterRule = BgpFilter['spec']['importV4'][number];
export type BgpFilterOperation = BgpFilterRule['operations'][number];
