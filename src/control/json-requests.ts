/** What a request must look like, checked at the edge: the model sees only canonical prefixes and known fields. */

import { z } from 'zod';
import { canonicalAddress, canonicalPrefix } from '../../bgp/ip.ts';
import type { ApiMethod, ApiMethods } from './json-protocol.ts';

const prefix = canonical(canonicalPrefix, 'is not a prefix');
const target = canonical((text) => canonicalPrefix(text) ?? canonicalAddress(text), 'is not an address or a prefix');
const name = z.string().min(1).max(253);
const nothing = z.strictObject({});

/** Of every request, whatever the method. */
export const requestEnvelope = z.strictObject({
  id: z.int().nonnegative(),
  method: z.string(),
  params: z.unknown().optional(),
});

export const requestParams = {
  status: nothing,
  protocols: nothing,
  routes: z
    .strictObject({
      family: z.enum(['ipv4', 'ipv6']),
      prefix,
      for: target,
      protocol: name,
      primary: z.boolean(),
      filtered: z.boolean(),
      exportedTo: name,
      notExportedTo: name,
      refusedToo: z.boolean(),
    })
    .partial(),
  policy: z.strictObject({
    pod: z
      .string()
      .max(512)
      .regex(/^[^/]+\/[^/]+$/, 'is not NAMESPACE/NAME'),
  }),
  why: z.strictObject({ target }),
  memory: nothing,
  interfaces: nothing,
} satisfies { [M in ApiMethod]: z.ZodType<ApiMethods[M]['params']> };

/** `params.prefix: is not a prefix; …` */
export function faultText(error: z.ZodError, root: string): string {
  return error.issues.map((issue) => `${[root, ...issue.path.map(String)].join('.')}: ${issue.message}`).join('; ');
}

function canonical(parse: (text: string) => string | undefined, message: string) {
  return z
    .string()
    .refine((text) => parse(text) !== undefined, message)
    .transform((text) => parse(text) as string);
}
