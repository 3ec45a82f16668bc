/**
 * Where the cluster's objects come from, behind one interface: an API server or a folder of manifests.
 */

import type { ResourceChange } from '../resources/resource.ts';

export interface Source {
  /** Resolves when the first listing is complete and its changes have been told. Throws where nothing can be read. */
  start(): Promise<void>;
  stop(): void;
  /** Looks now, instead of when a watch says so. Resolves when what was found has been told. */
  reread(): Promise<void>;
  /** Whether the first listing is complete. */
  readonly synced: boolean;
  /** What is wrong now, ordered by file and document. */
  problems(): readonly SourceProblem[];
  /** Register before start(): the first listing is a change too. */
  onChanges(listener: (changes: readonly ResourceChange[]) => void): void;
  onProblems(listener: (problems: readonly SourceProblem[]) => void): void;
}

export interface SourceProblem {
  /** Name inside the folder; '' where the folder itself is meant; absent: from an API server. */
  readonly file?: string;
  /** Place in the file, from 1; absent where the whole file is meant. */
  readonly document?: number;
  /** From 1. */
  readonly line?: number;
  /** The object's kind and name, as far as it says. */
  readonly kind?: string;
  readonly name?: string;
  /** `spec.asNumber` */
  readonly field?: string;
  readonly reason: string;
  /** Milliseconds since the epoch at which the problem was first seen. */
  readonly since: number;
}
