/**
 * BGPConfiguration: BGP as the whole cluster (`default`) or one node (`node.NAME`) speaks it.
 * Holds: no field has a default of its own; what neither object says comes from bgpDefaults, so that a node's object
 * overrides only what it names.
 */

import { z } from 'zod';
import { defineCustomResource, type CustomObject } from './define.ts';
import { asNumber, bfdFields, duration } from './fields.ts';
import { secretKeyRef } from './secret.ts';

/** What holds where no BGPConfiguration says otherwise. */
export const bgpDefaults = {
  asNumber: 64512,
  nodeToNodeMeshEnabled: true,
  listenPort: 179,
  holdTime: 90,
  maximumPaths: 16,
  clientToClientReflection: true,
  nodeMeshMaxRestartTime: 120,
  longLivedStaleTime: 0,
  nodeMeshBfd: { enabled: false, receiveInterval: 300, transmitInterval: 300, detectMultiplier: 3 },
} as const satisfies Required<Omit<BgpConfiguration['spec'], 'nodeMeshPassword'>>;

const spec = z.strictObject({
  asNumber: asNumber().optional().meta({ description: 'AS number of the nodes, a number or "x.y". Default: 64512.' }),
  nodeToNodeMeshEnabled: z
    .boolean()
    .optional()
    .meta({ description: 'Whether every node peers with every other. Only in `default`. Default: true.' }),
  listenPort: z
    .number()
    .int()
    .min(1)
    .max(65535)
    .optional()
    .meta({ description: 'TCP port on which nodes accept BGP connections. Default: 179.' }),
  holdTime: duration({ least: 3, most: 65535, orZero: true }).optional().meta({
    description:
      'Hold time proposed to peers (RFC 4271 §4.2): 0s (the session has no keepalives) or at least 3s. Default: 90s.',
  }),
  maximumPaths: z.number().int().min(1).max(64).optional().meta({
    description: 'Equal paths to one prefix that the kernel is given (ECMP); 1 turns multipath off. Default: 16.',
  }),
  clientToClientReflection: z.boolean().optional().meta({
    description:
      'Whether a route reflector tells its clients what other clients of its told it; false where they peer among themselves (RFC 4456 §10). Default: true.',
  }),
  nodeMeshPassword: secretKeyRef().meta({
    description:
      'TCP MD5 key (RFC 2385) of the sessions of the mesh: 1 to 80 bytes of a Secret. Only in `default`. Default: none.',
  }),
  nodeMeshMaxRestartTime: duration({ least: 0, most: 4095 }).optional().meta({
    description:
      'How long peers keep our routes while the agent restarts (RFC 4724 restart time); 0s turns graceful restart off. Default: 120s.',
  }),
  longLivedStaleTime: duration({ least: 0, most: 16_777_215 }).optional().meta({
    description:
      'After the restart time, how long the nodes and their peers keep the routes of one that is not back, as a last resort that any other route is better than (RFC 9494, long-lived graceful restart); up to 4660h. Default: 0s, not at all.',
  }),
  nodeMeshBfd: z.strictObject(bfdFields).optional().meta({
    description:
      'BFD between the nodes of the mesh (RFC 5883): when the path to a node fails, its session ends at once. As a whole from one object. Default: none.',
  }),
});

export const bgpConfigurationDefinition = defineCustomResource({
  kind: 'BGPConfiguration',
  plural: 'bgpconfigurations',
  shortNames: ['bgpconfig'],
  description:
    'BGP as the whole cluster speaks it (the object named `default`), or one node (`node.NAME`, which overrides only the fields it names).',
  name: {
    cel: "self.metadata.name == 'default' || self.metadata.name.startsWith('node.')",
    reason: 'must be "default" or "node.NAME"',
    holds: (name) => name === 'default' || (name.startsWith('node.') && name.length > 'node.'.length),
  },
  spec,
  specOptional: true,
  objectRules: [
    {
      cel: "self.metadata.name == 'default' || !has(self.spec) || !has(self.spec.nodeToNodeMeshEnabled)",
      holds: (name, { nodeToNodeMeshEnabled }) => name === 'default' || nodeToNodeMeshEnabled === undefined,
      field: 'nodeToNodeMeshEnabled',
      reason: 'only the object "default" may set it: the mesh is the whole cluster\'s',
    },
    {
      cel: "self.metadata.name == 'default' || !has(self.spec) || !has(self.spec.nodeMeshPassword)",
      holds: (name, { nodeMeshPassword }) => name === 'default' || nodeMeshPassword === undefined,
      field: 'nodeMeshPassword',
      reason: 'only the object "default" may set it: the mesh is the whole cluster\'s',
    },
  ],
  status: false,
  columns: [
    { name: 'AS', type: 'string', jsonPath: '.spec.asNumber' },
    { name: 'Mesh', type: 'boolean', jsonPath: '.spec.nodeToNodeMeshEnabled' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: godwit.dev/v1
kind: BGPConfiguration
metadata:
  name: default
spec:
  asNumber: 64512
  nodeToNodeMeshEnabled: false
`,
});

export type BgpConfiguration = CustomObject<'BGPConfiguration', typeof spec>;

/** Every field filled in but the password, which may be none; times are in seconds. */
export type EffectiveBgpConfiguration = Readonly<Required<Omit<BgpConfiguration['spec'], 'nodeMeshPassword'>>> &
  Pick<BgpConfiguration['spec'], 'nodeMeshPassword'>;

/** BGPConfiguration as it holds for a node: `node.NAME`, else `default`, else bgpDefaults, field by field. */
export function bgpConfigurationOf(
  configurations: ReadonlyMap<string, BgpConfiguration>,
  nodeName: string,
): EffectiveBgpConfiguration {
  return {
    ...bgpDefaults,
    ...configurations.get('default')?.spec,
    ...configurations.get(`node.${nodeName}`)?.spec,
  };
}
