/** How a BGPPeer's sessions deal in routes beyond filters: from its words to the speaker's. */

import type { NeighborSettings, PrefixLimit } from '../../bgp/index.ts';
import { families } from '../../bgp/ip.ts';
import type { BgpPeer } from '../resources/bgp-peer.ts';

type Spec = BgpPeer['spec'];

const roles = {
  Provider: 'provider',
  RouteServer: 'routeServer',
  RouteServerClient: 'routeServerClient',
  Customer: 'customer',
  Peer: 'peer',
} as const satisfies Record<NonNullable<Spec['role']>, NeighborSettings['role']>;

const localAsModes = { Replace: undefined, NoPrepend: 'noPrepend', Prepend: 'prepend' } as const satisfies Record<
  Spec['localASMode'],
  NeighborSettings['localAsMode']
>;

const privateAsRemovals = {
  Never: undefined,
  IfAll: 'ifAll',
  All: 'all',
  ReplaceIfAll: 'replaceIfAll',
  ReplaceAll: 'replaceAll',
} as const satisfies Record<Spec['removePrivateAS'], NeighborSettings['removePrivateAs']>;

const limitActions = { Restart: 'restart', Discard: 'discard', Warn: 'warn' } as const satisfies Record<
  NonNullable<Spec['importLimit']>['action'],
  PrefixLimit['action']
>;

/** What is as the speaker has it by itself is left out. */
export function toSessionPolicy(spec: Spec): Partial<NeighborSettings> {
  const localAsMode = localAsModes[spec.localASMode];
  const removePrivateAs = privateAsRemovals[spec.removePrivateAS];
  const limits = [...limitsOf('receive', spec.receiveLimit), ...limitsOf('import', spec.importLimit)];
  return {
    ...(spec.role !== undefined && { role: roles[spec.role] }),
    ...(spec.roleStrict && { roleStrict: true }),
    ...(localAsMode !== undefined && { localAsMode }),
    ...(removePrivateAs !== undefined && { removePrivateAs }),
    ...(spec.asOverride && { asOverride: true }),
    ...(spec.gracefulShutdown && { gracefulShutdown: true }),
    ...(spec.obeyGracefulShutdown !== undefined && { obeysGracefulShutdown: spec.obeyGracefulShutdown }),
    ...(limits.length > 0 && { limits }),
  };
}

function limitsOf(kind: PrefixLimit['kind'], limit: Spec['importLimit']): readonly PrefixLimit[] {
  if (limit === undefined) return [];
  const { warningThreshold: warningPercent, action, restartTime: restartSeconds } = limit;
  return families.flatMap((family) => {
    const maximum = limit[family];
    if (maximum === undefined) return [];
    return [{ kind, family, maximum, warningPercent, action: limitActions[action], restartSeconds }];
  });
}
