/**
 * The objects of a fake API server, with their history: resource versions, optimistic concurrency, merge patches,
 * server-side apply with field managers, the status subresource.
 * Leaves out: schemas, admission, finalizers, list-map merging (a list is one value, also in server-side apply).
 */

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly creationTimestamp: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly ManagedFields[];
  };
  readonly [field: string]: unknown;
}

/** Whose fields are which: the paths of leaves, `spec.asNumber`. A real server writes them as a tree. */
interface ManagedFields {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly paths: readonly string[];
}

export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Has a status subresource: `status` is written only through it, and `spec` only without it. */
  readonly status: boolean;
  readonly shortNames?: readonly string[];
}

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resourceType: ResourceType;
  readonly object: StoredObject;
  readonly version: number;
}

/** Becomes a Status object. */
export class Refusal extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export type Json = Record<string, unknown>;

/** How a write is meant. */
export interface WriteOptions {
  readonly subresource?: 'status';
  readonly fieldManager?: string;
  readonly force?: boolean;
}

const builtInTypes: readonly ResourceType[] = [
  type('', 'v1', 'Node', 'nodes', { namespaced: false, status: true }),
  type('', 'v1', 'Pod', 'pods', { status: true }),
  type('', 'v1', 'Namespace', 'namespaces', { namespaced: false, status: true }),
  type('', 'v1', 'Secret', 'secrets'),
  type('', 'v1', 'ConfigMap', 'configmaps'),
  type('', 'v1', 'Event', 'events'),
  type('', 'v1', 'Service', 'services', { status: true }),
  type('', 'v1', 'ServiceAccount', 'serviceaccounts'),
  type('events.k8s.io', 'v1', 'Event', 'events'),
  type('apps', 'v1', 'DaemonSet', 'daemonsets', { status: true }),
  type('apps', 'v1', 'Deployment', 'deployments', { status: true }),
  type('coordination.k8s.io', 'v1', 'Lease', 'leases'),
  type('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices'),
  type('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies'),
  type('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', {
    namespaced: false,
    status: true,
  }),
];

function type(
  group: string,
  version: string,
  kind: string,
  plural: string,
  { namespaced = true, status = false }: { namespaced?: boolean; status?: boolean } = {},
): ResourceType {
  return { group, version, kind, plural, namespaced, status };
}

export class ApiStore {
  /** By group and kind, then by namespace and name. */
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #version = 1;
  #history: StoreEvent[] = [];
  /** Events up to this version are forgotten. */
  #forgotten = 0;

  get version(): number {
    return this.#version;
  }

