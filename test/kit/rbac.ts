/** What the roles of deploy/manifests allow, for requests that a fake API server has seen. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { SeenRequest } from './api-faults.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface AgentRole {
  readonly kind: 'ClusterRole' | 'Role';
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules: readonly PolicyRule[];
}

/** The agents' roles, as they are installed with the default values. */
export function agentRoles(): readonly AgentRole[] {
  const file = fileURLToPath(new URL('../../deploy/manifests/godwit.yaml', import.meta.url));
  return parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document) => document.toJS() as AgentRole)
    .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
}

/** @returns `VERB GROUP/RESOURCE in NAMESPACE` of requests that the roles do not allow, each once. */
export function forbidden(requests: readonly SeenRequest[], roles: readonly AgentRole[]): readonly string[] {
  return [...new Set(requests.map(attributesOf).filter((asked) => !roles.some((role) => allows(role, asked))))].map(
    ({ verb, group, resource, namespace }) => `${verb} ${group}/${resource} in ${namespace ?? 'the cluster'}`,
  );
}

interface Attributes {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `bgppeers/status`. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

function attributesOf({ method, path, query, isWatch }: SeenRequest): Attributes {
  const match =
    /^\/(?:api|apis\/([^/]+))\/[^/]+(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path);
  if (match === null) throw new Error(`${path} is no path of an API server`);
  const [, group = '', namespace, plural, named, subresource] = match;
  // A list or watch of one object by its name counts as one of that name.
  const name = named ?? /^metadata\.name=(.*)$/.exec(query.fieldSelector ?? '')?.[1];
  const verb = method === 'GET' ? (isWatch ? 'watch' : named === undefined ? 'list' : 'get') : verbs[method];
  return { verb, group, resource: subresource === undefined ? plural : `${plural}/${subresource}`, namespace, name };
}

function allows({ kind, metadata, rules }: AgentRole, { verb, group, resource, namespace, name }: Attributes): boolean {
  if (kind === 'Role' && metadata.namespace !== namespace) return false;
  return rules.some(
    (rule) =>
      rule.verbs.includes(verb) &&
      rule.apiGroups.includes(group) &&
      rule.resources.includes(resource) &&
      (rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name))),
  );
}
