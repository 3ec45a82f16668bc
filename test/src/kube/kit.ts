/** A client of a fake API server, and what a reflector told. */

import { KubeClient } from '../../../src/kube/client.ts';
import { Reflector, type Fault, type ReflectorEvent, type ReflectorTimes } from '../../../src/kube/reflector.ts';
import type { ApiServer } from '../../kit/api-server.ts';

/** Retries come quickly; nothing but a story's own fault ends a watch. */
export const quickTimes = { firstRest: 5, longestRest: 40, soundWatch: 200 } as const satisfies Partial<ReflectorTimes>;

export function clientOf(server: ApiServer, token = (): string | undefined => undefined): KubeClient {
  return new KubeClient({
    server: new URL(server.url),
    async forRequest() {
      const now = token();
      const headers: Record<string, string> = now === undefined ? {} : { Authorization: `Bearer ${now}` };
      return { headers, tls: {} };
    },
  });
}

export interface Follower {
  readonly reflector: Reflector<string>;
  /** Label `rack` by key, as events told it. */
  readonly known: Map<string, string>;
  /** `upsert a 1`, `delete a`. */
  readonly told: string[];
  /** How many listings were completed. */
  listings: number;
  fault: Fault | undefined;
  readonly faults: Fault[];
}

export function follow(
  server: ApiServer,
  path: string,
  times: Partial<ReflectorTimes> = {},
  token?: () => string,
): Follower {
  const follower: Follower = {
    reflector: new Reflector<string>({
      client: clientOf(server, token),
      path,
      read: ({ metadata }) => (metadata as { labels?: Record<string, string> }).labels?.rack ?? '',
      onEvents: (events) => events.forEach((event) => tell(follower, event)),
      onListed: () => void follower.listings++,
      onFault(fault) {
        follower.fault = fault;
        if (fault !== undefined) follower.faults.push(fault);
      },
      times: { ...quickTimes, ...times },
    }),
    known: new Map(),
    told: [],
    listings: 0,
    fault: undefined,
    faults: [],
  };
  follower.reflector.start();
  return follower;
}

function tell({ known, told }: Follower, event: ReflectorEvent<string>): void {
  if (event.kind === 'upsert') {
    known.set(event.key, event.object);
    told.push(`upsert ${event.key} ${event.object}`);
  } else {
    known.delete(event.key);
    told.push(`delete ${event.key}`);
  }
}

export function node(name: string, rack = '1') {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { rack } } };
}
