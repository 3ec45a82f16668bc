/**
 * The writes that Godwit does: server-side apply, merge patch, create, replace.
 * Holds: each may be sent twice: a patch or an apply says what shall be, a create of a name that exists is refused.
 */

import type { KubeClient } from './client.ts';

/** Under this name server-side apply keeps our fields apart from others'. */
const fieldManager = 'godwit';

/** What an object says of itself. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/**
 * Makes the fields that are said here so, and takes back those that we said before and say no more; what others said stays, but
 * that Kubernetes 1.20 takes every list of a custom resource for one value. An object that is not there is created.
 * @param path of the object
 * @throws KubeError
 */
export function apply(client: KubeClient, path: string, object: Manifest, signal: AbortSignal): Promise<unknown> {
  return client.request('PATCH', path, {
    query: { fieldManager, force: 'true' },
    body: object,
    // JSON is YAML.
    contentType: 'application/apply-patch+yaml',
    signal,
  });
}

/** RFC 7386. @param path of the object, or of a subresource. @throws KubeError notFound, where there is no such object. */
export function mergePatch(client: KubeClient, path: string, patch: object, signal: AbortSignal): Promise<unknown> {
  const contentType = 'application/merge-patch+json';
  return client.request('PATCH', path, { query: { fieldManager }, body: patch, contentType, signal });
}

/** @throws KubeError alreadyExists */
export function create(
  client: KubeClient,
  collection: string,
  object: Manifest,
  signal: AbortSignal,
): Promise<unknown> {
  return client.request('POST', collection, { query: { fieldManager }, body: object, signal });
}

/** @param object as it was read, with its resourceVersion. @throws KubeError conflict, where it has changed since. */
export function replace(
  client: KubeClient,
  collection: string,
  object: Manifest,
  signal: AbortSignal,
): Promise<unknown> {
  return client.request('PUT', objectPath(collection, object.metadata.name), {
    query: { fieldManager },
    body: object,
    signal,
  });
}

export function objectPath(collection: string, name: string): string {
  return `${collection}/${encodeURIComponent(name)}`;
}
