/** The import directions of docs/architecture.md §1, held. */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const top = fileURLToPath(new URL('..', import.meta.url));

/** What a file under the folder may import: folders, or single files. The longest matching folder decides. */
const mayImport: Record<string, readonly string[]> = {
  'bgp/ip.ts': [],
  'bgp/unreachable.ts': [],
  'bgp/index.ts': ['bgp'],
  'bgp/registry.ts': ['bgp/ip.ts'],
  'bgp/driver.ts': [],
  'bgp/role.ts': [],
  'bgp/settings.ts': ['bgp/ip.ts', 'bgp/filter/filter.ts', 'bgp/role.ts'],
  'bgp/status.ts': ['bgp/ip.ts'],
  'bgp/wire': ['bgp/wire', 'bgp/filter/filter.ts', 'bgp/ip.ts', 'bgp/registry.ts', 'bgp/role.ts', 'bgp/unreachable.ts'],
  'bgp/session': [
    'bgp/session',
    'bgp/wire',
    'bgp/driver.ts',
    'bgp/rib/rib-types.ts',
    'bgp/ip.ts',
    'bgp/registry.ts',
    'bgp/role.ts',
    'bgp/settings.ts',
    'bgp/status.ts',
    'bgp/unreachable.ts',
  ],
  'bgp/bfd': [
    'bgp/bfd',
    'bgp/session/timers.ts',
    'bgp/session/wake-queue.ts',
    'bgp/wire/byte-reader.ts',
    'bgp/driver.ts',
    'bgp/settings.ts',
    'bgp/status.ts',
    'bgp/unreachable.ts',
  ],
  'bgp/rib': [
    'bgp/rib',
    'bgp/wire',
    'bgp/filter/filter.ts',
    'bgp/ip.ts',
    'bgp/registry.ts',
    'bgp/role.ts',
    'bgp/settings.ts',
    'bgp/status.ts',
    'bgp/unreachable.ts',
  ],
  'bgp/rib/rib-types.ts': [
    'bgp/driver.ts',
    'bgp/filter/filter.ts',
    'bgp/ip.ts',
    'bgp/role.ts',
    'bgp/settings.ts',
    'bgp/status.ts',
  ],
  'bgp/filter': ['bgp/filter', 'bgp/ip.ts', 'bgp/unreachable.ts'],
  'bgp/speaker.ts': ['bgp'],
  'bgp/io': ['bgp'],
  bgp: ['bgp'],
  dataplane: ['dataplane', 'bgp/ip.ts'],
  'src/resources': ['src/resources', 'src/unreachable.ts', 'bgp/ip.ts'],
  'src/reports': [
    'src/reports',
    'src/kube/clock.ts',
    'src/resources',
    'src/topology/condition.ts',
    'src/unreachable.ts',
    'bgp/index.ts',
    'bgp/ip.ts',
  ],
  'src/kube': ['src/kube', 'src/resources', 'src/unreachable.ts', 'bgp/ip.ts'],
  'src/source': ['src/source', 'src/kube', 'src/resources', 'src/unreachable.ts', 'bgp/ip.ts'],
  'src/topology': [
    'src/topology',
    'src/resources',
    'src/unreachable.ts',
    'bgp/index.ts',
    'bgp/ip.ts',
    'dataplane/index.ts',
  ],
  'src/routing': [
    'src/routing',
    'src/topology',
    'src/resources',
    'src/unreachable.ts',
    'bgp/index.ts',
    'bgp/ip.ts',
    'dataplane/index.ts',
  ],
  'src/policy': [
    'src/policy',
    'src/resources',
    'src/unreachable.ts',
    'bgp/index.ts',
    'bgp/ip.ts',
    'dataplane/index.ts',
  ],
  'src/nat': ['src/nat', 'src/policy/address-ranges.ts', 'src/resources', 'bgp/ip.ts', 'dataplane/index.ts'],
  'src/ipam': ['src/ipam', 'src/resources', 'src/topology/hash.ts', 'bgp/ip.ts'],
  'src/cni': ['src/cni', 'bgp/ip.ts'],
  'src/control': [
    'src/control',
    'src/unreachable.ts',
    'src/version.ts',
    'bgp/index.ts',
    'bgp/ip.ts',
    'dataplane/index.ts',
  ],
  'src/cli': ['src/cli', 'src/control', 'src/cni', 'src/unreachable.ts', 'src/version.ts', 'bgp/index.ts', 'bgp/ip.ts'],
  'src/cli/migrate.ts': ['src/cli', 'src/migrate'],
  'src/cli/tor-config.ts': ['src/cli', 'src/tor', 'src/source', 'src/resources'],
  'src/cli/doctor.ts': ['src/cli', 'src/doctor', 'src/control'],
  'src/migrate': ['src/migrate', 'src/resources', 'bgp/ip.ts'],
  'src/tor': ['src/tor', 'src/resources', 'src/topology', 'bgp/index.ts', 'bgp/ip.ts'],
  'src/doctor': ['src/doctor', 'src/control', 'src/unreachable.ts', 'bgp/index.ts', 'bgp/ip.ts', 'dataplane/index.ts'],
  'src/lab': [
    'src/lab',
    'src/resources',
    'src/source',
    'src/control',
    'src/program.ts',
    'src/unreachable.ts',
    'bgp/ip.ts',
    'dataplane/index.ts',
  ],
  'src/agent': ['src', 'bgp/index.ts', 'bgp/ip.ts', 'dataplane/index.ts'],
  'src/main.ts': ['src'],
  'src/program.ts': [],
  'src/unreachable.ts': [],
  'src/version.ts': ['package.json'],
};

