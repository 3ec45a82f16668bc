/** A folder of manifests as a source: stories with a real folder. */

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { objectName, type ResourceChange } from '../../../src/resources/resource.ts';
import { DirectorySource, type DirectoryTimes } from '../../../src/source/directory.ts';
import type { SourceProblem } from '../../../src/source/source.ts';
import { eventually } from '../../kit/eventually.ts';

const node = (name: string, rack = '1') =>
  `apiVersion: v1\nkind: Node\nmetadata: { name: ${name}, labels: { rack: "${rack}" } }\n`;
const service = 'apiVersion: v1\nkind: Service\nmetadata: { name: web }\n';

let base: string;
let folder: string;
const sources: DirectorySource[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'godwit-directory-'));
  folder = join(base, 'manifests');
  mkdirSync(folder);
});

afterEach(() => {
  for (const source of sources.splice(0)) source.stop();
  rmSync(base, { recursive: true });
});

describe('at the start', () => {
  test('every object is an upsert, in the order of files and documents; then the source is synced', async () => {
    write('b.yml', node('b1') + '---\n' + node('b2'));
    write('a.yaml', node('a'));
    write('c.json', JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'c' } }));
    const { source, changes } = watched();
    expect(source.synced).toBe(false);
    await source.start();
    expect(source.synced).toBe(true);
    expect(changes).toEqual([['upsert Node a 1', 'upsert Node b1 1', 'upsert Node b2 1', 'upsert Node c']]);
    expect(source.problems()).toEqual([]);
  });

  test('an empty folder is fine', async () => {
    const { source, changes } = await started();
    expect(changes).toEqual([]);
    expect(source.problems()).toEqual([]);
  });

  test('a folder that is not there is an error that names it', async () => {
    const path = join(base, 'missing');
    await expect(new DirectorySource(path).start()).rejects.toThrow(
      `cannot read the folder of manifests ${path}: ENOENT: no such file or directory`,
    );
  });

  test('a file in its place is an error', async () => {
    write('a.yaml', node('a'));
    const path = join(folder, 'a.yaml');
    await expect(new DirectorySource(path).start()).rejects.toThrow(
      `cannot read the folder of manifests ${path}: not a folder`,
    );
  });

  test('of a file with a fault the good documents count, and the fault is told with its place', async () => {
    write('a.yaml', `${node('a')}---\n${node('B')}---\n${service}`);
    const { changes, problems } = await started();
    expect(changes).toEqual([['upsert Node a 1']]);
    expect(problems.at(-1)).toEqual([
      {
        file: 'a.yaml',
        document: 2,
        line: 7,
        kind: 'Node',
        name: 'B',
        field: 'metadata.name',
        reason: 'must be lower case letters, digits, "-" and ".", beginning and ending with a letter or digit',
        since: expect.any(Number),
      },
      {
        file: 'a.yaml',
        document: 3,
        line: 9,
        kind: 'Service',
        name: 'web',
        reason: 'kind Service is not used here',
        since: expect.any(Number),
      },
    ]);
  });

  test("editors' temporary files, other files and folders are not read", async () => {
    for (const name of ['.a.yaml', '.a.yaml.swp', 'a.yaml~', '#a.yaml#', '4913', 'README.md']) write(name, node('a'));
    mkdirSync(join(folder, 'more'));
    const { source, changes } = await started();
    expect(changes).toEqual([]);
    expect(source.problems()).toEqual([]);
  });

  test('what is no regular file, and what is too large, is a problem and is not read', async () => {
    mkdirSync(join(folder, 'folder.yaml'));
    symlinkSync('/dev/null', join(folder, 'null.yaml'));
    write('large.yaml', node('a') + '#'.repeat(10 * 1024 * 1024));
    const { source, changes } = await started();
    expect(changes).toEqual([]);
    expect(reasons(source)).toEqual([
      'folder.yaml: not a regular file',
      'large.yaml: larger than 10 MiB',
      'null.yaml: not a regular file',
    ]);
  });
});

