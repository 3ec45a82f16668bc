/** Fields of a BGPPeer that say how its sessions deal in routes, beyond filters: roles, AS numbers in paths, shutdown, limits. */

import { z } from 'zod';
import { withRules } from './define.ts';
import { duration } from './fields.ts';

const mostRoutes = 0x7fff_ffff;

function limit(description: string) {
  const maximum = () => z.number().int().min(1).max(mostRoutes).optional();
  return withRules(
    z.strictObject({
      ipv4: maximum().meta({ description: 'The most IPv4 routes. Default: any number.' }),
      ipv6: maximum().meta({ description: 'The most IPv6 routes. Default: any number.' }),
      warningThreshold: z.number().int().min(1).max(100).default(75).meta({
        description:
          'From this part of the limit on, in percent, a warning is told (an Event, `show protocols all`, a metric).',
      }),
      action: z.enum(['Restart', 'Discard', 'Warn']).default('Restart').meta({
        description:
          'What a route beyond the limit does. Restart: the session ends (Cease 6/1, RFC 4486) and begins again after `restartTime`. Discard: the session goes on; routes beyond the limit are kept and shown, take no part, and are let in when others go. Warn: it is told, no more.',
      }),
      restartTime: duration({ least: 1, most: 65535 })
        .prefault('60s')
        .meta({ description: 'How long no session is made or accepted after a restart.' }),
    }),
    [
      {
        cel: 'has(self.ipv4) || has(self.ipv6)',
        holds: ({ ipv4, ipv6 }) => ipv4 !== undefined || ipv6 !== undefined,
        field: 'ipv4',
        reason: 'one of ipv4 and ipv6 is required',
      },
    ],
  )
    .optional()
    .meta({ description });
}

export const sessionPolicyFields = {
  role: z.enum(['Provider', 'RouteServer', 'RouteServerClient', 'Customer', 'Peer']).optional().meta({
    description:
      'What we are to this eBGP peer (RFC 9234; `local role` of BIRD, `local-role` of FRR): our provider has us as `Customer`. The peer must be the counterpart; routes that came from a provider or peer are told to customers alone, and leaked ones take no part. Default: none.',
  }),
  roleStrict: z.boolean().default(false).meta({
    description: 'RFC 9234 §4.2: no session with a peer that tells no role. Needs `role`.',
  }),
  localASMode: z.enum(['Replace', 'NoPrepend', 'Prepend']).default('Replace').meta({
    description:
      "With `localASNumber`, towards an eBGP peer. Replace: the peer sees `localASNumber` in place of the node's own. NoPrepend: it sees both. Prepend: it sees both, and `localASNumber` is put before the paths that it tells. (FRR: `local-as N no-prepend replace-as`, `local-as N no-prepend`, `local-as N`.)",
  }),
  removePrivateAS: z.enum(['Never', 'IfAll', 'All', 'ReplaceIfAll', 'ReplaceAll']).default('Never').meta({
    description:
      "Private AS numbers (RFC 6996) in the paths that an eBGP peer is told, before our own: All: they are taken out; ReplaceAll: they become our number; IfAll, ReplaceIfAll: only in paths without any other number. The peer's own number stays.",
  }),
  asOverride: z.boolean().default(false).meta({
    description:
      "The eBGP peer's own AS number in the paths that it is told becomes ours, so that it takes routes of its other sites.",
  }),
  gracefulShutdown: z.boolean().default(false).meta({
    description:
      'RFC 8326: these sessions are about to end. eBGP peers are told every route with the community GRACEFUL_SHUTDOWN (65535:0), iBGP peers with LOCAL_PREF 0, and what they tell is the last choice here, so that traffic moves away first. A whole node: the annotation `godwit.dev/graceful-shutdown` of the Node.',
  }),
  obeyGracefulShutdown: z.boolean().optional().meta({
    description:
      'RFC 8326: whether a route with GRACEFUL_SHUTDOWN from this peer has LOCAL_PREF 0. Default: true for eBGP peers, false for iBGP peers.',
  }),
  receiveLimit: limit('How many routes the peer may tell, whatever becomes of them. Default: any number.'),
  importLimit: limit('How many routes of the peer may take part, after filters. Default: any number.'),
};
