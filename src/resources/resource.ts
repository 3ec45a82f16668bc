/**
 * Every kind that Godwit reads, and the way from a manifest to a validated object.
 * Holds: what comes out is complete (defaults filled in), canonical and valid; or every fault is named.
 */

import { z } from 'zod';
import { bgpConfigurationDefinition, type BgpConfiguration } from './bgp-configuration.ts';
import { bgpFilterDefinition, type BgpFilter } from './bgp-filter.ts';
import { bgpPeerDefinition, type BgpPeer } from './bgp-peer.ts';
import { godwitApiVersion, manifestSchema } from './define.ts';
import { ipPoolDefinition, type IpPool } from './ip-pool.ts';
import { ipReservationDefinition, type IpReservation } from './ip-reservation.ts';
import { ipamBlockDefinition, type IpamBlock } from './ipam-block.ts';
import { namespaceSchema, type Namespace } from './namespace.ts';
import { networkPolicySchema, type NetworkPolicy } from './network-policy.ts';
import { nodeNetworkStatusDefinition } from './node-network-status.ts';
import { nodeSchema, type Node } from './node.ts';
import { podSchema, type Pod } from './pod.ts';
import { secretSchema, type Secret } from './secret.ts';
import { explainIssue, show, toFieldProblems, type FieldProblem } from './problems.ts';

export type Resource =
  | Node
  | Pod
  | Namespace
  | NetworkPolicy
  | Secret
  | BgpConfiguration
  | BgpPeer
  | BgpFilter
  | IpPool
  | IpReservation
  | IpamBlock;

export type ResourceKind = Resource['kind'];

/** What happened to one object. A delete carries the object as it was last. */
export interface ResourceChange {
  readonly kind: 'upsert' | 'delete';
  readonly object: Resource;
}

/** Which object a manifest means, as far as it says. */
export interface ManifestIdentity {
  readonly kind?: string;
  /** `NAME`, or `NAMESPACE/NAME` of a kind that has a namespace. */
  readonly name?: string;
}

export type Validation =
  | { readonly kind: 'valid'; readonly resource: Resource }
  /** A kind that Godwit has no use for. */
  | { readonly kind: 'notUsed'; readonly identity: ManifestIdentity; readonly reason: string }
  | { readonly kind: 'invalid'; readonly identity: ManifestIdentity; readonly problems: readonly FieldProblem[] };

interface Kind {
  readonly apiVersion: string;
  readonly namespaced: boolean;
  readonly schema: z.ZodType<Resource>;
}

const kinds = {
  Node: { apiVersion: 'v1', namespaced: false, schema: nodeSchema },
  Pod: { apiVersion: 'v1', namespaced: true, schema: podSchema },
  Namespace: { apiVersion: 'v1', namespaced: false, schema: namespaceSchema },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', namespaced: true, schema: networkPolicySchema },
  Secret: { apiVersion: 'v1', namespaced: true, schema: secretSchema },
  BGPConfiguration: ours(manifestSchema(bgpConfigurationDefinition)),
  BGPPeer: ours(manifestSchema(bgpPeerDefinition)),
  BGPFilter: ours(manifestSchema(bgpFilterDefinition)),
  IPPool: ours(manifestSchema(ipPoolDefinition)),
  IPReservation: ours(manifestSchema(ipReservationDefinition)),
  IPAMBlock: ours(manifestSchema(ipamBlockDefinition)),
} as const satisfies Record<ResourceKind, Kind>;

/** Our own kinds that are only written: a manifest of one has no use. */
export const reportDefinitions = [nodeNetworkStatusDefinition] as const;

/** Our own kinds that are read, for CRDs and documentation. */
export const customResourceDefinitions = [
  bgpConfigurationDefinition,
  bgpPeerDefinition,
  bgpFilterDefinition,
  ipPoolDefinition,
  ipReservationDefinition,
  ipamBlockDefinition,
] as const;

function ours<T extends Resource>(schema: z.ZodType<T>) {
  return { apiVersion: godwitApiVersion, namespaced: false, schema };
}

