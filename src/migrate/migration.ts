/**
 * A migration as a value: our objects, and what became of everything that has no counterpart here.
 * Holds: nothing of the input is lost without a note.
 */

import { formatProblem } from '../resources/problems.ts';
import { validateManifest } from '../resources/resource.ts';

/** An object of Kubernetes as YAML or JSON gave it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface Note {
  /** failed: the object was not converted. lost: it has no counterpart, something happens instead. note: nothing is lost, yet worth knowing. */
  readonly level: 'failed' | 'lost' | 'note';
  /** `BGPPeer/tor`, `NetworkPolicy/default/web`. */
  readonly object: string;
  /** Path of the field: `spec.reachableBy`. Absent: the whole object. */
  readonly field?: string;
  /** What happens instead, or why not. */
  readonly text: string;
}

export interface Migration {
  /** Ours; every one is valid. */
  readonly manifests: readonly Manifest[];
  /** In the order of the input. */
  readonly notes: readonly Note[];
}

/** Gathers what a migration gives. */
export class MigrationBuilder {
  readonly #manifests: Manifest[] = [];
  readonly #notes: Note[] = [];

  note(level: Note['level'], object: string, text: string, field?: string): void {
    this.#notes.push({ level, object, ...(field !== undefined && { field }), text });
  }

  /**
   * Takes the manifest where our own validator does; else its faults become notes.
   * @param source the object it was made of
   */
  add(manifest: Manifest, source: string): void {
    const validation = validateManifest(manifest);
    if (validation.kind === 'valid') {
      this.#manifests.push(manifest);
      return;
    }
    const reasons =
      validation.kind === 'invalid'
        ? validation.problems.map((problem) => formatProblem(problem))
        : [validation.reason];
    for (const reason of reasons) this.note('failed', source, `not converted: ${reason}`);
  }

  finish(): Migration {
    return { manifests: this.#manifests, notes: this.#notes };
  }
}

/** `KIND/NAME`, or `KIND/NAMESPACE/NAME`. */
export function sourceName({ kind, metadata }: Manifest): string {
  const { name, namespace } = metadata;
  return [kind, namespace, name].filter((part) => typeof part === 'string').join('/');
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The texts of `metadata.annotations` (or `labels`). */
export function stringMapOf(manifest: Manifest, field: 'annotations' | 'labels'): Readonly<Record<string, string>> {
  const map = manifest.metadata[field];
  if (!isRecord(map)) return {};
  return Object.fromEntries(
    Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
