/** `godwit tor-config`: the switch's side of a BGPPeer, from a folder, files or what kubectl prints. */

import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { applyChange, emptyClusterState, type ClusterState } from '../resources/cluster-state.ts';
import { DirectorySource } from '../source/directory.ts';
import { readManifestText } from '../source/manifest-text.ts';
import { dialectNames, printSwitchSide } from '../tor/dialects.ts';
import { NoSwitchSide, toSwitchSide } from '../tor/switch-side.ts';
import { parseFlags } from './parse-flags.ts';
import { exitCodes, UsageError } from './usage.ts';

interface Streams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** @param args the words after `tor-config`. @throws UsageError */
export async function runTorConfig(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parseFlags(args, {
    dialect: { type: 'string' },
    peer: { type: 'string' },
    source: { type: 'string' },
  });
  const dialect = dialectNames.find((name) => name === values.dialect);
  if (dialect === undefined) {
    const given = values.dialect === undefined ? 'is required' : `'${values.dialect}' is none of them`;
    throw new UsageError(`--dialect: ${given}: ${dialectNames.join(', ')}`);
  }
  if (values.peer === undefined) throw new UsageError('--peer: is required: the name of a BGPPeer');
  const complain = (text: string) => streams.stderr.write(`godwit: ${text}\n`);
  const state =
    values.source === undefined
      ? await readFiles(positionals, streams.stdin, complain)
      : await readFolder(values.source, positionals, complain);
  try {
    streams.stdout.write(printSwitchSide(toSwitchSide(state, values.peer), dialect));
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof NoSwitchSide)) throw error;
    complain(error.message);
    return exitCodes.refused;
  }
}

type Complain = (text: string) => void;

async function readFolder(source: string, files: readonly string[], complain: Complain): Promise<ClusterState> {
  if (!source.startsWith('dir:')) {
    throw new UsageError(`--source: '${source}' is not dir:PATH; for a cluster, pipe what kubectl get -o yaml prints`);
  }
  if (files.length > 0) throw new UsageError(`--source and files exclude each other: '${files[0]}'`);
  const state = emptyClusterState();
  const folder = new DirectorySource(source.slice('dir:'.length));
  folder.onChanges((changes) => {
    for (const change of changes) applyChange(state, change);
  });
  try {
    await folder.start();
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  folder.stop();
  for (const { file, field, reason } of folder.problems()) complain(`${file}: ${field ?? ''} ${reason}`);
  return state;
}

async function readFiles(
  files: readonly string[],
  stdin: NodeJS.ReadableStream,
  complain: Complain,
): Promise<ClusterState> {
  const state = emptyClusterState();
  for (const file of files.length === 0 ? ['-'] : files) {
    const { objects, problems } = await readManifestText(await readInput(file, stdin), () => undefined);
    for (const { resource } of objects) applyChange(state, { kind: 'upsert', object: resource });
    for (const { line, field, reason } of problems) complain(`${file}:${line ?? 0}: ${field ?? ''} ${reason}`);
  }
  return state;
}

async function readInput(file: string, stdin: NodeJS.ReadableStream): Promise<string> {
  if (file === '-') return readAll(stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