/** Files that may touch the world: node:* modules, timers, clocks, process. Everything else gets them as arguments. */
const mayTouchTheWorld = [
  'bgp/io',
  'dataplane/netlink/socket.ts',
  'dataplane/netlink/sys.ts',
  'dataplane/netlink/stream.ts',
  'dataplane/sysctl.ts',
  'src/kube',
  'src/source',
  'src/agent',
  'src/cli',
  'src/doctor/gather',
  'src/lab',
  'src/control/bird-server.ts',
  'src/control/json-server.ts',
  'src/control/slow-writer.ts',
  'src/control/client.ts',
  'src/control/socket-file.ts',
  'src/main.ts',
  'src/program.ts',
  'src/version.ts',
];

const worldly =
  /from 'node:(?!string_decoder')|\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(|\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bprocess\./;

function sourceFiles(folder: string): string[] {
  return readdirSync(join(top, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? sourceFiles(path) : path.endsWith('.ts') ? [path] : [];
  });
}

function within(file: string, place: string): boolean {
  return file === place || file.startsWith(`${place}/`);
}

function longestPlace(file: string): string | undefined {
  return Object.keys(mayImport)
    .filter((place) => within(file, place))
    .sort((a, b) => b.length - a.length)[0];
}

function ownImports(file: string): string[] {
  const text = readFileSync(join(top, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
    relative(top, join(top, dirname(file), match[1])),
  );
}

const files = ['bgp', 'dataplane', 'src'].flatMap(sourceFiles);

test('every import points in a direction that the architecture allows', () => {
  const wrong = files.flatMap((file) => {
    const place = longestPlace(file);
    if (place === undefined) return [`${file}: no rule`];
    return ownImports(file)
      .filter((target) => !mayImport[place].some((allowed) => within(target, allowed)))
      .map((target) => `${file} imports ${target}`);
  });
  expect(wrong).toEqual([]);
});

test('only the named places touch clocks, timers, processes and node modules', () => {
  const wrong = files
    .filter((file) => !mayTouchTheWorld.some((place) => within(file, place)))
    .filter((file) => worldly.test(readFileSync(join(top, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')));
  expect(wrong).toEqual([]);
});
