/** One agent as its own API socket tells. */

import type { RunFolder } from './run-folder.ts';

export type AgentView =
  | { readonly kind: 'silent'; readonly reason: string }
  | {
      readonly kind: 'answering';
      /** Milliseconds since the epoch. */
      readonly startedAt: number;
      readonly sessions: readonly AgentSession[];
    };

export interface AgentSession {
  readonly neighbor: string;
  readonly address: string;
  readonly established: boolean;
  /** `established`, `active`, … */
  readonly state: string;
  readonly lastError?: string;
}

export async function readAgent(folder: RunFolder, name: string): Promise<AgentView> {
  return { kind: 'silent', reason: `no client yet ${folder.path} ${name}` };
}