describe('an edit', () => {
  test('is the least change: what is equal is not told', async () => {
    write('a.yaml', node('a') + '---\n' + node('b'));
    const { changes } = await started();
    write('a.yaml', '# moved\n' + node('b') + '---\n' + node('a', '2') + '---\n' + node('c'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2', 'upsert Node c 1']);
  });

  test('of the form only changes nothing', async () => {
    write('a.yaml', node('a'));
    const { changes } = await started();
    write('a.yaml', `# the first\n{ apiVersion: v1, kind: Node, metadata: { labels: { rack: "1" }, name: a } }\n`);
    write('b.yaml', node('b'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node b 1']);
  });

  test('by renaming a new file over the old one is seen', async () => {
    write('a.yaml', node('a'));
    const { changes } = await started();
    write('.a.yaml.new', node('a', '2'));
    renameSync(join(folder, '.a.yaml.new'), join(folder, 'a.yaml'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2']);
  });

  test('of equal length right after another is seen', async () => {
    write('a.yaml', node('a', '1'));
    const { changes } = await started();
    for (const rack of ['2', '3', '4']) {
      write('a.yaml', node('a', rack));
      const seen = changes.length + 1;
      await told(changes, seen);
      expect(changes.at(-1)).toEqual([`upsert Node a ${rack}`]);
    }
  });

  test('that moves an object to another file is no change', async () => {
    write('a.yaml', node('a'));
    const { source, changes } = await started();
    write('b.yaml', node('a'));
    unlinkSync(join(folder, 'a.yaml'));
    write('c.yaml', node('c'));
    await eventually(() => source.problems().length === 0 && changes.length === 2, { reason: 'the move is read' });
    expect(changes[1]).toEqual(['upsert Node c 1']);
  });

  test('is seen by the next look where the file system tells nothing', async () => {
    const target = join(base, 'elsewhere.yaml');
    writeFileSync(target, node('a'));
    symlinkSync(target, join(folder, 'a.yaml'));
    const { changes } = await started({ rescan: 50 });
    writeFileSync(target, node('a', '2'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2']);
  });

  test("of a ConfigMap's kind, by its link to a folder, is one change", async () => {
    mkdirSync(join(folder, '..1'));
    mkdirSync(join(folder, '..2'));
    write('..1/a.yaml', node('a'));
    write('..1/b.yaml', node('b'));
    write('..2/a.yaml', node('a', '2'));
    write('..2/b.yaml', node('b', '2'));
    symlinkSync('..1', join(folder, '..data'));
    for (const name of ['a.yaml', 'b.yaml']) symlinkSync(join('..data', name), join(folder, name));
    const { changes } = await started();
    symlinkSync('..2', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2', 'upsert Node b 2']);
  });
});

describe('a deletion', () => {
  test('of a file deletes its objects', async () => {
    write('a.yaml', node('a') + '---\n' + node('b'));
    write('c.yaml', node('c'));
    const { changes } = await started();
    unlinkSync(join(folder, 'a.yaml'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['delete Node a 1', 'delete Node b 1']);
  });

  test('of a document deletes its object', async () => {
    write('a.yaml', node('a') + '---\n' + node('b'));
    const { changes } = await started();
    write('a.yaml', node('b'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['delete Node a 1']);
  });

  test('of the last file is believed when it is still so a moment later', async () => {
    write('a.yaml', node('a'));
    const { changes } = await started({ confirm: 200 });
    unlinkSync(join(folder, 'a.yaml'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['delete Node a 1']);
  });
});

describe('a fault', () => {
  test('leaves all objects of the file as they were, until it is mended', async () => {
    write('a.yaml', node('a') + '---\n' + node('b'));
    const { source, changes } = await started();
    write('a.yaml', node('a', '2') + '---\n' + node('B', '2') + '---\n' + node('c'));
    await eventually(() => source.problems().length > 0, { reason: 'the fault is told' });
    expect(source.problems()).toMatchObject([{ file: 'a.yaml', document: 2, name: 'B', field: 'metadata.name' }]);
    expect(changes).toHaveLength(1);
    write('a.yaml', node('a', '2') + '---\n' + node('c'));
    await eventually(() => source.problems().length === 0, { reason: 'the fault is mended' });
    expect(changes.slice(1)).toEqual([['delete Node b 1', 'upsert Node a 2', 'upsert Node c 1']]);
  });

  test('of the syntax, as in a file half written, leaves them too', async () => {
    write('a.yaml', node('a'));
    const { source, changes } = await started();
    write('a.yaml', 'apiVersion: v1\nkind: Node\nmetadata: { name: a, la');
    await eventually(() => source.problems().length > 0, { reason: 'the fault is told' });
    expect(source.problems()).toMatchObject([
      { file: 'a.yaml', document: 1, reason: expect.stringMatching(/^not YAML: /) },
    ]);
    expect(changes).toHaveLength(1);
  });

  test('keeps the date at which it was first seen, whatever comes beside it', async () => {
    write('a.yaml', service);
    const { source, problems } = await started();
    const [first] = source.problems();
    write('b.yaml', node('B'));
    await eventually(() => source.problems().length === 2, { reason: 'the second fault is told' });
    expect(source.problems()[0]).toEqual(first);
    expect(problems).toHaveLength(2);
  });

  test('in a file that is deleted is gone with it', async () => {
    write('a.yaml', service);
    write('b.yaml', node('b'));
    const { source, problems } = await started();
    unlinkSync(join(folder, 'a.yaml'));
    await eventually(() => source.problems().length === 0, { reason: 'the problem is gone' });
    expect(problems.at(-1)).toEqual([]);
  });

  test('of a link that leads nowhere leaves the objects', async () => {
    const target = join(base, 'elsewhere.yaml');
    writeFileSync(target, node('a'));
    symlinkSync(target, join(folder, 'a.yaml'));
    const { source, changes } = await started({ rescan: 50 });
    unlinkSync(target);
    await eventually(() => source.problems().length > 0, { reason: 'the fault is told' });
    expect(reasons(source)).toEqual(['a.yaml: cannot be read: ENOENT: no such file or directory']);
    expect(changes).toHaveLength(1);
  });
});

describe('objects that exclude each other', () => {
  test('of two of a name the newer is refused, naming both places, and takes over when the older goes', async () => {
    write('b.yaml', node('a', '1'));
    const { source, changes } = await started();
    write('a.yaml', service + '---\n' + node('a', '2'));
    await eventually(() => source.problems().length === 2, { reason: 'the duplicate is told' });
    expect(source.problems()[1]).toMatchObject({
      file: 'a.yaml',
      document: 2,
      line: 5,
      kind: 'Node',
      name: 'a',
      reason: 'Node a is already defined in b.yaml, line 1, which stays in force',
    });
    expect(changes).toHaveLength(1);
    unlinkSync(join(folder, 'b.yaml'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2']);
  });

  test('of two pools that overlap the newer is refused', async () => {
    const pool = (name: string, cidr: string) =>
      `apiVersion: godwit.dev/v1\nkind: IPPool\nmetadata: { name: ${name} }\nspec: { cidr: ${cidr} }\n`;
    write('pods.yaml', pool('pods', '10.244.0.0/16'));
    const { source, changes } = await started();
    write('all.yaml', pool('all', '10.0.0.0/8'));
    await eventually(() => source.problems().length > 0, { reason: 'the overlap is told' });
    expect(source.problems()).toMatchObject([
      {
        file: 'all.yaml',
        kind: 'IPPool',
        name: 'all',
        field: 'spec.cidr',
        reason: '10.0.0.0/8 overlaps 10.244.0.0/16 of IPPool pods in pods.yaml, line 1',
      },
    ]);
    expect(changes).toHaveLength(1);
  });
});

describe('what looks like a deletion and is none', () => {
  test('a folder that vanishes is a problem and changes nothing; when it comes back, only the difference is told', async () => {
    write('a.yaml', node('a'));
    write('b.yaml', node('b'));
    const { source, changes } = await started({ rescan: 50 });
    renameSync(folder, join(base, 'away'));
    await eventually(() => source.problems().length > 0, { reason: 'the folder is missed' });
    expect(reasons(source)).toEqual([': the folder cannot be read: ENOENT: no such file or directory']);
    expect(changes).toHaveLength(1);
    writeFileSync(join(base, 'away', 'b.yaml'), node('b', '2'));
    renameSync(join(base, 'away'), folder);
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node b 2']);
    expect(source.problems()).toEqual([]);
  });

  test('a folder that is removed file by file deletes nothing', async () => {
    write('a.yaml', node('a'));
    const { source, changes } = await started({ rescan: 50, confirm: 60_000 });
    const { changes: witness } = await started({ rescan: 50, confirm: 0 });
    unlinkSync(join(folder, 'a.yaml'));
    await told(witness, 2);
    rmSync(folder, { recursive: true });
    await eventually(() => source.problems().length > 0, { reason: 'the folder is missed' });
    expect(changes).toHaveLength(1);
    mkdirSync(folder);
    writeFileSync(join(folder, 'a.yaml'), node('a', '2'));
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2']);
  });

  test('another folder in its place is watched from then on', async () => {
    write('a.yaml', node('a'));
    const other = join(base, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'a.yaml'), node('a', '2'));
    const { changes } = await started({ rescan: 600_000 });
    renameSync(folder, join(base, 'away'));
    renameSync(other, folder);
    await told(changes, 2);
    expect(changes[1]).toEqual(['upsert Node a 2']);
    write('b.yaml', node('b'));
    await told(changes, 3);
    expect(changes[2]).toEqual(['upsert Node b 1']);
  });

  test('a file that is emptied before it is written anew keeps its objects', async () => {
    write('a.yaml', node('a') + '---\n' + node('b'));
    write('c.yaml', node('c'));
    const { changes } = await started({ confirm: 10_000 });
    write('a.yaml', '');
    write('c.yaml', node('c', '2'));
    await told(changes, 2);
    write('a.yaml', node('a') + '---\n' + node('b', '2'));
    await told(changes, 3);
    expect(changes.slice(1)).toEqual([['upsert Node c 2'], ['upsert Node b 2']]);
  });

  test('a file that stays empty gives its objects up', async () => {
    write('a.yaml', node('a'));
    write('b.yaml', node('b'));
    const { changes } = await started({ confirm: 100 });
    write('a.yaml', '# nothing here\n');
    await told(changes, 2);
    expect(changes[1]).toEqual(['delete Node a 1']);
  });
});

test('after stop() nothing is told', async () => {
  const { source, changes } = await started({ rescan: 10, settle: 0 });
  source.stop();
  const other = await started({ rescan: 10, settle: 0 });
  write('a.yaml', node('a'));
  await told(other.changes, 1);
  write('b.yaml', node('b'));
  await told(other.changes, 2);
  expect(changes).toEqual([]);
});

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

/** Changes as words, one list a notification. */
function watched(times: Partial<DirectoryTimes> = {}) {
  const source = new DirectorySource(folder, times);
  sources.push(source);
  const changes: string[][] = [];
  const problems: (readonly SourceProblem[])[] = [];
  source.onChanges((batch) => changes.push(batch.map(inWords)));
  source.onProblems((list) => problems.push(list));
  return { source, changes, problems };
}

async function started(times?: Partial<DirectoryTimes>) {
  const recorded = watched(times);
  await recorded.source.start();
  return recorded;
}

function inWords({ kind, object }: ResourceChange): string {
  const { rack } = object.metadata.labels;
  return [kind, object.kind, objectName(object), rack].filter((word) => word !== undefined).join(' ');
}

function told(changes: readonly string[][], count: number): Promise<unknown> {
  return eventually(() => changes.length >= count, {
    reason: `notification ${count} after ${JSON.stringify(changes)}`,
  });
}

function reasons(source: DirectorySource): string[] {
  return source.problems().map(({ file, reason }) => `${file}: ${reason}`);
}
