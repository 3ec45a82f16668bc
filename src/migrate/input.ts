/**
 * The objects in a text as `kubectl get … -o yaml` or `-o json` prints it: documents, and lists of any kind.
 * Leaves out: what the objects mean.
 */

import { parseAllDocuments } from 'yaml';
import { isRecord, type Manifest } from './migration.ts';

export interface InputText {
  readonly objects: readonly Manifest[];
  /** `document 2: not YAML: …` */
  readonly problems: readonly string[];
}

export function readObjects(text: string): InputText {
  const objects: Manifest[] = [];
  const problems: string[] = [];
  const documents = parseAllDocuments(text, { logLevel: 'silent' });
  for (const [at, document] of (Array.isArray(documents) ? documents : []).entries()) {
    const where = `document ${at + 1}`;
    if (document.errors.length > 0) {
      problems.push(`${where}: not YAML: ${document.errors[0].message.split('\n')[0]}`);
      continue;
    }
    const value = toValue(document);
    if (value instanceof ReferenceError) problems.push(`${where}: not YAML: ${value.message}`);
    if (value === null || value instanceof ReferenceError) continue;
    for (const item of itemsOf(value)) {
      if (isManifest(item)) objects.push(item);
      else problems.push(`${where}: an entry has no apiVersion, kind and metadata.name`);
    }
  }
  return { objects, problems };
}

/** @returns a ReferenceError for an alias that leads nowhere, or too many of them. */
function toValue(document: { toJS(): unknown }): unknown {
  try {
    return document.toJS();
  } catch (error) {
    if (error instanceof ReferenceError) return error;
    throw error;
  }
}

/** `kind: List`, and a typed list (`BGPPeerList`) as calicoctl and API clients print it; its items may lack kind and version. */
function itemsOf(value: unknown): readonly unknown[] {
  if (!isRecord(value) || typeof value.kind !== 'string' || !value.kind.endsWith('List')) return [value];
  if (!Array.isArray(value.items)) return [value];
  const kind = value.kind.slice(0, -'List'.length);
  return value.items.map((item: unknown) =>
    isRecord(item) && item.kind === undefined && kind !== '' ? { ...item, kind, apiVersion: value.apiVersion } : item,
  );
}

function isManifest(value: unknown): value is Manifest {
  return (
    isRecord(value) &&
    typeof value.kind === 'string' &&
    typeof value.apiVersion === 'string' &&
    isRecord(value.metadata) &&
    typeof value.metadata.name === 'string' &&
    (value.spec === undefined || value.spec === null || isRecord(value.spec))
  );
}
