/**
 * `godwit migrate calico|kube-router [FILES… or -]`: their objects in, ours out.
 * Holds: YAML alone on stdout; exit code 1 where an object could not be converted.
 */

import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { migrateCalico } from '../migrate/calico.ts';
import { readObjects } from '../migrate/input.ts';
import { migrateKubeRouter } from '../migrate/kube-router.ts';
import type { Manifest, Migration } from '../migrate/migration.ts';
import { printMigration, printNote } from '../migrate/print.ts';
import { parseFlags } from './parse-flags.ts';
import { exitCodes, UsageError } from './usage.ts';

const origins = { calico: migrateCalico, 'kube-router': migrateKubeRouter } as const satisfies Record<
  string,
  (objects: readonly Manifest[]) => Migration
>;

interface Streams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** @param args the words after `migrate`. @throws UsageError */
export async function runMigrate(args: readonly string[], streams: Streams): Promise<number> {
  const { positionals } = parseFlags(args, {});
  const [from, ...files] = positionals;
  if (from !== 'calico' && from !== 'kube-router') {
    throw new UsageError(
      from === undefined
        ? 'migrate: calico or kube-router is missing'
        : `migrate: '${from}' is neither calico nor kube-router`,
    );
  }
  const objects: Manifest[] = [];
  let unread = 0;
  for (const file of files.length === 0 ? ['-'] : files) {
    const input = readObjects(await readInput(file, streams.stdin));
    objects.push(...input.objects);
    unread += input.problems.length;
    for (const problem of input.problems) streams.stderr.write(`godwit: ${file}: ${problem}\n`);
  }
  const migration = origins[from](objects);
  const { manifests, notes } = migration;
  streams.stdout.write(printMigration(migration));
  for (const note of notes) if (note.level === 'failed') streams.stderr.write(`godwit: ${printNote(note)}\n`);
  const failed = notes.filter(({ level }) => level === 'failed').length + unread;
  const lost = notes.filter(({ level }) => level === 'lost').length;
  streams.stderr.write(
    `godwit: ${objects.length} objects read, ${manifests.length} written; ${lost} without a counterpart (the comments at the top), ${failed} not converted\n`,
  );
  return failed > 0 ? exitCodes.refused : exitCodes.ok;
}

/** @throws UsageError where the file cannot be read. */
async function readInput(file: string, stdin: NodeJS.ReadableStream): Promise<string> {
  if (file === '-') return readAll(stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`migrate: ${(error as Error).message}`, { cause: error });
  }
}
