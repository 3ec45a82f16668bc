/** lab.yaml: the wires of a lab, which no Kubernetes object describes. The file itself says what each field means. */

import { z } from 'zod';

const cidr = z.union([z.cidrv4(), z.cidrv6()]);
/** IPv4 first, then IPv6. */
const gateways = z.tuple([z.cidrv4(), z.cidrv6()]);
/** Interface names are at most 15 characters. */
const interfaceName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,14}$/);

const cableEnd = z.strictObject({ switch: z.string(), interface: interfaceName, addresses: z.array(cidr) });

export const labFileSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/),
  switches: z.record(
    interfaceName,
    z.strictObject({
      daemon: z.enum(['bird', 'frr']),
      config: z.string().regex(/^[\w.-]+$/),
      asNumber: z.int().min(1).max(4_294_967_294),
    }),
  ),
  segments: z.record(interfaceName, z.strictObject({ switch: z.string(), addresses: gateways })),
  cables: z.array(z.tuple([cableEnd, cableEnd])),
  hosts: z.record(interfaceName, z.strictObject({ segment: z.string(), addresses: z.tuple([z.ipv4(), z.ipv6()]) })),
  podMtu: z.int().min(1280).max(9000),
  asPaths: z.record(z.string(), z.record(z.string(), z.string())),
});

export type LabFile = z.infer<typeof labFileSchema>;
