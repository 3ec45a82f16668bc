/**
 * NodeNetworkStatus: what the agent of a node reports of its network, for people and for the leader among the agents.
 * Holds: nothing in it counts what passes by; it changes only when a person would want to know.
 */

import { z } from 'zod';
import { defineCustomResource, type DeepReadonly } from './define.ts';

const text = (description: string, longest = 1024) => z.string().max(longest).meta({ description });
const count = (description: string) => z.number().int().min(0).max(2_147_483_647).meta({ description });

/** Neighbors and problems beyond it are counted only. */
export const mostListed = 256;

const report = z.object({
  observedAt: z.string().meta({ description: 'When the agent wrote this.', format: 'date-time' }),
  agentVersion: text('Version of the agent.', 64),
  asNumber: z.number().int().min(1).max(4_294_967_295).meta({ description: "The node's AS number." }),
  routerId: text("The speaker's router id.", 15),
  sessions: z
    .object({ total: count('Configured, or accepted from a range.'), established: count('Of these.') })
    .meta({ description: 'How many BGP sessions there are.' }),
  peers: z
    .array(
      z.object({
        name: text('The BGPPeer.', 253),
        sessions: count("This node's sessions of it."),
        established: count('Of these.'),
        lastError: text('Why one is down, where one is.').optional(),
      }),
    )
    .max(1024)
    .meta({ description: 'The BGPPeers that concern this node.' }),
  neighbors: z
    .array(
      z.object({
        name: text('As in `show protocols`.', 512),
        peer: text('The BGPPeer; absent: the mesh.', 253).optional(),
        address: text('The address of the other side.', 64),
        asNumber: z.number().int().min(0).max(4_294_967_295).meta({ description: 'AS number of the other side.' }),
        state: z.enum(['Established', 'Down']).meta({ description: 'Down: in any other state of RFC 4271.' }),
        since: z.string().meta({ description: 'Since when it is so.', format: 'date-time' }),
        lastError: text('Why the session is down, in words.').optional(),
      }),
    )
    .max(mostListed)
    .meta({ description: `Sessions: those that are down first, then those of BGPPeers; at most ${mostListed}.` }),
  tunnels: z
    .array(
      z.object({
        name: text('Of the device.', 64),
        kind: text('`ipip` or `vxlan`.', 16),
        state: z.enum(['Up', 'Failed']).meta({ description: 'Whether the kernel has it.' }),
        reason: text('What the kernel said.').optional(),
      }),
    )
    .max(16)
    .meta({ description: 'Devices that the pools ask for.' }),
  problems: z
    .array(
      z.object({
        kind: text('Of the object.', 63),
        name: text('Of the object.', 253),
        reason: text('One word.', 316),
        message: text('For people.', 1024),
      }),
    )
    .max(mostListed)
    .meta({ description: 'What this node refuses of objects.' }),
});

export const nodeNetworkStatusDefinition = defineCustomResource({
  kind: 'NodeNetworkStatus',
  plural: 'nodenetworkstatuses',
  shortNames: ['nns'],
  description:
    'What the agent of a node reports: one object a node, of its name, written by the agent alone and gone with the Node.',
  spec: z.strictObject({}),
  specOptional: true,
  status: false,
  report,
  columns: [
    { name: 'AS', type: 'integer', jsonPath: '.status.asNumber' },
    { name: 'Sessions', type: 'integer', jsonPath: '.status.sessions.total' },
    { name: 'Established', type: 'integer', jsonPath: '.status.sessions.established' },
    { name: 'Routes', type: 'string', jsonPath: ".status.conditions[?(@.type=='RoutesProgrammed')].status" },
    { name: 'Policy', type: 'string', jsonPath: ".status.conditions[?(@.type=='PolicyInForce')].status" },
    { name: 'Version', type: 'string', jsonPath: '.status.agentVersion', wide: true },
    { name: 'Router-ID', type: 'string', jsonPath: '.status.routerId', wide: true },
    { name: 'Changed', type: 'date', jsonPath: '.status.observedAt' },
  ],
  example: `apiVersion: godwit.dev/v1
kind: NodeNetworkStatus
metadata:
  name: node-1
status:
  observedAt: "2026-01-01T00:00:00Z"
  agentVersion: 0.1.0
  asNumber: 64512
  routerId: 10.1.1.11
  sessions: { total: 2, established: 1 }
  peers:
    - { name: rack-1-tor, sessions: 1, established: 0, lastError: "connection refused" }
  neighbors:
    - name: peer_rack_1_tor
      peer: rack-1-tor
      address: 10.1.1.1
      asNumber: 65001
      state: Down
      since: "2026-01-01T00:00:00Z"
      lastError: connection refused
    - { name: mesh_node_2, address: 10.1.1.12, asNumber: 64512, state: Established, since: "2025-12-31T00:00:00Z" }
  tunnels: []
  problems: []
  conditions:
    - type: SessionsEstablished
      status: "False"
      reason: SessionDown
      message: 1 of 2 sessions
      lastTransitionTime: "2026-01-01T00:00:00Z"
`,
});

/** As in Kubernetes' metav1.Condition. */
export interface StatusCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  /** `metadata.generation` of the object that this is about; absent where the object has no spec. */
  readonly observedGeneration?: number;
}

const conditions = z.array(
  z.object({
    type: z.string(),
    status: z.enum(['True', 'False', 'Unknown']),
    reason: z.string(),
    message: z.string(),
    lastTransitionTime: z.string(),
    observedGeneration: z.number().optional(),
  }),
);

const readable = z.object({ status: report.extend({ conditions: conditions.default([]) }) });

/** @returns undefined where the object has no status that this version can read; another version's agent may have written it. */
export function readNodeReport(object: unknown): NodeReport | undefined {
  const result = readable.safeParse(object);
  return result.success ? result.data.status : undefined;
}

/** `.status.conditions` of any object of ours, as far as it has any. */
export function readConditions(object: unknown): readonly StatusCondition[] {
  const result = z.object({ status: z.object({ conditions }) }).safeParse(object);
  return result.success ? result.data.status.conditions : [];
}

export type NodeReport = DeepReadonly<z.output<typeof report>> & { readonly conditions: readonly StatusCondition[] };