  /** Those of every server and those that CustomResourceDefinitions define. */
  types(): readonly ResourceType[] {
    const custom = this.#ofType({ group: 'apiextensions.k8s.io', kind: 'CustomResourceDefinition' }).flatMap(
      ({ spec }) => {
        const { group, names, scope, versions } = spec as {
          group: string;
          names: { kind: string; plural: string; shortNames?: string[] };
          scope: string;
          versions: { name: string; served: boolean; subresources?: { status?: object } }[];
        };
        return versions
          .filter(({ served }) => served)
          .map(({ name, subresources }) => ({
            ...type(group, name, names.kind, names.plural, {
              namespaced: scope === 'Namespaced',
              status: subresources?.status !== undefined,
            }),
            shortNames: names.shortNames ?? [],
          }));
      },
    );
    return [...builtInTypes, ...custom];
  }

  onEvent(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** In order of namespace and name. */
  list(resourceType: ResourceType, namespace?: string): StoredObject[] {
    return this.#ofType(resourceType)
      .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
      .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /** @throws Refusal 404 */
  get(resourceType: ResourceType, namespace: string | undefined, name: string): StoredObject {
    const object = this.#find(resourceType, namespace, name);
    if (object === undefined) throw notFound(resourceType, name);
    return object;
  }

  /** Puts an object there, whatever was there before; for tests that set the scene. */
  put(manifest: object): StoredObject {
    const { apiVersion, kind, metadata } = manifest as StoredObject;
    const resourceType = this.typeOf(apiVersion, kind);
    const namespace = resourceType.namespaced ? (metadata.namespace ?? 'default') : undefined;
    const before = this.#find(resourceType, namespace, metadata.name);
    return this.#store(
      resourceType,
      before,
      { ...manifest, metadata: { ...metadata, namespace } } as Json,
      'scene',
      [],
    );
  }

  typeOf(apiVersion: string, kind: string): ResourceType {
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    const found = this.types().find(
      (candidate) => candidate.group === group && candidate.version === version && candidate.kind === kind,
    );
    if (found === undefined) throw new Refusal(404, 'NotFound', `no matches for kind ${kind} in version ${apiVersion}`);
    return found;
  }

  /** @throws Refusal 409 AlreadyExists */
  create(resourceType: ResourceType, namespace: string | undefined, manifest: Json, options: WriteOptions = {}) {
    const metadata = { ...(manifest.metadata as Json) };
    if (typeof metadata.name !== 'string' && typeof metadata.generateName === 'string') {
      metadata.name = `${metadata.generateName}${randomUUID().slice(0, 5)}`;
    }
    if (typeof metadata.name !== 'string') {
      throw new Refusal(422, 'Invalid', `${resourceType.kind} is invalid: metadata.name: Required value`);
    }
    if (resourceType.namespaced) metadata.namespace = namespace ?? metadata.namespace ?? 'default';
    if (this.#find(resourceType, metadata.namespace as string | undefined, metadata.name) !== undefined) {
      throw new Refusal(409, 'AlreadyExists', `${resourceType.plural} "${metadata.name}" already exists`);
    }
    const object: Json = { ...manifest, metadata };
    if (resourceType.status) delete object.status;
    return this.#store(resourceType, undefined, object, options.fieldManager ?? 'unknown');
  }

  /** @throws Refusal 404, 409 Conflict where the manifest names another resourceVersion. */
  replace(
    resourceType: ResourceType,
    namespace: string | undefined,
    name: string,
    manifest: Json,
    options: WriteOptions = {},
  ) {
    const before = this.get(resourceType, namespace, name);
    checkVersion(resourceType, before, manifest);
    return this.#store(resourceType, before, onlyPart(resourceType, before, manifest, options), options.fieldManager);
  }

  /** RFC 7386; strategic merge patches are taken the same way. */
  merge(
    resourceType: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: Json,
    options: WriteOptions = {},
  ) {
    const before = this.get(resourceType, namespace, name);
    checkVersion(resourceType, before, patch);
    const merged = mergePatch(before, patch) as Json;
    return this.#store(resourceType, before, onlyPart(resourceType, before, merged, options), options.fieldManager);
  }

  /**
   * Server-side apply: the manager owns what it says, and takes back what it said before and says no more.
   * @throws Refusal 409 Conflict where another manager owns a field with another value, unless forced.
   */
  apply(
    resourceType: ResourceType,
    namespace: string | undefined,
    name: string,
    configuration: Json,
    options: WriteOptions,
  ) {
    const manager = options.fieldManager ?? '';
    if (manager === '') throw new Refusal(400, 'BadRequest', 'fieldManager is required for apply patch');
    const before = this.#find(resourceType, namespace, name);
    if (before === undefined) {
      if (options.subresource !== undefined) throw notFound(resourceType, name);
      const metadata = { ...(configuration.metadata as Json), name, namespace };
      const created = { ...configuration, metadata };
      return this.#store(resourceType, undefined, created, manager, leavesOf(configuration));
    }
    checkVersion(resourceType, before, configuration);
    const leaves = leavesOf(configuration).filter((path) =>
      options.subresource === 'status'
        ? path.startsWith('status.')
        : !resourceType.status || !path.startsWith('status.'),
    );
    const managed = before.metadata.managedFields ?? [];
    const foreign = managed.filter((entry) => entry.manager !== manager);
    const clashes = foreign.flatMap((entry) =>
      entry.paths
        .filter((path) => leaves.includes(path) && !isDeepStrictEqual(at(before, path), at(configuration, path)))
        .map((path) => `conflict with "${entry.manager}": .${path}`),
    );
    if (clashes.length > 0 && !options.force) {
      throw new Refusal(409, 'Conflict', `Apply failed with ${clashes.length} conflict: ${clashes.join(', ')}`);
    }
    const next = structuredClone(before) as unknown as Json;
    const mine = managed.find((entry) => entry.manager === manager)?.paths ?? [];
    for (const path of mine) {
      if (!leaves.includes(path) && !foreign.some(({ paths }) => paths.includes(path))) setAt(next, path, undefined);
    }
    for (const path of leaves) setAt(next, path, at(configuration, path));
    return this.#store(resourceType, before, next, manager, leaves);
  }

  /** @throws Refusal 404 */
  delete(resourceType: ResourceType, namespace: string | undefined, name: string): StoredObject {
    const object = this.get(resourceType, namespace, name);
    this.#objects.get(kindOf(resourceType))?.delete(keyOf(object));
    if (resourceType.kind === 'CustomResourceDefinition') this.#deleteInstances(object);
    const version = ++this.#version;
    const gone = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#happened({ type: 'DELETED', resourceType, object: gone, version });
    return gone;
  }

  /** @returns undefined where that is forgotten. */
  eventsAfter(version: number): readonly StoreEvent[] | undefined {
    return version < this.#forgotten ? undefined : this.#history.filter((event) => event.version > version);
  }

  /** Forgets the past, as a server does that restarts: whoever watched must list again. */
  compact(): void {
    this.#history = [];
    this.#forgotten = ++this.#version;
  }

  #deleteInstances(definition: StoredObject): void {
    const { group, names } = definition.spec as { group: string; names: { kind: string } };
    for (const object of this.#ofType({ group, kind: names.kind })) {
      const [, version] = object.apiVersion.split('/');
      const { name, namespace } = object.metadata;
      const resourceType = type(group, version, names.kind, '', { namespaced: namespace !== undefined });
      this.delete(resourceType, namespace, name);
    }
  }

  #find(resourceType: ResourceType, namespace: string | undefined, name: string): StoredObject | undefined {
    return this.#objects.get(kindOf(resourceType))?.get(`${namespace ?? ''}/${name}`);
  }

  #ofType(resourceType: Pick<ResourceType, 'group' | 'kind'>): StoredObject[] {
    return [...(this.#objects.get(kindOf(resourceType))?.values() ?? [])];
  }

  #store(
    resourceType: ResourceType,
    before: StoredObject | undefined,
    next: Json,
    manager = 'unknown',
    applied?: readonly string[],
  ): StoredObject {
    const { group, version: apiVersion, kind } = resourceType;
    const metadata = { ...(next.metadata as Json) } as Json;
    if (metadata.namespace === undefined) delete metadata.namespace;
    const changesSpec = before === undefined || !isDeepStrictEqual(before.spec, next.spec);
    const unversioned = {
      ...next,
      apiVersion: group === '' ? apiVersion : `${group}/${apiVersion}`,
      kind,
      metadata: {
        ...metadata,
        uid: before?.metadata.uid ?? randomUUID(),
        creationTimestamp: before?.metadata.creationTimestamp ?? new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
        generation: (before?.metadata.generation ?? 0) + (changesSpec ? 1 : 0),
        resourceVersion: before?.metadata.resourceVersion ?? '',
        managedFields: managedAfter(before, next, manager, applied),
      },
    } as unknown as StoredObject;
    // A write that changes nothing is no event.
    if (before !== undefined && isDeepStrictEqual(before, unversioned)) return before;
    const version = ++this.#version;
    const object = { ...unversioned, metadata: { ...unversioned.metadata, resourceVersion: String(version) } };
    const ofKind = this.#objects.get(kindOf(resourceType)) ?? new Map<string, StoredObject>();
    this.#objects.set(kindOf(resourceType), ofKind.set(keyOf(object), object));
    this.#happened({ type: before === undefined ? 'ADDED' : 'MODIFIED', resourceType, object, version });
    return object;
  }

  #happened(event: StoreEvent): void {
    this.#history.push(event);
    for (const listener of this.#listeners) listener(event);
  }
}