/** `NAME`, or `NAMESPACE/NAME`: the key in the maps of ClusterState. */
export function objectName(resource: Resource): string {
  return 'namespace' in resource.metadata
    ? `${resource.metadata.namespace}/${resource.metadata.name}`
    : resource.metadata.name;
}

/** `KIND NAME`: unique among all objects. */
export function resourceKey(resource: Resource): string {
  return `${resource.kind} ${objectName(resource)}`;
}

/** @param manifest one object as YAML or JSON gives it. */
export function validateManifest(manifest: unknown): Validation {
  if (!isRecord(manifest)) {
    return invalid({}, [{ field: '', path: [], reason: `${show(manifest)} is not a Kubernetes object` }]);
  }
  const identity = identityOf(manifest);
  const missing = (['apiVersion', 'kind'] as const)
    .filter((field) => typeof manifest[field] !== 'string')
    .map((field) => ({ field, path: [field], reason: 'required' }));
  if (missing.length > 0) return invalid(identity, missing);
  const kind = String(manifest.kind);
  if (!isResourceKind(kind)) {
    return { kind: 'notUsed', identity, reason: `kind ${kind} is not used here` };
  }
  const { apiVersion, schema }: Kind = kinds[kind];
  if (manifest.apiVersion !== apiVersion) {
    const reason = `${String(manifest.apiVersion)} is not the version of ${kind} that is read here (${apiVersion})`;
    return invalid(identity, [{ field: 'apiVersion', path: ['apiVersion'], reason }]);
  }
  const result = schema.safeParse(withoutNulls(manifest), { error: explainIssue, reportInput: true });
  if (result.success) return { kind: 'valid', resource: result.data };
  return invalid(
    identity,
    toFieldProblems(result.error, (path) => knownKeys(kind, path)),
  );
}

function invalid(identity: ManifestIdentity, problems: readonly FieldProblem[]): Validation {
  return { kind: 'invalid', identity, problems };
}

function isResourceKind(kind: unknown): kind is ResourceKind {
  return typeof kind === 'string' && Object.hasOwn(kinds, kind);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function identityOf(manifest: Readonly<Record<string, unknown>>): ManifestIdentity {
  const { kind } = manifest;
  const metadata = isRecord(manifest.metadata) ? manifest.metadata : {};
  const { name, namespace } = metadata;
  const namespaced = isResourceKind(kind) ? kinds[kind].namespaced : namespace !== undefined;
  const above = namespaced ? `${typeof namespace === 'string' ? namespace : 'default'}/` : '';
  return {
    ...(typeof kind === 'string' && { kind }),
    ...(typeof name === 'string' && { name: `${above}${name}` }),
  };
}

/** A field that is null counts as absent, as an API server reads it (`creationTimestamp: null` is common). */
function withoutNulls(value: unknown): unknown {
  // Most objects have none, and are many.
  if (!hasNullField(value)) return value;
  if (Array.isArray(value)) return value.map(withoutNulls);
  return Object.fromEntries(
    Object.entries(value as object)
      .filter(([, field]) => field !== null)
      .map(([key, field]) => [key, withoutNulls(field)]),
  );
}

function hasNullField(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasNullField);
  if (!isRecord(value)) return false;
  for (const key in value) if (value[key] === null || hasNullField(value[key])) return true;
  return false;
}

/** The fields that a kind of ours has at a path. */
function knownKeys(kind: ResourceKind, path: readonly (string | number)[]): readonly string[] {
  const definition = customResourceDefinitions.find((candidate) => candidate.kind === kind);
  if (definition === undefined) return [];
  if (path.length === 0) return ['apiVersion', 'kind', 'metadata', 'spec', 'status'];
  let schema: unknown = z.toJSONSchema(definition.spec, { io: 'input', target: 'openapi-3.0' });
  for (const key of path.slice(1)) {
    if (!isRecord(schema)) return [];
    schema = typeof key === 'number' ? schema.items : isRecord(schema.properties) ? schema.properties[key] : undefined;
  }
  return isRecord(schema) && isRecord(schema.properties) ? Object.keys(schema.properties) : [];
}
