/** One agent as its own API socket tells. */

import { ApiClient, ConnectionError, RefusedError } from '../control/client.ts';
import type { RunFolder } from './run-folder.ts';

export type AgentView =
  | { readonly kind: 'silent'; readonly reason: string }
  | {
      readonly kind: 'answering';
      /** Milliseconds since the epoch. */
      readonly startedAt: number;
      /** It keeps routes of the run before until its peers have told everything (RFC 4724). */
      readonly restarting: boolean;
      readonly sessions: readonly AgentSession[];
      /** What the agent itself says is wrong with its manifests, kernel routes and policies. */
      readonly complaints: readonly string[];
    };

export interface AgentSession {
  readonly neighbor: string;
  readonly address: string;
  readonly established: boolean;
  /** `established`, `active`, … */
  readonly state: string;
  readonly lastError?: string;
}

/** Milliseconds after which an agent counts as silent. */
const patience = 5000;

export async function readAgent(folder: RunFolder, name: string): Promise<AgentView> {
  let client: ApiClient | undefined;
  try {
    client = await ApiClient.connect(folder.agentApi(name), { silence: patience });
    const { startedAt, restart, source, kernel, policy } = await client.call('status', {});
    const protocols = await client.call('protocols', {});
    return {
      kind: 'answering',
      startedAt,
      restarting: restart.inProgress,
      sessions: protocols.flatMap((protocol): AgentSession[] => {
        if (protocol.kind !== 'bgp') return [];
        const { name: neighbor, address, state, lastError } = protocol.peer;
        const established = state === 'established';
        return [{ neighbor, address, established, state, ...(lastError !== undefined && { lastError }) }];
      }),
      complaints: [
        ...source.problems.map(({ file, field, reason }) => [file, field, reason].filter(Boolean).join(': ')),
        ...(kernel?.failures ?? []).map(({ prefix, message }) => `route ${prefix}: ${message}`),
        ...(kernel?.unroutable ?? []).map(({ prefix, reason }) => `route ${prefix}: ${reason}`),
        ...(policy?.state === 'failed' ? [`policy: ${policy.lastError ?? 'not in force'}`] : []),
      ],
    };
  } catch (error) {
    if (error instanceof ConnectionError || error instanceof RefusedError) {
      return { kind: 'silent', reason: error.message };
    }
    throw error;
  } finally {
    client?.close();
  }
}
