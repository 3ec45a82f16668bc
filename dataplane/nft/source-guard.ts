/**
 * Pods send from their own addresses only: a table of its own, the same for any number of pods.
 * Implements: RFC 2827, RFC 3704 §2.2 (strict reverse path) for both families; IPv6 has no rp_filter, and IPv4's is as loose
 * as the loosest of two settings.
 * Holds: one transaction; doing it again changes nothing.
 */

import { podLinkGroup } from '../ownership.ts';
import { diffRulesets } from './diff.ts';
import type { NftKernel } from './kernel.ts';
import { emptyRuleset, rawPriority, type NftMatch, type Ruleset } from './ruleset.ts';

const table = 'godwit-pods';

const fromPod: NftMatch = { kind: 'equals', field: 'interfaceGroup', value: String(podLinkGroup) };

/** Neighbour discovery sends from no address, and from the link's own. */
export const sourceGuard: Ruleset = {
  sets: new Map(),
  chains: new Map([
    [
      'prerouting',
      {
        hook: { name: 'prerouting', priority: rawPriority },
        rules: [
          { matches: [fromPod, { kind: 'equals', field: 'source6', value: '::' }], verdict: { kind: 'accept' } },
          {
            matches: [fromPod, { kind: 'inPrefix', field: 'source6', prefix: 'fe80::/10' }],
            verdict: { kind: 'accept' },
          },
          { matches: [fromPod, { kind: 'equals', field: 'reversePath', value: '0' }], verdict: { kind: 'drop' } },
        ],
      },
    ],
  ]),
};

/** @throws NftError */
export async function installSourceGuard(kernel: NftKernel): Promise<void> {
  await kernel.commit(table, [{ kind: 'renewTable' }, ...diffRulesets(emptyRuleset, sourceGuard)]);
}

/** @throws NftError */
export async function removeSourceGuard(kernel: NftKernel): Promise<void> {
  await kernel.commit(table, [{ kind: 'removeTable' }]);
}
