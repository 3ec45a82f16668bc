/** `godwit migrate` as a user calls it, and its page of documentation. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { parseAllDocuments } from 'yaml';
import { expect, test } from 'vitest';
import { runMigrate } from '../../../src/cli/migrate.ts';
import { UsageError } from '../../../src/cli/usage.ts';
import { printMigration } from '../../../src/migrate/print.ts';
import { migrationTables } from '../../../src/migrate/tables.ts';
import { readManifestText } from '../../../src/source/manifest-text.ts';

async function migrate(input: string, ...args: string[]) {
  const text = { stdout: '', stderr: '' };
  const gather = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        text[name] += chunk.toString();
        done();
      },
    });
  const streams = { stdin: Readable.from([Buffer.from(input)]), stdout: gather('stdout'), stderr: gather('stderr') };
  return { code: await runMigrate(args, streams), ...text };
}

const peer = `apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 10.0.0.1, asNumber: 64512, reachableBy: 10.0.0.254}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.244.0.0/16, ipipMode: Always}
`;

test('stdout is YAML that an agent reads, headed by what has no counterpart', async () => {
  const { code, stdout, stderr } = await migrate(peer, 'calico', '-');
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    '# Without a counterpart, and what happens instead:',
    expect.stringMatching(/^# {3}BGPPeer\/tor spec\.reachableBy: no static route/),
    '---',
    'apiVersion: godwit.dev/v1',
  ]);
  const read = await readManifestText(stdout, () => undefined);
  expect({ code, problems: read.problems, kinds: read.objects.map(({ resource }) => resource.kind) }).toEqual({
    code: 0,
    problems: [],
    kinds: ['BGPPeer', 'IPPool'],
  });
  expect(stderr).toBe(
    'godwit: 2 objects read, 2 written; 1 without a counterpart (the comments at the top), 0 not converted\n',
  );
});

test('an object that cannot be converted is exit code 1; the others are written', async () => {
  const { code, stdout, stderr } = await migrate(`${peer}---\n{kind: [\n`, 'calico');
  expect({ code, documents: parseAllDocuments(stdout).length }).toEqual({ code: 1, documents: 2 });
  expect(stderr).toMatch(/^godwit: -: document 3: not YAML/);
});

test.each([
  [[], 'migrate: calico or kube-router is missing'],
  [['cilium'], "migrate: 'cilium' is neither calico nor kube-router"],
  [['calico', '/nonexistent'], 'migrate: ENOENT: no such file or directory'],
])('%j is a wrong command line', async (args, message) => {
  await expect(migrate('', ...args)).rejects.toThrow(UsageError);
  await expect(migrate('', ...args)).rejects.toThrow(message);
});

test('the program reads standard input', () => {
  const program = new URL('../../../src/main.ts', import.meta.url).pathname;
  const stdio = ['pipe', 'pipe', 'pipe'] as const;
  const out = execFileSync(process.execPath, [program, 'migrate', 'calico'], {
    input: peer,
    encoding: 'utf8',
    stdio: [...stdio],
  });
  expect(out).toContain('kind: IPPool\n');
});

test('a name cannot break out of its comment', () => {
  const notes = [{ level: 'lost', object: 'BGPPeer/a\nkind: Evil', text: 'x' } as const];
  expect(printMigration({ manifests: [], notes })).toBe(
    '# Without a counterpart, and what happens instead:\n#   BGPPeer/a kind: Evil: x\n',
  );
});

test('docs/migrate.md has the tables of the code', () => {
  const page = readFileSync(new URL('../../../docs/migrate.md', import.meta.url), 'utf8');
  expect(page.slice(page.indexOf('## What becomes of Calico'))).toBe(migrationTables());
});
