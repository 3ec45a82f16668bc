/**
 * IPAMBlock: a piece of an IPPool that one node has claimed, with `--ipam pools`.
 * A block of one address is a loan: it lies in another node's block, and is in force while that node's annotation says so.
 * Holds: the name is made of the CIDR, so a block has one object at most, and whoever could create it has the block.
 */

import { z } from 'zod';
import { addressLength, parsePrefix, prefixCovers } from '../../bgp/ip.ts';
import { defineCustomResource, subdomainName, withRules, type CustomObject } from './define.ts';
import { cidr } from './fields.ts';

const spec = withRules(
  z.strictObject({
    cidr: cidr().meta({ description: 'The block.' }),
    node: subdomainName().meta({
      description: 'The node that has it: its pods have the addresses, and it advertises it.',
    }),
    pool: subdomainName().meta({ description: 'The IPPool that it was claimed from.' }),
  }),
  [
    {
      // A block passes on by being deleted and made again: two of one moment cannot both succeed.
      cel: 'self == oldSelf',
      holds: () => true,
      field: 'node',
      reason: 'cannot be changed: delete the block, and another node can claim it',
    },
  ],
);

export const ipamBlockDefinition = defineCustomResource({
  kind: 'IPAMBlock',
  plural: 'ipamblocks',
  shortNames: [],
  description:
    'A piece of an IPPool that a node has claimed. Made and deleted by the agents with `--ipam pools`; in a folder of manifests by hand. One that is deleted while pods have addresses of it is claimed again. One of a single address is borrowed from the block in which it lies: it counts while its annotation `godwit.dev/lent-by` names the node of that block.',
  spec,
  objectRules: [
    {
      cel: "self.metadata.name == self.spec.cidr.replace('.', '-').replace(':', '-').replace('/', '-')",
      holds: (name, { cidr }) => name === ipamBlockName(cidr),
      field: 'cidr',
      reason: 'must be what metadata.name says: 10.244.1.64/26 is named 10-244-1-64-26',
    },
  ],
  status: false,
  columns: [
    { name: 'CIDR', type: 'string', jsonPath: '.spec.cidr' },
    { name: 'Node', type: 'string', jsonPath: '.spec.node' },
    { name: 'Pool', type: 'string', jsonPath: '.spec.pool' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: godwit.dev/v1
kind: IPAMBlock
metadata:
  name: 10-244-1-64-26
spec:
  cidr: 10.244.1.64/26
  node: worker-1
  pool: pods
`,
});

export type IpamBlock = CustomObject<'IPAMBlock', typeof spec>;

/** @param cidr canonical text. `10.244.1.64/26` → `10-244-1-64-26`, `fd00::40/122` → `fd00--40-122`. */
export function ipamBlockName(cidr: string): string {
  return cidr.replaceAll(/[.:/]/g, '-');
}

/** Oldest first, and the same on every node: a node's first block of a family holds its tunnel address. */
export function byAge(a: IpamBlock, b: IpamBlock): number {
  const [first, second] = [a, b].map(
    ({ metadata: { creationTimestamp = '', name } }) => `${creationTimestamp} ${name}`,
  );
  return first < second ? -1 : 1;
}

/** On a block of one address: the node that lends it, written by that node. */
export const lentByAnnotation = 'godwit.dev/lent-by';

/** @param cidr canonical text */
export function isSingleAddress(cidr: string): boolean {
  const { family, length } = parsePrefix(cidr)!;
  return length === addressLength[family] * 8;
}

/** The block of which the address is asked or lent; undefined: there is none. */
export function lenderOf(blocks: Iterable<IpamBlock>, { spec: { cidr } }: IpamBlock): IpamBlock | undefined {
  const address = parsePrefix(cidr)!;
  for (const block of blocks) {
    if (!isSingleAddress(block.spec.cidr) && prefixCovers(parsePrefix(block.spec.cidr)!, address)) return block;
  }
  return undefined;
}

/** All but single addresses that nobody has lent: their node may neither use nor advertise them. */
export function blocksInForce(blocks: readonly IpamBlock[]): IpamBlock[] {
  return blocks.filter((block) => {
    if (!isSingleAddress(block.spec.cidr)) return true;
    const lender = block.metadata.annotations[lentByAnnotation];
    return lender !== undefined && lenderOf(blocks, block)?.spec.node === lender;
  });
}
