/**
 * NetworkPolicy (networking.k8s.io/v1), in full.
 * Holds: policyTypes is filled in as an API server does; a list of peers or ports that is empty means all.
 */

import { z } from 'zod';
import { parsePrefix, prefixCovers } from '../../bgp/ip.ts';
import { namespacedObjectMeta, type DeepReadonly } from './define.ts';
import { looseCidr } from './fields.ts';
import { labelSelectorSchema } from './label-selector.ts';
import { protocols } from './pod.ts';
import { show } from './problems.ts';

/** IANA service name (RFC 6335 §5.1): at most 15 of a-z, 0-9 and "-", with a letter, no "-" at an end or doubled. */
const portName = /^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/;

const port = z
  .object({
    protocol: z.enum(protocols).default('TCP'),
    port: z
      .union([
        z.number().int().min(1).max(65535),
        z.string().refine((name) => portName.test(name), { error: ({ input }) => `${show(input)} is not a port name` }),
      ])
      .optional(),
    endPort: z.number().int().min(1).max(65535).optional(),
  })
  .superRefine(({ port, endPort }, context) => {
    if (endPort === undefined) return;
    const complain = (message: string) =>
      context.addIssue({ code: 'custom', path: ['endPort'], message, input: endPort });
    if (port === undefined) complain('needs port');
    else if (typeof port === 'string') complain('not allowed with a named port');
    else if (endPort < port) complain(`${endPort} is less than port ${port}`);
  });

const ipBlock = z
  .object({ cidr: looseCidr(), except: z.array(looseCidr()).default([]) })
  .superRefine(({ cidr, except }, context) => {
    const outer = parsePrefix(cidr);
    except.forEach((text, i) => {
      const inner = parsePrefix(text);
      if (outer && inner && prefixCovers(outer, inner) && inner.length > outer.length) return;
      context.addIssue({
        code: 'custom',
        path: ['except', i],
        message: `${text} is not a part of ${cidr}`,
        input: text,
      });
    });
  });

const peer = z
  .object({
    podSelector: labelSelectorSchema.optional(),
    namespaceSelector: labelSelectorSchema.optional(),
    ipBlock: ipBlock.optional(),
  })
  .superRefine(({ podSelector, namespaceSelector, ipBlock }, context) => {
    const selects = podSelector !== undefined || namespaceSelector !== undefined;
    if (selects !== (ipBlock !== undefined)) return;
    const message = selects
      ? 'ipBlock excludes podSelector and namespaceSelector'
      : 'one of podSelector, namespaceSelector and ipBlock is required';
    context.addIssue({ code: 'custom', path: selects ? ['ipBlock'] : [], message, input: ipBlock });
  });

const ingressRule = z.object({ ports: z.array(port).default([]), from: z.array(peer).default([]) });
const egressRule = z.object({ ports: z.array(port).default([]), to: z.array(peer).default([]) });

export const networkPolicySchema = z.object({
  apiVersion: z.literal('networking.k8s.io/v1'),
  kind: z.literal('NetworkPolicy'),
  metadata: namespacedObjectMeta(),
  spec: z
    .object({
      podSelector: labelSelectorSchema.prefault({}),
      policyTypes: z.array(z.enum(['Ingress', 'Egress'])).default([]),
      ingress: z.array(ingressRule).default([]),
      egress: z.array(egressRule).default([]),
    })
    .prefault({})
    .transform((spec) => ({ ...spec, policyTypes: policyTypes(spec) })),
});

type PolicyType = 'Ingress' | 'Egress';

/** Unless told: Ingress always, Egress where there are egress rules. */
function policyTypes(spec: { readonly policyTypes: PolicyType[]; readonly egress: readonly unknown[] }): PolicyType[] {
  if (spec.policyTypes.length > 0) return [...new Set(spec.policyTypes)];
  return spec.egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

export type NetworkPolicy = DeepReadonly<z.output<typeof networkPolicySchema>>;
export type NetworkPolicyPort = DeepReadonly<z.output<typeof port>>;
export type NetworkPolicyPeer = DeepReadonly<z.output<typeof peer>>;
export type IpBlock = DeepReadonly<z.output<typeof ipBlock>>;
