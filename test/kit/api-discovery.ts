/** What a fake API server says it serves: enough for kubectl. */

import type { ResourceType } from './api-store.ts';

/** @returns the answer, where the path is one of discovery's. */
export function discover(path: string, types: readonly ResourceType[]): unknown {
  const groups = [...new Set(types.map(({ group }) => group))].filter((group) => group !== '');
  if (path === '/version') return { major: '1', minor: '33', gitVersion: 'v1.33.0' };
  if (path === '/readyz' || path === '/livez') return 'ok';
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis')
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupObject(group, types)) };
  const [, group, version] = /^\/apis\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (group !== undefined && version === undefined)
    return groups.includes(group) ? groupObject(group, types) : undefined;
  const ofVersion =
    path === '/api/v1'
      ? types.filter((candidate) => candidate.group === '')
      : types.filter((candidate) => candidate.group === group && candidate.version === version);
  if (ofVersion.length === 0 || (path !== '/api/v1' && group === undefined)) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: path === '/api/v1' ? 'v1' : `${group}/${version}`,
    resources: ofVersion.flatMap(({ plural, kind, namespaced, status, shortNames }) => [
      {
        name: plural,
        singularName: kind.toLowerCase(),
        namespaced,
        kind,
        shortNames,
        verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
      },
      ...(status
        ? [{ name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get', 'patch', 'update'] }]
        : []),
    ]),
  };
}

function groupObject(group: string, types: readonly ResourceType[]) {
  const versions = [...new Set(types.filter((type) => type.group === group).map(({ version }) => version))].map(
    (version) => ({ groupVersion: `${group}/${version}`, version }),
  );
  return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions, preferredVersion: versions[0] };
}