function managedAfter(
  before: StoredObject | undefined,
  next: Json,
  manager: string,
  applied: readonly string[] | undefined,
): readonly ManagedFields[] {
  const others = (before?.metadata.managedFields ?? []).filter((entry) => entry.manager !== manager);
  const mine = before?.metadata.managedFields?.find((entry) => entry.manager === manager)?.paths ?? [];
  const written = applied ?? [
    ...new Set([...mine, ...leavesOf(next).filter((path) => !isDeepStrictEqual(at(before, path), at(next, path)))]),
  ];
  const taken = new Set(written);
  return [
    ...others.map((entry) => ({
      ...entry,
      // A field that two apply with one value belongs to both; one that was changed belongs to who changed it.
      paths: entry.paths.filter((path) => !taken.has(path) || isDeepStrictEqual(at(before, path), at(next, path))),
    })),
    { manager, operation: applied === undefined ? ('Update' as const) : ('Apply' as const), paths: written },
  ].filter(({ paths }) => paths.length > 0);
}

function onlyPart(resourceType: ResourceType, before: StoredObject, next: Json, { subresource }: WriteOptions): Json {
  const metadata = { ...(next.metadata as Json), name: before.metadata.name, namespace: before.metadata.namespace };
  if (!resourceType.status) return { ...next, metadata };
  if (subresource === 'status') return { ...(before as Json), status: next.status };
  const { status: _status, ...rest } = next;
  return { ...rest, metadata, ...(before.status !== undefined && { status: before.status }) };
}

