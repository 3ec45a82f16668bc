/** Several paths of one prefix on the sessions of a BGPPeer (RFC 7911). */

import { z } from 'zod';
import { withRules } from './define.ts';

const mostPaths = 255;

export const addPathsField = withRules(
  z.strictObject({
    receive: z.boolean().default(false).meta({
      description:
        'The peer may send several paths of a prefix. Each counts for the limits; the ones that are equally good share the traffic (`maximumPaths` of the BGPConfiguration).',
    }),
    send: z.enum(['None', 'Best', 'All']).default('None').meta({
      description:
        'What the peer is sent of a prefix. None: the best path alone. Best: the best `sendMaximum` of the paths that it may be told. All: all of these.',
    }),
    sendMaximum: z.number().int().min(1).max(mostPaths).optional().meta({
      description: 'With `send: Best`: how many.',
    }),
  }),
  [
    {
      cel: "!has(self.send) || self.send != 'Best' || has(self.sendMaximum)",
      holds: ({ send, sendMaximum }) => send !== 'Best' || sendMaximum !== undefined,
      field: 'sendMaximum',
      reason: 'required with send: Best',
    },
    {
      cel: "!has(self.sendMaximum) || (has(self.send) && self.send == 'Best')",
      holds: ({ send, sendMaximum }) => sendMaximum === undefined || send === 'Best',
      field: 'sendMaximum',
      reason: 'only with send: Best',
    },
  ],
)
  .optional()
  .meta({
    description:
      'Several paths of one prefix on these sessions (RFC 7911, ADD-PATH), where the peer does its part. With `peerSelector` the selected nodes do theirs by themselves: they receive what is sent here, and send what is received here (all paths, or the best `sendMaximum`). A change of it begins the sessions anew. Default: neither received nor sent.',
  });
