/** IPReservation: addresses that are given only to pods that name them, on every node. */

import { z } from 'zod';
import { defineCustomResource, type CustomObject } from './define.ts';
import { cidr } from './fields.ts';

const spec = z.strictObject({
  reservedCIDRs: z.array(cidr()).min(1).max(256).meta({
    description: 'The addresses, of whatever range or pool; one alone is a /32 or a /128.',
  }),
});

export const ipReservationDefinition = defineCustomResource({
  kind: 'IPReservation',
  plural: 'ipreservations',
  shortNames: [],
  description:
    'Addresses that a pod has only if its annotation `godwit.dev/ip-addresses` names them. Who has one already keeps it.',
  spec,
  status: false,
  columns: [
    { name: 'CIDRs', type: 'string', jsonPath: '.spec.reservedCIDRs' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: godwit.dev/v1
kind: IPReservation
metadata:
  name: appliances
spec:
  reservedCIDRs: [10.244.0.16/28, 10.244.9.7/32]
`,
});

export type IpReservation = CustomObject<'IPReservation', typeof spec>;