function checkVersion({ plural }: ResourceType, before: StoredObject, manifest: Json): void {
  const { resourceVersion: asked, uid } = (manifest.metadata ?? {}) as Json;
  if (uid !== undefined && uid !== before.metadata.uid) {
    const what = `Precondition failed: UID in precondition: ${String(uid)}, UID in object meta: ${before.metadata.uid}`;
    throw new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${plural} "${before.metadata.name}": ${what}`);
  }
  if (asked === undefined || asked === '' || asked === before.metadata.resourceVersion) return;
  throw new Refusal(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${plural} "${before.metadata.name}": the object has been modified; please apply your changes to the latest version and try again`,
  );
}

function notFound({ plural, group }: ResourceType, name: string): Refusal {
  return new Refusal(404, 'NotFound', `${group === '' ? plural : `${plural}.${group}`} "${name}" not found`);
}

function kindOf({ group, kind }: Pick<ResourceType, 'group' | 'kind'>): string {
  return `${group}/${kind}`;
}

export function keyOf({ metadata: { namespace, name } }: StoredObject): string {
  return `${namespace ?? ''}/${name}`;
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386 §2. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: Json = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** What the API server sets itself belongs to nobody. */
const ownerless = ['apiVersion', 'kind', 'metadata.name', 'metadata.namespace', 'metadata.uid'];
const ownerlessToo = [
  'metadata.resourceVersion',
  'metadata.generation',
  'metadata.creationTimestamp',
  'metadata.managedFields',
];

/** Paths of what is no object. Keys may hold dots: the separator is one that they cannot hold. */
function leavesOf(value: unknown, path = ''): string[] {
  if (!isRecord(value) || (path !== '' && Object.keys(value).length === 0)) return [path];
  return Object.entries(value)
    .flatMap(([key, field]) => leavesOf(field, path === '' ? escapeKey(key) : `${path}.${escapeKey(key)}`))
    .filter((leaf) => !ownerless.includes(leaf) && !ownerlessToo.includes(leaf));
}

function escapeKey(key: string): string {
  return key.replaceAll('.', '\u0001');
}

function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((inner, key) => (isRecord(inner) ? inner[key.replaceAll('\u0001', '.')] : undefined), value);
}

function setAt(value: Json, path: string, leaf: unknown): void {
  const keys = path.split('.').map((key) => key.replaceAll('\u0001', '.'));
  let inner = value;
  for (const key of keys.slice(0, -1)) {
    if (!isRecord(inner[key])) inner[key] = {};
    inner = inner[key] as Json;
  }
  if (leaf === undefined) delete inner[keys.at(-1)!];
  // An empty object takes no field of others away.
  else if (isRecord(leaf) && isRecord(inner[keys.at(-1)!])) return;
  else inner[keys.at(-1)!] = structuredClone(leaf);
}
