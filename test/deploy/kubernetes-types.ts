/** A strict check of manifests against the types of the package kubernetes-types: a field that Kubernetes has not is an error. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** As YAML gives it: a test reaches into it by the fields that it expects. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Manifest = Record<string, any>;

const top = fileURLToPath(new URL('../..', import.meta.url));

const packageOf: Readonly<Record<string, string>> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'rbac.authorization.k8s.io/v1': 'rbac/v1',
  'apiextensions.k8s.io/v1': 'apiextensions/v1',
};

/** @returns what the compiler says; empty where all is well. @throws an Error where there is no type of a manifest's kind. */
export function typeErrors(manifests: readonly Manifest[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-manifests-'));
  try {
    symlinkSync(join(top, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'check.ts'), program(manifests));
    const flags = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--allowImportingTsExtensions',
      '--types',
      '',
    ];
    return spawnSync(join(top, 'node_modules/.bin/tsc'), [...flags, 'check.ts'], {
      cwd: folder,
      encoding: 'utf8',
    }).stdout.trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function program(manifests: readonly Manifest[]): string {
  const lines = ['type Readonlys<T> = T extends object ? { readonly [K in keyof T]: Readonlys<T[K]> } : T;'];
  for (const [i, manifest] of manifests.entries()) {
    const { apiVersion, kind } = manifest;
    const module = packageOf[apiVersion];
    if (module === undefined) throw new Error(`no types known of ${apiVersion} ${kind}`);
    lines.push(`import type { ${kind} as Kind${i} } from 'kubernetes-types/${module}.d.ts';`);
    lines.push(
      `export const object${i} = ${JSON.stringify(withoutExtensions(manifest))} as const satisfies Readonlys<Kind${i}>;`,
    );
  }
  return lines.join('\n');
}

/** The types write `x-kubernetes-…`, which schemas of CRDs have, in another way. */
function withoutExtensions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutExtensions);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !name.startsWith('x-kubernetes-'))
      .map(([name, content]) => [name, withoutExtensions(content)]),
  );
}
